/*-------------------------------------------------------------------------
 *
 * block_map_read.c
 *	  Reads the map of a pack.
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

#define LINE_MAX_BYTES (16 * 1024 * 1024)

typedef struct MapParser
{
	BlockMap *map;
	bool files;
	bool header;        /* it was read */
	uint64_t entries;   /* that it announced */
	uint64_t blocks;    /* likewise */
	uint64_t next_hash; /* of the next entry */
	StrBuf line;        /* begun by an earlier piece */
	uint64_t hash;      /* in work */
	size_t hash_bytes;  /* of it that have come */
} MapParser;

static bool
bad(const char *what, Error *err)
{
	return error_set(err, ERR_DAMAGED, "%s of the map is not valid", what);
}

static bool
get_number(const Json *obj, const char *key, uint64_t *out)
{
	int64_t value = json_get_int(obj, key, -1);

	*out = (uint64_t) value;
	return value >= 0;
}

static bool
add_header(MapParser *p, const Json *obj, Error *err)
{
	uint64_t pack;
	uint64_t block_size;

	if (json_get_int(obj, "map", -1) != MAP_VERSION)
		return error_set(err, ERR_UNSUPPORTED,
						 "version of the map is not known");
	if (!get_number(obj, "block_size", &block_size) ||
		block_size != MANIFEST_BLOCK)
		return error_set(err, ERR_UNSUPPORTED,
						 "block size of the map is not known");
	if (!get_number(obj, "pack", &pack) || pack != p->map->pack ||
		!hex_decode(json_get_str(obj, "payload_sha256", ""), p->map->sha256,
					SHA256_LEN) ||
		!get_number(obj, "entries", &p->entries) ||
		!get_number(obj, "blocks", &p->blocks))
		return bad("first line", err);
	p->header = true;
	return true;
}

/* "file offset:length,..."; together they are the entry. */
static bool
get_runs(const char *text, bool keep, MapEntry *e)
{
	uint64_t left = e->length;
	uint64_t end = 0;
	size_t cap = 0;

	while (text != NULL && *text != '\0')
	{
		MapRun run;

		if (!manifest_take_number(&text, ':', &run.file_offset) ||
			!manifest_take_number(&text, ',', &run.length) || run.length == 0 ||
			run.length > left || run.file_offset < end ||
			run.file_offset % MANIFEST_BLOCK != 0)
			return false;
		left -= run.length;
		end = run.file_offset + run.length;
		if (left > 0 && run.length % MANIFEST_BLOCK != 0)
			return false;
		if (!keep)
			continue;
		e->runs = mem_grow(e->runs, e->run_count, &cap, sizeof(MapRun));
		e->runs[e->run_count++] = run;
	}
	return left == 0;
}

static bool
get_contents(MapParser *p, const Json *obj, MapEntry *e, Error *err)
{
	const char *hash = json_get_str(obj, "hash", NULL);

	e->whole = hash != NULL;
	if (e->whole ? !hex_decode(hash, e->content, CONTENT_LEN)
				 : !get_runs(json_get_str(obj, "runs", NULL), p->files, e))
		return bad("contents", err);
	return !p->files || manifest_get_path(obj, "file", &e->path, err);
}

/* Entries neither overlap nor have more blocks than were announced. */
static bool
add_entry(MapParser *p, const Json *obj, Error *err)
{
	BlockMap *map = p->map;
	const MapEntry *last = map->entry_count > 0
							   ? &map->entries[map->entry_count - 1]
							   : NULL;
	MapEntry e = {.first_hash = p->next_hash};
	bool done;

	if (!get_number(obj, "offset", &e.offset) ||
		!get_number(obj, "length", &e.length) || e.length == 0 ||
		(last != NULL && e.offset < last->offset + last->length) ||
		block_map_blocks(e.length) > p->blocks - p->next_hash)
		return bad("line", err);
	done = get_contents(p, obj, &e, err);
	p->next_hash += block_map_blocks(e.length);
	map->entries = mem_grow(map->entries, map->entry_count, &map->entry_cap,
							sizeof(MapEntry));
	map->entries[map->entry_count++] = e;
	return done;
}

static bool
add_line(MapParser *p, const char *text, size_t len, Error *err)
{
	Json *obj = json_parse(text, len, err);
	bool done;

	if (obj == NULL)
		return false;
	done = p->header ? add_entry(p, obj, err) : add_header(p, obj, err);
	json_free(obj);
	return done;
}

static bool
in_lines(const MapParser *p)
{
	return !p->header || p->map->entry_count < p->entries;
}

/* Up to the end of a line; *used: how many bytes that took. */
static bool
take_line(MapParser *p, const char *at, size_t len, size_t *used, Error *err)
{
	const char *nl = memchr(at, '\n', len);
	size_t n = nl != NULL ? (size_t) (nl - at) : len;
	bool done = true;

	*used = n + (nl != NULL);
	if (p->line.len + n > LINE_MAX_BYTES)
		return bad("line", err);
	if (nl != NULL && p->line.len == 0)
		return add_line(p, at, n, err);
	strbuf_add(&p->line, at, n);
	if (nl != NULL)
	{
		done = add_line(p, p->line.data, p->line.len, err);
		strbuf_reset(&p->line);
	}
	return done;
}

static bool
take_hashes(MapParser *p, const uint8_t *at, size_t len, Error *err)
{
	BlockMap *map = p->map;

	for (size_t i = 0; i < len; i++)
	{
		p->hash = p->hash << 8 | at[i];
		if (++p->hash_bytes < 8)
			continue;
		if (map->hash_count == p->blocks)
			return bad("length", err);
		map->hashes = mem_grow(map->hashes, map->hash_count, &map->hash_cap,
							   sizeof(uint64_t));
		map->hashes[map->hash_count++] = p->hash;
		p->hash_bytes = 0;
	}
	return true;
}

static bool
take(void *arg, const void *data, size_t len, Error *err)
{
	MapParser *p = arg;
	const char *at = data;

	while (len > 0 && in_lines(p))
	{
		size_t used;

		if (!take_line(p, at, len, &used, err))
			return false;
		at += used;
		len -= used;
	}
	return len == 0 || take_hashes(p, (const uint8_t *) at, len, err);
}

static bool
check_whole(const MapParser *p, const ObjectMeta *meta, Error *err)
{
	if (strcmp(meta->kind, OBJECT_MAP) != 0)
		return error_set(err, ERR_MISMATCH, "object is not a map");
	if (in_lines(p) || p->hash_bytes > 0 || p->map->hash_count != p->blocks ||
		p->next_hash != p->blocks)
		return bad("length", err);
	return true;
}

bool
block_map_read(Repo *repo, const char *label, uint32_t pack, bool files,
			   BlockMap *out, Error *err)
{
	MapParser p = {.map = out, .files = files};
	char *name = repo_map_name(label, pack);
	Stage *sink = stage_sink(take, &p);
	ObjectMeta meta = {0};
	bool done;

	*out = (BlockMap){.pack = pack};
	done = object_read(repo, name, sink, &meta, err) &&
		   check_whole(&p, &meta, err);
	object_meta_free(&meta);
	stage_free(sink);
	strbuf_free(&p.line);
	free(name);
	if (done)
		return true;
	block_map_free(out);
	return error_prefix(err, "could not read map of pack %u of backup %s", pack,
						label);
}
