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

/* Periods of the calendar (UTC) of which the newest backup each stays. */
typedef enum RetentionPeriod
{
	PERIOD_HOUR,
	PERIOD_DAY,
	PERIOD_WEEK, /* begins on Monday */
	PERIOD_MONTH,
	PERIOD_YEAR,
	PERIOD_COUNT
} RetentionPeriod;

typedef struct RetentionPolicy
{
	uint32_t keep_full; /* the newest N full backups; 0: no such rule */
	int64_t keep_time;  /* any moment of the last so many microseconds
								 * stays recoverable; 0: no such rule */
	uint32_t keep_last; /* the newest N backups; 0: no such rule */
	/* the newest backup of each of the newest N periods that have one */
	uint32_t keep_period[PERIOD_COUNT];
	bool period_full;          /* which must be a full one */
	uint32_t keep_incremental; /* of what stays only because it is newer, so
								* many incremental ones; 0: all */
	uint32_t minimum;          /* so many good ones always stay; 0 means 1 */
	int64_t keep_archival;     /* an archival backup stays so long; 0: until
								* it is deleted */
	int64_t wal_time;          /* WAL of so long; 0: what backups need */
} RetentionPolicy;

/* Why something stays; several may hold at the same time. */
typedef enum RetentionRule
{
	RULE_HOLD,
	RULE_PIN,
	RULE_DOUBT, /* a mark or a manifest cannot be read */
	RULE_RUNNING,
	RULE_BASE,   /* of a backup that is being written */
	RULE_MEMBER, /* of a group */
	RULE_PACKS,  /* no backup any more, but others need packs of it */
	RULE_ARCHIVAL,
	RULE_FULL,
	RULE_LAST,
	RULE_TIME,
	RULE_HOURLY,
	RULE_DAILY,
	RULE_WEEKLY,
	RULE_MONTHLY,
	RULE_YEARLY,
	RULE_MINIMUM,
	RULE_LOCK, /* the store does not let it go yet */
	RULE_NONE, /* no rule says that something expires */
	RULE_WAL,
	RULE_COUNT
} RetentionRule;

/* "hold", "pin", ... as "pgdr expire" shows it. */
extern const char *retention_rule_name(RetentionRule rule);

typedef struct Decision
{
	char *object;      /* "backup 20261121T001829Z", "WAL 1: 0/1000000
								 * - 0/3000000" */
	const char *label; /* of the backup, NULL for WAL */
	bool keep;
	bool leftover;   /* has no manifest: interrupted, or removed; if it stays,
					  * it is because of some of its packs */
	bool standalone; /* stays, and WAL behind it goes */
	uint32_t rules;  /* that keep it: bits 1 << RetentionRule */
	char *reason;    /* a sentence */
} Decision;

/* WAL of a timeline that may go. */
typedef struct WalCutoff
{
	WalHome home;
	uint32_t timeline;
	uint32_t segment_size;
	uint64_t from_segment;   /* segment number, 0: from its begin */
	uint64_t before_segment; /* UINT64_MAX: to its end */
} WalCutoff;

typedef struct RetentionPlan
{
	Decision *decisions;
	size_t decision_count;
	WalCutoff *cutoffs; /* of one timeline beside each other, by position */
	size_t cutoff_count;
} RetentionPlan;

/*
 * Only complete backups without damaged pages, whose WAL is here, whose last
 * verification (if any) passed, and which lead to the newest timeline of their
 * cluster count as good.  A backup stays that a rule names; "full", "last",
 * "time" and "minimum" name the oldest that they need and whatever is newer,
 * so that all stays while there is too little to meet them; the calendar names
 * single ones.  Archival backups are left to a rule of their own.  Without any
 * rule all stays.
 *
 * WAL that a backup which stays needs to be recovered to the end of any
 * timeline stays, or with wal_time to any moment of that time; of a backup
 * that is archival or from before that time the WAL that makes it consistent.
 * All WAL stays while a backup is running (what that one needs is not known
 * yet), and of a cluster without a good backup.  Interrupted backups go;
 * unreadable ones stay.
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
