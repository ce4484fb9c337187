/*-------------------------------------------------------------------------
 *
 * wal_catalog.h
 *	  What catalog.h leaves to those who look closer at the WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_WAL_CATALOG_H
#define PGDR_WAL_CATALOG_H

#include "repo/catalog.h"

/*
 * Is this the name of a WAL file of that cluster, in its right place?  *out
 * is undefined if not.
 */
extern bool wal_object_parse(const WalHome *home, const char *object,
							 WalName *out);

/*
 * The first or last commit in a segment, from its metadata; 0 if it has none,
 * is not there or cannot be read.
 */
extern bool wal_segment_time(Repo *repo, const WalCatalog *wal,
							 uint32_t timeline, uint64_t number, bool last,
							 int64_t *t, Error *err);

/*
 * The last commit in these segments, looked for from the end over a bounded
 * number of them; 0 if none was found.
 */
extern bool wal_last_commit(Repo *repo, const WalCatalog *wal,
							uint32_t timeline, uint64_t first, uint64_t last,
							int64_t *t, Error *err);

/* The range that holds a segment, or NULL. */
extern const WalRange *wal_catalog_range(const WalCatalog *wal,
										 uint32_t timeline, uint64_t number);

/*
 * Is timeline `ancestor` at this position on the way to `timeline`?  False
 * also when the history of timeline is not known.
 */
extern bool wal_catalog_on_path(const WalCatalog *wal, uint32_t ancestor,
								uint64_t lsn, uint32_t timeline);

/* Does a recovery from this backup get to `timeline` by its history? */
extern bool wal_catalog_leads_to(const WalCatalog *wal, const BackupInfo *info,
								 uint32_t timeline);

#endif
