/*-------------------------------------------------------------------------
 *
 * backup_copy.h
 *	  Copies a data directory into packs, with several workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_COPY_H
#define PGDR_BACKUP_COPY_H

#include "job/backup_file.h"
#include "job/base_maps.h"
#include "pg/datadir.h"
#include "repo/repo.h"

typedef struct BackupCopy
{
	const Repo *repo; /* each worker opens its own connection */
	const char *label;
	const FileCopySpec *spec;
	const DataDir *dir; /* its files; the build has the directories */
	int workers;
	BaseMaps *base; /* what it is compared with, or NULL: all is copied */
	const Repo *base_repo; /* that its maps are read from */
} BackupCopy;

/*
 * Copies every file of the directory.  If all is copied, the directories that
 * the build knows go into pack 1, so that unpacking in order gives them their
 * permissions first.
 * All packs begun are durable and in the build when it returns true.
 */
extern bool backup_copy(const BackupCopy *copy, Error *err);

#endif
