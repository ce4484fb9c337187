/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Everything the repository holds: backups with their marks, WAL with its
 *	  ranges and timelines, and from which moment to which it can recover.
 *
 * None of it needs the key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CATALOG_H
#define PGDR_CATALOG_H

#include "pg/timeline.h"
#include "repo/manifest.h"
#include "repo/repo.h"

typedef enum BackupState
{
	BACKUP_COMPLETE,
	BACKUP_RUNNING,     /* no manifest, lease alive */
	BACKUP_INTERRUPTED, /* no manifest, no live lease: leftovers */
	BACKUP_UNREADABLE   /* there is a manifest, but it is damaged */
} BackupState;

extern const char *backup_state_name(BackupState state);

typedef struct CatalogBackup
{
	BackupState state;
	BackupInfo info;     /* only label unless state is COMPLETE; of RUNNING
						  * parent too, as its lease says */
	Error problem;       /* of UNREADABLE */
	int64_t verified_at; /* last verification mark, 0: never */
	bool verified_ok;    /* its result */
	bool verified_deep;
	bool wal_ok; /* WAL from start_lsn to stop_lsn is here, or none is needed */

	/* other marks */
	bool held;             /* a legal hold is on it */
	int64_t pinned_until;  /* 0: not pinned; INT64_MAX: without an end */
	bool standalone;       /* of the WAL behind it some was given up */
	bool marks_unreadable; /* and may have said it is pinned or held */
} CatalogBackup;

/* A run of segments without a gap on one timeline. */
typedef struct WalRange
{
	WalHome home;
	uint32_t timeline;
	uint32_t segment_size;
	uint64_t first; /* segment numbers, inclusive */
	uint64_t last;
	uint64_t start_lsn;   /* first byte of first */
	uint64_t end_lsn;     /* byte after last */
	int64_t first_commit; /* of the first/last segments that hold one, 0 */
	int64_t last_commit;  /* if none was found (see wal_range_times) */
	uint64_t bytes;       /* stored; 0 if the store does not tell */
} WalRange;

typedef struct CatalogTimeline
{
	WalHome home;
	uint32_t timeline;
	TimelineHistory history; /* count 0 if there is no history file */
	bool has_history;
	uint64_t young_from; /* the first segment that retention-wal keeps by its
						  * age; 0: was not looked for */
} CatalogTimeline;

typedef struct WalCatalog
{
	WalHome home;
	uint32_t segment_size; /* 0 if there is no segment at all */
	WalRange *ranges;      /* by timeline, then position */
	size_t range_count;
	CatalogTimeline *timelines; /* by number */
	size_t timeline_count;
	size_t segment_count;
} WalCatalog;

typedef struct Catalog
{
	CatalogBackup *backups; /* by start time; unfinished ones last */
	size_t backup_count;
	WalCatalog *wal; /* one per cluster that archived here */
	size_t wal_count;
} Catalog;

/* with_times: also read the commit times at the ends of each range. */
extern bool catalog_load(Repo *repo, bool with_times, Catalog *out, Error *err);
/* The backups alone; whether their WAL is here is not known. */
extern bool catalog_load_backups(Repo *repo, Catalog *out, Error *err);
extern void catalog_free(Catalog *catalog);

/*
 * What several repositories hold together: each backup as it is where it is
 * best, all WAL, all histories.  An order of the parts decides between equals.
 */
extern bool catalog_unite(const Catalog *const *parts, size_t count,
						  Catalog *out, Error *err);

/* Forgets the backups of other targets: nothing of them can be recovered to. */
extern void catalog_keep_cluster(Catalog *catalog);
/* Is it complete with its own WAL, and that behind it not meant to be here? */
extern bool catalog_stands_alone(const CatalogBackup *backup);
extern const CatalogBackup *catalog_find(const Catalog *catalog,
										 const char *label);

/* A complete backup that needs this pack of another one, or NULL. */
extern const CatalogBackup *catalog_who_needs(const Catalog *catalog,
											  const char *label, uint32_t pack);
extern const WalCatalog *catalog_wal(const Catalog *catalog,
									 const WalHome *home);

/* The WAL of one cluster alone. */
extern bool wal_catalog_load(Repo *repo, const WalHome *home, bool with_times,
							 WalCatalog *out, Error *err);
extern void wal_catalog_free(WalCatalog *wal);

/* The history of a timeline, built from its file (or of timeline 1). */
extern const CatalogTimeline *wal_catalog_timeline(const WalCatalog *wal,
												   uint32_t timeline);

/* Is the segment that holds this position here, on this timeline? */
extern bool wal_catalog_has(const WalCatalog *wal, uint32_t timeline,
							uint64_t lsn);

/*
 * Follows the WAL from a position along the history of the target timeline as
 * recovery would (a segment in which a timeline switches may come from either
 * side).  end_lsn: the first position that cannot be had; hole: whether there
 * is later WAL on that path behind it, and which segment is missing.
 */
typedef struct WalReach
{
	uint64_t end_lsn;
	uint32_t end_timeline; /* timeline of the last segment reached */
	bool hole;
	WalName missing; /* the first segment that is not there */
} WalReach;
extern bool wal_catalog_reach(const WalCatalog *wal, uint32_t from_timeline,
							  uint64_t from_lsn, uint32_t target_timeline,
							  WalReach *out, Error *err);

/* From when to when one backup and the WAL behind it can recover. */
typedef struct RecoveryWindow
{
	WalHome home;
	uint32_t timeline; /* recovered to the end of which */
	const char *label; /* of the first backup that reaches */
	uint64_t from_lsn; /* stop of that backup */
	int64_t from_time;
	uint64_t to_lsn;
	int64_t to_time; /* last commit that can be had, or from_time if
								 * none is known behind that */
	bool hole;       /* later WAL exists behind a hole */
	WalName missing;
} RecoveryWindow;

/*
 * Windows of each timeline: consecutive backups whose WAL is connected make
 * one; a hole begins a new one.  Caller frees *out.
 */
extern bool catalog_windows(Repo *repo, const Catalog *catalog,
							RecoveryWindow **out, size_t *count, Error *err);

#endif
