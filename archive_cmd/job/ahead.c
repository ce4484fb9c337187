/*-------------------------------------------------------------------------
 *
 * ahead.c
 *	  Look-ahead, as the server's own call sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/ahead.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/ahead_queue.h"
#include "job/spool_lock.h"

/* A pusher that takes longer over one segment is not waited for. */
#define WAIT_MAX (60 * USECS_PER_SEC)
#define WAIT_STEP 2000000 /* nanoseconds */

/* Segments that wait, for which a pusher is started. */
#define WORTH_WHILE 2

/* ---- the call ---- */

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? mem_strndup(path, (size_t) (slash - path))
						 : mem_strdup(".");
}

/* Is it a segment of its own that the server has ready? */
static bool
is_the_servers(const char *path)
{
	char *dir = dir_of(path);
	WalName name;
	bool ready = wal_name_parse(base_of(path), &name) &&
				 name.kind == WAL_SEGMENT && ahead_is_ready(dir, base_of(path));

	free(dir);
	return ready;
}

static bool
is_acknowledged(const AheadCall *call, AheadAck *ack)
{
	const char *file = base_of(call->path);
	struct stat now;

	if (stat(call->path, &now) != 0 ||
		!ahead_ack_read(call->spool, file, &now, ack))
		return false;
	if (call->confirm == NULL || call->confirm(call->arg, ack))
		return true;
	log_warning("\"%s\" was archived ahead and is gone from a repository",
				file);
	ahead_ack_free(ack);
	ahead_ack_remove(call->spool, file);
	return false;
}

/*
 * Until there is an acknowledgement, or the lock.  Without either after a long
 * time it is archived all the same: two that store the same do no harm.
 */
static AheadAnswer
wait_for_it(const AheadCall *call, AheadAck *ack, int *lock, Error *err)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP};
	const char *file = base_of(call->path);
	int64_t begun = clock_now();
	int64_t deadline = clock_monotonic() + WAIT_MAX;
	Error why = ERROR_INIT;

	while (clock_monotonic() < deadline && thread_check_stop(err))
	{
		bool can_lock = spool_try_lock(call->spool->dir, lock, &why);

		/* looked at with the lock, or with the pusher at work */
		if (is_acknowledged(call, ack))
		{
			spool_unlock(*lock);
			*lock = -1;
			return AHEAD_DONE;
		}
		if (!can_lock || *lock >= 0)
			break;
		nanosleep(&step, NULL);
	}
	if (error_is_set(&why))
		log_info("no look-ahead: %s", why.message);
	error_clear(&why);
	if (error_is_set(err) || ahead_failure_take(call->spool, file, begun, err))
	{
		spool_unlock(*lock);
		*lock = -1;
		return AHEAD_FAILED;
	}
	return AHEAD_PUSH;
}

AheadAnswer
ahead_ask(const AheadCall *call, AheadAck *ack, int *lock, Error *err)
{
	Error why = ERROR_INIT;

	*lock = -1;
	if (!is_the_servers(call->path))
		return AHEAD_PUSH;
	if (!ahead_spool_make(call->spool, &why))
	{
		log_info("no look-ahead: %s", why.message);
		error_clear(&why);
		return AHEAD_PUSH;
	}
	if (is_acknowledged(call, ack))
		return AHEAD_DONE;
	return wait_for_it(call, ack, lock, err);
}

bool
ahead_is_worth(const char *path, const PushResult *result, int64_t begun)
{
	AheadQueue queue = {0};
	Error ignored = ERROR_INIT;
	char *dir = dir_of(path);
	size_t waiting = 0;

	if (ahead_is_still(&result->source, begun) &&
		ahead_queue_read(dir, &queue, &ignored))
	{
		waiting = queue.count;
		if (ahead_queue_has(&queue, base_of(path)))
			waiting--;
	}
	error_clear(&ignored);
	ahead_queue_free(&queue);
	free(dir);
	return waiting >= WORTH_WHILE;
}
