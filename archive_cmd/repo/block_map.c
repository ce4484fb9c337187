/*-------------------------------------------------------------------------
 *
 * block_map.c
 *	  Writes the map of a pack, and finds blocks in it.
 *
 * Lines of JSON tell what lies in the pack; behind the last one come the
 * hashes of all blocks, eight bytes each.  They do not compress, and as text
 * they would take twice the room and most of the time.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/block_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "repo/manifest_internal.h"
#include "repo/object.h"

#define FRAME_SIZE (1024 * 1024)
#define BATCH 65536 /* bytes handed to the object at once */

void
block_map_free(BlockMap *map)
{
	for (size_t i = 0; i < map->entry_count; i++)
	{
		free(map->entries[i].path);
		free(map->entries[i].runs);
	}
	free(map->entries);
	free(map->hashes);
	*map = (BlockMap){0};
}

/* ---- finding ---- */

/* The last entry that begins at or before the offset. */
static const MapEntry *
entry_at(const BlockMap *map, uint64_t offset)
{
	size_t low = 0;
	size_t high = map->entry_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;

		if (map->entries[mid].offset <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? &map->entries[low - 1] : NULL;
}

const uint64_t *
block_map_find(const BlockMap *map, uint64_t offset, uint64_t *length)
{
	const MapEntry *e = entry_at(map, offset);
	uint64_t inside;

	if (e == NULL)
		return NULL;
	inside = offset - e->offset;
	if (inside >= e->length || inside % MANIFEST_BLOCK != 0)
		return NULL;
	*length = e->length - inside;
	return map->hashes + e->first_hash + inside / MANIFEST_BLOCK;
}

/* ---- writing ---- */

static void
put_line(StrBuf *text, Json *obj)
{
	char *line = json_dump(obj);

	strbuf_puts(text, line);
	strbuf_putc(text, '\n');
	free(line);
	json_free(obj);
}

static void
put_header(StrBuf *text, const BlockMap *map)
{
	Json *obj = json_new_object();
	char hex[SHA256_HEX_LEN + 1];

	hex_encode(map->sha256, SHA256_LEN, hex);
	json_put_int(obj, "map", MAP_VERSION);
	json_put_int(obj, "pack", map->pack);
	json_put_str(obj, "payload_sha256", hex);
	json_put_int(obj, "block_size", MANIFEST_BLOCK);
	json_put_int(obj, "entries", (int64_t) map->entry_count);
	json_put_int(obj, "blocks", (int64_t) map->hash_count);
	put_line(text, obj);
}

static void
put_runs(Json *obj, const MapEntry *e)
{
	StrBuf runs = STRBUF_INIT;

	for (size_t i = 0; i < e->run_count; i++)
		strbuf_printf(&runs, "%s%" PRIu64 ":%" PRIu64, i > 0 ? "," : "",
					  e->runs[i].file_offset, e->runs[i].length);
	json_put_str(obj, "runs", runs.data);
	strbuf_free(&runs);
}

static void
put_entry(StrBuf *text, const MapEntry *e)
{
	Json *obj = json_new_object();
	char hex[CONTENT_HEX_LEN + 1];

	manifest_put_path(obj, "file", e->path);
	json_put_int(obj, "offset", (int64_t) e->offset);
	json_put_int(obj, "length", (int64_t) e->length);
	if (e->whole)
	{
		hex_encode(e->content, CONTENT_LEN, hex);
		json_put_str(obj, "hash", hex);
	}
	else
		put_runs(obj, e);
	put_line(text, obj);
}

static bool
flush(ObjectWriter *w, StrBuf *text, size_t at_least, Error *err)
{
	if (text->len < at_least || text->len == 0)
		return true;
	if (!object_write(w, text->data, text->len, err))
		return false;
	strbuf_reset(text);
	return true;
}

static bool
put_all(ObjectWriter *w, const BlockMap *map, Error *err)
{
	StrBuf text = STRBUF_INIT;
	bool done = true;

	put_header(&text, map);
	for (size_t i = 0; done && i < map->entry_count; i++)
	{
		put_entry(&text, &map->entries[i]);
		done = flush(w, &text, BATCH, err);
	}
	for (size_t i = 0; done && i < map->hash_count; i++)
	{
		uint8_t bytes[8];

		for (int k = 0; k < 8; k++)
			bytes[k] = (uint8_t) (map->hashes[i] >> (56 - 8 * k));
		strbuf_add(&text, bytes, sizeof(bytes));
		done = flush(w, &text, BATCH, err);
	}
	done = done && flush(w, &text, 0, err);
	strbuf_free(&text);
	return done;
}

bool
block_map_write(Repo *repo, const char *label, const BlockMap *map,
				uint64_t *bytes, Error *err)
{
	char *name = repo_map_name(label, map->pack);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_MAP, .frame_size = FRAME_SIZE};
	ObjectWriter *w = object_create(repo, &spec, err);
	ObjectMeta meta = {0};
	bool done = w != NULL && put_all(w, map, err);

	if (w != NULL && !done)
		object_abort(w);
	done = done && object_commit(w, NULL, &meta, err);
	*bytes = meta.head_len + meta.payload_size;
	object_meta_free(&meta);
	free(name);
	return done ||
		   error_prefix(err, "could not write map of pack %u of backup %s",
						map->pack, label);
}
