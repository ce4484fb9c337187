/*-------------------------------------------------------------------------
 *
 * prefetch_spool.h
 *	  Where segments lie that were fetched before the server asked for them.
 *
 * The spool is a directory in the server's pg_wal: there a segment is handed
 * over by renaming it, it can be mistaken for no other data directory's, and
 * backups of whatever kind leave it out.
 *
 * A segment in it is good only with a note beside it, which is written when all
 * of it has been verified, and which says what file that was (inode, size,
 * times of change), of which cluster, by which configuration, and since which
 * start of the machine: its content need not be on the disk yet.  Anything else
 * counts as not there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PREFETCH_SPOOL_H
#define PGDR_PREFETCH_SPOOL_H

#include "base/json.h"
#include "repo/repo.h"

#define PREFETCH_DIR ".pgdr-ahead"

typedef struct PrefetchSpool
{
	char *dir;         /* <pg_wal>/.pgdr-ahead */
	WalHome home;      /* the cluster whose WAL is in it */
	const char *print; /* stands for the configuration */
	char *boot;        /* this start of the machine, "" if not known */
} PrefetchSpool;

/* Nothing is made or opened by this. */
extern PrefetchSpool prefetch_spool(const char *wal_dir, const WalHome *home,
									const char *print);
extern void prefetch_spool_free(PrefetchSpool *spool);

/* ERR_DENIED if the directory is not ours alone. */
extern bool prefetch_spool_make(const PrefetchSpool *spool, Error *err);

/* All that is in it but the lock, and the spool itself; goes on after errors. */
extern void prefetch_spool_clear(const PrefetchSpool *spool);
extern void prefetch_spool_remove(const PrefetchSpool *spool);

/* ---- segments ---- */

extern char *prefetch_path(const PrefetchSpool *spool, const char *file);

/*
 * The segment has been verified and lies under its name; warnings (an array of
 * note_error() objects) are what its call is to warn of.
 */
extern bool prefetch_good_write(const PrefetchSpool *spool, const char *file,
								const Json *warnings, Error *err);

/* Is it there, as it was verified?  Caller frees *warnings. */
extern bool prefetch_good_read(const PrefetchSpool *spool, const char *file,
							   Json **warnings);

/* The note alone, and with the segment. */
extern void prefetch_good_remove(const PrefetchSpool *spool, const char *file);
extern void prefetch_remove(const PrefetchSpool *spool, const char *file);

/*
 * Is it on its way?  *size: bytes that have arrived.  Only of use while there
 * is a fetcher.
 */
extern bool prefetch_is_coming(const PrefetchSpool *spool, const char *file,
							   uint64_t *size);

/* ---- what the server has got ---- */

#define PREFETCH_SERVED_FILE "served"

/* The segment that it was given last, however. */
extern void prefetch_served_write(const PrefetchSpool *spool, const char *file);
extern bool prefetch_served_read(const PrefetchSpool *spool,
								 char file[WAL_NAME_LEN + 1]);

/* ---- fetchers that failed ---- */

extern void prefetch_failed_write(const PrefetchSpool *spool);
/* Not long ago? */
extern bool prefetch_has_failed(const PrefetchSpool *spool);

#endif
