/*-------------------------------------------------------------------------
 *
 * spool_lock.h
 *	  One process at a time works ahead of the server, by a lock in its spool.
 *
 * The kernel lets go of the lock when its owner dies.  Who starts a process
 * that is to have it hands it over with SPOOL_LOCK_FD, so that there is no
 * moment between in which somebody else could take it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SPOOL_LOCK_H
#define PGDR_SPOOL_LOCK_H

#include <stdbool.h>

#include "base/error.h"

/* Where a process that works ahead finds the lock that it was started with. */
#define SPOOL_LOCK_FD 3

#define SPOOL_LOCK_FILE "lock"

/*
 * *fd: the lock's descriptor, -1 if somebody else has it.  False only if there
 * can be no lock.
 */
extern bool spool_try_lock(const char *dir, int *fd, Error *err);
/* The lock on SPOOL_LOCK_FD if it is there, else as spool_try_lock(). */
extern bool spool_take_lock(const char *dir, int *fd, Error *err);
extern void spool_unlock(int fd); /* -1 is fine */

/* Is it still this descriptor that has the spool's lock? */
extern bool spool_is_locked(const char *dir, int fd);

/*
 * Is the directory at path there, ours, and closed to the writing of others?
 * ERR_NOT_FOUND, ERR_DENIED.
 */
extern bool spool_check_dir(const char *path, Error *err);

#endif
