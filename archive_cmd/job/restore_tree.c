/*-------------------------------------------------------------------------
 *
 * restore_tree.c
 *	  Files below a directory, reached without following a symbolic link:
 *	  paths out of a manifest never lead out of the directory.
 *
 * Every component is opened by itself with O_NOFOLLOW, relative to the one
 * before.  A link that somebody puts into the way makes that fail.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Deeper trees are none of PostgreSQL's, and would use up descriptors. */
#define DEPTH_MAX 64

bool
tree_path_ok(const char *path)
{
	const char *p = path;

	if (strlen(path) >= PATH_MAX)
		return false;
	for (;;)
	{
		size_t len = strcspn(p, "/");

		if (len == 0 || len > NAME_MAX || (len == 1 && p[0] == '.') ||
			(len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

/* ---- going down ---- */

static void
cache_reset(TreeCache *cache)
{
	if (cache->fd >= 0)
		close(cache->fd);
	free(cache->path);
	cache->fd = -1;
	cache->path = NULL;
}

void
tree_cache_free(TreeCache *cache)
{
	cache_reset(cache);
	cache->root = -1;
}

/* Opens dir (len bytes of path) below root, one component after the other. */
static int
open_below(int root, const char *path, size_t len)
{
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	size_t at = 0;

	while (fd >= 0 && at < len)
	{
		char name[NAME_MAX + 1];
		size_t n = strcspn(path + at, "/");
		int next;
		int why;

		if (n >= sizeof(name))
		{
			close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path + at, n);
		name[n] = '\0';
		next = openat(fd, name, DIR_FLAGS);
		why = errno;
		close(fd);
		errno = why;
		fd = next;
		at += n + 1;
	}
	return fd;
}

bool
tree_parent(int root, const char *where, const char *path, TreeCache *cache,
			int *fd, const char **leaf, Error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t) (slash - path) : 0;

	if (!tree_path_ok(path))
		return error_set(err, ERR_DAMAGED,
						 "\"%s\" is no path in a data directory", path);
	*leaf = slash != NULL ? slash + 1 : path;
	if (cache->path == NULL || cache->root != root ||
		strlen(cache->path) != len || strncmp(cache->path, path, len) != 0)
	{
		cache_reset(cache);
		cache->fd = open_below(root, path, len);
		if (cache->fd < 0)
			return error_set_errno(err, errno,
								   "could not open directory \"%s/%.*s\"",
								   where, (int) len, path);
		cache->root = root;
		cache->path = mem_strndup(path, len);
	}
	*fd = cache->fd;
	return true;
}

bool
tree_mkdir(int root, const char *where, const char *path, mode_t mode,
		   TreeCache *cache, Error *err)
{
	const char *leaf;
	int parent;
	int fd;
	bool done;

	if (!tree_parent(root, where, path, cache, &parent, &leaf, err))
		return false;
	if (mkdirat(parent, leaf, mode) != 0 && errno != EEXIST)
		return error_set_errno(
			err, errno, "could not create directory \"%s/%s\"", where, path);
	fd = openat(parent, leaf, DIR_FLAGS);
	if (fd < 0)
		return error_set_errno(err, errno, "could not open directory \"%s/%s\"",
							   where, path);
	/* the umask, or whoever made it, may have meant another one */
	done = fchmod(fd, mode) == 0 ||
		   error_set_errno(err, errno,
						   "could not set permissions of directory \"%s/%s\"",
						   where, path);
	close(fd);
	return done;
}

/* ---- over all entries ---- */

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A stream of its own position; fd stays open. */
static DIR *
open_stream(int fd, const char *where, Error *err)
{
	int again = openat(fd, ".", DIR_FLAGS);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;

	if (dir == NULL)
	{
		error_set_errno(err, errno, "could not open directory \"%s\"", where);
		if (again >= 0)
			close(again);
	}
	return dir;
}

static bool
next_entry(DIR *dir, const char *where, struct dirent **entry, Error *err)
{
	do
	{
		errno = 0;
		*entry = readdir(dir);
	} while (*entry != NULL && is_dots((*entry)->d_name));
	if (*entry == NULL && errno != 0)
		return error_set_errno(err, errno, "could not read directory \"%s\"",
							   where);
	return true;
}

bool
tree_is_empty(int fd, const char *where, const char *except, bool *empty,
			  Error *err)
{
	DIR *dir = open_stream(fd, where, err);
	struct dirent *entry = NULL;
	bool done = dir != NULL;

	*empty = true;
	while (done && *empty)
	{
		done = next_entry(dir, where, &entry, err);
		if (entry == NULL)
			break;
		*empty = strncmp(entry->d_name, FILE_TMP_PREFIX,
						 strlen(FILE_TMP_PREFIX)) == 0 ||
				 (except != NULL && strcmp(entry->d_name, except) == 0);
	}
	if (dir != NULL)
		closedir(dir);
	return done;
}

static bool empty_dir(int fd, const char *where, const char *keep, int depth,
					  Error *err);

static bool
remove_dir(int parent, const char *name, const char *where, int depth,
		   Error *err)
{
	int fd = openat(parent, name, DIR_FLAGS);
	bool done;

	if (fd < 0)
		return error_set_errno(err, errno, "could not open directory \"%s\"",
							   where);
	done = empty_dir(fd, where, NULL, depth + 1, err);
	close(fd);
	if (!done)
		return false;
	/* a mount point cannot go, and may well be meant to be used again */
	if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != EBUSY)
		return error_set_errno(err, errno, "could not remove directory \"%s\"",
							   where);
	return true;
}

/* What a link or file is called decides nothing: unlink tells which it is. */
static bool
remove_entry(int parent, const char *name, const char *where, int depth,
			 Error *err)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ||
			   error_set_errno(err, errno, "could not stat file \"%s\"", where);
	if (S_ISDIR(st.st_mode))
		return remove_dir(parent, name, where, depth, err);
	if (unlinkat(parent, name, 0) != 0 && errno != ENOENT)
		return error_set_errno(err, errno, "could not remove file \"%s\"",
							   where);
	return true;
}

static bool
empty_dir(int fd, const char *where, const char *keep, int depth, Error *err)
{
	DIR *dir;
	struct dirent *entry = NULL;
	bool done;

	if (depth > DEPTH_MAX)
		return error_set(err, ERR_IO, "directory \"%s\" is nested too deeply",
						 where);
	dir = open_stream(fd, where, err);
	done = dir != NULL;
	while (done)
	{
		char *path;

		done = thread_check_stop(err) && next_entry(dir, where, &entry, err);
		if (!done || entry == NULL)
			break;
		if (keep != NULL && strcmp(entry->d_name, keep) == 0)
			continue;
		path = mem_printf("%s/%s", where, entry->d_name);
		done = remove_entry(fd, entry->d_name, path, depth, err);
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
	return done;
}

bool
tree_empty(int fd, const char *where, const char *keep, Error *err)
{
	return empty_dir(fd, where, keep, 0, err);
}

/* ---- removing some ---- */

static bool prune_dir(const TreePrune *p, int fd, const char *path, int depth,
					  Error *err);

/* The last component of a path is its name in the parent. */
static const char *
leaf_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool
prune_below(const TreePrune *p, int parent, const char *path, int depth,
			Error *err)
{
	int fd = openat(parent, leaf_of(path), DIR_FLAGS);
	bool done;

	if (fd < 0)
		return error_set_errno(err, errno, "could not open directory \"%s/%s\"",
							   p->where, path);
	done = prune_dir(p, fd, path, depth + 1, err);
	close(fd);
	return done;
}

static bool
prune_entry(const TreePrune *p, int parent, const char *path, int depth,
			Error *err)
{
	const char *name = leaf_of(path);
	char *whole;
	struct stat st;
	bool done = true;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ||
			   error_set_errno(err, errno, "could not stat file \"%s/%s\"",
							   p->where, path);
	switch (p->judge(p->arg, path, &st))
	{
		case TREE_KEEP:
			break;
		case TREE_DESCEND:
			done = prune_below(p, parent, path, depth, err);
			break;
		case TREE_REMOVE:
			whole = mem_printf("%s/%s", p->where, path);
			done = remove_entry(parent, name, whole, depth, err);
			free(whole);
			break;
	}
	return done;
}

static bool
prune_dir(const TreePrune *p, int fd, const char *path, int depth, Error *err)
{
	DIR *dir;
	struct dirent *entry = NULL;
	bool done;

	if (depth > DEPTH_MAX)
		return error_set(err, ERR_IO,
						 "directory \"%s/%s\" is nested too deeply", p->where,
						 path);
	dir = open_stream(fd, p->where, err);
	done = dir != NULL;
	while (done)
	{
		char *item;

		done = thread_check_stop(err) && next_entry(dir, p->where, &entry, err);
		if (!done || entry == NULL)
			break;
		item = *path != '\0' ? mem_printf("%s/%s", path, entry->d_name)
							 : mem_strdup(entry->d_name);
		done = prune_entry(p, fd, item, depth, err);
		free(item);
	}
	if (dir != NULL)
		closedir(dir);
	return done;
}

bool
tree_prune(const TreePrune *prune, int fd, const char *name, Error *err)
{
	return prune_dir(prune, fd, name, 0, err);
}

/* ---- durability ---- */

static bool fsync_dir(int fd, const char *where, int depth, Error *err);

static bool
fsync_entry(int parent, const char *name, const char *where, int depth,
			Error *err)
{
	int fd = openat(parent, name,
					O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool done;

	/* a link is durable with its directory */
	if (fd < 0)
		return errno == ELOOP ||
			   error_set_errno(err, errno, "could not open file \"%s\"", where);
	if (fstat(fd, &st) != 0)
		done = error_set_errno(err, errno, "could not stat file \"%s\"", where);
	else if (S_ISDIR(st.st_mode))
		done = fsync_dir(fd, where, depth + 1, err);
	else
		done = fsync(fd) == 0 ||
			   error_set_errno(err, errno, "could not fsync file \"%s\"",
							   where);
	close(fd);
	return done;
}

static bool
fsync_dir(int fd, const char *where, int depth, Error *err)
{
	DIR *dir;
	struct dirent *entry = NULL;
	bool done;

	if (depth > DEPTH_MAX)
		return error_set(err, ERR_IO, "directory \"%s\" is nested too deeply",
						 where);
	dir = open_stream(fd, where, err);
	done = dir != NULL;
	while (done)
	{
		char *path;

		done = thread_check_stop(err) && next_entry(dir, where, &entry, err);
		if (!done || entry == NULL)
			break;
		path = mem_printf("%s/%s", where, entry->d_name);
		done = fsync_entry(fd, entry->d_name, path, depth, err);
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
	/* as file_fsync_dir() */
	if (done && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
		return error_set_errno(err, errno, "could not fsync directory \"%s\"",
							   where);
	return done;
}

bool
tree_fsync(int fd, const char *where, Error *err)
{
	return fsync_dir(fd, where, 0, err);
}

/* Before Linux 5.8, syncfs() said nothing of pages that could not be written. */
static bool
syncfs_tells(void)
{
	struct utsname name;
	char *end;
	long major;
	long minor;

	if (uname(&name) != 0)
		return false;
	major = strtol(name.release, &end, 10);
	minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 8);
}

bool
tree_sync(int fd, const char *where, Error *err)
{
	if (!syncfs_tells())
		return tree_fsync(fd, where, err);
	if (syncfs(fd) == 0)
		return true;
	if (errno == ENOSYS || errno == EINVAL)
		return tree_fsync(fd, where, err);
	return error_set_errno(err, errno,
						   "could not sync the file system of \"%s\"", where);
}
