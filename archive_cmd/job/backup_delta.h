/*-------------------------------------------------------------------------
 *
 * backup_delta.h
 *	  Copies of a file only what is not the same in an earlier backup.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_DELTA_H
#define PGDR_BACKUP_DELTA_H

#include "job/backup_file.h"
#include "job/base_maps.h"

/* Reused from file to file, by one thread. */
typedef struct FileDelta FileDelta;

/* Where what is stored goes: the pack in work, begun when it is needed. */
typedef struct DeltaTarget
{
	PackWriter *(*pack)(void *arg, Error *err);
	void *arg;
} DeltaTarget;

/* The maps are those of an earlier backup's manifest; repo is the worker's. */
extern FileDelta *file_delta_new(const FileCopySpec *spec, BaseMaps *maps,
								 Repo *repo, const DeltaTarget *target);
extern void file_delta_free(FileDelta *delta); /* NULL is fine */

/*
 * Like file_copier_run() of the file just opened, compared with the file of
 * this path in the earlier backup, if there was one.
 */
extern bool file_delta_run(FileDelta *delta, FileCopier *copier, Error *err);

#endif
