/*-------------------------------------------------------------------------
 *
 * prefetch_run.c
 *	  The fetcher: fetches what a server in recovery will ask for next.
 *
 * Workers take segments in order and fetch them side by side.  One thread more
 * waits for word of what the server was given, plans anew, drops what is not
 * wanted any more, and looks whether the server is still there.
 *
 * How far it goes ahead grows with what it finds and with what the server
 * takes: at the end of the archive one request is made for each segment that
 * arrives there, and a recovery that ends soon has not fetched much in vain.
 * Behind a segment that cannot be had nothing is begun until the server has got
 * it by its own call.
 *
 *-------------------------------------------------------------------------
 */
#include "job/prefetch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/get.h"
#include "job/prefetch_plan.h"
#include "job/spool_lock.h"
#include "job/spool_note.h"
#include "pg/control.h"

/* How long a fetcher stays when the server asks for nothing. */
#define LINGER (300 * USECS_PER_SEC)

/* Between looks at the server, and, without inotify, at what it was given. */
#define LOOK_MS 1000
#define LOOK_BLIND_MS 20

/* Slots, however small the segments are. */
#define DEPTH_MAX 256

typedef enum SlotState
{
	SLOT_TODO,
	SLOT_BUSY,
	SLOT_HERE,
	SLOT_NONE /* it could not be had */
} SlotState;

typedef struct Slot
{
	char file[WAL_NAME_LEN + 1];
	SlotState state;
} Slot;

typedef struct Fetcher
{
	/* fixed */
	const PrefetchOptions *o;
	size_t depth; /* slots, at most */
	int watch;    /* inotify, or -1 */

	/* the watcher's own */
	TimelineHistory history;
	int64_t served_at; /* monotonic */

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t work;
	WalName served;
	Slot *slots; /* what follows it, in order */
	size_t count;
	size_t window; /* of them, what may be fetched now */
	uint64_t fetched;
	bool ended;
} Fetcher;

/* ---- the plan ---- */

static Slot *
find_slot(const Fetcher *f, const char *file)
{
	for (size_t i = 0; i < f->count; i++)
	{
		if (strcmp(f->slots[i].file, file) == 0)
			return &f->slots[i];
	}
	return NULL;
}

static Slot *
follow(const Fetcher *f, const WalName *served)
{
	Slot *slots = mem_zalloc(f->depth * sizeof(Slot));
	WalName at = *served;
	char text[WAL_FILE_NAME_MAX];

	for (size_t i = 0; i < f->depth; i++)
	{
		WalName next;
		const Slot *old;

		prefetch_next(&f->history, &at, f->o->segment_size, &next);
		wal_name_format(&next, text);
		memcpy(slots[i].file, text, WAL_NAME_LEN);
		old = find_slot(f, slots[i].file);
		if (old != NULL)
			slots[i].state = old->state;
		at = next;
	}
	return slots;
}

/* What is in a worker's hand that one drops itself. */
static void
drop_unwanted(Fetcher *f, const Slot *old, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (old[i].state == SLOT_HERE && find_slot(f, old[i].file) == NULL)
			prefetch_remove(f->o->spool, old[i].file);
	}
}

/*
 * The server was given this one.  Was it one of those that were expected, the
 * window grows by two for each; else it begins anew, with the history that the
 * server follows now.
 */
static void
plan(Fetcher *f, const WalName *served)
{
	char text[WAL_FILE_NAME_MAX];
	Slot *old = f->slots;
	size_t count = f->count;
	const Slot *slot;

	wal_name_format(served, text);
	slot = find_slot(f, text);
	if (slot == NULL || slot->state == SLOT_NONE)
		f->window = 1;
	else
		f->window += 2 * (size_t) (slot - f->slots + 1);
	if (f->window > f->depth)
		f->window = f->depth;
	if (slot == NULL)
	{
		timeline_history_free(&f->history);
		prefetch_history(f->o->wal_dir, served->timeline, &f->history);
	}
	f->served = *served;
	f->slots = follow(f, served);
	f->count = f->depth;
	drop_unwanted(f, old, count);
	free(old);
}

/* ---- the watcher ---- */

bool
prefetch_is_recovering(const char *pgdata)
{
	char *recovery = file_join(pgdata, "recovery.signal");
	char *standby = file_join(pgdata, "standby.signal");
	Error ignored = ERROR_INIT;
	bool running = false;
	bool recovering = (access(recovery, F_OK) == 0 ||
					   access(standby, F_OK) == 0) &&
					  pg_server_is_running(pgdata, &running, &ignored) &&
					  running;

	error_clear(&ignored);
	free(recovery);
	free(standby);
	return recovering;
}

/* Word of a segment that the server was given may be there. */
static void
hear(Fetcher *f)
{
	char file[WAL_NAME_LEN + 1];
	char before[WAL_FILE_NAME_MAX];
	WalName served;

	wal_name_format(&f->served, before);
	if (!prefetch_served_read(f->o->spool, file) || strcmp(file, before) == 0 ||
		!wal_name_parse(file, &served))
		return;
	f->served_at = clock_monotonic();
	pthread_mutex_lock(&f->lock);
	plan(f, &served);
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
}

static void
wait_for_word(const Fetcher *f)
{
	struct pollfd fd = {.fd = f->watch, .events = POLLIN};
	char events[4096];

	if (poll(&fd, 1, f->watch >= 0 ? LOOK_MS : LOOK_BLIND_MS) > 0 &&
		read(f->watch, events, sizeof(events)) < 0)
		clock_sleep(LOOK_BLIND_MS * 1000);
}

static void
watch(Fetcher *f)
{
	int64_t looked_at = clock_monotonic();
	bool ended = false;

	while (!ended && !thread_should_stop())
	{
		int64_t now;

		wait_for_word(f);
		hear(f);
		now = clock_monotonic();
		if (now - looked_at < LOOK_MS * 1000)
			continue;
		looked_at = now;
		ended = now - f->served_at > LINGER ||
				!spool_is_locked(f->o->spool->dir, f->o->lock) ||
				!prefetch_is_recovering(f->o->pgdata);
	}
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
}

/* ---- the workers ---- */

/* The server needs room in its file system more than we do. */
static bool
is_roomy(const PrefetchOptions *o)
{
	struct statvfs fs;

	return statvfs(o->spool->dir, &fs) == 0 &&
		   (uint64_t) fs.f_bavail * fs.f_frsize >= 2 * o->limit;
}

static Slot *
next_todo(const Fetcher *f)
{
	for (size_t i = 0; i < f->window && i < f->count; i++)
	{
		if (f->slots[i].state == SLOT_NONE)
			break;
		if (f->slots[i].state == SLOT_TODO)
			return is_roomy(f->o) ? &f->slots[i] : NULL;
	}
	return NULL;
}

/* False: it is over. */
static bool
take(Fetcher *f, char file[WAL_NAME_LEN + 1])
{
	Slot *slot = NULL;
	bool ended;

	pthread_mutex_lock(&f->lock);
	while (!f->ended && !thread_should_stop() && (slot = next_todo(f)) == NULL)
	{
		struct timespec until;

		/* nobody tells us of a signal, nor of room */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&f->work, &f->lock, &until);
	}
	ended = slot == NULL;
	if (!ended)
	{
		slot->state = SLOT_BUSY;
		memcpy(file, slot->file, sizeof(slot->file));
	}
	pthread_mutex_unlock(&f->lock);
	return !ended;
}

static void
put(Fetcher *f, const char *file, bool here)
{
	size_t most = 2 * (size_t) f->o->workers;
	Slot *slot;

	pthread_mutex_lock(&f->lock);
	slot = find_slot(f, file);
	if (slot != NULL)
		slot->state = here ? SLOT_HERE : SLOT_NONE;
	else
		prefetch_remove(f->o->spool, file);
	if (here)
		f->fetched++;
	if (here && f->window < most)
		f->window *= 2;
	if (f->window > f->depth)
		f->window = f->depth;
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
}

static void
keep_warning(void *arg, const Error *why)
{
	json_append(arg, note_error(why));
}

static bool
fetch(const PrefetchOptions *o, RepoSet *set, const char *file)
{
	char *path = prefetch_path(o->spool, file);
	Json *warnings = json_new_array();
	const GetOptions get = {.home = o->spool->home,
							.segment_size = o->segment_size,
							.name = file,
							.destination = path,
							.server_syncs = true,
							.no_reasons = true,
							.warn = keep_warning,
							.warn_arg = warnings};
	Error why = ERROR_INIT;
	bool done = get_wal_file(set, &get, &why) &&
				prefetch_good_write(o->spool, file, warnings, &why);

	if (!done)
	{
		log_debug("\"%s\" was not fetched: %s", file, why.message);
		prefetch_remove(o->spool, file);
		if (why.code != ERR_NOT_FOUND)
			repo_set_close(set);
	}
	error_clear(&why);
	json_free(warnings);
	free(path);
	return done;
}

static bool
work(void *arg, int number, Error *err)
{
	Fetcher *f = arg;
	char file[WAL_NAME_LEN + 1];

	(void) err;
	if (number == f->o->workers)
		watch(f);
	else
	{
		RepoSet *set = f->o->open(f->o->arg, number);

		while (take(f, file))
			put(f, file, fetch(f->o, set, file));
	}
	return true;
}

/* ---- the whole ---- */

static void
start_watching(Fetcher *f)
{
	f->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->watch >= 0 &&
		inotify_add_watch(f->watch, f->o->spool->dir, IN_CLOSE_WRITE) < 0)
	{
		close(f->watch);
		f->watch = -1;
	}
}

bool
prefetch_run(const PrefetchOptions *options, uint64_t *count, Error *err)
{
	Fetcher f = {.o = options,
				 .depth = (size_t) (options->limit / options->segment_size),
				 .served_at = clock_monotonic(),
				 .lock = PTHREAD_MUTEX_INITIALIZER,
				 .work = PTHREAD_COND_INITIALIZER};
	char file[WAL_NAME_LEN + 1];
	WalName after;
	bool done;

	if (!wal_name_parse(options->after, &after) || after.kind != WAL_SEGMENT)
		return error_set(err, ERR_USAGE,
						 "\"%s\" is not the name of a WAL segment",
						 options->after);
	if (f.depth == 0)
		f.depth = 1;
	if (f.depth > DEPTH_MAX)
		f.depth = DEPTH_MAX;
	start_watching(&f);
	/* another call may have followed the one that started this */
	if (prefetch_served_read(options->spool, file))
		wal_name_parse(file, &after);
	/* what another fetcher has left nobody vouches for */
	prefetch_spool_clear(options->spool);
	plan(&f, &after);
	done = thread_run(options->workers + 1, work, &f, err);
	*count = f.fetched;
	if (spool_is_locked(options->spool->dir, options->lock))
		prefetch_spool_remove(options->spool);
	if (f.watch >= 0)
		close(f.watch);
	timeline_history_free(&f.history);
	free(f.slots);
	return done;
}
