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
	uint32_t	keep_full;		/* the newest N full backups; 0: no such rule */
	int64_t		keep_time;		/* any moment of the last so many microseconds
								 * stays recoverable; 0: no such rule */
} RetentionPolicy;

typedef struct Decision
{
	char	   *object;			/* "backup 20261121T001829Z", "WAL 1: 0/1000000
								 * - 0/3000000" */
	const char *label;			/* of the backup, NULL for WAL */
	bool		keep;
	char	   *reason;			/* a sentence */
} Decision;

/* WAL before this position of this timeline may go. */
typedef struct WalCutoff
{
	WalHome		home;
	uint32_t	timeline;
	uint64_t	before_segment; /* segment number; UINT64_MAX: all of it */
} WalCutoff;

typedef struct RetentionPlan
{
	Decision   *decisions;
	size_t		decision_count;
	WalCutoff  *cutoffs;
	size_t		cutoff_count;
} RetentionPlan;

/*
 * Only complete backups without damaged pages, whose WAL is here and whose
 * last verification (if any) passed count as good.  The newest good backup of
 * each cluster always stays, and so does everything when no rule is set.
 * Running backups, and WAL from the oldest kept or running backup on, stay.
 * WAL of a cluster that has no backup stays.  Interrupted backups go.
 */
extern void retention_decide(const Catalog *catalog,
							 const RetentionPolicy *policy, int64_t now,
							 RetentionPlan *out);
extern void retention_plan_free(RetentionPlan *plan);

#endif
