/*-------------------------------------------------------------------------
 *
 * backup.h
 *	  Takes a base backup of a running cluster straight from its data
 *	  directory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_H
#define PGDR_BACKUP_H

#include "base/progress.h"
#include "job/backup_base.h"
#include "repo/manifest.h"
#include "repo/repo_set.h"

typedef struct BackupOptions
{
	const char *pgdata;
	const char *connection; /* libpq connection string */
	const char *primary;    /* of the primary, if that is a standby; or NULL */
	int workers;
	bool fast; /* immediate checkpoint (default) */
	/* of backup_manifest: "CRC32C" (default), "SHA256", "NONE" */
	const char *checksum_algorithm;
	int64_t archive_timeout; /* microseconds to wait for the WAL */
	const Json *annotations; /* object of strings, or NULL */
	bool archival;           /* kept for long, with its own WAL alone */
	BaseWish base_wish;
	const char *base_label; /* compared with this one, or NULL */
	Progress *progress;
} BackupOptions;

/*
 * True when the backup is complete in enough repositories (repo_set_verdict):
 * every pack and the manifest are durable, and the WAL from its start to its
 * stop is there.  *out is what was made; out->damaged_pages > 0 means that it
 * was made of damaged pages (each was logged as a warning with file and
 * block).
 *
 * The cluster is read once.  A repository that fails on the way is left out
 * from there on and has a why; so far as others are left the backup goes on,
 * and is complete in those, also if they are not enough and false is returned.
 * An incremental backup for which there is no base becomes a full one, with a
 * warning; a base that was asked for by name is an error then.
 *
 * Where it is not complete nothing is left that could be taken for a backup;
 * the packs written so far are collected by expire once the lease has run out.
 */
extern bool backup_take(RepoSet *set, const BackupOptions *options,
						BackupInfo *out, Error *err);

#endif
