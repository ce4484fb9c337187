/*-------------------------------------------------------------------------
 *
 * ahead_queue.h
 *	  The segments that wait in the server's pg_wal/archive_status.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AHEAD_QUEUE_H
#define PGDR_AHEAD_QUEUE_H

#include "base/error.h"
#include "common/wal_name.h"

typedef struct AheadQueue
{
	char (*files)[WAL_NAME_LEN + 1]; /* in the order of their names */
	size_t count;
	size_t cap;
} AheadQueue;

extern void ahead_queue_free(AheadQueue *queue);

/* Whole segments alone, as the archiver will ask for them. */
extern bool ahead_queue_read(const char *wal_dir, AheadQueue *out, Error *err);

extern bool ahead_queue_has(const AheadQueue *queue, const char *file);

/* Does the server wait for this one of its segments? */
extern bool ahead_is_ready(const char *wal_dir, const char *file);

#endif
