/*-------------------------------------------------------------------------
 *
 * target_files.h
 *	  Backs up named files and directories.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_FILES_H
#define PGDR_TARGET_FILES_H

#include "job/files_scan.h"
#include "job/target_backup.h"

typedef struct FilesOptions
{
	TargetOptions target;
	FilesSpec spec; /* avoid is filled in here */
} FilesOptions;

/*
 * A file that changes while it is read is read again, and taken as it is with a
 * warning if it goes on changing.  One that vanishes is no part of the backup.
 * Extended attributes are not kept, which a warning says.
 */
extern bool target_files_take(RepoSet *set, const FilesOptions *options,
							  BackupInfo *out, Error *err);

#endif
