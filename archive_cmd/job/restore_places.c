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
add_place(RestorePlaces *places, uint32_t oid, const char *path)
{
	RestorePlace *place = &places->items[places->count++];

	place->oid = oid;
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

static const char *
location_of(const RestorePlaces *places, const ManifestTablespace *t)
{
	/* the last one counts, as with options */
	for (size_t i = places->options->map_count; i > 0; i--)
	{
		if (map_is_for(&places->options->maps[i - 1], t))
			return places->options->maps[i - 1].to;
	}
	return t->location;
}

static bool
add_tablespaces(RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;

	for (size_t i = 0; i < m->tablespace_count; i++)
	{
		const ManifestTablespace *t = &m->tablespaces[i];

		/* one that is in place is a directory like any other */
		if (t->location == NULL)
			continue;
		if (t->location[0] != '/')
			return error_set(err, ERR_DAMAGED,
							 "location \"%s\" of tablespace %" PRIu32
							 " is not an absolute path",
							 t->location, t->oid);
		add_place(places, t->oid, location_of(places, t));
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
check_tablespace(const RestorePlaces *places, size_t i, Error *err)
{
	const RestorePlace *data = &places->items[0];
	const RestorePlace *place = &places->items[i];
	char *own = file_join(place->real, places->version_dir);
	bool inside = contains(data->real, place->real) ||
				  contains(own, data->real);

	free(own);
	if (inside)
	{
		error_set(err, ERR_USAGE,
				  "location \"%s\" of tablespace %" PRIu32
				  " and the data directory contain one another",
				  place->path, place->oid);
		return error_hint(err, "Choose another one with --tablespace-map.");
	}
	for (size_t j = 1; j < i; j++)
	{
		if (strcmp(places->items[j].real, place->real) != 0)
			continue;
		error_set(err, ERR_USAGE,
				  "tablespaces %" PRIu32 " and %" PRIu32
				  " have the same location \"%s\"",
				  places->items[j].oid, place->oid, place->path);
		return error_hint(err, "Choose another one with --tablespace-map.");
	}
	return true;
}

static bool
check_all(const RestorePlaces *places, Error *err)
{
	if (strcmp(places->items[0].real, "/") == 0)
		return error_set(err, ERR_USAGE, "cannot restore into \"/\"");
	for (size_t i = 0; i < places->count; i++)
	{
		if (!check_repositories(places, &places->items[i], err) ||
			(i > 0 && !check_tablespace(places, i, err)))
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
	out->items = mem_zalloc((manifest->tablespace_count + 1) *
							sizeof(*out->items));
	out->version_dir = mem_printf("PG_%d_%" PRIu32, manifest->info.major,
								  manifest->info.catalog_version);
	if (options->target_dir[0] != '/')
		return error_set(err, ERR_USAGE,
						 "target directory \"%s\" is not an absolute path",
						 options->target_dir);
	add_place(out, 0, options->target_dir);
	return check_maps(out, err) && add_tablespaces(out, err) &&
		   check_all(out, err);
}

void
restore_places_free(RestorePlaces *places)
{
	for (size_t i = 0; i < places->count; i++)
	{
		if (places->items[i].fd >= 0)
			close(places->items[i].fd);
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
	static const char prefix[] = "pg_tblspc/";
	size_t len = sizeof(prefix) - 1;
	unsigned long oid;
	char *end;

	*rest = path;
	if (strncmp(path, prefix, len) != 0 || path[len] < '1' || path[len] > '9')
		return &places->items[0];
	oid = strtoul(path + len, &end, 10);
	if (*end != '/' && *end != '\0')
		return &places->items[0];
	for (size_t i = 1; i < places->count; i++)
	{
		if (places->items[i].oid != oid)
			continue;
		*rest = *end == '/' ? end + 1 : end;
		return &places->items[i];
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
