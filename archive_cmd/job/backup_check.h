/*-------------------------------------------------------------------------
 *
 * backup_check.h
 *	  May this directory be backed up through this server, and would the
 *	  backup be of use?
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_CHECK_H
#define PGDR_BACKUP_CHECK_H

#include "pg/control.h"
#include "pg/server.h"

/*
 * Before the backup: same directory, same cluster, and, unless it is a standby,
 * WAL archived.  ERR_MISMATCH or ERR_CONFIG, each with a hint.
 */
extern bool backup_check_server(const char *pgdata, const PgControl *control,
								const ServerInfo *info, Error *err);

/* Does this server archive its WAL? */
extern bool backup_check_archiving(const ServerInfo *info, Error *err);

/*
 * After pg_backup_start: the checkpoint that it made must show in this
 * directory, else the server reached lives elsewhere, on a host with the
 * same path, say.
 */
extern bool backup_check_started(const char *pgdata,
								 const ServerBackupStart *start, bool standby,
								 Error *err);

#endif
