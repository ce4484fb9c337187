/*-------------------------------------------------------------------------
 *
 * files_copy.c
 *	  Reads one file of a backup of files, and sees whether it held still.
 *
 * Nothing stops an application from writing while we read.  What has changed
 * meanwhile is read again: the entry that was begun stays in the tar stream,
 * the next one has the same name, and the manifest knows only that.
 *
 *-------------------------------------------------------------------------
 */
#include "job/files_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define TRIES 3
#define SETTLE (USECS_PER_SEC / 5) /* before it is read again */

typedef struct Reading
{
	FilesCopy *copy;
	const char *path; /* absolute */
	int fd;
	uint64_t size;
} Reading;

static bool
open_file(const char *path, int *fd, Error *err)
{
	/* a FIFO that has taken its place would hold us for ever */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (*fd >= 0 || errno == ENOENT || errno == ELOOP)
		return true;
	error_set_errno(err, errno, "could not open file \"%s\"", path);
	if (err->code == ERR_DENIED)
		error_hint(err, "Run pgdr as a user who may read all that is to be "
						"backed up, or exclude it.");
	return false;
}

/*
 * Of a hole there is nothing to be read.  *end: where the run of data or of
 * nothing ends that pos is in.
 */
static bool
is_hole(const Reading *r, uint64_t pos, uint64_t *end)
{
	off_t data = lseek(r->fd, (off_t) pos, SEEK_DATA);
	off_t hole;

	*end = r->size;
	if (data < 0)
		return errno == ENXIO;
	if ((uint64_t) data > pos)
	{
		*end = (uint64_t) data < r->size ? (uint64_t) data : r->size;
		return true;
	}
	hole = lseek(r->fd, (off_t) pos, SEEK_HOLE);
	if (hole > 0 && (uint64_t) hole < r->size)
		*end = (uint64_t) hole;
	return false;
}

/* *whole: it was not cut off while it was read. */
static bool
copy_run(const Reading *r, uint64_t from, uint64_t to, bool hole, bool *whole,
		 Error *err)
{
	uint8_t *buffer = r->copy->buffer;

	while (from < to)
	{
		size_t want = to - from < FILES_READ_SIZE ? (size_t) (to - from)
												  : FILES_READ_SIZE;
		size_t got = 0;

		if (!hole &&
			!file_pread_full(r->fd, buffer, want, from, &got, r->path, err))
			return false;
		*whole = *whole && (hole || got == want);
		memset(buffer + got, 0, want - got);
		if (!target_writer_write(r->copy->writer, buffer, want, err))
			return false;
		from += want;
	}
	return true;
}

static bool
copy_contents(const Reading *r, bool sparse, bool *whole, Error *err)
{
	uint64_t pos = 0;

	*whole = true;
	while (pos < r->size)
	{
		uint64_t end = r->size;
		bool hole = sparse && is_hole(r, pos, &end);

		if (!copy_run(r, pos, end, hole, whole, err))
			return false;
		pos = end;
	}
	return true;
}

static bool
same_moment(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		   a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		   a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
		   a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void
warn_of_change(const char *path)
{
	log_warning("file \"%s\" was changed each time it was read; what is stored "
				"of it may be of different moments",
				path);
}

/* One attempt; *still: nobody wrote to it meanwhile. */
static bool
copy_once(Reading *r, const FilesEntry *entry, TargetFile *file, bool last,
		  bool *still, Error *err)
{
	TargetWriter *writer = r->copy->writer;
	struct stat before;
	struct stat after;
	bool whole;

	if (fstat(r->fd, &before) != 0)
		return error_set_errno(err, errno, "could not stat file \"%s\"",
							   r->path);
	r->size = (uint64_t) before.st_size;
	file->size = r->size;
	file->sparse = (uint64_t) before.st_blocks * 512 < r->size;
	file->mode = (uint32_t) before.st_mode & 07777;
	file->mtime = (int64_t) before.st_mtim.tv_sec * USECS_PER_SEC +
				  before.st_mtim.tv_nsec / 1000;
	target_writer_announce(writer, (int64_t) r->size - (int64_t) entry->size);
	if (!target_writer_begin(writer, file, err) ||
		!copy_contents(r, file->sparse, &whole, err))
		return false;
	if (fstat(r->fd, &after) != 0)
		return error_set_errno(err, errno, "could not stat file \"%s\"",
							   r->path);
	*still = whole && same_moment(&before, &after);
	if (*still || last)
		return target_writer_end(writer, err);
	target_writer_announce(writer, (int64_t) entry->size - (int64_t) r->size);
	return target_writer_discard(writer, err);
}

static bool
copy_until_still(Reading *r, const FilesEntry *entry, TargetFile *file,
				 Error *err)
{
	bool still = false;

	for (int i = 1; !still && i <= TRIES; i++)
	{
		if (i > 1)
			clock_sleep(SETTLE);
		if (!copy_once(r, entry, file, i == TRIES, &still, err))
			return false;
	}
	if (!still)
		warn_of_change(r->path);
	return true;
}

/* The label of SELinux is on every file where there is one. */
static bool
has_attributes(int fd)
{
	char names[4096];
	ssize_t len = flistxattr(fd, names, sizeof(names));

	if (len < 0)
		return errno == ERANGE;
	for (const char *p = names; p < names + len; p += strlen(p) + 1)
	{
		if (strcmp(p, "security.selinux") != 0)
			return true;
	}
	return false;
}

bool
files_copy(FilesCopy *c, const FilesEntry *entry, uint32_t owner, bool *copied,
		   Error *err)
{
	char *path = mem_printf("/%s", entry->path);
	TargetFile file = {.path = entry->path, .owner = owner};
	Reading r = {.copy = c, .path = path, .fd = -1};
	struct stat st;
	bool done = open_file(path, &r.fd, err);

	*copied = false;
	if (done && r.fd >= 0 && fstat(r.fd, &st) != 0)
		done = error_set_errno(err, errno, "could not stat file \"%s\"", path);
	else if (done && r.fd >= 0 && S_ISREG(st.st_mode))
	{
		posix_fadvise(r.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		if (has_attributes(r.fd))
			atomic_fetch_add(c->attributes, 1);
		done = copy_until_still(&r, entry, &file, err);
		*copied = done;
	}
	else if (done)
		log_warning("\"%s\" is no file any more, and is passed over", path);
	if (r.fd >= 0)
		close(r.fd);
	free(path);
	return done;
}
