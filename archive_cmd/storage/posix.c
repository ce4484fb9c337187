/*-------------------------------------------------------------------------
 *
 * posix.c
 *	  A store in a directory: opening it, reading and removing objects.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

typedef struct PosixReader
{
	StorageReader base;
	int fd;
	uint64_t offset;
	uint64_t left;
} PosixReader;

/*
 * A root that is missing is no fault of the configuration when it was there
 * before: the usual cause is a disk that is not mounted.
 */
static bool
open_failed(const StorageOptions *options, int errnum, Error *err)
{
	Error cause = ERROR_INIT;

	error_set_errno(&cause, errnum, "could not open directory \"%s\"",
					options->path);
	if (errnum == ENOENT)
	{
		cause.code = ERR_IO;
		error_detail(&cause, "The root directory of the repository does not "
							 "exist.");
		error_hint(&cause, "Check whether the disk that holds it is mounted; "
						   "a new repository is made by \"pgdr init\".");
	}
	else if (errnum == ENOTDIR)
		cause.code = ERR_CONFIG;
	error_move(err, &cause);
	return false;
}

static bool
posix_open(const StorageOptions *options, Storage **out, Error *err)
{
	PosixStorage *ps;
	struct stat sb;
	int fd;

	if (options->path == NULL || options->path[0] != '/')
	{
		error_set(err, ERR_CONFIG,
				  "path of a posix repository must be absolute");
		return error_detail(err, "The path is \"%s\".",
							options->path ? options->path : "");
	}
	if (options->create && !file_mkdir_p(options->path, POSIX_DIR_MODE, err))
		return false;
	fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return open_failed(options, errno, err);
	if (fstat(fd, &sb) != 0)
	{
		open_failed(options, errno, err);
		close(fd);
		return false;
	}
	ps = mem_zalloc(sizeof(*ps));
	ps->base.driver = &storage_posix;
	ps->base.where = mem_printf("directory %s", options->path);
	ps->root = mem_strdup(options->path);
	ps->fd = fd;
	ps->dev = sb.st_dev;
	ps->ino = sb.st_ino;
	*out = &ps->base;
	return true;
}

static void
posix_close(Storage *st)
{
	PosixStorage *ps = (PosixStorage *) st;

	close(ps->fd);
	free(ps->root);
	free(ps->base.where);
	free(ps);
}

static bool
posix_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
		   Error *err)
{
	struct stat sb;
	int dirfd;

	if (!posix_find((PosixStorage *) st, name, &dirfd, &sb, err))
		return false;
	close(dirfd);
	*size = (uint64_t) sb.st_size;
	*mtime = posix_mtime(&sb);
	return true;
}

/*
 * Opens the object itself.  It may have gone since posix_find(), which is the
 * same answer a moment later.
 */
static bool
open_object(PosixStorage *ps, const char *name, int *fd, Error *err)
{
	struct stat sb;
	char *dir;
	const char *base;
	int dirfd;
	int errnum;

	if (!posix_find(ps, name, &dirfd, &sb, err))
		return false;
	posix_split(name, &dir, &base);
	*fd = openat(dirfd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	errnum = errno;
	free(dir);
	close(dirfd);
	if (*fd >= 0)
		return true;
	if (errnum == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "object does not exist");
	return posix_fail(err, errnum, "could not open file");
}

static bool
posix_read_open(Storage *st, const char *name, uint64_t offset, uint64_t length,
				StorageReader **out, Error *err)
{
	PosixReader *r;
	int fd;

	if (!open_object((PosixStorage *) st, name, &fd, err))
		return false;
	/* An offset beyond what off_t can say is past the end of any file. */
	if (offset > INT64_MAX)
		length = 0;
	else if (length > INT64_MAX - offset)
		length = INT64_MAX - offset;
	posix_fadvise(fd, length > 0 ? (off_t) offset : 0, 0,
				  POSIX_FADV_SEQUENTIAL);
	r = mem_zalloc(sizeof(*r));
	r->base.driver = &storage_posix;
	r->fd = fd;
	r->offset = offset;
	r->left = length;
	*out = &r->base;
	return true;
}

static bool
posix_read(StorageReader *sr, void *buf, size_t cap, size_t *got, Error *err)
{
	PosixReader *r = (PosixReader *) sr;
	size_t want = cap < r->left ? cap : (size_t) r->left;
	ssize_t n = 0;

	if (want == 0)
	{
		*got = 0;
		return true;
	}
	do
		n = pread(r->fd, buf, want, (off_t) r->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return posix_fail(err, errno, "could not read file");
	r->offset += (uint64_t) n;
	r->left -= (uint64_t) n;
	*got = (size_t) n;
	return true;
}

static void
posix_read_close(StorageReader *sr)
{
	PosixReader *r = (PosixReader *) sr;

	if (r == NULL)
		return;
	close(r->fd);
	free(r);
}

/*
 * The directory is made durable before its empty parents go; that those come
 * back after a crash would do no harm.
 */
static bool
posix_remove(Storage *st, const char *name, Error *err)
{
	PosixStorage *ps = (PosixStorage *) st;
	struct stat sb;
	char *dir;
	const char *base;
	int dirfd;
	bool done = false;

	if (!posix_find(ps, name, &dirfd, &sb, err))
		return false;
	posix_split(name, &dir, &base);
	if (unlinkat(dirfd, base, 0) == 0)
		done = posix_sync_dirs(dirfd, 0, err);
	else if (errno == ENOENT)
		error_set(err, ERR_NOT_FOUND, "object does not exist");
	else
		posix_fail(err, errno, "could not unlink file");
	close(dirfd);
	free(dir);
	if (done)
		posix_prune(ps, name);
	return done;
}

/* One rename: whoever looks finds the one or the other. */
static bool
rename_over(int from_dir, const char *from, int to_dir, const char *to,
			Error *err)
{
	if (renameat(from_dir, from, to_dir, to) != 0)
		return posix_fail(err, errno, "could not rename file");
	return posix_sync_dirs(to_dir, 0, err) && posix_sync_dirs(from_dir, 0, err);
}

static bool
posix_replace(Storage *st, const char *from, const char *to, Error *err)
{
	PosixStorage *ps = (PosixStorage *) st;
	struct stat sb;
	const char *from_leaf = strrchr(from, '/');
	const char *to_leaf = strrchr(to, '/');
	int from_dir;
	int to_dir;
	bool done;

	if (!posix_find(ps, from, &from_dir, &sb, err))
		return false;
	done = posix_find(ps, to, &to_dir, &sb, err);
	if (done)
	{
		done = rename_over(from_dir, from_leaf ? from_leaf + 1 : from, to_dir,
						   to_leaf ? to_leaf + 1 : to, err);
		close(to_dir);
	}
	close(from_dir);
	if (done)
		posix_prune(ps, from);
	return done;
}

static bool
posix_settle(Storage *st, const char *name, Error *err)
{
	PosixStorage *ps = (PosixStorage *) st;
	struct stat sb;
	int dirfd;
	int fd;
	bool done;

	if (!open_object(ps, name, &fd, err))
		return false;
	done = fsync(fd) == 0 || posix_fail(err, errno, "could not fsync file");
	close(fd);
	if (!done || !posix_find(ps, name, &dirfd, &sb, err))
		return false;
	done = posix_sync_dirs(dirfd, posix_depth(name), err);
	close(dirfd);
	return done;
}

const StorageDriver storage_posix = {
	.type = "posix",
	.open = posix_open,
	.close = posix_close,
	.list = posix_list,
	.stat = posix_stat,
	.read_open = posix_read_open,
	.read = posix_read,
	.read_close = posix_read_close,
	.write_open = posix_write_open,
	.write = posix_write,
	.commit = posix_commit,
	.abort = posix_abort,
	.replace = posix_replace,
	.remove = posix_remove,
	.settle = posix_settle,
	.sweep = posix_sweep,
};
