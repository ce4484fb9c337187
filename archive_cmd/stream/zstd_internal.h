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

/* Every frame is made with the same parameters.  A code of libzstd. */
extern size_t zstd_set_parameters(ZSTD_CCtx *ctx, int level);

extern void zstd_job_run(ZSTD_CCtx *ctx, ZstdJob *job);

#endif
