/*-------------------------------------------------------------------------
 *
 * files_scan.c
 *	  Lists what lies at and below some paths, for a backup of files.
 *
 *-------------------------------------------------------------------------
 */
#include "job/files_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Each level holds a descriptor. */
#define DEPTH_MAX 128

typedef struct Walk
{
	const FilesSpec *spec;
	FilesScan *out;
} Walk;

/* ---- one entry ---- */

static FilesEntry *
add_entry(FilesScan *out, FilesKind kind, const char *path,
		  const struct stat *st)
{
	FilesEntry *e;

	out->entries = mem_grow(out->entries, out->count, &out->cap,
							sizeof(FilesEntry));
	e = &out->entries[out->count++];
	*e = (FilesEntry){.kind = kind,
					  .path = mem_strdup(path + 1),
					  .mtime = (int64_t) st->st_mtim.tv_sec * USECS_PER_SEC +
							   st->st_mtim.tv_nsec / 1000,
					  .mode = (uint32_t) st->st_mode & 07777,
					  .uid = st->st_uid,
					  .gid = st->st_gid,
					  .dev = st->st_dev,
					  .ino = st->st_ino};
	return e;
}

static void
add_file(Walk *w, const char *path, const struct stat *st)
{
	FilesEntry *e = add_entry(w->out, FILES_FILE, path, st);

	e->size = (uint64_t) st->st_size;
	e->shared = st->st_nlink > 1;
}

/* One that is not there any more is none. */
static bool
add_link(Walk *w, int parent, const char *name, const char *path,
		 const struct stat *st, Error *err)
{
	char text[PATH_MAX];
	ssize_t len = readlinkat(parent, name, text, sizeof(text));
	FilesEntry *e;

	if (len < 0 && errno == ENOENT)
		return true;
	if (len < 0 || len == sizeof(text))
		return error_set_errno(err, len < 0 ? errno : ENAMETOOLONG,
							   "could not read symbolic link \"%s\"", path);
	e = add_entry(w->out, FILES_LINK, path, st);
	e->to = mem_strndup(text, (size_t) len);
	return true;
}

static const char *
special_name(mode_t mode)
{
	if (S_ISSOCK(mode))
		return "socket";
	if (S_ISFIFO(mode))
		return "FIFO";
	return "device";
}

/* ---- what is passed over ---- */

static bool
is_excluded(const FilesSpec *spec, const char *path, const char *name)
{
	for (size_t i = 0; i < spec->exclude_count; i++)
	{
		const char *pattern = spec->excludes[i];
		const char *text = strchr(pattern, '/') != NULL ? path : name;

		if (fnmatch(pattern, text, 0) == 0)
			return true;
	}
	return false;
}

static bool
is_avoided(const FilesSpec *spec, const char *path, const struct stat *st)
{
	for (size_t i = 0; i < spec->avoid_count; i++)
	{
		if (spec->avoid[i].dev != st->st_dev ||
			spec->avoid[i].ino != st->st_ino)
			continue;
		log_warning("\"%s\" is passed over, because it is a repository", path);
		return true;
	}
	return false;
}

/* ---- the walk ---- */

static bool walk_dir(Walk *w, int fd, const char *path, int depth, Error *err);

static bool
denied(const char *what, const char *path, Error *err)
{
	error_set_errno(err, errno, "could not %s \"%s\"", what, path);
	if (err->code == ERR_DENIED)
		error_hint(err, "Run pgdr as a user who may read all that is to be "
						"backed up, or exclude it.");
	return false;
}

static bool
enter_dir(Walk *w, int parent, const char *name, const char *path, int depth,
		  Error *err)
{
	int fd = openat(parent, name, DIR_FLAGS);
	struct stat st;
	bool done;

	if (fd < 0)
		return errno == ENOENT || denied("open directory", path, err);
	if (fstat(fd, &st) != 0)
		done = denied("stat directory", path, err);
	else if (is_avoided(w->spec, path, &st))
		done = true;
	else
	{
		add_entry(w->out, FILES_DIR, path, &st);
		done = walk_dir(w, fd, path, depth + 1, err);
	}
	close(fd);
	return done;
}

static bool
walk_entry(Walk *w, int parent, const char *name, const char *path, int depth,
		   Error *err)
{
	struct stat st;

	if (is_excluded(w->spec, path, strrchr(path, '/') + 1))
		return true;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || denied("stat file", path, err);
	if (S_ISDIR(st.st_mode))
		return enter_dir(w, parent, name, path, depth, err);
	if (S_ISLNK(st.st_mode))
		return add_link(w, parent, name, path, &st, err);
	if (S_ISREG(st.st_mode))
		add_file(w, path, &st);
	else
		log_warning("\"%s\" is a %s, and is passed over", path,
					special_name(st.st_mode));
	return true;
}

static DIR *
open_stream(int fd)
{
	int again = openat(fd, ".", DIR_FLAGS);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;

	if (dir == NULL && again >= 0)
		close(again);
	return dir;
}

static bool
walk_dir(Walk *w, int fd, const char *path, int depth, Error *err)
{
	DIR *dir;
	bool done = true;

	if (depth > DEPTH_MAX)
		return error_set(err, ERR_UNSUPPORTED,
						 "directory \"%s\" is nested too deeply", path);
	dir = open_stream(fd);
	if (dir == NULL)
		return denied("open directory", path, err);
	while (done)
	{
		struct dirent *entry;
		char *child;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL)
		{
			done = errno == 0 || denied("read directory", path, err);
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		child = mem_printf("%s/%s", strcmp(path, "/") == 0 ? "" : path,
						   entry->d_name);
		done = thread_check_stop(err) &&
			   walk_entry(w, fd, entry->d_name, child, depth, err);
		free(child);
	}
	closedir(dir);
	return done;
}

/* ---- from the root ---- */

static bool
has_entry(const FilesScan *scan, const char *path)
{
	for (size_t i = 0; i < scan->count; i++)
	{
		if (strcmp(scan->entries[i].path, path + 1) == 0)
			return true;
	}
	return false;
}

/* The directories above a path: as directories, though one be a link. */
static bool
add_parents(Walk *w, const char *path, Error *err)
{
	char *copy = mem_strdup(path);
	bool done = true;

	for (char *p = strchr(copy + 1, '/'); done && p != NULL;
		 p = strchr(p + 1, '/'))
	{
		struct stat st;

		*p = '\0';
		if (stat(copy, &st) != 0)
			done = denied("stat directory", copy, err);
		else if (!has_entry(w->out, copy))
			add_entry(w->out, FILES_DIR, copy, &st);
		*p = '/';
	}
	free(copy);
	return done;
}

static bool
walk_path(Walk *w, const char *path, Error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
	{
		denied("stat", path, err);
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_CONFIG;
		return false;
	}
	if (S_ISLNK(st.st_mode))
		log_warning("\"%s\" is a symbolic link, and what it leads to is not "
					"backed up",
					path);
	return add_parents(w, path, err) &&
		   walk_entry(w, AT_FDCWD, path, path, 0, err);
}

/* ---- the list ---- */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(((const FilesEntry *) a)->path,
				  ((const FilesEntry *) b)->path);
}

static int
compare_places(const void *a, const void *b)
{
	const FilesEntry *x = *(FilesEntry *const *) a;
	const FilesEntry *y = *(FilesEntry *const *) b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Of all names of one file the first in order is the file. */
static void
find_other_names(FilesScan *scan)
{
	FilesEntry **shared = mem_alloc((scan->count + 1) * sizeof(*shared));
	size_t count = 0;
	size_t first = 0;

	for (size_t i = 0; i < scan->count; i++)
	{
		if (scan->entries[i].kind == FILES_FILE && scan->entries[i].shared)
			shared[count++] = &scan->entries[i];
	}
	if (count > 1)
		qsort(shared, count, sizeof(*shared), compare_places);
	for (size_t i = 1; i < count; i++)
	{
		if (shared[i]->dev != shared[first]->dev ||
			shared[i]->ino != shared[first]->ino)
		{
			first = i;
			continue;
		}
		shared[i]->kind = FILES_HARD;
		shared[i]->to = mem_strdup(shared[first]->path);
	}
	free(shared);
}

static void
count_files(FilesScan *scan)
{
	for (size_t i = 0; i < scan->count; i++)
	{
		if (scan->entries[i].kind != FILES_FILE)
			continue;
		scan->file_count++;
		scan->total_bytes += scan->entries[i].size;
	}
}

bool
files_scan(const FilesSpec *spec, FilesScan *out, Error *err)
{
	Walk w = {.spec = spec, .out = out};

	*out = (FilesScan){0};
	for (size_t i = 0; i < spec->path_count; i++)
	{
		if (walk_path(&w, spec->paths[i], err))
			continue;
		files_scan_free(out);
		return false;
	}
	if (out->count > 1)
		qsort(out->entries, out->count, sizeof(FilesEntry), compare_paths);
	find_other_names(out);
	count_files(out);
	return true;
}

void
files_scan_free(FilesScan *scan)
{
	for (size_t i = 0; i < scan->count; i++)
	{
		free(scan->entries[i].path);
		free(scan->entries[i].to);
	}
	free(scan->entries);
	*scan = (FilesScan){0};
}
