/*-------------------------------------------------------------------------
 *
 * restore_files.h
 *	  Brings the files of a backup back: several workers take slices of packs,
 *	  which are cut into files by the manifest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_FILES_H
#define PGDR_RESTORE_FILES_H

#include "job/restore_places.h"
#include "job/restore_select.h"

#define RESTORE_CONTROL_FILE "global/pg_control"

/* From the first repository of the plan that has it intact. */
extern bool restore_read_manifest(RepoSet *set, const RestorePlan *plan,
								  Manifest *out, Error *err);

/* The file of this path, or NULL. */
extern const ManifestFile *restore_find_file(const Manifest *manifest,
											 const char *path);

/* Is this path left to the restore itself (see restore_files.c)? */
extern bool restore_skips(const Manifest *manifest, const char *path);

/* All directories, and the links to tablespaces. */
extern bool restore_make_dirs(const RestorePlaces *places, Error *err);

/*
 * All files, with their modes and times, each compared with its content hash.
 * RESTORE_CONTROL_FILE has a temporary name until restore_publish().
 * ERR_DAMAGED names object and file.
 */
typedef struct RestoreInput
{
	RepoSet *set;
	const RestorePlan *plan;
	const RestoreSelect *select;
} RestoreInput;

extern bool restore_write_files(const RestoreInput *in,
								const RestorePlaces *places, Error *err);

/*
 * The last step: gives pg_control its name, durably.  Everything else must be
 * durable already.
 */
extern bool restore_publish(const RestorePlaces *places, Error *err);

#endif
