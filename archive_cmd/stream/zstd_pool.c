/*-------------------------------------------------------------------------
 *
 * zstd_pool.c
 *	  Threads without work of their own compress frames for those that still
 *	  have some.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/zstd_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "stream/zstd_internal.h"

struct ZstdPool
{
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t work; /* there is a job, or nobody will bring one */
	pthread_cond_t done; /* a job has been done */
	int producers;       /* threads that entered and have not left */
	int idle;            /* helpers that wait for a job */
	size_t queued;
	ZstdJob *first;
	ZstdJob *last;
};

ZstdPool *
zstd_pool_new(void)
{
	ZstdPool *pool = mem_zalloc(sizeof(ZstdPool));

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->done, NULL);
	return pool;
}

void
zstd_pool_free(ZstdPool *pool)
{
	if (pool == NULL)
		return;
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* ---- those who help ---- */

/* Under lock; NULL when there will be no more. */
static ZstdJob *
next_job(ZstdPool *pool)
{
	ZstdJob *job;

	pool->idle++;
	while (pool->first == NULL && pool->producers > 0)
		pthread_cond_wait(&pool->work, &pool->lock);
	pool->idle--;
	job = pool->first;
	if (job == NULL)
		return NULL;
	pool->first = job->next;
	pool->queued--;
	job->state = ZSTD_JOB_RUNNING;
	return job;
}

/* A helper without memory for a context is none; the others do the work. */
static void
help(ZstdPool *pool)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	ZstdJob *job;

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	while ((job = next_job(pool)) != NULL)
	{
		pthread_mutex_unlock(&pool->lock);
		zstd_job_run(ctx, job);
		pthread_mutex_lock(&pool->lock);
		job->state = ZSTD_JOB_DONE;
		pthread_cond_broadcast(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	ZSTD_freeCCtx(ctx);
}

void
zstd_pool_enter(ZstdPool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->producers++;
	pthread_mutex_unlock(&pool->lock);
}

void
zstd_pool_leave(ZstdPool *pool, bool with_help)
{
	bool others;

	pthread_mutex_lock(&pool->lock);
	others = --pool->producers > 0;
	if (!others)
		pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (others && with_help)
		help(pool);
}

/* ---- those who are helped ---- */

bool
zstd_pool_is_idle(ZstdPool *pool)
{
	bool idle;

	pthread_mutex_lock(&pool->lock);
	idle = (size_t) pool->idle > pool->queued;
	pthread_mutex_unlock(&pool->lock);
	return idle;
}

void
zstd_pool_submit(ZstdPool *pool, ZstdJob *job)
{
	pthread_mutex_lock(&pool->lock);
	job->state = ZSTD_JOB_QUEUED;
	job->next = NULL;
	if (pool->first == NULL)
		pool->first = job;
	else
		pool->last->next = job;
	pool->last = job;
	pool->queued++;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

bool
zstd_pool_is_done(ZstdPool *pool, const ZstdJob *job)
{
	bool done;

	pthread_mutex_lock(&pool->lock);
	done = job->state == ZSTD_JOB_DONE;
	pthread_mutex_unlock(&pool->lock);
	return done;
}

/* Under lock. */
static void
unqueue(ZstdPool *pool, const ZstdJob *job)
{
	ZstdJob *before = NULL;

	for (ZstdJob *j = pool->first; j != job; j = j->next)
		before = j;
	if (before == NULL)
		pool->first = job->next;
	else
		before->next = job->next;
	if (pool->last == job)
		pool->last = before;
	pool->queued--;
}

ZstdJob *
zstd_pool_await(ZstdPool *pool, ZstdJob *job)
{
	ZstdJob *mine = NULL;

	pthread_mutex_lock(&pool->lock);
	while (job->state == ZSTD_JOB_RUNNING && pool->first == NULL)
		pthread_cond_wait(&pool->done, &pool->lock);
	if (job->state != ZSTD_JOB_DONE)
	{
		mine = job->state == ZSTD_JOB_QUEUED ? job : pool->first;
		unqueue(pool, mine);
		mine->state = ZSTD_JOB_RUNNING;
	}
	pthread_mutex_unlock(&pool->lock);
	return mine;
}

void
zstd_pool_finish(ZstdPool *pool, ZstdJob *job)
{
	pthread_mutex_lock(&pool->lock);
	job->state = ZSTD_JOB_DONE;
	pthread_cond_broadcast(&pool->done);
	pthread_mutex_unlock(&pool->lock);
}

void
zstd_pool_drop(ZstdPool *pool, ZstdJob *job)
{
	pthread_mutex_lock(&pool->lock);
	if (job->state == ZSTD_JOB_QUEUED)
	{
		unqueue(pool, job);
		job->state = ZSTD_JOB_DONE;
	}
	while (job->state != ZSTD_JOB_DONE)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
