/*-------------------------------------------------------------------------
 *
 * unpack.h
 *	  Brings a backup back that is not one of the cluster: its files into a
 *	  directory, or a dump into a database.  There is no WAL and no recovery.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_UNPACK_H
#define PGDR_UNPACK_H

#include "job/restore.h"

/*
 * Looks for the backup of that label, of whatever target, in all repositories.
 * Of the plan only backup, sources and the sizes are filled in.  ERR_NOT_FOUND
 * only if all of them answered so.
 */
extern bool unpack_plan(RepoSet *set, const char *label, RestorePlan *out,
						Error *err);

/*
 * Writes the files of the backup into options->target_dir, which must be
 * absent or empty, or hold what an interrupted run left (it has a file
 * RESTORE_MARKER then).  Paths never lead out of it.  Of the options also
 * workers, progress and protect count.
 *
 * ERR_DAMAGED names object and file.  Nothing of it may be relied on unless it
 * returns true: the marker is there until all is durable.
 */
extern bool unpack_run(RepoSet *set, const RestoreOptions *options,
					   const RestorePlan *plan, Error *err);

#endif
