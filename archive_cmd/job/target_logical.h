/*-------------------------------------------------------------------------
 *
 * target_logical.h
 *	  Backs up a database, or some of its tables, as pg_dump sees them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_LOGICAL_H
#define PGDR_TARGET_LOGICAL_H

#include "job/target_backup.h"

typedef struct LogicalOptions
{
	TargetOptions target;
	const char *connection;
	const char *bin_path; /* of pg_dump, or NULL */
	const char *program;  /* our own, beside which it may be */
	const char *database;
	const char *const *tables; /* patterns of pg_dump; none: all of it */
	size_t table_count;
} LogicalOptions;

/*
 * Makes <database>.dump, in pg_dump's custom format, straight from pg_dump's
 * output.  It is not compressed by pg_dump, for the packs are.
 */
extern bool target_logical_take(RepoSet *set, const LogicalOptions *options,
								BackupInfo *out, Error *err);

#endif
