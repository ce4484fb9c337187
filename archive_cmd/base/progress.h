/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  Counters that workers raise and a command shows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PROGRESS_H
#define PGDR_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct Progress
{
	_Atomic(const char *) phase; /* static text: "copying", "waiting for WAL" */
	atomic_uint_fast64_t total_bytes; /* 0: not known */
	atomic_uint_fast64_t done_bytes;
	atomic_uint_fast64_t total_items;
	atomic_uint_fast64_t done_items;
} Progress;

#endif
