/*-------------------------------------------------------------------------
 *
 * backup_wal.h
 *	  The WAL that a backup cannot be recovered without.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_WAL_H
#define PGDR_BACKUP_WAL_H

#include "pg/backup_manifest.h"
#include "pg/control.h"
#include "pg/server.h"
#include "repo/repo.h"

typedef struct WalPart
{
	uint32_t timeline;
	uint64_t start_lsn;
	uint64_t end_lsn; /* the byte after */
} WalPart;

/*
 * From the start to the stop of the backup: one part for each timeline that
 * it saw.  Their border is read from the history file in pg_wal.  Caller frees
 * *parts.
 */
extern bool backup_wal_parts(const char *pgdata, const ServerBackupStart *start,
							 const ServerBackupStop *stop, WalPart **parts,
							 int *count, Error *err);

typedef struct WalWait
{
	WalHome home;
	const char *pgdata;
	uint32_t segment_size;
	const WalPart *parts;
	int count;
	int64_t timeout; /* microseconds from now */
	Server *server;  /* asked why, when the time is over; or NULL */
} WalWait;

/*
 * Waits until every segment of the parts is in the repository, durably, and
 * the server's archiver is done with it.  ERR_TIMEOUT names the first of which
 * that is not so.
 */
extern bool backup_wait_wal(Repo *repo, const WalWait *wait, Error *err);

/*
 * Sees to it that the history of the timeline is in the repository: a server
 * that was promoted before it began to archive never sends it.
 */
extern bool backup_push_history(Repo *repo, const char *pgdata,
								const PgControl *control, uint32_t timeline,
								Error *err);

#endif
