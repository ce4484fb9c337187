/*-------------------------------------------------------------------------
 *
 * archive_ahead.h
 *	  Being the pusher of look-ahead (cmd/detach.h starts it).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ARCHIVE_AHEAD_H
#define PGDR_ARCHIVE_AHEAD_H

#include "cmd/cmd.h"
#include "job/ahead.h"

/* What archive-push --ahead does. */
extern bool archive_ahead_run(Context *ctx, const AheadSpool *spool,
							  const PgControl *control, Error *err);

#endif
