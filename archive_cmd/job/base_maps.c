/*-------------------------------------------------------------------------
 *
 * base_maps.c
 *	  The blocks of an earlier backup, as its maps tell them.
 *
 * Of the maps that nobody uses just now those used last stay in memory, for
 * files that lay together lie together again.
 *
 *-------------------------------------------------------------------------
 */
#include "job/base_maps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define BYTES_MAX ((size_t) 128 * 1024 * 1024) /* of maps that nobody uses */

typedef struct MapSlot
{
	BlockMap map;
	bool loaded; /* else somebody reads it just now */
	bool absent;
	int users;
	uint64_t used; /* when, in calls */
} MapSlot;

struct BaseMaps
{
	/* fixed */
	const Manifest *manifest;

	/* mutable, under lock */
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	MapSlot **slots; /* by pack of the manifest; NULL: not in memory */
	size_t bytes;    /* of those in memory */
	uint64_t calls;
	bool warned;
};

BaseMaps *
base_maps_new(const Manifest *manifest)
{
	BaseMaps *maps = mem_zalloc(sizeof(BaseMaps));

	maps->manifest = manifest;
	maps->slots = mem_zalloc((manifest->pack_count + 1) * sizeof(MapSlot *));
	pthread_mutex_init(&maps->lock, NULL);
	pthread_cond_init(&maps->loaded, NULL);
	return maps;
}

const Manifest *
base_maps_manifest(const BaseMaps *maps)
{
	return maps->manifest;
}

static size_t
map_bytes(const BlockMap *map)
{
	return map->entry_cap * sizeof(MapEntry) + map->hash_cap * sizeof(uint64_t);
}

static void
drop_slot(BaseMaps *maps, size_t i)
{
	maps->bytes -= map_bytes(&maps->slots[i]->map);
	block_map_free(&maps->slots[i]->map);
	free(maps->slots[i]);
	maps->slots[i] = NULL;
}

void
base_maps_free(BaseMaps *maps)
{
	if (maps == NULL)
		return;
	for (size_t i = 0; i < maps->manifest->pack_count; i++)
	{
		if (maps->slots[i] != NULL)
			drop_slot(maps, i);
	}
	free(maps->slots);
	pthread_cond_destroy(&maps->loaded);
	pthread_mutex_destroy(&maps->lock);
	free(maps);
}

/* ---- maps ---- */

/* The map may be of a pack that had this name once. */
static bool
read_map(Repo *repo, const Manifest *m, size_t i, BlockMap *out, Error *err)
{
	const ManifestPack *pack = &m->packs[i];
	const char *label = pack->backup != NULL ? pack->backup : m->info.label;

	if (!block_map_read(repo, label, pack->number, false, out, err))
		return false;
	if (memcmp(out->sha256, pack->sha256, SHA256_LEN) == 0)
		return true;
	block_map_free(out);
	return error_set(err, ERR_MISMATCH,
					 "map of pack %u of backup %s is that of another pack",
					 pack->number, label);
}

/* Once: of a backup that has no maps all are missing. */
static void
warn(BaseMaps *maps, const Error *why)
{
	bool first;

	pthread_mutex_lock(&maps->lock);
	first = !maps->warned;
	maps->warned = true;
	pthread_mutex_unlock(&maps->lock);
	if (!first)
		return;
	log_warning("%s; files in such packs are stored again",
				why->message ? why->message : "a map cannot be read");
}

static void
load(BaseMaps *maps, Repo *repo, size_t i, MapSlot *slot)
{
	Error why = ERROR_INIT;
	BlockMap map = {0};
	bool done = read_map(repo, maps->manifest, i, &map, &why);

	if (!done)
		warn(maps, &why);
	error_clear(&why);
	pthread_mutex_lock(&maps->lock);
	slot->map = map;
	slot->loaded = true;
	slot->absent = !done;
	maps->bytes += map_bytes(&map);
	pthread_cond_broadcast(&maps->loaded);
	pthread_mutex_unlock(&maps->lock);
}

/* NULL if it cannot be had; else release() it. */
static const BlockMap *
acquire(BaseMaps *maps, Repo *repo, size_t i)
{
	MapSlot *slot;
	bool mine;

	pthread_mutex_lock(&maps->lock);
	mine = maps->slots[i] == NULL;
	if (mine)
		maps->slots[i] = mem_zalloc(sizeof(MapSlot));
	slot = maps->slots[i];
	slot->users++;
	slot->used = ++maps->calls;
	while (!mine && !slot->loaded)
		pthread_cond_wait(&maps->loaded, &maps->lock);
	pthread_mutex_unlock(&maps->lock);
	if (mine)
		load(maps, repo, i, slot);
	return slot->absent ? NULL : &slot->map;
}

/* That a map is absent is remembered. */
static bool
drop_oldest(BaseMaps *maps)
{
	size_t oldest = SIZE_MAX;

	for (size_t i = 0; i < maps->manifest->pack_count; i++)
	{
		const MapSlot *slot = maps->slots[i];

		if (slot != NULL && slot->users == 0 && !slot->absent &&
			(oldest == SIZE_MAX || slot->used < maps->slots[oldest]->used))
			oldest = i;
	}
	if (oldest != SIZE_MAX)
		drop_slot(maps, oldest);
	return oldest != SIZE_MAX;
}

static void
release(BaseMaps *maps, size_t i)
{
	pthread_mutex_lock(&maps->lock);
	maps->slots[i]->users--;
	while (maps->bytes > BYTES_MAX && drop_oldest(maps))
		;
	pthread_mutex_unlock(&maps->lock);
}

/* ---- one file ---- */

void
base_cursor_end(BaseCursor *c)
{
	if (c->e != NULL)
		release(c->maps, c->e->pack - 1);
	c->e = NULL;
	c->file = NULL;
}

void
base_cursor_begin(BaseCursor *c, const ManifestFile *file)
{
	base_cursor_end(c);
	c->file = file;
	c->next = 0;
	c->begin = 0;
}

/* Another run in the same pack keeps the map. */
static void
enter_extent(BaseCursor *c, const ManifestExtent *e)
{
	const ManifestExtent *before = c->e;

	if (before == NULL || before->pack != e->pack)
	{
		c->map = acquire(c->maps, c->repo, e->pack - 1);
		if (before != NULL)
			release(c->maps, before->pack - 1);
	}
	c->e = e;
	c->known = 0;
	c->hashes = c->map != NULL
					? block_map_find(c->map, e->pack_offset, &c->known)
					: NULL;
}

static bool
go_to(BaseCursor *c, uint64_t offset)
{
	const ManifestExtent *all = manifest_extents(c->maps->manifest, c->file);

	while (c->e == NULL || offset >= c->begin + c->e->length)
	{
		if (c->next == c->file->extent_count)
			return false;
		if (c->e != NULL)
			c->begin += c->e->length;
		enter_extent(c, &all[c->next++]);
	}
	return true;
}

static uint64_t
block_len(uint64_t left)
{
	return left < MANIFEST_BLOCK ? left : MANIFEST_BLOCK;
}

bool
base_cursor_same(BaseCursor *c, uint64_t offset, size_t len, uint64_t hash,
				 ManifestExtent *at)
{
	uint64_t inside;

	if (c->file == NULL || !go_to(c, offset))
		return false;
	inside = offset - c->begin;
	if (c->hashes == NULL || inside >= c->known ||
		block_len(c->known - inside) != len ||
		block_len(c->e->length - inside) != len ||
		c->hashes[inside / MANIFEST_BLOCK] != hash)
		return false;
	*at = (ManifestExtent){.pack = c->e->pack,
						   .pack_offset = c->e->pack_offset + inside,
						   .length = (uint32_t) len};
	return true;
}
