/*-------------------------------------------------------------------------
 *
 * datadir.c
 *	  Walks a data directory as a base backup sees it: tablespaces included,
 *	  and what PostgreSQL leaves out left out.
 *
 * A live directory changes meanwhile.  That a file or directory has gone by
 * the time it is looked at is normal: recovery from the backup's start will
 * see why.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "pg/datadir_names.h"

/* DROP TABLESPACE removes the directory a moment before the link. */
#define TABLESPACE_TRIES 20
#define TABLESPACE_PAUSE (100 * USECS_PER_SEC / 1000)

/* Deeper than any server makes; a link may lead into its own parent. */
#define DEPTH_MAX 32

typedef struct Walk
{
	const char *pgdata;
	int major;
	uint32_t catalog_version;
	DataDir *out;
	size_t tablespace_cap;
} Walk;

/* One directory while it is read. */
typedef struct Level
{
	const char *path; /* relative; "" for the data directory */
	int depth;
	bool relations; /* of one database, or global */
	bool servers;   /* the server needs what is in it */
	DIR *dir;
	char **names;
	size_t count;
	size_t cap;
	uint32_t *unlogged; /* relations with an _init fork; sorted */
	size_t unlogged_count;
	size_t unlogged_cap;
} Level;

static bool walk_dir(Walk *walk, const char *path, int depth, Error *err);

static char *
full_path(const Walk *walk, const char *path)
{
	return *path != '\0' ? file_join(walk->pgdata, path)
						 : mem_strdup(walk->pgdata);
}

/* Takes over path. */
static void
add_entry(Walk *walk, char *path, const struct stat *st)
{
	DataDir *out = walk->out;
	DataFile *file;

	out->files = mem_grow(out->files, out->count, &out->cap,
						  sizeof(*out->files));
	file = &out->files[out->count++];
	*file = (DataFile){.path = path,
					   .mode = st->st_mode & 07777,
					   .is_dir = S_ISDIR(st->st_mode)};
	file->mtime = (int64_t) st->st_mtim.tv_sec * USECS_PER_SEC +
				  st->st_mtim.tv_nsec / 1000;
	if (!file->is_dir)
	{
		file->size = (uint64_t) st->st_size;
		out->total_bytes += file->size;
	}
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

/* All names of the directory, before any is looked at. */
static bool
read_names(Level *level, const char *full, Error *err)
{
	struct dirent *entry;

	while (errno = 0, (entry = readdir(level->dir)) != NULL)
	{
		RelationName relation;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		level->names = mem_grow(level->names, level->count, &level->cap,
								sizeof(*level->names));
		level->names[level->count++] = mem_strdup(entry->d_name);
		if (!level->relations ||
			!relation_name_parse(entry->d_name, &relation) ||
			relation.fork != FORK_INIT)
			continue;
		level->unlogged = mem_grow(level->unlogged, level->unlogged_count,
								   &level->unlogged_cap,
								   sizeof(*level->unlogged));
		level->unlogged[level->unlogged_count++] = relation.number;
	}
	if (errno != 0)
		return error_set_errno(err, errno, "could not read directory \"%s\"",
							   full);
	if (level->unlogged_count > 0)
		qsort(level->unlogged, level->unlogged_count, sizeof(*level->unlogged),
			  compare_u32);
	return true;
}

/* Relations that do not survive recovery are not carried along. */
static bool
relation_is_left_out(const Level *level, const char *name)
{
	RelationName relation;

	if (!level->relations || !relation_name_parse(name, &relation))
		return false;
	if (relation.is_temporary)
		return true;
	return relation.fork != FORK_INIT && level->unlogged_count > 0 &&
		   bsearch(&relation.number, level->unlogged, level->unlogged_count,
				   sizeof(*level->unlogged), compare_u32) != NULL;
}

/*
 * What a link leads to, in st; *follow: take it as if it were here.  A link to
 * a directory that is not the server's own (log, say) is taken as an empty
 * one: nobody asked to back up another file system.
 */
static bool
resolve_link(const Level *level, const char *path, const char *name,
			 struct stat *st, bool *follow)
{
	bool is_own = level->servers ||
				  (level->depth == 0 && datadir_is_servers(name));

	if (fstatat(dirfd(level->dir), name, st, 0) != 0)
	{
		log_warning("symbolic link \"%s\" leads nowhere and is left out", path);
		return false;
	}
	*follow = S_ISREG(st->st_mode) || is_own;
	if (level->depth == 0 && strcmp(name, "pg_wal") == 0)
		return true;
	if (*follow)
		log_warning("symbolic link \"%s\" is backed up as what it leads to",
					path);
	else
		log_warning("symbolic link \"%s\" is backed up as an empty directory",
					path);
	return true;
}

/*
 * Adds the entry, and what is in it.  Takes over path.
 */
static bool
visit(Walk *walk, const Level *level, const char *name, char *path, Error *err)
{
	struct stat st;
	bool follow = true;
	char *copy;
	bool done = true;

	if (fstatat(dirfd(level->dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		if (errno != ENOENT)
			done = error_set_errno(err, errno, "could not stat \"%s/%s\"",
								   walk->pgdata, path);
		free(path);
		return done;
	}
	if (S_ISLNK(st.st_mode) && !resolve_link(level, path, name, &st, &follow))
	{
		free(path);
		return true;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
	{
		log_warning("special file \"%s\" is left out", path);
		free(path);
		return true;
	}
	copy = mem_strdup(path);
	add_entry(walk, path, &st);
	if (S_ISDIR(st.st_mode) && follow &&
		!(level->depth == 0 && datadir_is_emptied(name)))
		done = walk_dir(walk, copy, level->depth + 1, err);
	free(copy);
	return done;
}

static bool
visit_all(Walk *walk, const Level *level, Error *err)
{
	for (size_t i = 0; i < level->count; i++)
	{
		const char *name = level->names[i];

		if (datadir_is_left_out(name, level->depth) ||
			relation_is_left_out(level, name))
			continue;
		if (strcmp(level->path, "global") == 0 &&
			strcmp(name, "pg_control") == 0)
			continue;
		if (!visit(walk, level, name,
				   *level->path != '\0' ? file_join(level->path, name)
										: mem_strdup(name),
				   err))
			return false;
	}
	return true;
}

static void
level_close(Level *level)
{
	for (size_t i = 0; i < level->count; i++)
		free(level->names[i]);
	free(level->names);
	free(level->unlogged);
	closedir(level->dir);
}

/* What is in the directory, not itself. */
static bool
walk_dir(Walk *walk, const char *path, int depth, Error *err)
{
	char *full = full_path(walk, path);
	Level level = {.path = path,
				   .depth = depth,
				   .relations = datadir_holds_relations(path),
				   .servers = depth > 0 && datadir_is_servers(path)};
	bool done = true;

	if (!thread_check_stop(err))
		done = false;
	else if (depth > DEPTH_MAX)
		done = error_set(err, ERR_UNSUPPORTED,
						 "directory \"%s\" is nested too deeply", full);
	else if ((level.dir = opendir(full)) == NULL)
	{
		if (errno != ENOENT || depth == 0)
			done = error_set_errno(err, errno,
								   "could not open directory \"%s\"", full);
	}
	else
	{
		done = read_names(&level, full, err) && visit_all(walk, &level, err);
		level_close(&level);
	}
	free(full);
	return done;
}

/* The directory that a server of this version has in a tablespace. */
static char *
version_dir(const Walk *walk, uint32_t oid)
{
	return mem_printf("pg_tblspc/%" PRIu32 "/PG_%d_%" PRIu32, oid, walk->major,
					  walk->catalog_version);
}

/*
 * Waits for the version's directory of a tablespace, and adds it.  If it is
 * not there and the link stays, the tablespace's file system is not mounted,
 * perhaps: a backup without it must not pass for one.
 */
static bool
add_version_dir(Walk *walk, const char *link, const char *path, bool *found,
				Error *err)
{
	char *full = full_path(walk, path);
	struct stat st;
	struct stat link_st;
	bool done = true;

	*found = false;
	for (int i = 0; done && !*found; i++)
	{
		if (stat(full, &st) == 0)
			*found = true;
		else if (errno != ENOENT)
			done = error_set_errno(err, errno, "could not stat \"%s\"", full);
		else if (lstat(link, &link_st) != 0)
			break;
		else if (i + 1 >= TABLESPACE_TRIES)
		{
			done = error_set(err, ERR_INCOMPLETE,
							 "directory \"%s\" of a tablespace is missing",
							 full);
			error_hint(err, "Is the file system of the tablespace mounted?");
		}
		else
			clock_sleep(TABLESPACE_PAUSE);
		done = done && thread_check_stop(err);
	}
	if (*found)
		add_entry(walk, mem_strdup(path), &st);
	free(full);
	return done;
}

/* Where the link points; NULL if it has gone. */
static char *
read_location(const Walk *walk, const char *link, Error *err)
{
	char target[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target));
	char *base;
	char *joined;
	char *location;

	if (len < 0 || (size_t) len >= sizeof(target))
	{
		if (len >= 0 || errno != ENOENT)
			error_set_errno(err, len < 0 ? errno : ENAMETOOLONG,
							"could not read symbolic link \"%s\"", link);
		return NULL;
	}
	target[len] = '\0';
	if (target[0] == '/')
		return file_absolute(target);
	base = file_join(walk->pgdata, "pg_tblspc");
	joined = file_join(base, target);
	location = file_absolute(joined);
	free(base);
	free(joined);
	return location;
}

static void
add_tablespace(Walk *walk, uint32_t oid, char *location)
{
	DataDir *out = walk->out;

	out->tablespaces = mem_grow(out->tablespaces, out->tablespace_count,
								&walk->tablespace_cap,
								sizeof(*out->tablespaces));
	out->tablespaces[out->tablespace_count++] = (DataTablespace){
		.oid = oid, .location = location};
}

/* One entry of pg_tblspc; st is that of the link or directory itself. */
static bool
walk_tablespace(Walk *walk, uint32_t oid, const char *link,
				const struct stat *st, Error *err)
{
	char *location = NULL;
	char *path;
	bool found;
	bool done;

	if (S_ISLNK(st->st_mode))
	{
		location = read_location(walk, link, err);
		if (location == NULL)
			return !error_is_set(err);
	}
	path = version_dir(walk, oid);
	done = add_version_dir(walk, link, path, &found, err);
	if (done && found)
	{
		if (S_ISDIR(st->st_mode))
			add_entry(walk, mem_printf("pg_tblspc/%" PRIu32, oid), st);
		add_tablespace(walk, oid, location);
		location = NULL;
		done = walk_dir(walk, path, 3, err);
	}
	free(location);
	free(path);
	return done;
}

static bool
visit_tablespace(Walk *walk, const Level *level, const char *name,
				 const char *full, Error *err)
{
	struct stat st;
	uint32_t oid;
	char *link;
	bool done = true;

	if (!datadir_parse_oid(name, &oid))
	{
		log_warning("file \"pg_tblspc/%s\" is no tablespace and is left out",
					name);
		return true;
	}
	link = file_join(full, name);
	if (fstatat(dirfd(level->dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		done = walk_tablespace(walk, oid, link, &st, err);
	else if (errno != ENOENT)
		done = error_set_errno(err, errno, "could not stat \"%s\"", link);
	free(link);
	return done;
}

static bool
walk_tablespaces(Walk *walk, Error *err)
{
	char *full = full_path(walk, "pg_tblspc");
	Level level = {.path = "pg_tblspc", .dir = opendir(full)};
	bool done;

	if (level.dir == NULL)
		done = error_set_errno(err, errno, "could not open directory \"%s\"",
							   full);
	else
	{
		done = read_names(&level, full, err);
		for (size_t i = 0; done && i < level.count; i++)
			done = visit_tablespace(walk, &level, level.names[i], full, err);
		level_close(&level);
	}
	free(full);
	return done;
}

/* What a server needs to find in an empty pg_wal, with pg_wal's mode. */
static bool
add_wal_dirs(Walk *walk, Error *err)
{
	char *full = full_path(walk, "pg_wal");
	struct stat st;
	bool done = stat(full, &st) == 0;

	if (!done)
		error_set_errno(err, errno, "could not stat directory \"%s\"", full);
	else
	{
		add_entry(walk, mem_strdup("pg_wal/archive_status"), &st);
		if (walk->major >= 17)
			add_entry(walk, mem_strdup("pg_wal/summaries"), &st);
	}
	free(full);
	return done;
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const DataFile *) a)->path, ((const DataFile *) b)->path);
}

static int
compare_tablespaces(const void *a, const void *b)
{
	return compare_u32(&((const DataTablespace *) a)->oid,
					   &((const DataTablespace *) b)->oid);
}

bool
datadir_scan(const char *pgdata, int major, uint32_t catalog_version,
			 DataDir *out, Error *err)
{
	Walk walk = {.pgdata = pgdata,
				 .major = major,
				 .catalog_version = catalog_version,
				 .out = out};

	*out = (DataDir){0};
	if (!walk_dir(&walk, "", 0, err) || !walk_tablespaces(&walk, err) ||
		!add_wal_dirs(&walk, err))
	{
		datadir_free(out);
		return false;
	}
	qsort(out->files, out->count, sizeof(*out->files), compare_files);
	if (out->tablespace_count > 1)
		qsort(out->tablespaces, out->tablespace_count,
			  sizeof(*out->tablespaces), compare_tablespaces);
	return true;
}

void
datadir_free(DataDir *dir)
{
	for (size_t i = 0; i < dir->count; i++)
		free(dir->files[i].path);
	for (size_t i = 0; i < dir->tablespace_count; i++)
		free(dir->tablespaces[i].location);
	free(dir->files);
	free(dir->tablespaces);
	*dir = (DataDir){0};
}
