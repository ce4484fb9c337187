/*-------------------------------------------------------------------------
 *
 * target_backup.h
 *	  The frame of every backup that is not one of the cluster: label, lease,
 *	  packs, manifest; and who has it in the end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_BACKUP_H
#define PGDR_TARGET_BACKUP_H

#include "base/progress.h"
#include "job/backup_build.h"
#include "repo/repo_set.h"
#include "repo/target.h"

typedef struct TargetOptions
{
	const char *target;
	const Json *annotations; /* object of strings, or NULL */
	int workers;
	Progress *progress; /* or NULL */
} TargetOptions;

typedef struct TargetBackup TargetBackup;

/* Fills the backup; what it has written when it fails is no backup. */
typedef bool (*TargetFillFn)(TargetBackup *b, void *arg, Error *err);

/*
 * True when the backup is complete in enough repositories (repo_set_verdict).
 * Members of the set that have a why already are left out.
 */
extern bool target_backup_take(RepoSet *set, const TargetOptions *options,
							   TargetFillFn fill, void *arg, BackupInfo *out,
							   Error *err);

/* ---- for those that fill it ---- */

extern const TargetOptions *target_backup_options(const TargetBackup *b);
extern Progress *target_backup_progress(TargetBackup *b);
extern BackupBuild *target_backup_build(TargetBackup *b);

/* Writes to all repositories; each thread opens its own connection. */
extern const Repo *target_backup_repo(const TargetBackup *b);

/*
 * Members of the set that have got a why since it was begun are no longer
 * written to.  False if none is left.
 */
extern bool target_backup_drop_failed(TargetBackup *b, Error *err);

/* Its public part, for what only the filler knows. */
extern BackupInfo *target_backup_info(TargetBackup *b);

#endif
