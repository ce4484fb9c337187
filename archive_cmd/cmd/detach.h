/*-------------------------------------------------------------------------
 *
 * detach.h
 *	  Starting a process that works ahead of the server's calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DETACH_H
#define PGDR_DETACH_H

#include "cmd/cmd.h"

/*
 * Runs this command with --ahead and the same arguments, configuration and
 * choice of repositories, as a process that outlives this one and has the
 * lock.  That it cannot be started is no error.
 */
extern void detach_ahead(Context *ctx, const char *command, int lock);

/*
 * How many workers such a process may have: of process-max, and so many more
 * that wait for the disk, what memory allows.
 */
extern int detach_workers(const Settings *settings, int waiting);

/*
 * A set for each worker: options and keys are shared, connections are not.
 * *sets has room for that many; repo_set_free() each.
 */
extern void detach_copy_sets(const RepoSet *from, int workers, RepoSet **sets);
/* The one of a worker; arg: the sets. */
extern RepoSet *detach_set(void *arg, int worker);
extern void detach_free_sets(int workers, RepoSet *sets);

#endif
