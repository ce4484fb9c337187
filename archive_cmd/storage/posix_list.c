/*-------------------------------------------------------------------------
 *
 * posix_list.c
 *	  What lies in a posix store: objects, and what interrupted writers left.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

typedef struct Names
{
	char **item;
	size_t count;
	size_t cap;
} Names;

typedef struct ListCall
{
	PosixStorage *ps;
	bool recursive;
	StorageListFn fn;
	void *arg;
} ListCall;

typedef struct SweepCall
{
	PosixStorage *ps;
	int64_t before; /* leftovers not modified since */
	uint64_t *removed;
} SweepCall;

static void
names_free(Names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->item[i]);
	free(names->item);
}

static void
names_add(Names *names, const char *name)
{
	names->item = mem_grow(names->item, names->count, &names->cap,
						   sizeof(char *));
	names->item[names->count++] = mem_strdup(name);
}

/*
 * Names that no object has (hidden files of NFS, "lost+found") are not ours
 * and may not even be readable; of the hidden ones only our own leftovers
 * count.
 */
static bool
is_ours(const char *name)
{
	Error ignored = ERROR_INIT;
	bool valid = storage_check_name(name, &ignored);

	error_clear(&ignored);
	return valid || posix_is_temp_name(name);
}

/*
 * The whole directory at once: the callback may remove what it is shown, and
 * what readdir() does then is not defined.
 */
static bool
read_names(int fd, Names *names, Error *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own >= 0 ? fdopendir(own) : NULL;
	struct dirent *entry;
	int errnum;

	if (d == NULL)
	{
		errnum = errno;
		if (own >= 0)
			close(own);
		return posix_fail(err, errnum, "could not open directory");
	}
	while (errno = 0, (entry = readdir(d)) != NULL)
	{
		if (is_ours(entry->d_name))
			names_add(names, entry->d_name);
	}
	errnum = errno;
	closedir(d);
	return errnum == 0 || posix_fail(err, errnum, "could not read directory");
}

static char *
path_below(const char *dir, const char *name)
{
	return dir[0] ? mem_printf("%s/%s", dir, name) : mem_strdup(name);
}

static bool list_dir(ListCall *call, const char *dir, Error *err);

static bool
list_entry(ListCall *call, int fd, const char *dir, const char *name,
		   Error *err)
{
	StorageEntry entry = {0};
	struct stat sb;
	char *path;
	bool done;

	if (fstatat(fd, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT /* removed since */
			   || posix_fail(err, errno, "could not examine file");
	path = path_below(dir, name);
	if (S_ISDIR(sb.st_mode) && call->recursive)
		done = list_dir(call, path, err);
	else if (S_ISDIR(sb.st_mode) || S_ISREG(sb.st_mode))
	{
		entry.name = path;
		entry.is_dir = S_ISDIR(sb.st_mode);
		entry.size = entry.is_dir ? 0 : (uint64_t) sb.st_size;
		entry.mtime = posix_mtime(&sb);
		done = call->fn(call->arg, &entry, err);
	}
	else
		done = posix_alien(sb.st_mode, path, err);
	free(path);
	return done;
}

static bool
list_dir(ListCall *call, const char *dir, Error *err)
{
	Names names = {0};
	int fd;
	bool done;

	if (!posix_open_dir(call->ps, dir, &fd, err))
		return false;
	if (fd < 0)
		return true;
	done = read_names(fd, &names, err);
	for (size_t i = 0; done && i < names.count; i++)
	{
		if (!posix_is_temp_name(names.item[i]))
			done = list_entry(call, fd, dir, names.item[i], err);
	}
	names_free(&names);
	close(fd);
	return done;
}

/*
 * The root is looked at last: when it went away on the way, what was shown is
 * not the whole.
 */
bool
posix_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
		   void *arg, Error *err)
{
	ListCall call = {.ps = (PosixStorage *) st,
					 .recursive = recursive,
					 .fn = fn,
					 .arg = arg};

	return list_dir(&call, prefix, err) && posix_check_root(call.ps, err);
}

static bool sweep_dir(SweepCall *call, const char *dir, Error *err);

/* Age is counted from the last write: a long upload is no leftover. */
static bool
sweep_leftover(SweepCall *call, int fd, const char *name, const struct stat *sb,
			   Error *err)
{
	if (!S_ISREG(sb->st_mode) || posix_mtime(sb) > call->before)
		return true;
	if (unlinkat(fd, name, 0) == 0)
		++*call->removed;
	else if (errno != ENOENT)
		return posix_fail(err, errno, "could not unlink file");
	return true;
}

/* An empty directory is a leftover too; a writer that needs it makes it. */
static bool
sweep_entry(SweepCall *call, int fd, const char *dir, const char *name,
			Error *err)
{
	struct stat sb;
	char *path;
	bool done;

	if (fstatat(fd, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ||
			   posix_fail(err, errno, "could not examine file");
	if (posix_is_temp_name(name))
		return sweep_leftover(call, fd, name, &sb, err);
	if (!S_ISDIR(sb.st_mode))
		return true;
	path = path_below(dir, name);
	done = sweep_dir(call, path, err);
	if (done)
		(void) unlinkat(fd, name, AT_REMOVEDIR);
	free(path);
	return done;
}

static bool
sweep_dir(SweepCall *call, const char *dir, Error *err)
{
	Names names = {0};
	int fd;
	bool done;

	if (!posix_open_dir(call->ps, dir, &fd, err))
		return false;
	if (fd < 0)
		return true;
	done = read_names(fd, &names, err);
	for (size_t i = 0; done && i < names.count; i++)
		done = sweep_entry(call, fd, dir, names.item[i], err);
	names_free(&names);
	close(fd);
	return done;
}

bool
posix_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
			Error *err)
{
	SweepCall call = {.ps = (PosixStorage *) st,
					  .before = clock_now() - older_than_usecs,
					  .removed = removed};

	return sweep_dir(&call, "", err) && posix_check_root(call.ps, err);
}
