/*-------------------------------------------------------------------------
 *
 * backup_tail.h
 *	  The last pack of a backup: configuration, pg_control, backup_label and
 *	  backup_manifest, in this order.
 *
 * It is unpacked last, so that no server starts on less than the whole.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_TAIL_H
#define PGDR_BACKUP_TAIL_H

#include "job/backup_config.h"
#include "job/backup_file.h"
#include "job/backup_wal.h"
#include "repo/pack.h"

typedef struct BackupTail
{
	/* fixed */
	const FileCopySpec *spec;
	mode_t mode; /* of files that are made here */

	/* mutable */
	PackWriter *pack;
	FileCopier *copier;
} BackupTail;

/* On failure of any of these backup_tail_abort() is still to be called. */
extern bool backup_tail_begin(BackupTail *tail, Repo *repo, const char *label,
							  const FileCopySpec *spec, Error *err);
extern bool backup_tail_configs(BackupTail *tail, const ConfigCopies *configs,
								Error *err);

/*
 * pg_control as it is now, read until its CRC is right: the server may be
 * writing it.
 */
extern bool backup_tail_control(BackupTail *tail, int major, Error *err);
extern bool backup_tail_label(BackupTail *tail, const char *text, Error *err);

/* Lists every file in the build; those added later would be missing. */
extern bool backup_tail_manifest(BackupTail *tail, const WalPart *parts,
								 int count, Error *err);
extern bool backup_tail_end(BackupTail *tail, Error *err);
extern void backup_tail_abort(BackupTail *tail); /* also after the end */

#endif
