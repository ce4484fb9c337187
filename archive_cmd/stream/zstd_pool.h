/*-------------------------------------------------------------------------
 *
 * zstd_pool.h
 *	  Threads without work of their own compress frames for those that still
 *	  have some.
 *
 * Frames are independent, so where one ends up being compressed does not show
 * in what is stored.  Without a helper that is idle at the moment, a compressor
 * works for itself, and nothing is copied.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ZSTD_POOL_H
#define PGDR_ZSTD_POOL_H

#include "stream/zstd.h"

typedef struct ZstdPool ZstdPool;

extern ZstdPool *zstd_pool_new(void);
extern void zstd_pool_free(ZstdPool *pool); /* NULL is fine */

/* The calling thread has work, and will leave the pool once. */
extern void zstd_pool_enter(ZstdPool *pool);

/*
 * The calling thread has no more work of its own; with help, it compresses for
 * the others that have entered until they have all left, too.
 */
extern void zstd_pool_leave(ZstdPool *pool, bool help);

/* A frame to be compressed; the buffers stay the caller's until it is done. */
typedef struct ZstdJob
{
	uint8_t *in;
	size_t len;
	uint8_t *out;
	size_t out_size;
	ZstdHow how;
	size_t result; /* as ZSTD_compress2() */

	/* the pool's own */
	struct ZstdJob *next;
	enum
	{
		ZSTD_JOB_QUEUED,
		ZSTD_JOB_RUNNING,
		ZSTD_JOB_DONE
	} state;
} ZstdJob;

/* Is somebody waiting for work? */
extern bool zstd_pool_is_idle(ZstdPool *pool);
extern void zstd_pool_submit(ZstdPool *pool, ZstdJob *job);
/* Has it been done?  Does not wait. */
extern bool zstd_pool_is_done(ZstdPool *pool, const ZstdJob *job);
/*
 * For a compressor that needs this job's result: NULL once it is done, until
 * then a job that the caller is to compress meanwhile and then to give to
 * zstd_pool_finish(): this one, or any that waits.  Call it again after that.
 */
extern ZstdJob *zstd_pool_await(ZstdPool *pool, ZstdJob *job);
extern void zstd_pool_finish(ZstdPool *pool, ZstdJob *job);
/* Its result is not needed any more; waits if a helper is at it. */
extern void zstd_pool_drop(ZstdPool *pool, ZstdJob *job);

#endif
