/*-------------------------------------------------------------------------
 *
 * restore_table.h
 *	  Brings single tables back: into a file, or into a live database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_TABLE_H
#define PGDR_RESTORE_TABLE_H

#include "job/restore.h"
#include "job/scratch.h"

typedef struct TableOptions
{
	const char *database;
	const char *const *tables; /* patterns, as pg_dump -t takes them */
	size_t table_count;
	const char *file;       /* absolute; or NULL */
	bool custom;            /* the file is for pg_restore, else it is SQL */
	const char *connection; /* of the live database, if there is no file */
	bool data_only;
	const char *user; /* a superuser of the cluster that was backed up; NULL:
					   * as libpq chooses */
	const char *postgres; /* paths of programs */
	const char *pg_dump;
	const char *pg_restore; /* for connection */
} TableOptions;

/*
 * restore tells backup and target, and how to read the archive; its
 * target_dir, databases and places are those of the scratch cluster.
 * ERR_EXISTS if the file is there.  With connection all is done in one
 * transaction, or nothing.
 */
extern bool restore_table(RepoSet *set, Scratch *scratch,
						  const RestoreOptions *restore,
						  const TableOptions *options, Error *err);

/* Sets in *restore what the scratch cluster demands. */
extern void restore_table_prepare(const Scratch *scratch,
								  const TableOptions *options,
								  RestoreOptions *restore);

#endif
