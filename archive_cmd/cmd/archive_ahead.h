/*-------------------------------------------------------------------------
 *
 * archive_ahead.h
 *	  The pusher of look-ahead: starting it, and being it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ARCHIVE_AHEAD_H
#define PGDR_ARCHIVE_AHEAD_H

#include "cmd/cmd.h"
#include "job/ahead.h"

/*
 * A process of its own, which outlives this one and has the lock; path is the
 * segment that was archived last.  That it cannot be started is no error.
 */
extern void archive_ahead_start(Context *ctx, const char *path, int lock);

/* What archive-push --ahead does. */
extern bool archive_ahead_run(Context *ctx, const AheadSpool *spool,
							  const PgControl *control, Error *err);

#endif
