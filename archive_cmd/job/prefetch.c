/*-------------------------------------------------------------------------
 *
 * prefetch.c
 *	  Look-ahead of recovery, as the server's own call sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/prefetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/spool_lock.h"
#include "job/spool_note.h"

/* A segment that does not grow for so long is fetched by its own call ... */
#define STALL_MAX (1 * USECS_PER_SEC)
/* ... and one that a fetcher has not begun, or not noted, for so long. */
#define BEGIN_MAX (10 * 1000)
#define WAIT_STEP 500000 /* nanoseconds */

static void
warn(const Json *warnings)
{
	for (size_t i = 0; i < json_array_len(warnings); i++)
	{
		Error why = ERROR_INIT;

		note_take_error(json_array_at(warnings, i), &why);
		log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
}

/* The name at the destination is the server's to make durable. */
static bool
take(const PrefetchSpool *spool, const char *file, const char *destination)
{
	char *path = prefetch_path(spool, file);
	Json *warnings = NULL;
	bool taken = prefetch_good_read(spool, file, &warnings) &&
				 rename(path, destination) == 0;

	if (taken)
	{
		prefetch_good_remove(spool, file);
		prefetch_served_write(spool, file);
		warn(warnings);
	}
	json_free(warnings);
	free(path);
	return taken;
}

/* Nobody has the lock: what is on its way will not come. */
static bool
fetcher_is_there(const PrefetchSpool *spool)
{
	Error ignored = ERROR_INIT;
	int lock;
	bool there = spool_try_lock(spool->dir, &lock, &ignored) && lock < 0;

	spool_unlock(lock);
	error_clear(&ignored);
	return there;
}

bool
prefetch_deliver(const PrefetchSpool *spool, const char *file,
				 const char *destination)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP};
	Error ignored = ERROR_INIT;
	bool ours = spool_check_dir(spool->dir, &ignored);
	int64_t deadline = clock_monotonic() + BEGIN_MAX;
	uint64_t before = UINT64_MAX;
	uint64_t size;
	bool taken = false;

	error_clear(&ignored);
	while (ours && !taken && !thread_should_stop())
	{
		bool coming = prefetch_is_coming(spool, file, &size);

		/* in this order: what was on its way may have arrived meanwhile */
		taken = take(spool, file, destination);
		if (taken || !fetcher_is_there(spool))
			break;
		if (coming && size != before)
			deadline = clock_monotonic() + STALL_MAX;
		if (coming)
			before = size;
		if (clock_monotonic() >= deadline)
			break;
		nanosleep(&step, NULL);
	}
	return taken;
}

void
prefetch_tell(const PrefetchSpool *spool, const char *file, int *lock)
{
	Error why = ERROR_INIT;

	*lock = -1;
	if (!prefetch_spool_make(spool, &why) ||
		!spool_try_lock(spool->dir, lock, &why))
		log_info("no look-ahead: %s", why.message);
	else
	{
		prefetch_served_write(spool, file);
		if (*lock >= 0 && prefetch_has_failed(spool))
		{
			spool_unlock(*lock);
			*lock = -1;
		}
	}
	error_clear(&why);
}

void
prefetch_sweep(const char *pgdata)
{
	char *wal_dir = file_join(pgdata, PREFETCH_WAL_DIR);
	char *dir = file_join(wal_dir, PREFETCH_DIR);
	Error ignored = ERROR_INIT;
	int lock;

	if (access(dir, F_OK) == 0 && !prefetch_is_recovering(pgdata) &&
		spool_check_dir(dir, &ignored) && spool_try_lock(dir, &lock, &ignored))
	{
		const PrefetchSpool spool = {.dir = dir};

		if (lock >= 0)
			prefetch_spool_remove(&spool);
		spool_unlock(lock);
	}
	error_clear(&ignored);
	free(dir);
	free(wal_dir);
}
