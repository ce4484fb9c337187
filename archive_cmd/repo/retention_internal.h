/*-------------------------------------------------------------------------
 *
 * retention_internal.h
 *	  What the files of the retention share.
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
	const char *flaw; /* why it does not count as good, or NULL */
	bool decided;
	bool keep;
	bool standalone; /* stays with the WAL that makes it consistent */
	uint32_t rules;
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

/* Is it complete, and of the same series?  The rules count within one. */
extern bool retention_in_series(const CatalogBackup *backup,
								const BackupInfo *of);

/* Does it count for the rules that say how many stay? */
extern bool retention_counts(const Fate *fate, const BackupInfo *of);

/* One more rule keeps it; the first gives the reason. */
extern void retention_keep(Fate *fate, RetentionRule rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Nothing keeps it, if nothing has so far. */
extern void retention_drop(Fate *fate, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "7 days"; caller frees. */
extern char *retention_duration(int64_t usecs);

/* Marks, archival backups, counts and times; the calendar; what is least. */
extern void retention_apply_rules(const Retention *r, const BackupInfo *of);
extern void retention_apply_calendar(const Retention *r, const BackupInfo *of);
extern void retention_apply_floor(const Retention *r, const BackupInfo *of);

/* Is there a rule by which backups expire? */
extern bool retention_has_rules(const RetentionPolicy *policy);

/* Takes object and reason over. */
extern void retention_add(RetentionPlan *plan, Decision decision);

/* Which of those that stay do so without the WAL behind them. */
extern void retention_find_standalone(const Retention *r);

/* Decisions and cutoffs for the WAL; the fates are decided. */
extern void retention_decide_wal(const Retention *r);

#endif
