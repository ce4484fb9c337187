/*-------------------------------------------------------------------------
 *
 * prefetch.h
 *	  Look-ahead of recovery: segments are fetched before the server asks.
 *
 * One process at a time, the fetcher, fetches those that follow the one that
 * the server was given last into the spool, by a lock in it.  It is started by
 * a call that had to fetch its segment itself.
 *
 * What a fetcher finds is never an answer: whether a file is absent, damaged
 * or cannot be had is found out and told by the server's own call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PREFETCH_H
#define PGDR_PREFETCH_H

#include "job/prefetch_spool.h"
#include "repo/repo_set.h"

/* Where the spool is, in the data directory. */
#define PREFETCH_WAL_DIR "pg_wal"

/* ---- the server's own call ---- */

/*
 * True: a verified segment has been renamed to destination, which must be in
 * the spool's file system.  It is complete, but not yet durable: see
 * GetOptions.server_syncs.  Waits for one that is on its way, as long as it
 * makes progress.  False is no failure: it is to be fetched.
 */
extern bool prefetch_deliver(const PrefetchSpool *spool, const char *file,
							 const char *destination);

/*
 * After a call that has fetched its segment itself.  *lock: held if a fetcher
 * is to be started with it, else -1.
 */
extern void prefetch_tell(const PrefetchSpool *spool, const char *file,
						  int *lock);

/*
 * Removes what a fetcher has left that was killed when recovery ended.  Costs
 * nothing where there is nothing.
 */
extern void prefetch_sweep(const char *pgdata);

/* ---- the fetcher ---- */

typedef struct PrefetchOptions
{
	const PrefetchSpool *spool;
	const char *pgdata;
	const char *wal_dir;
	uint32_t segment_size;
	const char *after; /* name of the segment that was served last */
	int lock;          /* the spool's, held */
	int workers;
	uint64_t limit; /* bytes fetched and not yet asked for, at most */
	/* Each worker has a set of its own, with connections of its own. */
	RepoSet *(*open)(void *arg, int worker);
	void *arg;
} PrefetchOptions;

/* Is there a server at work in this directory that recovers from an archive? */
extern bool prefetch_is_recovering(const char *pgdata);

/*
 * Until that server is gone or has ended recovery, has asked for nothing for a
 * long time, or it is asked to stop.  The spool is removed at the end.  *count: segments that were fetched.
 */
extern bool prefetch_run(const PrefetchOptions *options, uint64_t *count,
						 Error *err);

#endif
