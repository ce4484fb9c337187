/*-------------------------------------------------------------------------
 *
 * zstd_internal.h
 *	  What the compressor and its helpers share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ZSTD_INTERNAL_H
#define PGDR_ZSTD_INTERNAL_H

#include "stream/zstd.h"

#include <zstd.h>

/* Every frame is made with the same parameters.  A code of libzstd. */
extern size_t zstd_set_parameters(ZSTD_CCtx *ctx, int level);

#endif
