/*-------------------------------------------------------------------------
 *
 * restore_places.c
 *	  The directories that a restore writes to: where they are.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_places.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- names ---- */

/* Links resolved in as much of the path as exists; caller frees. */
static char *
resolve(const char *path)
{
	char *head = file_absolute(path);
	size_t len = strlen(head);

	for (;;)
	{
		char *prefix = mem_strndup(head, len > 0 ? len : 1);
		char *real = realpath(prefix, NULL);

		free(prefix);
		if (real != NULL)
		{
			char *whole;

			whole = head[len] == '\0'
						? mem_strdup(real)
						: mem_printf("%s%s", strcmp(real, "/") == 0 ? "" : real,
									 head + len);
			free(real);
			free(head);
			return whole;
		}
		if (len == 0)
			return head;
		while (len > 0 && head[len - 1] != '/')
			len--;
		len -= len > 0;
	}
}

/* Is inner the directory outer, or below it? */
static bool
contains(const char *outer, const char *inner)
{
	size_t len = strlen(outer);

	if (strcmp(outer, "/") == 0)
		return true;
	return strncmp(outer, inner, len) == 0 &&
		   (inner[len] == '\0' || inner[len] == '/');
}

static RestorePlace *
add_place(RestorePlaces *places, PlaceKind kind, char *prefix, const char *path)
{
	RestorePlace *place = &places->items[places->count++];

	place->kind = kind;
	place->prefix = prefix;
	place->path = file_absolute(path);
	place->real = resolve(path);
	place->fd = -1;
	return place;
}

/* ---- tablespaces ---- */

static bool
map_is_for(const TablespaceMap *map, const ManifestTablespace *t)
{
	char oid[16];
	char *from;
	bool same;

	snprintf(oid, sizeof(oid), "%" PRIu32, t->oid);
	if (strcmp(map->from, oid) == 0)
		return true;
	if (map->from[0] != '/')
		return false;
	from = file_absolute(map->from);
	same = strcmp(from, t->location) == 0 ||
		   strcmp(map->from, t->location) == 0;
	free(from);
	return same;
}

static bool
check_maps(const RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;

	for (size_t i = 0; i < places->options->map_count; i++)
	{
		const TablespaceMap *map = &places->options->maps[i];
		bool used = false;

		if (map->to[0] != '/')
			return error_set(err, ERR_USAGE,
							 "new location \"%s\" of a tablespace is not an "
							 "absolute path",
							 map->to);
		for (size_t j = 0; !used && j < m->tablespace_count; j++)
			used = m->tablespaces[j].location != NULL &&
				   map_is_for(map, &m->tablespaces[j]);
		if (!used)
			return error_set(err, ERR_USAGE,
							 "backup has no tablespace \"%s\" that could be "
							 "mapped",
							 map->from);
	}
	return true;
}

/* Caller frees. */
static char *
location_of(const RestorePlaces *places, const ManifestTablespace *t)
{
	const RestoreOptions *o = places->options;

	/* the last one counts, as with options */
	for (size_t i = o->map_count; i > 0; i--)
	{
		if (map_is_for(&o->maps[i - 1], t))
			return mem_strdup(o->maps[i - 1].to);
	}
	return o->tablespace_dir != NULL
			   ? mem_printf("%s/%" PRIu32, o->tablespace_dir, t->oid)
			   : mem_strdup(t->location);
}

static bool
add_tablespaces(RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;
	const char *all = places->options->tablespace_dir;

	if (all != NULL && all[0] != '/')
		return error_set(err, ERR_USAGE,
						 "directory \"%s\" for tablespaces is not an absolute "
						 "path",
						 all);
	for (size_t i = 0; i < m->tablespace_count; i++)
	{
		const ManifestTablespace *t = &m->tablespaces[i];
		char *path;

		/* one that is in place is a directory like any other */
		if (t->location == NULL)
			continue;
		if (t->location[0] != '/')
			return error_set(err, ERR_DAMAGED,
							 "location \"%s\" of tablespace %" PRIu32
							 " is not an absolute path",
							 t->location, t->oid);
		path = location_of(places, t);
		add_place(places, PLACE_TABLESPACE,
				  mem_printf("pg_tblspc/%" PRIu32, t->oid), path)
			->oid = t->oid;
		free(path);
	}
	return true;
}

/* ---- links ---- */

static bool
has_dir(const Manifest *m, const char *path)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (strcmp(m->dirs[i].path, path) == 0)
			return true;
	}
	return false;
}

/*
 * Directories of tablespaces are links by nature; what those of relations are
 * made of is for the server alone to know.
 */
static bool
check_link(const RestorePlaces *places, const LinkMap *link, Error *err)
{
	const Manifest *m = places->manifest;

	if (link->to[0] != '/')
		return error_set(err, ERR_USAGE,
						 "directory \"%s\" for \"%s\" is not an absolute path",
						 link->to, link->from);
	if (strcmp(link->from, "pg_tblspc") == 0 ||
		strcmp(link->from, "global") == 0 || strcmp(link->from, "base") == 0 ||
		strchr(link->from, '/') != NULL || !has_dir(m, link->from))
	{
		error_set(err, ERR_USAGE, "cannot make a link of \"%s\"", link->from);
		return error_hint(err, "It must be a directory right below the data "
							   "directory, such as pg_wal, but base, global "
							   "and pg_tblspc.");
	}
	for (size_t i = 1; i < places->count; i++)
	{
		if (strcmp(places->items[i].prefix, link->from) == 0)
			return error_set(err, ERR_USAGE, "\"%s\" is mapped twice",
							 link->from);
	}
	return true;
}

static bool
add_links(RestorePlaces *places, Error *err)
{
	for (size_t i = 0; i < places->options->link_count; i++)
	{
		const LinkMap *link = &places->options->links[i];

		if (!check_link(places, link, err))
			return false;
		add_place(places, PLACE_LINK, mem_strdup(link->from), link->to);
	}
	return true;
}

/* ---- do they fit together? ---- */

static bool
check_repository(const StorageOptions *storage, const RestorePlace *place,
				 Error *err)
{
	const char *path = storage->path;
	char *real;
	bool apart;

	if (strcmp(storage->type, "posix") != 0)
		return true;
	real = resolve(path);
	apart = !contains(place->real, real) && !contains(real, place->real);
	free(real);
	return apart || error_set(err, ERR_USAGE,
							  "directory \"%s\" and the repository \"%s\" "
							  "contain one another",
							  place->path, path);
}

static bool
check_repositories(const RestorePlaces *places, const RestorePlace *place,
				   Error *err)
{
	for (size_t i = 0; i < places->set->count; i++)
	{
		if (!check_repository(&places->set->members[i].options.storage, place,
							  err))
			return false;
	}
	return true;
}

static bool
clash(const char *what, const RestorePlace *a, const RestorePlace *b,
	  Error *err)
{
	error_set(err, ERR_USAGE, "directories \"%s\" and \"%s\" %s", a->path,
			  b->path, what);
	return error_hint(err, "Choose another one with %s.",
					  a->kind == PLACE_LINK ? "--link-map"
											: "--tablespace-map");
}

/* What is ours of it; caller frees. */
static char *
own_part(const RestorePlaces *places, const RestorePlace *place)
{
	return place->kind == PLACE_TABLESPACE
			   ? file_join(place->real, places->version_dir)
			   : mem_strdup(place->real);
}

static bool
check_apart(const RestorePlaces *places, size_t i, Error *err)
{
	const RestorePlace *data = &places->items[0];
	const RestorePlace *place = &places->items[i];
	char *own = own_part(places, place);
	bool done = true;

	if (contains(data->real, place->real) || contains(own, data->real))
		done = clash("contain one another", place, data, err);
	for (size_t j = 1; done && j < i; j++)
	{
		char *other = own_part(places, &places->items[j]);

		if (strcmp(places->items[j].real, place->real) == 0)
			done = clash("are the same", place, &places->items[j], err);
		else if (contains(own, other) || contains(other, own))
			done = clash("contain one another", place, &places->items[j], err);
		free(other);
	}
	free(own);
	return done;
}

static bool
check_all(const RestorePlaces *places, Error *err)
{
	if (strcmp(places->items[0].real, "/") == 0)
		return error_set(err, ERR_USAGE, "cannot restore into \"/\"");
	for (size_t i = 0; i < places->count; i++)
	{
		if (!check_repositories(places, &places->items[i], err) ||
			(i > 0 && !check_apart(places, i, err)))
			return false;
	}
	for (size_t i = 0; i < places->options->protect_count; i++)
	{
		const char *file = places->options->protect[i];
		char *real = resolve(file);
		bool inside = contains(places->items[0].real, real);

		free(real);
		if (inside)
			return error_set(err, ERR_USAGE,
							 "\"%s\" lies in the directory \"%s\" that is to "
							 "be replaced",
							 file, places->items[0].path);
	}
	return true;
}

bool
restore_places_resolve(const RepoSet *set, const RestoreOptions *options,
					   const Manifest *manifest, RestorePlaces *out, Error *err)
{
	memset(out, 0, sizeof(*out));
	out->set = set;
	out->options = options;
	out->manifest = manifest;
	out->items = mem_zalloc(
		(manifest->tablespace_count + options->link_count + 1) *
		sizeof(*out->items));
	out->version_dir = mem_printf("PG_%d_%" PRIu32, manifest->info.major,
								  manifest->info.catalog_version);
	if (options->target_dir[0] != '/')
		return error_set(err, ERR_USAGE,
						 "target directory \"%s\" is not an absolute path",
						 options->target_dir);
	add_place(out, PLACE_DATA, mem_strdup(""), options->target_dir);
	return check_maps(out, err) && add_tablespaces(out, err) &&
		   add_links(out, err) && check_all(out, err);
}

void
restore_places_free(RestorePlaces *places)
{
	for (size_t i = 0; i < places->count; i++)
	{
		if (places->items[i].fd >= 0)
			close(places->items[i].fd);
		free(places->items[i].prefix);
		free(places->items[i].path);
		free(places->items[i].real);
	}
	free(places->items);
	free(places->version_dir);
	memset(places, 0, sizeof(*places));
}

const RestorePlace *
restore_places_find(const RestorePlaces *places, const char *path,
					const char **rest)
{
	*rest = path;
	for (size_t i = 1; i < places->count; i++)
	{
		const RestorePlace *place = &places->items[i];
		size_t len = strlen(place->prefix);

		if (strncmp(path, place->prefix, len) != 0 ||
			(path[len] != '/' && path[len] != '\0'))
			continue;
		*rest = path[len] == '/' ? path + len + 1 : path + len;
		return place;
	}
	return &places->items[0];
}

bool
restore_places_sync(const RestorePlaces *places, Error *err)
{
	for (size_t i = 0; i < places->count; i++)
	{
		struct stat st;
		bool again = false;

		if (fstat(places->items[i].fd, &st) != 0)
			return error_set_errno(err, errno,
								   "could not stat directory \"%s\"",
								   places->items[i].path);
		for (size_t j = 0; j < i && !again; j++)
		{
			struct stat other;

			again = fstat(places->items[j].fd, &other) == 0 &&
					other.st_dev == st.st_dev;
		}
		if (!again &&
			!tree_sync(places->items[i].fd, places->items[i].path, err))
			return false;
	}
	return true;
}
