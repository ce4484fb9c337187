/*-------------------------------------------------------------------------
 *
 * ahead_run.c
 *	  The pusher: archives what the server has ready, several at a time.
 *
 * Workers take segments in the order of their names and prepare them side by
 * side; each waits before the last step, in which the object gets its name,
 * until those before it are durable.  So the repositories never show a segment
 * while an earlier one is missing, and when one fails none behind it is
 * stored.  Only so many prepare at a time as may use a CPU; who waits for his
 * turn or for the disk lets another one begin.
 *
 *-------------------------------------------------------------------------
 */
#include "job/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/ahead_queue.h"

/* How long a pusher stays when nothing is left for it to do. */
#define LINGER (300 * 1000)
#define NAP (10 * 1000)

#define PID_FILE_MAX 8192
#define NOBODY UINT64_MAX

typedef struct Pusher
{
	/* fixed */
	const AheadOptions *o;
	char *wal_dir;

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t turn;
	AheadQueue queue; /* what is left of it to take */
	size_t next;
	int free;                        /* so many more may prepare */
	uint64_t tickets;                /* given out so far */
	uint64_t *holding;               /* by worker: its ticket, or NOBODY */
	char (*files)[WAL_NAME_LEN + 1]; /* by worker: in hand, or "" */
	uint64_t acknowledged;
	int64_t looked_at;  /* monotonic: in vain */
	int64_t idle_since; /* likewise; 0: not idle */
	bool ended;
} Pusher;

typedef struct Worker
{
	Pusher *p;
	int number;
	bool prepares;
} Worker;

/* ---- is there something to do? ---- */

/* The server that runs, or ran, in this directory. */
static bool
server_is_there(const char *pgdata)
{
	char *path = file_join(pgdata, "postmaster.pid");
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	bool there = false;
	long pid;

	if (file_slurp(path, PID_FILE_MAX, &text, &ignored) && text.len > 0)
	{
		pid = strtol(text.data, NULL, 10);
		/* not ours to signal is there as well */
		there = pid > 0 && (kill((pid_t) pid, 0) == 0 || errno == EPERM);
	}
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return there;
}

static bool
is_in_hand(const Pusher *p, const char *file)
{
	for (int i = 0; i < p->o->workers; i++)
	{
		if (strcmp(p->files[i], file) == 0)
			return true;
	}
	return false;
}

typedef enum State
{
	STATE_DONE, /* acknowledged, or in hand */
	STATE_TODO,
	STATE_LATER /* it may still change */
} State;

static State
state_of(const Pusher *p, const char *file)
{
	char *path = file_join(p->wal_dir, file);
	AheadAck ack = {.repositories = NULL};
	struct stat st;
	State state = STATE_TODO;

	if (is_in_hand(p, file))
		state = STATE_DONE;
	else if (stat(path, &st) != 0 || !ahead_is_still(&st, clock_now()))
		state = STATE_LATER;
	else if (ahead_ack_read(p->o->spool, file, &st, &ack))
		state = STATE_DONE;
	ahead_ack_free(&ack);
	free(path);
	return state;
}

typedef struct Sweep
{
	const Pusher *p;
	const AheadQueue *queue;
} Sweep;

/* What the server has taken note of needs no acknowledgement any more. */
static void
sweep_one(void *arg, const char *file)
{
	const Sweep *sweep = arg;

	if (!ahead_queue_has(sweep->queue, file) &&
		!ahead_is_ready(sweep->p->wal_dir, file))
		ahead_ack_remove(sweep->p->o->spool, file);
}

/*
 * Looks anew what waits: keeps, in order, what is to be done and the limit
 * allows.  What is behind a file that has to wait waits, too.
 */
static bool
look(Pusher *p, size_t *waiting, Error *err)
{
	AheadQueue *queue = &p->queue;
	Sweep sweep = {.p = p, .queue = queue};
	size_t done = 0;
	size_t kept = 0;

	p->next = 0;
	if (!ahead_queue_read(p->wal_dir, queue, err))
		return false;
	ahead_ack_each(p->o->spool, sweep_one, &sweep);
	*waiting = queue->count;
	for (size_t i = 0; i < queue->count && done + kept < p->o->limit; i++)
	{
		State state = state_of(p, queue->files[i]);

		if (state == STATE_LATER)
			break;
		if (state == STATE_DONE)
			done++;
		else
			memmove(queue->files[kept++], queue->files[i],
					sizeof(*queue->files));
	}
	queue->count = kept;
	return true;
}

/* ---- turns ---- */

typedef enum Taken
{
	TAKEN,
	TAKEN_NONE, /* not now */
	TAKEN_END
} Taken;

/* With nothing to do for a while, and nobody at work, it is over. */
static Taken
rest(Pusher *p, size_t waiting)
{
	int64_t now = clock_monotonic();

	for (int i = 0; i < p->o->workers; i++)
	{
		if (p->files[i][0] != '\0')
			return TAKEN_NONE;
	}
	if (p->idle_since == 0)
		p->idle_since = now;
	if (waiting > 0 && now - p->idle_since < LINGER)
		return TAKEN_NONE;
	p->ended = true;
	return TAKEN_END;
}

static Taken
take_locked(Pusher *p, int worker, Error *err)
{
	size_t waiting = 0;

	if (p->ended || thread_should_stop())
		return TAKEN_END;
	if (p->next == p->queue.count)
	{
		if (clock_monotonic() - p->looked_at < NAP)
			return TAKEN_NONE;
		if (!server_is_there(p->o->pgdata) || !look(p, &waiting, err))
		{
			p->ended = true;
			return TAKEN_END;
		}
		if (p->queue.count == 0)
		{
			p->looked_at = clock_monotonic();
			return rest(p, waiting);
		}
	}
	p->idle_since = 0;
	memcpy(p->files[worker], p->queue.files[p->next++], WAL_NAME_LEN + 1);
	p->holding[worker] = p->tickets++;
	return TAKEN;
}

/* Under the lock; for a moment only, because nobody tells us of a signal. */
static void
wait_a_little(Pusher *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 50 * 1000000;
	if (until.tv_nsec >= 1000000000)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&p->turn, &p->lock, &until);
}

static Taken
take(Worker *w, Error *err)
{
	Pusher *p = w->p;
	Taken taken;

	pthread_mutex_lock(&p->lock);
	while (p->free == 0 && !p->ended && !thread_should_stop())
		wait_a_little(p);
	taken = take_locked(p, w->number, err);
	w->prepares = taken == TAKEN;
	if (w->prepares)
		p->free--;
	pthread_mutex_unlock(&p->lock);
	return taken;
}

/* Under the lock: another one may begin. */
static void
end_preparing(Worker *w)
{
	if (!w->prepares)
		return;
	w->prepares = false;
	w->p->free++;
	pthread_cond_broadcast(&w->p->turn);
}

static bool
is_first(const Pusher *p, int worker)
{
	for (int i = 0; i < p->o->workers; i++)
	{
		if (p->holding[i] < p->holding[worker])
			return false;
	}
	return true;
}

/* The gate: those before this one are durable, or it is over. */
static bool
wait_for_turn(void *arg, Error *err)
{
	Worker *w = arg;
	Pusher *p = w->p;
	bool stop = false;

	pthread_mutex_lock(&p->lock);
	end_preparing(w);
	while (!stop && !is_first(p, w->number))
	{
		wait_a_little(p);
		stop = thread_should_stop();
	}
	pthread_mutex_unlock(&p->lock);
	return thread_check_stop(err);
}

/* It is durable: the next may follow. */
static void
pass_on(Worker *w)
{
	pthread_mutex_lock(&w->p->lock);
	end_preparing(w);
	w->p->holding[w->number] = NOBODY;
	pthread_cond_broadcast(&w->p->turn);
	pthread_mutex_unlock(&w->p->lock);
}

static void
put_down(Worker *w)
{
	pthread_mutex_lock(&w->p->lock);
	w->p->files[w->number][0] = '\0';
	w->p->acknowledged++;
	pthread_mutex_unlock(&w->p->lock);
}

/* ---- the work ---- */

/* What failed for one segment need not fail for the next. */
static void
forgive(RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
		error_clear(&set->members[i].why);
}

static bool
push_one(Worker *w, RepoSet *set, const char *file, Error *err)
{
	const AheadOptions *o = w->p->o;
	const PushGate gate = {.pass = wait_for_turn, .arg = w};
	char *path = file_join(w->p->wal_dir, file);
	const PushJob job = {.path = path, .control = o->control, .gate = &gate};
	PushResult result;
	Json *outcomes;
	bool done;

	forgive(set);
	done = push_run(set, &job, &result, err);
	free(path);
	if (!done)
	{
		if (err->code != ERR_CANCELED)
			ahead_failure_write(o->spool, file, err);
		return false;
	}
	pass_on(w);
	outcomes = push_outcomes_json(set);
	done = ahead_ack_write(o->spool, &result, outcomes, err);
	json_free(outcomes);
	return done;
}

static bool
work(void *arg, int number, Error *err)
{
	Worker w = {.p = arg, .number = number};
	Pusher *p = arg;
	RepoSet *set = p->o->open(p->o->arg, number);
	bool done = true;

	while (done)
	{
		Taken taken = take(&w, err);

		if (taken == TAKEN_END)
			return !error_is_set(err);
		if (taken == TAKEN_NONE)
		{
			clock_sleep(NAP);
			continue;
		}
		/* who fails keeps the turn: none behind it is stored */
		done = push_one(&w, set, p->files[number], err);
		if (done)
			put_down(&w);
	}
	return false;
}

bool
ahead_run(const AheadOptions *options, uint64_t *count, Error *err)
{
	const char *slash = strrchr(options->after, '/');
	Pusher p = {.o = options,
				.free = options->preparing,
				.lock = PTHREAD_MUTEX_INITIALIZER,
				.turn = PTHREAD_COND_INITIALIZER};
	size_t workers = (size_t) options->workers;
	bool done;

	p.wal_dir = slash != NULL ? mem_strndup(options->after,
											(size_t) (slash - options->after))
							  : mem_strdup(".");
	p.holding = mem_alloc(workers * sizeof(*p.holding));
	p.files = mem_zalloc(workers * sizeof(*p.files));
	for (size_t i = 0; i < workers; i++)
		p.holding[i] = NOBODY;
	done = thread_run(options->workers, work, &p, err);
	*count = p.acknowledged;
	ahead_queue_free(&p.queue);
	free(p.files);
	free(p.holding);
	free(p.wal_dir);
	return done;
}
