/*-------------------------------------------------------------------------
 *
 * get_file.c
 *	  A file that appears under its name only when it is complete.
 *
 * Temporary names are FILE_TMP_PREFIX, the file's name, and the process's
 * number.  Their owner holds a lock, so that whoever finds one without a lock
 * knows that its owner was killed, also across PID namespaces.
 *
 *-------------------------------------------------------------------------
 */
#include "job/get_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* Bytes at a time. */
#define BEGIN_WRITING ((uint64_t) 4 << 20)

struct GetFile
{
	char *path;
	char *tmp;
	int fd;
	bool durable;
	uint64_t written;
	uint64_t begun; /* what the disk was told to begin with */
};

static bool
local_error(Error *err, int errnum, const char *what, const char *path)
{
	error_set_errno(err, errnum, "could not %s file \"%s\"", what, path);
	if (err->code == ERR_NOT_FOUND || err->code == ERR_EXISTS)
		err->code = ERR_IO;
	return false;
}

static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	if (slash == path)
		return mem_strdup("/");
	return mem_strndup(path, (size_t) (slash - path));
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void
remove_if_abandoned(const char *dir, const char *name)
{
	char *path = file_join(dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0)
	{
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlink(path);
		close(fd);
	}
	free(path);
}

/* Leftovers are only litter: what goes wrong here is no error. */
static void
remove_leftovers(const char *path)
{
	char *dir = dir_of(path);
	char *prefix = mem_printf(FILE_TMP_PREFIX "%s.", base_of(path));
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
	{
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			remove_if_abandoned(dir, entry->d_name);
	}
	if (d != NULL)
		closedir(d);
	free(prefix);
	free(dir);
}

/*
 * Between making the file and locking it, another run may have taken it for
 * abandoned: then it has no name any more, and a new one is made.
 */
static bool
create_locked(GetFile *file, Error *err)
{
	struct stat st;

	for (int tries = 0; tries < 10; tries++)
	{
		file->fd = open(file->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
						S_IRUSR | S_IWUSR);
		if (file->fd < 0)
			return local_error(err, errno, "create", file->tmp);
		if (flock(file->fd, LOCK_EX) != 0 || fstat(file->fd, &st) != 0)
			return local_error(err, errno, "lock", file->tmp);
		if (st.st_nlink > 0)
			return true;
		close(file->fd);
		file->fd = -1;
	}
	return error_set(err, ERR_IO, "could not create file \"%s\"", file->tmp);
}

bool
get_file_create(const char *path, bool durable, GetFile **out, Error *err)
{
	GetFile *file = mem_zalloc(sizeof(GetFile));
	char *dir = dir_of(path);
	char *name = mem_printf(FILE_TMP_PREFIX "%s.%ld", base_of(path),
							(long) getpid());

	file->fd = -1;
	file->durable = durable;
	file->path = mem_strdup(path);
	file->tmp = file_join(dir, name);
	free(name);
	free(dir);
	remove_leftovers(path);
	if (!create_locked(file, err))
	{
		get_file_abort(file);
		return false;
	}
	*out = file;
	return true;
}

/*
 * The disk is to be at work while more arrives: whoever syncs the file waits
 * the less.  It is no more than a hint.
 */
static void
begin_writing(GetFile *file, uint64_t least)
{
	if (file->written - file->begun < least)
		return;
	sync_file_range(file->fd, (off_t) file->begun,
					(off_t) (file->written - file->begun),
					SYNC_FILE_RANGE_WRITE);
	file->begun = file->written;
}

bool
get_file_write(GetFile *file, const void *data, size_t len, Error *err)
{
	if (!file_write_all(file->fd, data, len, file->tmp, err))
		return false;
	file->written += len;
	begin_writing(file, BEGIN_WRITING);
	return true;
}

/*
 * Some file systems tell only when a file is closed that there was no room;
 * the lock stays with the descriptor that is left.
 */
static bool
flush(const GetFile *file, Error *err)
{
	int fd = dup(file->fd);

	return (fd >= 0 && close(fd) == 0) ||
		   local_error(err, errno, "write", file->tmp);
}

static bool
publish(GetFile *file, Error *err)
{
	if (file->durable && !file_fsync(file->fd, file->tmp, err))
		return false;
	begin_writing(file, 1);
	if (!flush(file, err))
		return false;
	if (rename(file->tmp, file->path) != 0)
		return local_error(err, errno, "name", file->path);
	free(file->tmp);
	file->tmp = NULL;
	return !file->durable || file_fsync_parent(file->path, err);
}

bool
get_file_commit(GetFile *file, Error *err)
{
	bool done = publish(file, err);

	if (!done && file->tmp == NULL)
		unlink(file->path); /* named, but not durably */
	if (!done && err->code == ERR_NOT_FOUND)
		err->code = ERR_IO;
	get_file_abort(file);
	return done;
}

void
get_file_abort(GetFile *file)
{
	if (file->tmp != NULL && file->fd >= 0)
		unlink(file->tmp);
	if (file->fd >= 0)
		close(file->fd);
	free(file->tmp);
	free(file->path);
	free(file);
}
