/*-------------------------------------------------------------------------
 *
 * target_config.h
 *	  Backs up the configuration of the server: its files, the settings that
 *	  are not the default, and roles and tablespaces as SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_CONFIG_H
#define PGDR_TARGET_CONFIG_H

#include "job/target_backup.h"

typedef struct ConfigOptions
{
	TargetOptions target;
	const char *connection;
	const char *bin_path; /* of pg_dumpall, or NULL */
	const char *program;  /* our own, beside which it may be */
} ConfigOptions;

/*
 * Makes
 *	pgdr_config/<absolute path>	each configuration file
 *	settings.conf				what is not the default, with where it is set
 *	globals.sql					roles with memberships, settings and password
 *								hashes, tablespaces
 *	databases.sql				settings of databases
 * Where a repository is not encrypted, password hashes are left out, with a
 * warning.
 */
extern bool target_config_take(RepoSet *set, const ConfigOptions *options,
							   BackupInfo *out, Error *err);

#endif
