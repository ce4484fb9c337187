/*-------------------------------------------------------------------------
 *
 * push_help.h
 *	  Threads that help to compress a single segment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_HELP_H
#define PGDR_PUSH_HELP_H

#include <pthread.h>

#include "stream/zstd_pool.h"

/* Others would wait for what cannot be shared: hashing, encryption, storing. */
#define PUSH_HELPERS_MAX 3

typedef struct PushHelp
{
	ZstdPool *pool; /* NULL: no help */
	pthread_t threads[PUSH_HELPERS_MAX];
	int count;
} PushHelp;

/* threads: how many may be at work, this one included. */
extern void push_help_begin(PushHelp *help, int threads);
extern void push_help_end(PushHelp *help);

#endif
