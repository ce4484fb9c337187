/*-------------------------------------------------------------------------
 *
 * child.h
 *	  A child process that a backend runs and watches over.
 *
 * However the statement ends (done, error, cancel, time-out, termination,
 * lost client, death of the postmaster), the child and all that it started
 * are gone before the backend goes on, and no zombie is left.  When the
 * backend itself is killed, the kernel kills the child.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_CHILD_H
#define DR_CHILD_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* One line of the child's standard output, without its end; NUL follows. */
typedef void (*DrLineFn)(void *arg, char *line, int len);

typedef struct DrChildOptions
{
	const char *path;  /* absolute path of the program */
	char **argv;       /* NULL ends it */
	char **envp;       /* NULL ends it */
	const char *input; /* for its standard input, which then ends */
	int input_len;
	DrLineFn line; /* may raise an error: the child is ended */
	void *arg;
} DrChildOptions;

/*
 * Runs the child to its end and returns the status that waitpid() gave.  The
 * beginning of what it wrote to standard error is appended to messages.
 * Raises an error if it cannot be started or writes lines without end.
 *
 * While it waits no snapshot of the catalogs is held; what else holds back
 * vacuum is up to the caller.
 */
extern int dr_child_run(const DrChildOptions *options, StringInfo messages);

#endif
