/*-------------------------------------------------------------------------
 *
 * archive_prefetch.h
 *	  Look-ahead of recovery: the server's call, and being the fetcher.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ARCHIVE_PREFETCH_H
#define PGDR_ARCHIVE_PREFETCH_H

#include "cmd/cmd.h"
#include "job/get.h"
#include "job/prefetch.h"

/* What the server names as the destinations, and makes durable itself. */
#define PREFETCH_WAL_FILE PREFETCH_WAL_DIR "/RECOVERYXLOG"
#define PREFETCH_HISTORY_FILE PREFETCH_WAL_DIR "/RECOVERYHISTORY"

/* Of one call; it must not be moved. */
typedef struct Prefetch
{
	bool applies; /* it is the server's call for a segment */
	char print[CONTENT_HEX_LEN + 1];
	PrefetchSpool spool;
	const GetOptions *options;
} Prefetch;

extern void archive_prefetch_begin(Context *ctx, const GetOptions *options,
								   Prefetch *out);
/* See prefetch_deliver(). */
extern bool archive_prefetch_deliver(const Prefetch *p);
/* After a call that has fetched its segment itself: may start a fetcher. */
extern void archive_prefetch_look_ahead(Context *ctx, const Prefetch *p);
extern void archive_prefetch_end(Prefetch *p);

/* What archive-get --ahead does. */
extern bool archive_prefetch_run(Context *ctx, const GetOptions *options,
								 Error *err);

#endif
