/*-------------------------------------------------------------------------
 *
 * unpack.c
 *	  Brings a backup back that is not one of the cluster: its files into a
 *	  directory.
 *
 *-------------------------------------------------------------------------
 */
#include "job/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/restore_files.h"
#include "job/restore_places.h"
#include "job/unpack_attributes.h"

/* ---- the plan ---- */

/* Two backups of one label are the same if their packs are. */
static bool
is_same(const BackupInfo *a, const BackupInfo *b)
{
	return a->label == NULL ||
		   memcmp(a->packs_sha256, b->packs_sha256, SHA256_LEN) == 0;
}

static bool
look_at(RepoSet *set, size_t member, const char *label, RestorePlan *out,
		Error *err)
{
	Repo *repo = repo_set_open(set, member, err);
	BackupInfo info;

	if (repo == NULL || !manifest_stat(repo, label, &info, err))
		return false;
	if (is_same(&out->backup, &info))
		out->sources[out->source_count++] = member;
	if (out->backup.label == NULL)
		out->backup = info;
	else
		backup_info_free(&info);
	return true;
}

bool
unpack_plan(RepoSet *set, const char *label, RestorePlan *out, Error *err)
{
	Error first = ERROR_INIT;
	bool all_answered = true;

	memset(out, 0, sizeof(*out));
	if (!repo_label_ok(label))
		return error_set(err, ERR_NOT_FOUND, "backup \"%s\" does not exist",
						 label);
	out->sources = mem_zalloc((set->count + 1) * sizeof(size_t));
	for (size_t n = 0; n < set->count; n++)
	{
		Error why = ERROR_INIT;

		if (look_at(set, repo_set_nth(set, n), label, out, &why))
			continue;
		if (why.code == ERR_NOT_FOUND)
			error_clear(&why);
		else
			all_answered = false;
		error_move(&first, &why);
		error_clear(&why);
	}
	out->file_count = out->backup.file_count;
	out->plain_bytes = out->backup.plain_bytes;
	out->stored_bytes = out->backup.stored_bytes;
	if (out->source_count > 0 || !all_answered)
	{
		if (out->source_count > 0 && !all_answered)
			log_error_object(LOG_WARNING, &first);
		if (out->source_count == 0)
			error_move(err, &first);
		error_clear(&first);
	}
	else
		error_set(err, ERR_NOT_FOUND, "backup \"%s\" does not exist", label);
	if (out->source_count > 0)
		return true;
	restore_plan_free(out);
	return false;
}

/* ---- the directory ---- */

/*
 * The marker comes first and goes last.  What lies beside it was made by a run
 * that was interrupted.
 */
static bool
claim(RestorePlaces *places, Error *err)
{
	RestorePlace *place = &places->items[0];
	const char *label = places->manifest->info.label;
	char *marker = file_join(place->path, RESTORE_MARKER);
	bool empty = false;
	bool marked;
	bool done;

	done = restore_places_open(place, err) &&
		   tree_is_empty(place->fd, place->path, NULL, &empty, err);
	marked = done && faccessat(place->fd, RESTORE_MARKER, F_OK,
							   AT_SYMLINK_NOFOLLOW) == 0;
	if (done && !empty && !marked)
	{
		error_set(err, ERR_EXISTS, "directory \"%s\" is not empty",
				  place->path);
		done = error_hint(err, "Choose another one: what is there is never "
							   "replaced.");
	}
	done = done &&
		   file_write_durable(marker, label, strlen(label), 0600, true, err) &&
		   tree_empty(place->fd, place->path, RESTORE_MARKER, err);
	free(marker);
	return done;
}

static bool
make_dirs(const RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;
	const RestorePlace *place = &places->items[0];
	TreeCache cache = TREE_CACHE_INIT;
	bool done = true;

	/* with the right to write into them, until all is there */
	for (size_t i = 0; done && i < m->dir_count; i++)
		done = thread_check_stop(err) &&
			   tree_mkdir(place->fd, place->path, m->dirs[i].path, 0700, &cache,
						  err);
	tree_cache_free(&cache);
	return done;
}

static bool
release(RestorePlaces *places, Error *err)
{
	RestorePlace *place = &places->items[0];

	if (unlinkat(place->fd, RESTORE_MARKER, 0) != 0)
		return error_set_errno(err, errno, "could not remove file \"%s/%s\"",
							   place->path, RESTORE_MARKER);
	return file_fsync(place->fd, place->path, err);
}

/* ---- all ---- */

static void
set_phase(const RestoreOptions *options, const char *phase)
{
	if (options->progress != NULL)
		atomic_store(&options->progress->phase, phase);
}

static bool
unpack(RepoSet *set, const RestorePlan *plan, RestorePlaces *places, Error *err)
{
	const RestoreOptions *options = places->options;
	const Manifest *m = places->manifest;
	const RestoreSelect all = {0};
	RestoreInput in = {set, plan, &all};

	if (options->progress != NULL)
	{
		atomic_store(&options->progress->total_bytes, m->info.plain_bytes);
		atomic_store(&options->progress->total_items, m->file_count);
	}
	if (!claim(places, err) || !make_dirs(places, err))
		return false;
	set_phase(options, "restoring files");
	if (!restore_write_files(&in, places, err) ||
		!unpack_attributes(places, err))
		return false;
	set_phase(options, "syncing");
	return restore_places_sync(places, err) && release(places, err);
}

bool
unpack_run(RepoSet *set, const RestoreOptions *options, const RestorePlan *plan,
		   Error *err)
{
	Manifest manifest = {0};
	RestorePlaces places = {0};
	bool done;

	set_phase(options, "reading the manifest");
	done = restore_read_manifest(set, plan, &manifest, err);
	if (!done)
		return false;
	done = restore_places_resolve(set, options, &manifest, &places, err) &&
		   unpack(set, plan, &places, err);
	restore_places_free(&places);
	manifest_free(&manifest);
	return done;
}
