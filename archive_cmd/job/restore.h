/*-------------------------------------------------------------------------
 *
 * restore.h
 *	  Restores a backup into a directory, with the settings that make the
 *	  server recover to the target.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_H
#define PGDR_RESTORE_H

#include <stdatomic.h>

#include "base/progress.h"
#include "repo/catalog.h"
#include "repo/repo_set.h"

typedef enum TargetType
{
	TARGET_LATEST,
	TARGET_IMMEDIATE,
	TARGET_TIME,
	TARGET_LSN,
	TARGET_XID,
	TARGET_NAME
} TargetType;

typedef struct TablespaceMap
{
	const char *from; /* location at the time of the backup, or OID */
	const char *to;   /* absolute */
} TablespaceMap;

typedef struct LinkMap
{
	const char *from; /* a directory in the data directory: "pg_wal" */
	const char *to;   /* absolute: it is a link to this */
} LinkMap;

typedef struct RestoreOptions
{
	const char *target_dir; /* absolute */
	const char *label;      /* NULL: the newest that reaches the target */
	TargetType target_type;
	const char *target;          /* as the user wrote it; NULL for latest and
								 * immediate */
	const char *target_timeline; /* NULL or "latest", "current", a number */
	bool target_inclusive;       /* default true */
	const char *target_action;   /* NULL (promote), "promote", "pause",
								 * "shutdown" */
	bool standby;                /* standby.signal instead of recovery.signal */
	bool archive_off;            /* archive_mode = off: it is a copy only */
	const TablespaceMap *maps;
	size_t map_count;
	const char *tablespace_dir; /* absolute: where tablespaces go that no map
								 * names, each into a directory called by its
								 * OID; NULL: where they were */
	const LinkMap *links;
	size_t link_count;
	const char *const *databases; /* names or OIDs: only these with their
								   * contents, beside the system's */
	size_t database_count;        /* 0: all */
	bool force;                   /* empty the target directory first */
	bool delta;                   /* keep what is there and is in the backup */
	atomic_uint_fast64_t *kept;   /* bytes that delta found there, or NULL */
	bool skip_wal_check; /* restore even if the WAL has a hole before the
								 * target, or its position is not known */
	const char *restore_command; /* complete, for postgresql.auto.conf */
	const char *live_pgdata;     /* of the configuration, or NULL: what a server
								 * running there uses is never written to */
	const char *const *protect;  /* files that must not be deleted with the old
								 * contents: configuration, keys */
	size_t protect_count;
	int workers;
	Progress *progress;
} RestoreOptions;

/* What would be, or was, done. */
typedef struct RestorePlan
{
	BackupInfo backup;
	TargetType target_type;
	char *target;       /* normalised, or NULL */
	uint32_t timeline;  /* recovered along */
	WalReach reach;     /* of the WAL behind the backup */
	int64_t reach_time; /* last commit that can be had, 0: unknown */
	bool reachable;
	char *verdict;         /* "reachable", or why not, in one sentence */
	uint64_t wal_segments; /* to replay at most */
	uint64_t branch_lsn;   /* not 0: the server must be stopped here, where the
							* timeline begins, for it has no WAL yet */
	uint64_t file_count;
	uint64_t plain_bytes;
	uint64_t stored_bytes;
	size_t *sources; /* members of the set that have the backup, in the order
					  * in which they are read */
	size_t source_count;
} RestorePlan;

extern void restore_plan_free(RestorePlan *plan);

/*
 * Chooses the backup and proves that the WAL up to the target is complete,
 * without writing anything.  Returns true also when the target cannot be
 * reached: see plan->reachable.
 *
 * Of several repositories what they have together counts: any segment may come
 * from any of them, because archive-get looks in all.  One that cannot be
 * looked at is passed over with a warning, and has a why in the set.
 */
extern bool restore_plan(RepoSet *set, const RestoreOptions *options,
						 RestorePlan *out, Error *err);

/* ERR_INCOMPLETE with the verdict, unless reachable or skip_wal_check. */
extern bool restore_check_plan(const RestorePlan *plan, bool skip_wal_check,
							   Error *err);

#define RESTORE_MARKER "pgdr.restoring"

/*
 * Restores by the plan.  The directory must be empty or absent unless
 * options->force, and with it, must look like a data directory; likewise the
 * directory of this major version in each tablespace's location.  A directory
 * with a running server is refused always.  While it runs, and if it fails,
 * there is no global/pg_control in the directory, so that no server starts on
 * half of a restore, and a file RESTORE_MARKER tells a later run that it may
 * start over.
 *
 * With options->delta, the directory may be a data directory of the same
 * cluster and major version: a file whose content hash is that of the backup
 * stays, of another one only what differs is read and written, and what is not
 * in the backup goes.
 *
 * With options->databases, relation files of the others are nothing but zeros,
 * which take no space.
 *
 * ERR_INCOMPLETE when the plan says that the target cannot be reached and
 * skip_wal_check is not set, or a pack is missing; ERR_EXISTS for a directory
 * that is not empty; ERR_MISMATCH for a delta over another cluster; ERR_BUSY for a running server or another restore;
 * ERR_DAMAGED names object and file.
 *
 * A pack that one of several repositories does not give intact is written anew
 * from the next that has this backup.
 *
 * Of the settings in the restored postgresql.auto.conf, recovery_target*,
 * restore_command, archive_cleanup_command and recovery_end_command go, and
 * those of this recovery are added, and archive_mode = off if that is asked
 * for; everything else stays.  recovery_prefetch goes too, and is off if WAL is
 * missing behind the target.
 */
extern bool restore_run(RepoSet *set, const RestoreOptions *options,
						const RestorePlan *plan, Error *err);

#endif
