/*-------------------------------------------------------------------------
 *
 * expire_objects.c
 *	  Removes objects in an order that is right wherever it is interrupted.
 *
 *-------------------------------------------------------------------------
 */
#include "job/expire_objects.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/expire_needed.h"
#include "repo/quarantine.h"
#include "repo/verified.h"
#include "repo/wal_catalog.h"

typedef struct Victim
{
	char *name;
	uint64_t rank; /* lower ones go first */
	uint64_t bytes;
	bool is_segment;
} Victim;

typedef struct Victims
{
	Victim *items;
	size_t count;
	size_t cap;
	const char *dir; /* of a backup */
	const char *label;
	const Catalog *left;      /* which must keep what it needs */
	int64_t before;           /* of quarantine */
	const WalCutoff *cutoffs; /* of WAL, all of one timeline */
	size_t cutoff_count;
} Victims;

static void
add_victim(Victims *v, const StorageEntry *entry, uint64_t rank,
		   bool is_segment)
{
	v->items = mem_grow(v->items, v->count, &v->cap, sizeof(Victim));
	v->items[v->count++] = (Victim){.name = mem_strdup(entry->name),
									.rank = rank,
									.bytes = entry->size,
									.is_segment = is_segment};
}

static int
compare_victims(const void *a, const void *b)
{
	const Victim *x = a;
	const Victim *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
victims_free(Victims *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i].name);
	free(v->items);
}

static bool
list_victims(Repo *repo, const char *dir, StorageListFn add, Victims *v,
			 Error *err)
{
	bool ok = storage_list(repo->storage, dir, true, add, v, err);

	if (v->count > 1)
		qsort(v->items, v->count, sizeof(Victim), compare_victims);
	return ok;
}

/* *there is false when another expire was faster, or it is locked. */
static bool
remove_victim(Repo *repo, const Victim *victim, ExpireResult *out, bool *there,
			  Error *err)
{
	Error problem = ERROR_INIT;

	*there = false;
	if (!thread_check_stop(err))
		return false;
	if (storage_remove(repo->storage, victim->name, &problem))
	{
		*there = true;
		return true;
	}
	if (problem.code == ERR_LOCKED && out->locked++ == 0)
		log_error_object(LOG_INFO, &problem);
	if (problem.code == ERR_NOT_FOUND || problem.code == ERR_LOCKED)
	{
		error_clear(&problem);
		return true;
	}
	error_move(err, &problem);
	return false;
}

/* ---- a backup ---- */

/* The number of a pack, or of that whose map it is; 0: it is neither. */
static uint32_t
pack_of(const char *rest)
{
	const char *digits = NULL;

	if (strncmp(rest, "/data/", 6) == 0)
		digits = rest + 6;
	else if (strncmp(rest, "/map/", 5) == 0)
		digits = rest + 5;
	return digits != NULL ? (uint32_t) strtoul(digits, NULL, 10) : 0;
}

static bool
add_part(void *arg, const StorageEntry *entry, Error *err)
{
	Victims *v = arg;
	const char *rest = entry->name + strlen(v->dir);
	uint32_t pack = pack_of(rest);

	(void) err;
	if (entry->is_dir || strcmp(rest, "/manifest") == 0 ||
		(pack > 0 && expire_is_needed(v->left, v->label, pack)))
		return true;
	/* the leases say whose leftovers these are */
	add_victim(v, entry, strncmp(rest, "/lease/", 7) == 0 ? 2 : 1, false);
	return true;
}

/* One after the other; of those that are gone *objects and bytes. */
static bool
remove_victims(Repo *repo, const Victims *v, uint64_t *objects,
			   ExpireResult *out, Error *err)
{
	bool ok = true;

	for (size_t i = 0; ok && i < v->count; i++)
	{
		bool there;

		ok = remove_victim(repo, &v->items[i], out, &there, err);
		if (ok && there)
		{
			*objects += 1;
			out->bytes += v->items[i].bytes;
		}
	}
	return ok;
}

bool
expire_remove_parts(Repo *repo, const char *label, const Catalog *left,
					uint64_t *objects, ExpireResult *out, Error *err)
{
	char *dir = repo_backup_dir(label);
	Victims v = {.dir = dir, .label = label, .left = left};
	bool ok = list_victims(repo, dir, add_part, &v, err) &&
			  remove_victims(repo, &v, objects, out, err);

	victims_free(&v);
	free(dir);
	return ok;
}

static bool
add_manifest(void *arg, const StorageEntry *entry, Error *err)
{
	Victims *v = arg;

	(void) err;
	if (!entry->is_dir &&
		strcmp(entry->name + strlen(v->dir), "/manifest") == 0)
		add_victim(v, entry, 0, false);
	return true;
}

bool
expire_remove_manifest(Repo *repo, const char *label, uint64_t *objects,
					   ExpireResult *out, Error *err)
{
	char *dir = repo_backup_dir(label);
	Victims v = {.dir = dir};
	bool ok = storage_list(repo->storage, dir, false, add_manifest, &v, err) &&
			  remove_victims(repo, &v, objects, out, err);

	victims_free(&v);
	free(dir);
	return ok;
}

/* ---- WAL ---- */

size_t
expire_cutoffs_of_timeline(const RetentionPlan *plan, size_t i)
{
	const WalCutoff *first = &plan->cutoffs[i];
	size_t count = 1;

	for (; i + count < plan->cutoff_count; count++)
	{
		const WalCutoff *c = &plan->cutoffs[i + count];

		if (c->home.sysid != first->home.sysid ||
			c->home.major != first->home.major ||
			c->timeline != first->timeline)
			break;
	}
	return count;
}

static bool
add_wal_object(void *arg, const StorageEntry *entry, Error *err)
{
	Victims *v = arg;
	const WalCutoff *c = v->cutoffs;
	WalName name;
	uint64_t number;

	(void) err;
	if (entry->is_dir || !wal_object_parse(&c->home, entry->name, &name) ||
		name.kind == WAL_TIMELINE_HISTORY || name.timeline != c->timeline ||
		!wal_name_fits(&name, c->segment_size))
		return true;
	number = wal_segment_number(&name, c->segment_size);
	for (size_t i = 0; i < v->cutoff_count; i++)
	{
		if (number >= v->cutoffs[i].from_segment &&
			number < v->cutoffs[i].before_segment)
			add_victim(v, entry, number, name.kind == WAL_SEGMENT);
	}
	return true;
}

bool
expire_remove_wal(Repo *repo, const WalCutoff *cutoffs, size_t count,
				  ExpireResult *out, Error *err)
{
	char *dir = repo_timeline_dir(&cutoffs->home, cutoffs->timeline);
	Victims v = {.cutoffs = cutoffs, .cutoff_count = count};
	bool ok = list_victims(repo, dir, add_wal_object, &v, err);

	for (size_t i = 0; ok && i < v.count; i++)
	{
		bool there;

		ok = remove_victim(repo, &v.items[i], out, &there, err);
		if (ok && there)
		{
			out->segments += v.items[i].is_segment;
			out->bytes += v.items[i].bytes;
		}
	}
	victims_free(&v);
	free(dir);
	return ok;
}

/* ---- notes of what was verified ---- */

static bool
add_old_note(void *arg, const StorageEntry *entry, Error *err)
{
	Victims *v = arg;
	int64_t t;

	(void) err;
	if (!entry->is_dir && verified_parse(entry->name, &t) && t < v->before)
		add_victim(v, entry, 0, false);
	return true;
}

bool
expire_remove_notes(Repo *repo, int64_t before, Error *err)
{
	Victims v = {.before = before};
	ExpireResult uncounted = {0};
	bool ok = list_victims(repo, VERIFIED_DIR, add_old_note, &v, err);

	for (size_t i = 0; ok && i < v.count; i++)
	{
		bool there;

		ok = remove_victim(repo, &v.items[i], &uncounted, &there, err);
	}
	victims_free(&v);
	return ok;
}

/* ---- quarantine ---- */

static bool
add_quarantined(void *arg, const StorageEntry *entry, Error *err)
{
	Victims *v = arg;
	int64_t t;

	(void) err;
	if (!entry->is_dir && quarantine_parse(entry->name, &t) && t < v->before)
		add_victim(v, entry, 0, false);
	return true;
}

bool
expire_remove_quarantine(Repo *repo, int64_t before, uint64_t *objects,
						 ExpireResult *out, Error *err)
{
	Victims v = {.before = before};
	bool ok = list_victims(repo, QUARANTINE_DIR, add_quarantined, &v, err) &&
			  remove_victims(repo, &v, objects, out, err);

	victims_free(&v);
	return ok;
}
