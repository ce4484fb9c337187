/*-------------------------------------------------------------------------
 *
 * posix_write.c
 *	  Writing an object to a posix store, so that it is there whole and
 *	  durable or not at all.
 *
 * The bytes go to a temporary name in the directory of the object.  commit
 * fills in the head, fsyncs the file, gives it its name without replacing
 * anything, and fsyncs the directories up to the root.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/posix_flush.h"

#define MAX_TRIES 100

/* So much is brought to the disk while the rest is still being made. */
#define EARLY ((uint64_t) 1 << 20)

typedef struct PosixWriter
{
	StorageWriter base;
	PosixStorage *ps;
	char *path;       /* of the object, from the root */
	const char *leaf; /* its last component, inside path */
	PosixName temp;   /* "" when there is no such file (any more) */
	int dirfd;
	int fd;
	size_t head_len;
	uint64_t offset;   /* of the next byte to write */
	uint64_t begun;    /* what is before this, flush looks after */
	PosixFlush *flush; /* NULL: too little so far */
	dev_t dev;         /* identity of the file, known from commit on */
	ino_t ino;
} PosixWriter;

/* Frees everything; what was not named goes, with directories made for it. */
static void
dispose(PosixWriter *w)
{
	bool tidy = false;

	posix_flush_end(w->flush);
	if (w->fd >= 0)
		close(w->fd);
	if (w->temp[0] != '\0')
		tidy = unlinkat(w->dirfd, w->temp, 0) == 0;
	if (w->dirfd >= 0)
		close(w->dirfd);
	if (tidy)
		posix_prune(w->ps, w->path);
	free(w->path);
	free(w);
}

/*
 * One try to make the temporary file.  w->fd stays -1 without an error if the
 * directory vanished in between (expiry removes empty ones).
 */
static bool
create_temp(PosixWriter *w, Error *err)
{
	char *dir;
	const char *leaf;
	bool done;

	posix_split(w->path, &dir, &leaf);
	done = posix_make_dir(w->ps, dir, &w->dirfd, err);
	free(dir);
	if (!done || w->dirfd < 0)
		return done;
	if (!posix_temp_name(leaf, w->temp, err))
		return false;
	w->fd = openat(w->dirfd, w->temp,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				   POSIX_FILE_MODE);
	if (w->fd >= 0)
		return true;
	done = errno == ENOENT || errno == EEXIST ||
		   posix_fail(err, errno, "could not create file");
	w->temp[0] = '\0';
	close(w->dirfd);
	w->dirfd = -1;
	return done;
}

bool
posix_write_open(Storage *st, const char *name, size_t head_len,
				 StorageWriter **out, Error *err)
{
	PosixWriter *w = mem_zalloc(sizeof(*w));
	char *dir;
	bool done = true;

	w->base.driver = &storage_posix;
	w->ps = (PosixStorage *) st;
	w->path = mem_strdup(name);
	posix_split(w->path, &dir, &w->leaf);
	free(dir);
	w->dirfd = w->fd = -1;
	w->head_len = head_len;
	w->offset = head_len;
	for (int try = 0; done && w->fd < 0 && try < MAX_TRIES; try++)
		done = create_temp(w, err) &&
			   (w->fd >= 0 || posix_check_root(w->ps, err));
	if (done && w->fd < 0)
		done = posix_fail(err, EBUSY, "could not keep a directory to write to");
	if (!done)
	{
		dispose(w);
		return false;
	}
	*out = &w->base;
	return true;
}

bool
posix_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	PosixWriter *w = (PosixWriter *) sw;

	if (!file_pwrite_all(w->fd, data, len, w->offset, w->temp, err))
		return false;
	w->offset += len;
	if (w->offset - w->begun >= EARLY)
	{
		if (w->flush != NULL)
			posix_flush_more(w->flush);
		else
			w->flush = posix_flush_start(w->fd);
		w->begun = w->offset;
	}
	return true;
}

/*
 * After this the bytes are on disk.  An error of fsync is final: the kernel
 * may have dropped the dirty pages, and a second fsync would say that all is
 * well.  close() comes before the name because some network file systems tell
 * of a full disk only there.
 */
static bool
finish_file(PosixWriter *w, const void *head, Error *err)
{
	struct stat sb;
	int fd = w->fd;
	int errnum = posix_flush_end(w->flush);

	w->flush = NULL;
	if (errnum != 0)
		return posix_fail(err, errnum, "could not fsync file");
	if (w->head_len > 0 &&
		!file_pwrite_all(fd, head, w->head_len, 0, w->temp, err))
		return false;
	if (fsync(fd) != 0)
		return posix_fail(err, errno, "could not fsync file");
	if (fstat(fd, &sb) != 0)
		return posix_fail(err, errno, "could not examine file");
	if ((uint64_t) sb.st_size != w->offset)
		return error_set(err, ERR_IO, "file has %lld bytes instead of %llu",
						 (long long) sb.st_size,
						 (unsigned long long) w->offset);
	w->dev = sb.st_dev;
	w->ino = sb.st_ino;
	w->fd = -1;
	if (close(fd) != 0)
		return posix_fail(err, errno, "could not close file");
	return true;
}

/* Does the object's name stand for the file that we wrote? */
static bool
name_is_ours(PosixWriter *w)
{
	struct stat sb;

	return fstatat(w->dirfd, w->leaf, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
		   sb.st_dev == w->dev && sb.st_ino == w->ino;
}

/*
 * The name is taken.  The caller will rely on what lies there, so it must not
 * be something whose writer was killed before its directory was durable.
 */
static bool
name_taken(PosixWriter *w, Error *err)
{
	if (!posix_sync_dirs(w->dirfd, posix_depth(w->path), err))
		return false;
	return error_set(err, ERR_EXISTS, "object already exists");
}

/*
 * For file systems without RENAME_NOREPLACE.  On NFS the answer to a link()
 * that was done can get lost, and its repetition says EEXIST: look whose file
 * it is.
 */
static bool
link_name(PosixWriter *w, Error *err)
{
	int errnum;

	if (linkat(w->dirfd, w->temp, w->dirfd, w->leaf, 0) != 0)
	{
		errnum = errno;
		if (errnum == EEXIST && !name_is_ours(w))
			return name_taken(w, err);
		if (errnum == EPERM || errnum == EOPNOTSUPP || errnum == ENOSYS)
			return error_set(err, ERR_UNSUPPORTED,
							 "file system can neither rename without "
							 "replacing nor link");
		if (errnum != EEXIST)
			return posix_fail(err, errnum, "could not link file");
	}
	if (unlinkat(w->dirfd, w->temp, 0) == 0)
		w->temp[0] = '\0';
	return true;
}

static bool
give_name(PosixWriter *w, Error *err)
{
	if (renameat2(w->dirfd, w->temp, w->dirfd, w->leaf, RENAME_NOREPLACE) == 0)
	{
		w->temp[0] = '\0';
		return true;
	}
	switch (errno)
	{
		case EEXIST:
			return name_taken(w, err);
		case EINVAL:
		case ENOSYS:
		case EOPNOTSUPP:
			return link_name(w, err);
		default:
			return posix_fail(err, errno, "could not rename file");
	}
}

/*
 * Takes the name back when it could not be made durable: the caller is told
 * that the object is not there, and a retry must not meet it and take it for
 * a durable one.
 */
static bool
settle_name(PosixWriter *w, Error *err)
{
	if (posix_sync_dirs(w->dirfd, posix_depth(w->path), err))
		return true;
	if (!name_is_ours(w))
		return false;
	if (unlinkat(w->dirfd, w->leaf, 0) == 0)
		posix_prune(w->ps, w->path);
	else
		error_detail(err, "The object could not be removed again and may "
						  "be visible.");
	return false;
}

bool
posix_commit(StorageWriter *sw, const void *head, Error *err)
{
	PosixWriter *w = (PosixWriter *) sw;
	bool done = finish_file(w, head, err) && posix_check_root(w->ps, err) &&
				give_name(w, err) && settle_name(w, err);

	dispose(w);
	return done;
}

void
posix_abort(StorageWriter *sw)
{
	if (sw != NULL)
		dispose((PosixWriter *) sw);
}
