/*-------------------------------------------------------------------------
 *
 * scratch.h
 *	  A cluster that is recovered only to be looked into: in a directory of its
 *	  own, reached through a socket in there, with settings of its own and
 *	  without an archive, so that nothing it does reaches the live one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SCRATCH_H
#define PGDR_SCRATCH_H

#include <sys/types.h>

#include "base/child.h"
#include "base/progress.h"
#include "job/restore.h"

typedef struct Scratch
{
	/* fixed once made */
	char *dir; /* absolute */
	int fd;    /* holds a lock as long as we live */
	char *data;
	char *spaces; /* for its tablespaces */

	/* mutable */
	Child *server; /* NULL: none */
	pid_t pid;     /* of the server, 0: not known yet */
} Scratch;

/*
 * Makes a new directory in parent, after removing those that runs left which
 * were killed.  ERR_USAGE as root, whom no server works for.
 */
extern bool scratch_make(const char *parent, Scratch *out, Error *err);

/*
 * Starts the server on what was restored into scratch->data, and waits until
 * it has recovered to its target and takes sessions.  program: path of
 * "postgres".  ERR_SERVER with what it said.
 */
extern bool scratch_start(Scratch *scratch, const char *program,
						  Progress *progress, Error *err);

/* How to connect to this database of it; caller frees. */
extern char *scratch_conninfo(const Scratch *scratch, const char *database,
							  const char *user);

/*
 * Stops the server and removes the directory, also when a stop was asked for;
 * what could not be removed is warned of.
 */
extern void scratch_remove(Scratch *scratch);

#endif
