/*-------------------------------------------------------------------------
 *
 * unpack_dump.h
 *	  Brings a dump back into a database, without writing it to a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_UNPACK_DUMP_H
#define PGDR_UNPACK_DUMP_H

#include "base/progress.h"
#include "job/restore.h"

typedef struct DumpOptions
{
	const char *connection; /* of the database that it goes into */
	const char *bin_path;   /* of pg_restore, or NULL */
	const char *program;    /* our own, beside which it may be */
	Progress *progress;     /* or NULL */
} DumpOptions;

/*
 * All or nothing: pg_restore works in one transaction, and gets the last byte
 * of the dump only when all of it was found to be what was backed up.  plan is
 * that of unpack_plan().
 */
extern bool unpack_dump(RepoSet *set, const DumpOptions *options,
						const RestorePlan *plan, Error *err);

#endif
