/*-------------------------------------------------------------------------
 *
 * child.h
 *	  Runs another program, and reads what it writes or writes what it reads.
 *
 * There is no shell in between.  The child gets SIGTERM when the thread that
 * started it ends, pgdr being killed included.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CHILD_H
#define PGDR_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ChildSpec
{
	const char *program;     /* path of the executable */
	const char *const *args; /* behind its own name; ends with NULL */
	const char *const *set;  /* "NAME=value" that replace what this process
							  * has in its environment; or NULL */
	bool feed;               /* we write its input; else we read its output */
} ChildSpec;

typedef struct Child Child;

/* ERR_NOT_FOUND has become ERR_CONFIG: nothing is said about a repository. */
extern bool child_start(const ChildSpec *spec, Child **out, Error *err);

/*
 * Up to len bytes of its output; *got < len only at its end, which says
 * nothing yet about success.
 */
extern bool child_read(Child *c, void *data, size_t len, size_t *got,
					   Error *err);

/* ERR_SERVER if it reads no more; child_end() then knows why. */
extern bool child_write(Child *c, const void *data, size_t len, Error *err);

/*
 * Closes the pipe, waits for the child and frees c.  False unless its exit
 * status is 0: ERR_SERVER with the end of what it said.  What it said in spite
 * of success is logged as warnings.
 */
extern bool child_end(Child *c, Error *err);

/* Ends it at once; NULL is fine. */
extern void child_kill(Child *c);

#endif
