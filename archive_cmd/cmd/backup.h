/*-------------------------------------------------------------------------
 *
 * backup.h
 *	  What the files of the command backup share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CMD_BACKUP_H
#define PGDR_CMD_BACKUP_H

#include "cmd/cmd.h"
#include "job/backup.h"
#include "repo/target.h"

/* Of a backup that is complete, as text and as the result line. */
extern void backup_show_result(Context *ctx, const RepoSet *set,
							   const BackupInfo *info, int64_t usecs);
extern void backup_show_sizes(Context *ctx, const BackupInfo *info,
							  int64_t usecs);

/*
 * Takes a backup of the target that the options name, which is not the
 * cluster.  given says what any backup is told.
 */
extern bool backup_other_take(Context *ctx, const BackupOptions *given,
							  Error *err);
extern void backup_other_show(Context *ctx, const BackupInfo *info,
							  int64_t usecs);

#endif
