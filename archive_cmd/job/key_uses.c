/*-------------------------------------------------------------------------
 *
 * key_uses.c
 *	  For whom the objects of a repository are, by their metadata.
 *
 *-------------------------------------------------------------------------
 */
#include "job/rewrap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/inventory.h"
#include "repo/object.h"

typedef struct Counting
{
	pthread_mutex_t lock;
	KeyUses *uses; /* under the lock */
} Counting;

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Their order in the configuration makes no other set of them. */
static char *
keys_text(const Json *keys)
{
	size_t count = json_array_len(keys);
	const char **ids = mem_alloc((count + 1) * sizeof(*ids));
	StrBuf text = STRBUF_INIT;
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
	{
		ids[used] = json_str(json_array_at(keys, i));
		used += ids[used] != NULL;
	}
	if (used > 1)
		qsort(ids, used, sizeof(*ids), compare_texts);
	for (size_t i = 0; i < used; i++)
		strbuf_printf(&text, "%s%s", i > 0 ? " " : "", ids[i]);
	free(ids);
	return text.data != NULL ? strbuf_steal(&text) : mem_strdup("");
}

/* Takes keys over. */
static KeyUse *
use_of(KeyUses *uses, char *keys)
{
	for (size_t i = 0; i < uses->count; i++)
	{
		if (strcmp(uses->items[i].keys, keys) == 0)
		{
			free(keys);
			return &uses->items[i];
		}
	}
	uses->items = mem_grow(uses->items, uses->count, &uses->cap,
						   sizeof(KeyUse));
	uses->items[uses->count] = (KeyUse){.keys = keys};
	return &uses->items[uses->count++];
}

/* What is damaged, or gone by now, is for verify to tell. */
static bool
count_item(void *arg, Repo *repo, InventoryItem *item, Error *err)
{
	Counting *c = arg;
	ObjectMeta meta = {0};
	Error why = ERROR_INIT;
	KeyUse *use;

	if (!object_stat(repo, item->name, &meta, &why))
	{
		if (why.code == ERR_DAMAGED || why.code == ERR_MISMATCH ||
			why.code == ERR_NOT_FOUND || why.code == ERR_UNSUPPORTED)
			error_clear(&why);
		error_move(err, &why);
		return !error_is_set(err);
	}
	pthread_mutex_lock(&c->lock);
	use = use_of(c->uses, keys_text(meta.keys));
	use->objects++;
	use->bytes += item->size;
	use->segments += strcmp(meta.kind, OBJECT_WAL) == 0;
	use->backups += strcmp(meta.kind, OBJECT_MANIFEST) == 0;
	pthread_mutex_unlock(&c->lock);
	object_meta_free(&meta);
	return true;
}

static int
compare_uses(const void *a, const void *b)
{
	return strcmp(((const KeyUse *) a)->keys, ((const KeyUse *) b)->keys);
}

bool
key_uses_load(Repo *repo, int workers, Progress *progress, KeyUses *out,
			  Error *err)
{
	Counting c = {.lock = PTHREAD_MUTEX_INITIALIZER, .uses = out};
	InventoryWork work = {
		.fn = count_item, .arg = &c, .workers = workers, .progress = progress};
	Inventory inventory;
	bool done;

	*out = (KeyUses){0};
	if (!inventory_load(repo, &inventory, err))
		return false;
	done = inventory_each(repo, &inventory, &work, err);
	inventory_free(&inventory);
	pthread_mutex_destroy(&c.lock);
	if (out->count > 1)
		qsort(out->items, out->count, sizeof(KeyUse), compare_uses);
	return done;
}

void
key_uses_free(KeyUses *uses)
{
	for (size_t i = 0; i < uses->count; i++)
		free(uses->items[i].keys);
	free(uses->items);
	*uses = (KeyUses){0};
}
