/*-------------------------------------------------------------------------
 *
 * spool_lock.c
 *	  One process at a time works ahead of the server, by a lock in its spool.
 *
 *-------------------------------------------------------------------------
 */
#include "job/spool_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int
open_lock(const char *path, Error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		error_set_errno(err, errno, "could not open file \"%s\"", path);
	return fd;
}

/* Its owner may remove it: a lock on what has no name any more is none. */
static bool
is_named(int fd, const char *path)
{
	struct stat ours;
	struct stat named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 &&
		   ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* fd is taken over. */
static bool
lock_fd(int fd, const char *path, int *out, Error *err)
{
	*out = -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
	{
		if (is_named(fd, path))
			*out = fd;
		else
			close(fd);
		return true;
	}
	if (errno != EWOULDBLOCK && errno != EINTR)
		error_set_errno(err, errno, "could not lock the spool");
	close(fd);
	return !error_is_set(err);
}

bool
spool_try_lock(const char *dir, int *fd, Error *err)
{
	char *path = file_join(dir, SPOOL_LOCK_FILE);
	int lock = open_lock(path, err);
	bool done = lock >= 0 && lock_fd(lock, path, fd, err);

	if (lock < 0)
		*fd = -1;
	free(path);
	return done;
}

bool
spool_take_lock(const char *dir, int *fd, Error *err)
{
	char *path = file_join(dir, SPOOL_LOCK_FILE);
	bool done = true;

	if (is_named(SPOOL_LOCK_FD, path))
	{
		fcntl(SPOOL_LOCK_FD, F_SETFD, FD_CLOEXEC);
		done = lock_fd(SPOOL_LOCK_FD, path, fd, err);
	}
	else
		done = spool_try_lock(dir, fd, err);
	free(path);
	return done;
}

void
spool_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}

bool
spool_is_locked(const char *dir, int fd)
{
	char *path = file_join(dir, SPOOL_LOCK_FILE);
	bool locked = is_named(fd, path);

	free(path);
	return locked;
}

bool
spool_check_dir(const char *path, Error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return error_set_errno(err, errno, "could not stat directory \"%s\"",
							   path);
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
		(st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	return error_set(err, ERR_DENIED,
					 "directory \"%s\" can be written to by others", path);
}
