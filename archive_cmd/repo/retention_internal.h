/*-------------------------------------------------------------------------
 *
 * retention_internal.h
 *	  What the two files of the retention share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RETENTION_INTERNAL_H
#define PGDR_RETENTION_INTERNAL_H

#include "repo/retention.h"

/* What becomes of one backup. */
typedef struct Fate
{
	const CatalogBackup *backup;
	bool decided;
	bool keep;
	char *reason;
} Fate;

typedef struct Retention
{
	const Catalog *catalog;
	const RetentionPolicy *policy;
	int64_t now;
	Fate *fates; /* one for each backup of the catalog */
	RetentionPlan *plan;
} Retention;

extern bool retention_same_home(const CatalogBackup *backup,
								const WalHome *home);

/* Takes object and reason over. */
extern void retention_add(RetentionPlan *plan, Decision decision);

/* Decisions and cutoffs for the WAL; the fates are decided. */
extern void retention_decide_wal(const Retention *r);

#endif
