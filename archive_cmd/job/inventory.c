/*-------------------------------------------------------------------------
 *
 * inventory.c
 *	  The names of all objects of a repository, and which are intact.
 *
 *-------------------------------------------------------------------------
 */
#include "job/inventory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "repo/object.h"
#include "repo/quarantine.h"
#include "repo/verified.h"

static bool
is_below(const char *name, const char *dir)
{
	return strncmp(name, dir, strlen(dir)) == 0;
}

static bool
add_item(void *arg, const StorageEntry *entry, Error *err)
{
	Inventory *inv = arg;

	(void) err;
	if (entry->is_dir || strcmp(entry->name, REPO_JSON) == 0 ||
		is_below(entry->name, QUARANTINE_DIR "/") ||
		is_below(entry->name, STORAGE_STAGE_DIR "/") ||
		is_below(entry->name, VERIFIED_DIR "/"))
		return true;
	inv->items = mem_grow(inv->items, inv->count, &inv->cap,
						  sizeof(InventoryItem));
	inv->items[inv->count++] = (InventoryItem){.name = mem_strdup(entry->name),
											   .size = entry->size};
	return true;
}

static int
compare_items(const void *a, const void *b)
{
	return strcmp(((const InventoryItem *) a)->name,
				  ((const InventoryItem *) b)->name);
}

bool
inventory_load(Repo *repo, Inventory *out, Error *err)
{
	*out = (Inventory){0};
	if (!storage_list(repo->storage, "", true, add_item, out, err))
	{
		inventory_free(out);
		return false;
	}
	if (out->count > 1)
		qsort(out->items, out->count, sizeof(InventoryItem), compare_items);
	return true;
}

void
inventory_free(Inventory *inv)
{
	for (size_t i = 0; i < inv->count; i++)
	{
		free(inv->items[i].name);
		error_clear(&inv->items[i].why);
	}
	free(inv->items);
	*inv = (Inventory){0};
}

InventoryItem *
inventory_find(const Inventory *inv, const char *name)
{
	InventoryItem key = {.name = (char *) (uintptr_t) name};

	if (inv->count == 0)
		return NULL;
	return bsearch(&key, inv->items, inv->count, sizeof(InventoryItem),
				   compare_items);
}

char *
inventory_label(const char *name)
{
	static const char dir[] = "backup/";
	const char *label = name + strlen(dir);
	const char *slash;
	char *copy;

	if (strncmp(name, dir, strlen(dir)) != 0)
		return NULL;
	slash = strchr(label, '/');
	if (slash == NULL)
		return NULL;
	copy = mem_strndup(label, (size_t) (slash - label));
	if (repo_label_ok(copy))
		return copy;
	free(copy);
	return NULL;
}

uint32_t
inventory_pack(const char *name)
{
	char *label = inventory_label(name);
	uint32_t number = 0;

	if (label != NULL)
	{
		uint32_t n = (uint32_t) strtoul(strrchr(name, '/') + 1, NULL, 10);
		char *pack = repo_pack_name(label, n);
		char *map = repo_map_name(label, n);

		if (strcmp(name, pack) == 0 || strcmp(name, map) == 0)
			number = n;
		free(pack);
		free(map);
	}
	free(label);
	return number;
}

/* ---- the same backup? ---- */

/* What the other one does not have, or has damaged, tells nothing. */
static bool
same_pack(Repo *here, Repo *there, const char *name, bool *same, Error *err)
{
	ObjectMeta own = {0};
	ObjectMeta theirs = {0};
	Error why = ERROR_INIT;
	bool done = object_stat(here, name, &own, err);

	*same = true;
	if (done && object_stat(there, name, &theirs, &why))
		*same = memcmp(own.sha256, theirs.sha256, SHA256_LEN) == 0;
	if (why.code != ERR_NOT_FOUND && why.code != ERR_DAMAGED)
		error_move(err, &why);
	error_clear(&why);
	object_meta_free(&own);
	object_meta_free(&theirs);
	return done && !error_is_set(err);
}

bool
inventory_packs_agree(Repo *here, const Inventory *inventory, Repo *there,
					  const char *label, bool *agree, Error *err)
{
	char *dir = mem_printf("backup/%s/data/", label);
	bool done = true;

	*agree = true;
	for (size_t i = 0; done && *agree && i < inventory->count; i++)
	{
		const InventoryItem *item = &inventory->items[i];

		if (strncmp(item->name, dir, strlen(dir)) == 0 &&
			item->state != ITEM_DAMAGED && item->state != ITEM_UNREADABLE)
			done = same_pack(here, there, item->name, agree, err);
	}
	free(dir);
	return done;
}

/* ---- looking at each ---- */

typedef struct Checking
{
	Repo *repo;
	Inventory *inventory;
	const InventoryWork *work;

	pthread_mutex_t lock;
	size_t next; /* under lock */
} Checking;

static InventoryItem *
take_item(Checking *c)
{
	InventoryItem *item = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->next < c->inventory->count)
		item = &c->inventory->items[c->next++];
	pthread_mutex_unlock(&c->lock);
	return item;
}

/* One object that cannot be read, or a store that does not answer at all? */
static bool
store_answers(Repo *repo)
{
	Error ignored = ERROR_INIT;
	bool exists;
	bool ok = storage_exists(repo->storage, REPO_JSON, &exists, &ignored);

	error_clear(&ignored);
	return ok;
}

bool
inventory_check_item(Repo *repo, InventoryItem *item, Error *err)
{
	Error why = ERROR_INIT;
	bool opens;

	if (object_check_opens(repo, item->name, &opens, &why))
	{
		item->state = opens ? ITEM_SOUND : ITEM_CLOSED;
		return true;
	}
	if (why.code == ERR_CANCELED ||
		(why.code != ERR_DAMAGED && why.code != ERR_MISMATCH &&
		 !store_answers(repo)))
	{
		error_move(err, &why);
		return false;
	}
	/* what is gone by now was removed by somebody; a newer pgdr's is his */
	if (why.code == ERR_NOT_FOUND || why.code == ERR_UNSUPPORTED)
		item->state = ITEM_UNKNOWN;
	else if (why.code == ERR_DAMAGED || why.code == ERR_MISMATCH)
		item->state = ITEM_DAMAGED;
	else
		item->state = ITEM_UNREADABLE;
	error_move(&item->why, &why);
	return true;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Checking *c = arg;
	Progress *progress = c->work->progress;
	InventoryItem *item;
	Repo *repo;
	bool done = true;

	(void) worker_no;
	if (!repo_open_again(c->repo, &repo, err))
		return false;
	while (done && (item = take_item(c)) != NULL)
	{
		done = thread_check_stop(err) &&
			   c->work->fn(c->work->arg, repo, item, err);
		if (progress != NULL)
		{
			atomic_fetch_add(&progress->done_bytes, item->size);
			atomic_fetch_add(&progress->done_items, 1);
		}
	}
	repo_close(repo);
	return done;
}

static void
announce(Progress *progress, const Inventory *inv)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < inv->count; i++)
		bytes += inv->items[i].size;
	atomic_fetch_add(&progress->total_bytes, bytes);
	atomic_fetch_add(&progress->total_items, inv->count);
}

static bool
check_item(void *arg, Repo *repo, InventoryItem *item, Error *err)
{
	(void) arg;
	return inventory_check_item(repo, item, err);
}

bool
inventory_each(Repo *repo, Inventory *inv, const InventoryWork *what,
			   Error *err)
{
	Checking c = {.repo = repo,
				  .inventory = inv,
				  .work = what,
				  .lock = PTHREAD_MUTEX_INITIALIZER};
	bool done;

	if (what->progress != NULL)
		announce(what->progress, inv);
	done = thread_run(what->workers, work, &c, err);
	pthread_mutex_destroy(&c.lock);
	return done;
}

bool
inventory_check(Repo *repo, Inventory *inv, int workers, Progress *progress,
				Error *err)
{
	const InventoryWork what = {
		.fn = check_item, .workers = workers, .progress = progress};

	return inventory_each(repo, inv, &what, err);
}
