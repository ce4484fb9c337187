/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Decides what expires and why.  Pure: it looks at a catalog, and touches
 *	  nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RETENTION_H
#define PGDR_RETENTION_H

#include "repo/catalog.h"

typedef struct RetentionPolicy
{
	uint32_t keep_full; /* the newest N full backups; 0: no such rule */
	int64_t keep_time;  /* any moment of the last so many microseconds
								 * stays recoverable; 0: no such rule */
} RetentionPolicy;

typedef struct Decision
{
	char *object;      /* "backup 20261121T001829Z", "WAL 1: 0/1000000
								 * - 0/3000000" */
	const char *label; /* of the backup, NULL for WAL */
	bool keep;
	bool leftover; /* of an interrupted backup: has no manifest */
	char *reason;  /* a sentence */
} Decision;

/* WAL before this position of this timeline may go. */
typedef struct WalCutoff
{
	WalHome home;
	uint32_t timeline;
	uint32_t segment_size;
	uint64_t before_segment; /* segment number; UINT64_MAX: all of it */
} WalCutoff;

typedef struct RetentionPlan
{
	Decision *decisions;
	size_t decision_count;
	WalCutoff *cutoffs;
	size_t cutoff_count;
} RetentionPlan;

/*
 * Only complete backups without damaged pages, whose WAL is here, whose last
 * verification (if any) passed, and which lead to the newest timeline of their
 * cluster count as good.  The newest good backup of each cluster always stays,
 * all that is newer than the oldest one a rule keeps, and everything when no
 * rule is set or too little is there to meet it.
 *
 * WAL that a backup which stays needs to be recovered to the end of any
 * timeline stays.  So does all WAL while a backup is running (what that one
 * needs is not known yet), and the WAL of a cluster without a good backup.
 * Interrupted backups go; unreadable ones stay.
 */
extern void retention_decide(const Catalog *catalog,
							 const RetentionPolicy *policy, int64_t now,
							 RetentionPlan *out);
extern void retention_plan_free(RetentionPlan *plan);

/*
 * Why a complete backup does not count as good, NULL if it does: the rest of
 * a sentence that begins with "it" ("was taken of damaged pages").
 */
extern const char *retention_flaw(const Catalog *catalog,
								  const CatalogBackup *backup);

/* Is it good, and the only good one of its cluster? */
extern bool retention_is_last_good(const Catalog *catalog,
								   const CatalogBackup *backup);

#endif
