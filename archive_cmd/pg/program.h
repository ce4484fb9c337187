/*-------------------------------------------------------------------------
 *
 * program.h
 *	  The client programs of PostgreSQL (pg_dump and the like): where they
 *	  are, and how they are told what to connect to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PROGRAM_H
#define PGDR_PROGRAM_H

#include "base/child.h"

/*
 * In dir if that is given, else beside the executable own, else in PATH.
 * ERR_CONFIG if it is nowhere.  Caller frees *out.
 */
extern bool pg_program_find(const char *dir, const char *own, const char *name,
							char **out, Error *err);

/* A connection as variables, so that no password is among the arguments. */
typedef struct PgEnvironment
{
	char **set; /* "PGHOST=...", ends with NULL */
	size_t count;
	char *rest; /* a connection string of what no variable can say; "" if
				 * there is nothing */
} PgEnvironment;

/*
 * dbname, if not NULL, takes the place of the connection's.  ERR_CONFIG if
 * conninfo cannot be read, or holds a secret that no variable can say.
 */
extern bool pg_environment_make(const char *conninfo, const char *dbname,
								PgEnvironment *out, Error *err);
extern void pg_environment_free(PgEnvironment *env);

#endif
