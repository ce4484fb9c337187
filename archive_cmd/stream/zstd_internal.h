/*-------------------------------------------------------------------------
 *
 * zstd_internal.h
 *	  What the compressor and its helpers share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ZSTD_INTERNAL_H
#define PGDR_ZSTD_INTERNAL_H

#include <zstd.h>

#include "stream/zstd_pool.h"

/* A whole frame, its result in the job. */
extern void zstd_job_run(ZSTD_CCtx *ctx, ZstdJob *job);

#endif
