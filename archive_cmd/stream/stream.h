/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  A chain of stages.  Data is pushed in at the front; each stage hands
 *	  what it makes to the next.  Every call can fail, and a failure travels
 *	  up to the caller at once.
 *
 * A stage does not own the next one: free each stage you made.  After a false
 * return only stage_free() may be called on the chain.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_STREAM_H
#define PGDR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct Stage Stage;

typedef struct StageOps
{
	/* Takes all of data; it may be kept in a buffer of bounded size. */
	bool (*write)(Stage *stage, const void *data, size_t len, Error *err);

	/*
	 * The input is complete: check that it ends where it should, hand on all
	 * that is left, and finish the next stage.
	 */
	bool (*finish)(Stage *stage, Error *err);
	void (*free)(Stage *stage);
} StageOps;

struct Stage
{
	const StageOps *ops;
	Stage *next; /* NULL for a sink */
};

static inline bool
stage_write(Stage *stage, const void *data, size_t len, Error *err)
{
	return stage->ops->write(stage, data, len, err);
}

static inline bool
stage_finish(Stage *stage, Error *err)
{
	return stage->ops->finish(stage, err);
}

static inline void
stage_free(Stage *stage)
{
	if (stage)
		stage->ops->free(stage);
}

/* A sink that calls fn for each piece (finish does nothing). */
typedef bool (*StageSinkFn)(void *arg, const void *data, size_t len,
							Error *err);
extern Stage *stage_sink(StageSinkFn fn, void *arg);

/* A sink that keeps everything, failing with ERR_DAMAGED above max. */

extern Stage *stage_sink_buffer(StrBuf *out, size_t max);

/* A sink that writes to a file descriptor (path is for messages). */
extern Stage *stage_sink_fd(int fd, const char *path);

#endif
