/*-------------------------------------------------------------------------
 *
 * backup_config.h
 *	  Configuration files that lie outside of the data directory, as Debian
 *	  has them: without them a restored cluster does not start.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_CONFIG_H
#define PGDR_BACKUP_CONFIG_H

#include "pg/datadir.h"
#include "pg/server.h"

/* Where verbatim copies lie in a backup: behind it the path on the host. */
#define BACKUP_CONFIG_DIR "pgdr_config"

typedef struct ConfigCopy
{
	DataFile file; /* as in the backup */
	char *text;    /* file.size bytes */
} ConfigCopy;

typedef struct ConfigCopies
{
	ConfigCopy *items;
	size_t count;
	size_t cap;
} ConfigCopies;

/*
 * Collects:
 *	pgdr_config/<absolute path>	each configuration file outside of the data
 *								directory, verbatim
 *	pg_hba.conf, pg_ident.conf	copies of the files in use, if the data
 *								directory has none of its own
 *	postgresql.conf				likewise, made from the settings in effect,
 *								without those that name files' places
 * so that the server starts on what is unpacked.  dir tells what the data
 * directory has.  A file that does not exist is passed over with a warning.
 */
extern bool backup_config_collect(Server *server, const ServerInfo *info,
								  const char *pgdata, const DataDir *dir,
								  ConfigCopies *out, Error *err);

/*
 * Collects pgdr_config/<absolute path> of every configuration file, wherever
 * it lies.
 */
extern bool backup_config_files(Server *server, const ServerInfo *info,
								ConfigCopies *out, Error *err);
extern void backup_config_free(ConfigCopies *copies);

/* Does this path of a data directory belong to copies restored earlier? */
extern bool backup_config_path(const char *path);

#endif
