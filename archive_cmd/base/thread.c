/*-------------------------------------------------------------------------
 *
 * thread.c
 *	  Workers that pull jobs until there are none, and a stop flag.
 *
 * There are two flags: one for the process, raised by a signal, and one for
 * each group of workers, raised when one of them fails.  A worker finds its
 * group by a thread-local pointer, so that code deep below need not be told.
 *
 *-------------------------------------------------------------------------
 */
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

typedef struct Group
{
	/* fixed */
	WorkerFn fn;
	void *arg;
	const struct Group *parent; /* the group this one was started from */

	/* mutable */
	atomic_bool stop;
	pthread_mutex_t lock;
	Error err; /* under lock */
} Group;

typedef struct Worker
{
	Group *group;
	int number;
	pthread_t thread;
} Worker;

/* A handler may touch only what needs no lock. */
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "stop flag must be lock-free");

static atomic_bool signal_stop;
static _Thread_local const Group *current_group;

void
thread_request_stop(void)
{
	atomic_store_explicit(&signal_stop, true, memory_order_relaxed);
}

bool
thread_should_stop(void)
{
	if (atomic_load_explicit(&signal_stop, memory_order_relaxed))
		return true;
	for (const Group *g = current_group; g != NULL; g = g->parent)
	{
		if (atomic_load_explicit(&g->stop, memory_order_relaxed))
			return true;
	}
	return false;
}

const ThreadScope *
thread_scope(void)
{
	return (const ThreadScope *) current_group;
}

void
thread_enter_scope(const ThreadScope *scope)
{
	current_group = (const Group *) scope;
}

bool
thread_check_stop(Error *err)
{
	if (thread_should_stop())
		return error_set(err, ERR_CANCELED, "canceled on request");
	return true;
}

/*
 * Keeps the first error, except that a real one displaces ERR_CANCELED: that
 * may only be the echo of a failure whose worker has not come here yet.
 */
static void
group_fail(Group *group, Error *err)
{
	pthread_mutex_lock(&group->lock);
	if (group->err.code == ERR_CANCELED && err->code != ERR_CANCELED)
		error_clear(&group->err);
	error_move(&group->err, err);
	pthread_mutex_unlock(&group->lock);
	atomic_store_explicit(&group->stop, true, memory_order_relaxed);
}

static void *
worker_main(void *arg)
{
	Worker *worker = arg;
	Group *group = worker->group;
	const Group *outer = current_group;
	Error err = ERROR_INIT;

	current_group = group;
	if (!group->fn(group->arg, worker->number, &err))
	{
		if (!error_is_set(&err))
			error_set(&err, ERR_INTERNAL, "worker failed without a reason");
		group_fail(group, &err);
	}
	error_clear(&err);
	current_group = outer;
	return NULL;
}

/* Starts as many as it can; a failure stops those that run already. */
static int
start_workers(Worker *workers, int count, Group *group)
{
	for (int i = 0; i < count; i++)
	{
		int rc;

		workers[i].group = group;
		workers[i].number = i;
		rc = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
		if (rc != 0)
		{
			Error err = ERROR_INIT;

			error_set_errno(&err, rc, "could not start a thread");
			group_fail(group, &err);
			return i;
		}
	}
	return count;
}

bool
thread_run(int workers, WorkerFn fn, void *arg, Error *err)
{
	Group group = {.fn = fn,
				   .arg = arg,
				   .parent = current_group,
				   .lock = PTHREAD_MUTEX_INITIALIZER};
	bool done;

	if (workers <= 1)
	{
		Worker alone = {.group = &group};

		worker_main(&alone);
	}
	else
	{
		Worker *pool = mem_zalloc((size_t) workers * sizeof(Worker));
		int started = start_workers(pool, workers, &group);

		for (int i = 0; i < started; i++)
			pthread_join(pool[i].thread, NULL);
		free(pool);
	}
	pthread_mutex_destroy(&group.lock);
	done = !error_is_set(&group.err);
	error_move(err, &group.err);
	return done;
}
