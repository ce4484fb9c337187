/*-------------------------------------------------------------------------
 *
 * restore_claim.c
 *	  The directories that a restore writes to: how it makes them its own, and
 *	  gives them free when it is done.
 *
 * The marker is what lets an interrupted restore be run again: whatever lies
 * in a directory with a marker was made by a restore.  It must not outlive
 * that: a server that was started after a restore which was killed between
 * putting pg_control in place and removing the marker has made the
 * directory its own.  So the marker also tells what pg_control the restore
 * would leave; another one there means that somebody else has been at work.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "job/restore_files.h"
#include "job/restore_prune.h"
#include "pg/control.h"

#define MARKER_MAX (1024 * 1024)

/* ---- the marker ---- */

static bool
control_hash(const Manifest *m, char hex[CONTENT_HEX_LEN + 1], Error *err)
{
	const ManifestFile *f = restore_find_file(m, RESTORE_CONTROL_FILE);

	if (f == NULL)
		return error_set(err, ERR_DAMAGED, "backup \"%s\" has no file \"%s\"",
						 m->info.label, RESTORE_CONTROL_FILE);
	hex_encode(f->content, CONTENT_LEN, hex);
	return true;
}

static bool
write_marker(const RestorePlaces *places, Error *err)
{
	char *path = file_join(places->items[0].path, RESTORE_MARKER);
	char hex[CONTENT_HEX_LEN + 1];
	char now[CLOCK_TEXT_LEN];
	Json *json = json_new_object();
	Json *list = json_new_array();
	char *text;
	bool done;

	json_put_str(json, "backup", places->manifest->info.label);
	json_put_str(json, "started", clock_format(clock_now(), now));
	for (size_t i = 1; i < places->count; i++)
		json_append(list, json_new_string(places->items[i].real));
	json_put(json, "tablespaces", list);
	done = control_hash(places->manifest, hex, err);
	if (done)
	{
		json_put_str(json, "pg_control", hex);
		text = json_dump(json);
		done = file_write_durable(path, text, strlen(text), 0600, true, err);
		free(text);
	}
	json_free(json);
	free(path);
	return done;
}

/* NULL when there is none, or one that says nothing. */
static Json *
read_marker(const RestorePlaces *places)
{
	char *path = file_join(places->items[0].path, RESTORE_MARKER);
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	Json *json = NULL;

	if (file_slurp(path, MARKER_MAX, &text, &ignored))
		json = json_parse(text.data, text.len, &ignored);
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return json;
}

/* *same: is pg_control absent, or what the marked restore has put there? */
static bool
control_is_ours(const RestorePlaces *places, const Json *marker, bool *same,
				Error *err)
{
	const Repo *repo = repo_set_any(places->set);
	char *path = file_join(places->items[0].path, RESTORE_CONTROL_FILE);
	StrBuf data = STRBUF_INIT;
	uint8_t hash[CONTENT_LEN];
	char hex[CONTENT_HEX_LEN + 1];
	bool exists = false;
	bool done = file_exists(path, &exists, err);

	*same = !exists;
	if (done && exists && repo != NULL && repo->has_content)
	{
		ContentHash *h = content_hash_new(&repo->content);

		done = file_slurp(path, MARKER_MAX, &data, err);
		content_hash_add(h, data.data, data.len);
		content_hash_final(h, hash);
		content_hash_free(h);
		hex_encode(hash, CONTENT_LEN, hex);
		*same = strcmp(hex, json_get_str(marker, "pg_control", "")) == 0;
	}
	strbuf_free(&data);
	free(path);
	return done;
}

static bool
marker_names(const Json *marker, const char *location)
{
	const Json *list = json_get(marker, "tablespaces");

	for (size_t i = 0; i < json_array_len(list); i++)
	{
		const char *item = json_str(json_array_at(list, i));

		if (item != NULL && strcmp(item, location) == 0)
			return true;
	}
	return false;
}

/* ---- may it be written to? ---- */

bool
restore_places_open(RestorePlace *place, Error *err)
{
	if (!file_mkdir_p(place->path, 0700, err))
		return false;
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->fd < 0)
		return error_set_errno(err, errno, "could not open directory \"%s\"",
							   place->path);
	/* what cannot be locked at all (some network file systems) goes without */
	if (flock(place->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return error_set(err, ERR_BUSY, "another restore is writing to \"%s\"",
						 place->path);
	return true;
}

/* Of a tablespace's location, only the directory of this version counts. */
static bool
look_into(const RestorePlaces *places, RestorePlace *place, Error *err)
{
	int fd;
	char *path;
	bool done;

	if (place->kind != PLACE_TABLESPACE)
		return tree_is_empty(place->fd, place->path, NULL, &place->is_new, err);
	path = file_join(place->path, places->version_dir);
	fd = openat(place->fd, places->version_dir,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
	{
		done = tree_is_empty(fd, path, NULL, &place->is_new, err);
		close(fd);
	}
	else
	{
		place->is_new = errno == ENOENT;
		done = place->is_new ||
			   error_set_errno(err, errno, "could not open directory \"%s\"",
							   path);
	}
	free(path);
	return done;
}

static bool
looks_like_data_directory(const RestorePlace *place)
{
	static const char *const names[] = {
		"PG_VERSION",           "global",      "base", "pg_wal",
		"postgresql.auto.conf", RESTORE_MARKER};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (faccessat(place->fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

static bool
refuse(const RestorePlaces *places, const RestorePlace *place, Error *err)
{
	if (place->kind == PLACE_DATA)
		error_set(err, ERR_EXISTS, "directory \"%s\" is not empty",
				  place->path);
	else if (place->kind == PLACE_LINK)
	{
		error_set(err, ERR_EXISTS, "directory \"%s\" is not empty",
				  place->path);
		return error_hint(err,
						  "Empty it yourself if its contents are not "
						  "needed: it was not the %s of this directory.",
						  place->prefix);
	}
	else
	{
		error_set(err, ERR_EXISTS, "directory \"%s/%s\" is not empty",
				  place->path, places->version_dir);
		error_hint(err, "Choose another location with --tablespace-map if "
						"it belongs to another cluster.");
	}
	return error_hint(err, "With --force, its contents are deleted first; "
						   "with --delta, what is in the backup is kept.");
}

/* A delta is made over what was this cluster: else little would be the same. */
static bool
check_cluster(const RestorePlaces *places, const RestorePlace *place,
			  Error *err)
{
	const BackupInfo *info = &places->manifest->info;
	PgControl control;

	if (!pg_control_read(place->path, &control, err))
	{
		/* "not found" would read as if the backup were not there */
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_EXISTS;
		error_prefix(err, "could not tell which cluster is in \"%s\"",
					 place->path);
		return error_hint(err, "With --force instead of --delta, its contents "
							   "are deleted first.");
	}
	if (control.sysid == info->sysid && control.major == info->major)
		return true;
	error_set(err, ERR_MISMATCH, "directory \"%s\" is of another cluster",
			  place->path);
	return error_detail(err,
						"Its system identifier is %" PRIu64
						" and its version %d; those of the backup are %" PRIu64
						" and %d.",
						control.sysid, control.major, info->sysid, info->major);
}

static bool
same_directory(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
		   x.st_ino == y.st_ino;
}

/* Is the place what the link in the data directory points to? */
static bool
was_linked(const RestorePlaces *places, const RestorePlace *place)
{
	const RestorePlace *data = &places->items[0];
	char *link = file_join(data->path, place->prefix);
	struct stat st;
	bool linked = lstat(link, &st) == 0 && S_ISLNK(st.st_mode) &&
				  same_directory(link, place->path);

	free(link);
	return linked;
}

static bool
check_contents(const RestorePlaces *places, const RestorePlace *place,
			   const Json *marker, Error *err)
{
	bool ours = false;

	if (place->is_new)
		return true;
	if (marker != NULL && !control_is_ours(places, marker, &ours, err))
		return false;
	if (ours &&
		(place->kind == PLACE_DATA || marker_names(marker, place->real)))
		return true;
	if ((!places->options->force && !places->options->delta) ||
		(place->kind == PLACE_LINK && !was_linked(places, place)))
		return refuse(places, place, err);
	if (place->kind == PLACE_DATA && places->options->delta)
		return check_cluster(places, place, err);
	if (place->kind == PLACE_DATA && !looks_like_data_directory(place))
	{
		error_set(err, ERR_EXISTS,
				  "directory \"%s\" is not empty, and is no data directory",
				  place->path);
		return error_hint(err, "Empty it yourself if its contents are not "
							   "needed.");
	}
	return true;
}

/* ---- a server that uses it ---- */

static bool
refuse_running(const char *path, Error *err)
{
	bool running = false;

	if (!pg_server_is_running(path, &running, err))
		return false;
	if (!running)
		return true;
	error_set(err, ERR_BUSY, "a server is running in \"%s\"", path);
	return error_hint(err, "Stop it first.");
}

/* Does any of our places serve the cluster in live as a tablespace? */
static bool
refuse_live_tablespace(const RestorePlaces *places, const char *live,
					   const char *link, Error *err)
{
	for (size_t i = 0; i < places->count; i++)
	{
		if (!same_directory(places->items[i].path, link))
			continue;
		error_set(err, ERR_BUSY,
				  "location \"%s\" is in use by the server running in \"%s\"",
				  places->items[i].path, live);
		return error_hint(err, "Choose another one with --tablespace-map.");
	}
	return true;
}

/*
 * A restore beside the live cluster, with its tablespaces not mapped, would
 * write to those of the live one.
 */
static bool
refuse_live(const RestorePlaces *places, Error *err)
{
	const char *live = places->options->live_pgdata;
	bool running = false;
	char *links;
	DIR *dir;
	struct dirent *entry;
	bool done = true;

	if (live == NULL || access(live, F_OK) != 0)
		return true;
	if (!pg_server_is_running(live, &running, err))
		return false;
	if (!running)
		return true;
	links = file_join(live, "pg_tblspc");
	dir = opendir(links);
	if (dir == NULL)
		done = error_set_errno(err, errno, "could not open directory \"%s\"",
							   links);
	while (done && (entry = readdir(dir)) != NULL)
	{
		char *link = file_join(links, entry->d_name);

		if (entry->d_name[0] != '.')
			done = refuse_live_tablespace(places, live, link, err);
		free(link);
	}
	if (dir != NULL)
		closedir(dir);
	free(links);
	return done;
}

/* ---- emptying ---- */

/* WAL that only the old directory has is worth a word before it goes. */
static void
warn_of_unarchived(const RestorePlace *data)
{
	char *path = file_join(data->path, "pg_wal/archive_status");
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		size_t len = strlen(entry->d_name);

		if (len > 6 && strcmp(entry->d_name + len - 6, ".ready") == 0)
			count++;
	}
	if (count > 0)
		log_warning("deleting %u WAL files in \"%s/pg_wal\" that were never "
					"archived",
					count, data->path);
	if (dir != NULL)
		closedir(dir);
	free(path);
}

/* What the link points at stays as it is, and is not used any more. */
static void
warn_of_link(const RestorePlaces *places)
{
	const RestorePlace *data = &places->items[0];
	const char *rest;
	char to[PATH_MAX];
	ssize_t len = readlinkat(data->fd, "pg_wal", to, sizeof(to) - 1);

	if (restore_places_find(places, "pg_wal", &rest) != data)
		return;

	if (len > 0)
		log_warning("\"%s/pg_wal\" was a symbolic link to \"%.*s\", and is "
					"restored as a directory",
					data->path, (int) len, to);
}

/* First of all, so that no server starts on what is left. */
static bool
remove_control(const RestorePlace *data, Error *err)
{
	int fd = openat(data->fd, "global",
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool done = true;

	if (fd < 0)
		return true; /* not there, or not a directory */
	if (unlinkat(fd, "pg_control", 0) != 0 && errno != ENOENT)
		done = error_set_errno(err, errno,
							   "could not remove file \"%s/global/pg_control\"",
							   data->path);
	done = done && file_fsync(fd, data->path, err);
	close(fd);
	return done;
}

/* Of a tablespace, other versions' directories stay. */
static bool
empty_tablespace(const RestorePlaces *places, const RestorePlace *place,
				 Error *err)
{
	char *path = file_join(place->path, places->version_dir);
	int fd = openat(place->fd, places->version_dir,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool done = true;

	if (fd >= 0)
	{
		done = tree_empty(fd, path, NULL, err);
		close(fd);
	}
	else if (errno != ENOENT)
		done = error_set_errno(err, errno, "could not open directory \"%s\"",
							   path);
	free(path);
	return done;
}

static bool
empty_all(const RestorePlaces *places, Error *err)
{
	const RestorePlace *data = &places->items[0];

	if (!data->is_new)
	{
		warn_of_unarchived(data);
		warn_of_link(places);
	}
	if (!remove_control(data, err))
		return false;
	if (places->options->delta)
		return restore_prune(places, err);
	if (!tree_empty(data->fd, data->path, RESTORE_MARKER, err))
		return false;
	for (size_t i = 1; i < places->count; i++)
	{
		const RestorePlace *place = &places->items[i];

		if (place->kind == PLACE_LINK
				? !tree_empty(place->fd, place->path, NULL, err)
				: !empty_tablespace(places, place, err))
			return false;
	}
	return true;
}

/* ---- the calls ---- */

/*
 * Nothing is changed before every place has passed every check, but for the
 * making of empty directories.
 */
bool
restore_places_claim(RestorePlaces *places, Error *err)
{
	Json *marker;
	bool done = refuse_running(places->items[0].path, err) &&
				refuse_live(places, err);

	for (size_t i = 0; done && i < places->count; i++)
		done = restore_places_open(&places->items[i], err) &&
			   look_into(places, &places->items[i], err);
	if (!done)
		return false;
	marker = read_marker(places);
	for (size_t i = 0; done && i < places->count; i++)
		done = check_contents(places, &places->items[i], marker, err);
	json_free(marker);
	return done && write_marker(places, err) && empty_all(places, err);
}

bool
restore_places_release(RestorePlaces *places, Error *err)
{
	const RestorePlace *data = &places->items[0];

	if (unlinkat(data->fd, RESTORE_MARKER, 0) != 0 && errno != ENOENT)
		return error_set_errno(err, errno, "could not remove file \"%s/%s\"",
							   data->path, RESTORE_MARKER);
	return file_fsync(data->fd, data->path, err);
}
