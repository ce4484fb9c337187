/*-------------------------------------------------------------------------
 *
 * thread_test.c
 *	  Tests of archive_cmd/base/thread.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

typedef struct Pool
{
	pthread_mutex_t lock;
	int next;
	int done[1000];
	atomic_int workers_seen;
	atomic_int canceled;
	int failing_worker;
} Pool;

static void
pool_init(Pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
}

static bool
take_all(void *arg, int worker_no, Error *err)
{
	Pool *pool = arg;

	(void) err;
	atomic_fetch_or(&pool->workers_seen, 1 << worker_no);
	for (;;)
	{
		int job;

		pthread_mutex_lock(&pool->lock);
		job = pool->next < 1000 ? pool->next++ : -1;
		pthread_mutex_unlock(&pool->lock);
		if (job < 0)
			return true;
		pool->done[job]++;
	}
}

static void
test_work(void)
{
	for (int workers = 1; workers <= 4; workers++)
	{
		Pool pool;
		Error err = ERROR_INIT;
		bool once = true;

		pool_init(&pool);
		ok(thread_run(workers, take_all, &pool, &err), "%d workers", workers);
		for (int i = 0; i < 1000; i++)
			once = once && pool.done[i] == 1;
		ok(once, "... each job done once");
		is_int(pool.workers_seen, (1 << workers) - 1, "... by all of them");
	}
}

/* One fails; the others wait for ever, that is until they see it. */
static bool
fail_or_wait(void *arg, int worker_no, Error *err)
{
	Pool *pool = arg;

	if (worker_no == pool->failing_worker)
		return error_set(err, ERR_DAMAGED, "worker %d broke", worker_no);
	while (thread_check_stop(err))
		clock_sleep(1000);
	atomic_fetch_add(&pool->canceled, 1);
	return false;
}

static void
test_failure(void)
{
	for (int failing = 0; failing < 4; failing++)
	{
		Pool pool;
		Error err = ERROR_INIT;

		pool_init(&pool);
		pool.failing_worker = failing;
		ok(!thread_run(4, fail_or_wait, &pool, &err), "worker %d fails",
		   failing);
		is_int(err.code, ERR_DAMAGED, "... and its error is returned");
		is_int(pool.canceled, 3, "... the others stop");
		ok(!thread_should_stop(), "... the caller goes on");
		error_clear(&err);
	}
}

/* The echo of the failure arrives first: the real error still wins. */
static bool
late_failure(void *arg, int worker_no, Error *err)
{
	atomic_int *canceled = arg;

	if (worker_no == 0)
	{
		atomic_store(canceled, 1);
		return error_set(err, ERR_CANCELED, "canceled");
	}
	while (!thread_should_stop())
		clock_sleep(1000);
	return error_set(err, ERR_FULL, "no room");
}

static void
test_canceled_first(void)
{
	atomic_int canceled = 0;
	Error err = ERROR_INIT;

	ok(!thread_run(2, late_failure, &canceled, &err), "canceled, then failed");
	is_int(err.code, ERR_FULL, "the failure is returned");
	error_clear(&err);
}

static bool
fail_silently(void *arg, int worker_no, Error *err)
{
	(void) arg;
	(void) worker_no;
	(void) err;
	return false;
}

static void
test_silent(void)
{
	Error err = ERROR_INIT;

	ok(!thread_run(1, fail_silently, NULL, &err), "failure without an error");
	is_int(err.code, ERR_INTERNAL, "... is a bug");
	error_clear(&err);
}

/* Each outer worker runs a group; one outer failure must reach them all. */
static bool
outer(void *arg, int worker_no, Error *err)
{
	Pool *pool = arg;
	bool good;

	if (worker_no == 0)
		return error_set(err, ERR_IO, "outer failure");
	good = thread_run(2, fail_or_wait, pool, err);
	return good;
}

static void
test_nested(void)
{
	Pool pool;
	Error err = ERROR_INIT;

	pool_init(&pool);
	pool.failing_worker = -1;
	ok(!thread_run(3, outer, &pool, &err), "nested groups");
	is_int(err.code, ERR_IO, "... the outer error is returned");
	is_int(pool.canceled, 4, "... all inner workers stop");
	error_clear(&err);
}

static void
on_signal(int signo)
{
	(void) signo;
	thread_request_stop();
}

static bool
signal_or_wait(void *arg, int worker_no, Error *err)
{
	(void) arg;
	if (worker_no == 0)
		kill(getpid(), SIGTERM);
	while (thread_check_stop(err))
		clock_sleep(10 * USECS_PER_SEC);
	return false;
}

/* Last: the flag stays up for the rest of the process. */
static void
test_signal(void)
{
	Error err = ERROR_INIT;
	int64_t start = clock_monotonic();

	ok(!thread_should_stop(), "nobody asked to stop so far");
	signal(SIGTERM, on_signal);
	ok(!thread_run(3, signal_or_wait, NULL, &err), "a signal stops all");
	is_int(err.code, ERR_CANCELED, "... as a cancellation");
	ok(clock_monotonic() - start < 5 * USECS_PER_SEC, "... out of sleep");
	ok(thread_should_stop(), "... the caller too");
	error_clear(&err);
}

int
main(void)
{
	test_work();
	test_failure();
	test_canceled_first();
	test_silent();
	test_nested();
	test_signal();
	return done_testing();
}
