/*-------------------------------------------------------------------------
 *
 * backup_standby.h
 *	  What a backup from a standby needs the primary for.
 *
 * The standby copies, the primary archives.  Only the primary can end the
 * segment that the backup stops in; without a connection to it one waits until
 * it does so by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_STANDBY_H
#define PGDR_BACKUP_STANDBY_H

#include "pg/control.h"
#include "pg/server.h"

/*
 * ERR_MISMATCH unless it is the primary of this cluster, ERR_CONFIG unless it
 * archives.  connection NULL or empty: *out is NULL.
 */
extern bool backup_primary_open(const char *connection,
								const PgControl *control, Server **out,
								Error *err);

/* Ends the segment; a failure is a warning, for the time may still do it. */
extern void backup_primary_switch(Server *primary);

#endif
