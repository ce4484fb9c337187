/*-------------------------------------------------------------------------
 *
 * zstd_pace.h
 *	  A level of compression that follows what the store can take.
 *
 * While those who write wait for the store, the CPU has time to make less of
 * what is sent; while they do not, less compression makes them faster.  One for
 * all threads of a process that write to the same stores.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ZSTD_PACE_H
#define PGDR_ZSTD_PACE_H

#include <stdint.h>

typedef struct ZstdPace ZstdPace;

/* Begins at level 1. */
extern ZstdPace *zstd_pace_new(void);
extern void zstd_pace_free(ZstdPace *pace); /* NULL is fine */

/* For the next frame. */
extern int zstd_pace_level(ZstdPace *pace);

/* A thread wrote for so many microseconds, and waited for the store in them. */
extern void zstd_pace_note(ZstdPace *pace, int64_t took, int64_t waited);

#endif
