/*-------------------------------------------------------------------------
 *
 * rewrap.c
 *	  Gives all objects of a repository new heads.
 *
 * repo.json comes first, for the new recipients as well, and last, for them
 * alone: who can open an object can open the content key.
 *
 *-------------------------------------------------------------------------
 */
#include "job/rewrap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/inventory.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/rewrap.h"

/* How long expire may take between its mark and the last object. */
#define REMOVAL_SECONDS 60

typedef struct RewrapJob
{
	/* fixed */
	const RewrapOptions *options;
	Catalog catalog;

	/* under the lock */
	pthread_mutex_t lock;
	RewrapResult *out;
} RewrapJob;

static void
report(RewrapJob *job, const char *name, Error *why)
{
	Problem problem = {.check = why->code == ERR_KEY ? "key" : "damaged",
					   .object = name,
					   .message = why->message,
					   .detail = why->detail,
					   .hint = why->hint};

	if (why->code != ERR_KEY && why->code != ERR_DAMAGED &&
		why->code != ERR_MISMATCH)
		problem.check = "unreadable";
	pthread_mutex_lock(&job->lock);
	job->out->failed++;
	job->options->problem(job->options->arg, &problem);
	pthread_mutex_unlock(&job->lock);
	error_clear(why);
}

/* ---- manifests, and expire beside us ---- */

static bool
is_being_removed(Repo *repo, const char *label, bool *removing, Error *err)
{
	Json *content = NULL;
	int64_t when;
	bool done = mark_latest(repo, label, MARK_REMOVING, removing, &when,
							&content, err);

	*removing = done && *removing && clock_now() - when < LEASE_VALID_USECS;
	json_free(content);
	return done;
}

static bool
count_pack(void *arg, const StorageEntry *entry, Error *err)
{
	uint64_t *count = arg;

	(void) err;
	*count += !entry->is_dir;
	return true;
}

static bool
has_own_packs(RewrapJob *job, Repo *repo, const char *label, bool *has,
			  Error *err)
{
	const CatalogBackup *b = catalog_find(&job->catalog, label);
	char *dir = mem_printf("backup/%s/data", label);
	uint64_t count = 0;
	bool done = storage_list(repo->storage, dir, true, count_pack, &count, err);

	*has = b == NULL || count >= b->info.pack_count;
	free(dir);
	return done;
}

/*
 * A manifest that was removed just before it was replaced has come back, and
 * its packs may be gone: then it is no backup.  As long as somebody is at it,
 * that is not decided.
 */
static bool
settle_manifest(RewrapJob *job, Repo *repo, const char *name, const char *label,
				Error *err)
{
	bool removing = true;
	bool there = true;
	bool whole = true;

	for (int i = 0; removing && there && i < REMOVAL_SECONDS; i++)
	{
		if (!thread_check_stop(err) ||
			!is_being_removed(repo, label, &removing, err) ||
			!storage_exists(repo->storage, name, &there, err) ||
			!has_own_packs(job, repo, label, &whole, err))
			return false;
		if (there && !whole)
			return storage_remove(repo->storage, name, err);
		if (removing && there)
			sleep(1);
	}
	return !removing || !there ||
		   error_set(err, ERR_BUSY,
					 "backup %s is being removed while its manifest was "
					 "rewrapped",
					 label);
}

/* ---- one object ---- */

/* *skip: somebody is at work on the backup that it belongs to. */
static bool
must_wait(RewrapJob *job, Repo *repo, const char *label, bool *skip, Error *err)
{
	const CatalogBackup *b;

	*skip = false;
	if (label == NULL)
		return true;
	b = catalog_find(&job->catalog, label);
	if (b == NULL || b->state == BACKUP_RUNNING)
	{
		*skip = true;
		return true;
	}
	return is_being_removed(repo, label, skip, err);
}

static void
count(RewrapJob *job, bool changed, bool skipped, uint64_t bytes)
{
	pthread_mutex_lock(&job->lock);
	job->out->objects++;
	job->out->skipped += skipped;
	job->out->rewrapped += changed;
	job->out->bytes += changed ? bytes : 0;
	pthread_mutex_unlock(&job->lock);
}

static bool
rewrap_one(RewrapJob *job, Repo *repo, const InventoryItem *item,
		   const char *label, Error *err)
{
	ObjectMeta meta = {0};
	bool changed = false;
	bool skip = false;
	bool done = object_stat(repo, item->name, &meta, err);
	bool current = done && rewrap_is_current(repo, &meta);
	bool manifest = done && strcmp(meta.kind, OBJECT_MANIFEST) == 0;

	object_meta_free(&meta);
	if (done && !current)
		done = must_wait(job, repo, label, &skip, err);
	if (done && !current && !skip && job->options->dry_run)
		changed = true;
	else if (done && !current && !skip)
		done = rewrap_object(repo, item->name, &changed, err) &&
			   (!changed || !manifest ||
				settle_manifest(job, repo, item->name, label, err));
	if (done)
		count(job, changed, skip, item->size);
	return done;
}

/* Damage, or a key that is missing, is the object's; all else is the store's. */
static bool
is_about_object(const Error *why)
{
	return why->code == ERR_KEY || why->code == ERR_DAMAGED ||
		   why->code == ERR_MISMATCH || why->code == ERR_UNSUPPORTED ||
		   why->code == ERR_BUSY;
}

static bool
rewrap_item(void *arg, Repo *repo, InventoryItem *item, Error *err)
{
	RewrapJob *job = arg;
	char *label = inventory_label(item->name);
	Error why = ERROR_INIT;

	if ((label == NULL && strncmp(item->name, "wal/", 4) != 0) ||
		rewrap_one(job, repo, item, label, &why))
	{
		free(label);
		return true;
	}
	free(label);
	if (why.code == ERR_NOT_FOUND)
		error_clear(&why); /* expired since it was listed */
	else if (is_about_object(&why))
		report(job, item->name, &why);
	error_move(err, &why);
	return !error_is_set(err);
}

/* ---- the whole ---- */

/*
 * A locked version stays what it is until its date: a new one on top of it
 * would look like a rewrapped object, and the old key would go on reading.
 */
static bool
check_possible(const Repo *repo, Error *err)
{
	const AgeIdentities *ids = repo->options.keys->identities;
	const char *lock = storage_param(&repo->options.storage, "object-lock");

	if (!repo->encrypted)
		return error_set(err, ERR_CONFIG,
						 "the repository in %s is not encrypted",
						 repo->storage->where);
	if (lock != NULL && strcmp(lock, "none") != 0)
	{
		error_set(err, ERR_UNSUPPORTED,
				  "objects in %s are locked and cannot be rewrapped",
				  repo->storage->where);
		return error_hint(err, "Keep the old identity until the last of them "
							   "has expired.");
	}
	if (ids == NULL || age_identities_count(ids) == 0)
	{
		error_set(err, ERR_KEY, "no identity to open the objects with");
		return error_hint(err, "Run it on a host that has identity-file.");
	}
	return true;
}

static bool
run(RewrapJob *job, Repo *repo, Inventory *inventory, Error *err)
{
	const InventoryWork work = {.fn = rewrap_item,
								.arg = job,
								.workers = job->options->workers,
								.progress = job->options->progress};
	const AgeRecipients *to = &repo->options.keys->recipients;
	RewrapResult *out = job->out;
	bool widened;

	if (!job->options->dry_run && !repo_widen_root(repo, to, &widened, err))
		return false;
	if (!inventory_load(repo, inventory, err) ||
		!inventory_each(repo, inventory, &work, err))
		return false;
	return job->options->dry_run || out->failed > 0 || out->skipped > 0 ||
		   repo_rewrap_root(repo, to, &out->root, err);
}

bool
rewrap_run(Repo *repo, const RewrapOptions *options, RewrapResult *out,
		   Error *err)
{
	RewrapJob job = {
		.options = options, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
	Inventory inventory = {0};
	bool done;

	*out = (RewrapResult){0};
	if (options->progress != NULL)
		atomic_store(&options->progress->phase, "rewrapping");
	if (!check_possible(repo, err) ||
		(!options->dry_run &&
		 !storage_settle_replaced(repo->storage, true, err)) ||
		!catalog_load(repo, false, &job.catalog, err))
		return false;
	done = run(&job, repo, &inventory, err);
	inventory_free(&inventory);
	catalog_free(&job.catalog);
	pthread_mutex_destroy(&job.lock);
	return done;
}
