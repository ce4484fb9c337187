/*-------------------------------------------------------------------------
 *
 * posix_path.c
 *	  Ways through the directories of a posix store.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define TEMP_SUFFIX ".tmp"
#define TEMP_RANDOM_DIGITS 16
#define TEMP_BASE_MAX 200 /* leaves room for pid, random digits, suffix */

/* May the same operation succeed a little later? */
static bool
is_transient(int errnum)
{
	switch (errnum)
	{
		case EAGAIN:
		case EBUSY:
		case EINTR:
		case EMFILE:
		case ENFILE:
		case ENOMEM:
		case ESTALE:
		case ETIMEDOUT:
		case EHOSTDOWN:
		case EHOSTUNREACH:
			return true;
		default:
			return false;
	}
}

bool
posix_fail(Error *err, int errnum, const char *what)
{
	Error cause = ERROR_INIT;

	error_set_errno(&cause, errnum, "%s", what);
	if (cause.code == ERR_NOT_FOUND || cause.code == ERR_EXISTS)
		cause.code = ERR_IO;
	cause.transient = is_transient(errnum);
	error_move(err, &cause);
	return false;
}

void
posix_split(const char *name, char **dir, const char **base)
{
	const char *slash = strrchr(name, '/');

	*dir = slash ? mem_strndup(name, (size_t) (slash - name)) : mem_strdup("");
	*base = slash ? slash + 1 : name;
}

int
posix_depth(const char *name)
{
	int depth = 0;

	for (; *name != '\0'; name++)
		depth += *name == '/';
	return depth;
}

/*
 * A deleted directory stays open and simply looks empty, and a mount point
 * whose disk went away looks like an empty repository.  Neither may pass for
 * the answer that an object does not exist.
 */
bool
posix_check_root(PosixStorage *ps, Error *err)
{
	struct stat by_path;
	struct stat by_fd;
	Error cause = ERROR_INIT;

	if (fstat(ps->fd, &by_fd) != 0)
		return posix_fail(err, errno, "could not examine root directory");
	if (stat(ps->root, &by_path) != 0)
		posix_fail(&cause, errno, "could not find root directory again");
	else if (by_path.st_dev == ps->dev && by_path.st_ino == ps->ino &&
			 by_fd.st_nlink > 0)
		return true;
	else
		error_set(&cause, ERR_IO, "root directory was replaced");
	error_hint(&cause,
			   "Check whether the disk that holds \"%s\" is still "
			   "mounted.",
			   ps->root);
	error_move(err, &cause);
	return false;
}

bool
posix_alien(mode_t mode, const char *name, Error *err)
{
	Error cause = ERROR_INIT;

	if (S_ISLNK(mode))
	{
		error_set(&cause, ERR_IO, "\"%s\" is a symbolic link", name);
		error_detail(&cause, "Symbolic links below the root of a repository "
							 "are not followed.");
		error_hint(&cause, "Use a bind mount to place a part of a repository "
						   "elsewhere.");
	}
	else
		error_set(&cause, ERR_IO, "\"%s\" is not a regular file", name);
	error_move(err, &cause);
	return false;
}

/* Copies the first component of path; returns what follows it. */
static const char *
next_component(const char *path, PosixName out)
{
	size_t len = strcspn(path, "/");

	memcpy(out, path, len);
	out[len] = '\0';
	path += len;
	return *path == '/' ? path + 1 : path;
}

/*
 * One step down: *next is -1 if there is no directory of that name.  The
 * kernel says ENOTDIR for a symbolic link as for a file, so look closer.
 */
static bool
step_down(int fd, const char *component, int *next, Error *err)
{
	struct stat sb;
	int errnum;

	*next = openat(fd, component, DIR_FLAGS);
	if (*next >= 0)
		return true;
	errnum = errno;
	if (errnum == ENOENT)
		return true;
	if ((errnum == ENOTDIR || errnum == ELOOP) &&
		fstatat(fd, component, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISREG(sb.st_mode) ? true
								   : posix_alien(sb.st_mode, component, err);
	return posix_fail(err, errnum, "could not open directory");
}

/*
 * Not dup(): the new descriptor needs a read position of its own for
 * readdir().
 */
static bool
open_root(PosixStorage *ps, int *fd, Error *err)
{
	*fd = openat(ps->fd, ".", DIR_FLAGS);
	if (*fd < 0)
		return posix_fail(err, errno, "could not open root directory");
	return true;
}

bool
posix_open_dir(PosixStorage *ps, const char *dir, int *fd, Error *err)
{
	PosixName component;
	bool done;

	if (!open_root(ps, fd, err))
		return false;
	while (*dir != '\0')
	{
		int above = *fd;

		dir = next_component(dir, component);
		done = step_down(above, component, fd, err);
		close(above);
		if (!done || *fd < 0)
			return done && posix_check_root(ps, err);
	}
	return true;
}

/*
 * *next stays -1 without an error if the directory, or the one above it, was
 * removed under our hands.
 */
static bool
step_down_making(int fd, const char *component, int *next, Error *err)
{
	if (!step_down(fd, component, next, err))
		return false;
	if (*next >= 0)
		return true;
	if (mkdirat(fd, component, POSIX_DIR_MODE) != 0 && errno != EEXIST)
		return errno == ENOENT
				   ? true
				   : posix_fail(err, errno, "could not create directory");
	*next = openat(fd, component, DIR_FLAGS);
	if (*next >= 0 || errno == ENOENT)
		return true;
	return posix_fail(err, errno, "could not open directory");
}

bool
posix_make_dir(PosixStorage *ps, const char *dir, int *fd, Error *err)
{
	PosixName component;
	bool done;

	if (!open_root(ps, fd, err))
		return false;
	while (*dir != '\0' && *fd >= 0)
	{
		int above = *fd;

		dir = next_component(dir, component);
		done = step_down_making(above, component, fd, err);
		close(above);
		if (!done)
			return false;
	}
	return *fd >= 0 || posix_check_root(ps, err);
}

/*
 * A file system that cannot fsync directories (some in user space) says
 * EINVAL; it has nothing better to offer, and PostgreSQL accepts that too.
 */
static bool
sync_dir(int fd, Error *err)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP)
		return true;
	return posix_fail(err, errno, "could not fsync directory");
}

/*
 * All of them, not only those that this process made: another writer may have
 * made one a moment ago and not yet have come to its fsync.  A directory
 * without changes costs next to nothing.
 */
bool
posix_sync_dirs(int dirfd, int depth, Error *err)
{
	int fd = dirfd;
	bool done = sync_dir(fd, err);

	while (done && depth-- > 0)
	{
		int up = openat(fd, "..", DIR_FLAGS);

		if (fd != dirfd)
			close(fd);
		if (up < 0)
			return posix_fail(err, errno, "could not open directory");
		fd = up;
		done = sync_dir(fd, err);
	}
	if (fd != dirfd)
		close(fd);
	return done;
}

void
posix_prune(PosixStorage *ps, const char *name)
{
	Error ignored = ERROR_INIT;
	char *path;
	const char *base;
	bool removed = true;

	posix_split(name, &path, &base);
	while (removed && path[0] != '\0')
	{
		char *above;
		int fd = -1;

		posix_split(path, &above, &base);
		removed = posix_open_dir(ps, above, &fd, &ignored) && fd >= 0 &&
				  unlinkat(fd, base, AT_REMOVEDIR) == 0;
		if (fd >= 0)
			close(fd);
		free(path);
		path = above;
	}
	free(path);
	error_clear(&ignored);
}

static bool
no_object(PosixStorage *ps, Error *err)
{
	if (!posix_check_root(ps, err))
		return false;
	return error_set(err, ERR_NOT_FOUND, "object does not exist");
}

/* A directory of that name is no object, as in an object store. */
bool
posix_find(PosixStorage *ps, const char *name, int *dirfd, struct stat *sb,
		   Error *err)
{
	char *dir;
	const char *base;
	bool done;

	posix_split(name, &dir, &base);
	done = posix_open_dir(ps, dir, dirfd, err);
	free(dir);
	if (!done)
		return false;
	if (*dirfd < 0)
		return no_object(ps, err);

	if (fstatat(*dirfd, base, sb, AT_SYMLINK_NOFOLLOW) != 0)
		done = errno == ENOENT
				   ? no_object(ps, err)
				   : posix_fail(err, errno, "could not examine file");
	else if (S_ISDIR(sb->st_mode))
		done = no_object(ps, err);
	else if (!S_ISREG(sb->st_mode))
		done = posix_alien(sb->st_mode, base, err);
	if (!done)
		close(*dirfd);
	return done;
}

bool
posix_temp_name(const char *base, PosixName out, Error *err)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t) sizeof(r))
		return posix_fail(err, errno, "could not get random bytes");
	snprintf(out, sizeof(PosixName), ".%.*s.%ld.%0*" PRIx64 "%s", TEMP_BASE_MAX,
			 base, (long) getpid(), TEMP_RANDOM_DIGITS, r, TEMP_SUFFIX);
	return true;
}

/*
 * Exactly what posix_temp_name() makes: other hidden files in the directory
 * are not ours to remove.
 */
bool
posix_is_temp_name(const char *name)
{
	size_t len = strlen(name);
	size_t suffix = strlen(TEMP_SUFFIX);
	const char *random;
	const char *pid;

	if (name[0] != '.' || len < suffix + TEMP_RANDOM_DIGITS + 4 ||
		strcmp(name + len - suffix, TEMP_SUFFIX) != 0)
		return false;
	random = name + len - suffix - TEMP_RANDOM_DIGITS;
	if (strspn(random, "0123456789abcdef") != TEMP_RANDOM_DIGITS ||
		random[-1] != '.')
		return false;
	for (pid = random - 1; pid > name + 1 && strchr("0123456789", pid[-1]);)
		pid--;
	return pid < random - 1 && pid > name + 2 && pid[-1] == '.';
}
