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
#include "repo/repo_set.h"

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
	int64_t timeout;  /* microseconds, for messages */
	int64_t deadline; /* by clock_monotonic() */
	Server *server;   /* that archives; asked why, when the time is over; NULL:
					   * nobody can be asked */
	bool standby;     /* it is not the server that is backed up */
} WalWait;

/*
 * Waits until every segment of the parts is in the repository, durably, and
 * the server's archiver is done with it.  ERR_TIMEOUT names the first of which
 * that is not so; with a deadline of 0 it only looks.
 */
extern bool backup_wait_wal(Repo *repo, const WalWait *wait, Error *err);

/*
 * The same for the members of the set that are open and have no why: all that
 * are required and as many as are needed.  A required one in which the WAL
 * does not arrive gets a why; the WAL that others lack is only warned of.
 * False if too few have it.
 */
extern bool backup_wait_wal_in(RepoSet *set, const WalWait *wait, Error *err);

/*
 * Sees to it that the history of the timeline is in the repositories: a server
 * that was promoted before it began to archive never sends it.
 */
extern bool backup_push_history(RepoSet *set, const char *pgdata,
								const PgControl *control, uint32_t timeline,
								Error *err);

#endif
