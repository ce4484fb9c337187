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
 * Before the backup: same directory, same cluster, no standby, WAL archived.
 * ERR_MISMATCH, ERR_UNSUPPORTED or ERR_CONFIG, each with a hint.
 */
extern bool backup_check_server(const char *pgdata, const PgControl *control,
								const ServerInfo *info, Error *err);

/*
 * After pg_backup_start: the checkpoint that it made must show in this
 * directory, else the server reached lives elsewhere, on a host with the
 * same path, say.
 */
extern bool backup_check_started(const char *pgdata,
								 const ServerBackupStart *start, Error *err);

#endif
