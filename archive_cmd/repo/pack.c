/*-------------------------------------------------------------------------
 *
 * pack.c
 *	  Writes a pack: a tar stream of a backup's files, as one object cut into
 *	  frames that can be fetched alone; and its map.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/pack.h"

#include <stdlib.h>
#include <string.h>

#include "repo/object.h"

struct PackWriter
{
	/* fixed */
	Repo *repo;
	char *label;

	/* mutable */
	ObjectWriter *object;
	uint64_t file_left; /* bytes the file in work still owes */
	size_t padding;     /* zeros that follow it */
	bool has_contents;
	ManifestFrame *frames;
	size_t frame_count;
	size_t frame_cap;
	uint64_t frame_plain; /* where the next frame begins */
	uint64_t frame_stored;
	StrBuf header;

	/* of the map */
	BlockMap map;
	uint8_t block[MANIFEST_BLOCK]; /* that has not come whole yet */
	size_t block_len;
};

static void
pack_free(PackWriter *w)
{
	strbuf_free(&w->header);
	block_map_free(&w->map);
	free(w->label);
	free(w->frames);
	free(w);
}

static bool
note_frame(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	PackWriter *w = arg;

	(void) err;
	w->frames = mem_grow(w->frames, w->frame_count, &w->frame_cap,
						 sizeof(ManifestFrame));
	w->frames[w->frame_count].plain = w->frame_plain;
	w->frames[w->frame_count].stored = w->frame_stored;
	w->frame_count++;
	w->frame_plain += plain_len;
	w->frame_stored += stored_len;
	return true;
}

PackWriter *
pack_create(Repo *repo, const char *label, uint32_t number,
			struct ZstdPool *pool, Error *err)
{
	PackWriter *w = mem_zalloc(sizeof(PackWriter));
	char *name = repo_pack_name(label, number);
	ObjectSpec spec = {.name = name,
					   .kind = OBJECT_PACK,
					   .frame_size = PACK_FRAME_SIZE,
					   .frame_fn = note_frame,
					   .frame_arg = w,
					   .pool = pool};

	w->repo = repo;
	w->label = mem_strdup(label);
	w->map.pack = number;
	w->object = object_create(repo, &spec, err);
	free(name);
	if (w->object == NULL)
	{
		pack_free(w);
		return NULL;
	}
	return w;
}

static bool
write_header(PackWriter *w, const TarEntry *entry, Error *err)
{
	if (w->file_left > 0 || w->padding > 0)
		return error_set(err, ERR_INTERNAL,
						 "entry \"%s\" begins inside another one", entry->path);
	strbuf_reset(&w->header);
	tar_header(&w->header, entry);
	return object_write(w->object, w->header.data, w->header.len, err);
}

bool
pack_add_dir(PackWriter *w, const TarEntry *entry, Error *err)
{
	return write_header(w, entry, err);
}

/* ---- the map ---- */

static MapEntry *
map_entry(PackWriter *w)
{
	return &w->map.entries[w->map.entry_count - 1];
}

static void
map_begin(PackWriter *w, const char *path, uint64_t offset, uint64_t length)
{
	BlockMap *map = &w->map;

	map->entries = mem_grow(map->entries, map->entry_count, &map->entry_cap,
							sizeof(MapEntry));
	map->entries[map->entry_count++] = (MapEntry){
		.path = mem_strdup(path),
		.offset = offset,
		.length = length,
		.first_hash = map->hash_count};
}

static void
map_block(PackWriter *w, const void *data, size_t len)
{
	BlockMap *map = &w->map;

	map->hashes = mem_grow(map->hashes, map->hash_count, &map->hash_cap,
						   sizeof(uint64_t));
	map->hashes[map->hash_count++] = content_block_hash(&w->repo->content, data,
														len);
}

static void
map_add(PackWriter *w, const uint8_t *data, size_t len)
{
	while (len > 0)
	{
		size_t room = MANIFEST_BLOCK - w->block_len;
		size_t n = len < room ? len : room;

		if (n == MANIFEST_BLOCK)
			map_block(w, data, n);
		else
		{
			memcpy(w->block + w->block_len, data, n);
			w->block_len += n;
			if (w->block_len == MANIFEST_BLOCK)
			{
				map_block(w, w->block, MANIFEST_BLOCK);
				w->block_len = 0;
			}
		}
		data += n;
		len -= n;
	}
}

static void
map_end(PackWriter *w)
{
	if (w->block_len > 0)
		map_block(w, w->block, w->block_len);
	w->block_len = 0;
}

/* ---- entries ---- */

bool
pack_begin_file(PackWriter *w, const TarEntry *entry, uint64_t *offset,
				Error *err)
{
	if (!write_header(w, entry, err))
		return false;
	*offset = object_plain_len(w->object);
	w->file_left = entry->size;
	w->padding = tar_padding(entry->size);
	w->has_contents = entry->size > 0;
	if (w->has_contents)
		map_begin(w, entry->path, *offset, entry->size);
	return true;
}

bool
pack_write(PackWriter *w, const void *data, size_t len, Error *err)
{
	if (len > w->file_left)
		return error_set(err, ERR_INTERNAL,
						 "more bytes than the file was announced with");
	w->file_left -= len;
	map_add(w, data, len);
	return object_write(w->object, data, len, err);
}

static bool
end_entry(PackWriter *w, Error *err)
{
	static const char zeros[TAR_BLOCK];
	size_t padding = w->padding;

	if (w->file_left > 0)
		return error_set(err, ERR_INTERNAL,
						 "fewer bytes than the file was announced with");
	map_end(w);
	w->padding = 0;
	return padding == 0 || object_write(w->object, zeros, padding, err);
}

bool
pack_end_file(PackWriter *w, const uint8_t content[CONTENT_LEN], Error *err)
{
	/* an empty file has no place in the pack */
	if (w->has_contents)
	{
		map_entry(w)->whole = true;
		memcpy(map_entry(w)->content, content, CONTENT_LEN);
	}
	return end_entry(w, err);
}

bool
pack_begin_part(PackWriter *w, const TarEntry *entry, const PackPart *part,
				uint64_t *offset, Error *err)
{
	MapEntry *e;

	if (!pack_begin_file(w, entry, offset, err))
		return false;
	e = map_entry(w);
	free(e->path);
	e->path = mem_strdup(part->path);
	e->run_count = part->run_count;
	e->runs = mem_alloc(part->run_count * sizeof(MapRun));
	memcpy(e->runs, part->runs, part->run_count * sizeof(MapRun));
	return true;
}

bool
pack_end_part(PackWriter *w, Error *err)
{
	return end_entry(w, err);
}

uint32_t
pack_number(const PackWriter *w)
{
	return w->map.pack;
}

bool
pack_is_full(const PackWriter *w)
{
	return object_plain_len(w->object) >= PACK_FULL;
}

/* Frames must tile both streams, or ranges would be fetched wrongly. */
static bool
check_frames(const PackWriter *w, const ObjectMeta *meta, Error *err)
{
	if (w->frame_plain == meta->plain_size &&
		w->frame_stored == meta->zstd_size)
		return true;
	return error_set(err, ERR_INTERNAL,
					 "frame table of \"%s\" does not cover it", meta->name);
}

static void
fill_manifest_pack(PackWriter *w, const ObjectMeta *meta, ManifestPack *out)
{
	memset(out, 0, sizeof(*out));
	out->number = w->map.pack;
	out->plain_size = meta->plain_size;
	out->zstd_size = meta->zstd_size;
	out->payload_size = meta->payload_size;
	memcpy(out->sha256, meta->sha256, SHA256_LEN);
	out->frames = w->frames;
	out->frame_count = w->frame_count;
	w->frames = NULL;
}

bool
pack_commit(PackWriter *w, ManifestPack *out, uint64_t *stored, Error *err)
{
	static const char zeros[TAR_END_LEN];
	ObjectMeta meta = {0};
	uint64_t map_bytes = 0;
	bool done = false;

	if (w->file_left > 0 || w->padding > 0)
		error_set(err, ERR_INTERNAL, "pack ends inside a file");
	else
		done = object_write(w->object, zeros, sizeof(zeros), err);
	if (!done)
	{
		pack_abort(w);
		return false;
	}
	done = object_commit(w->object, NULL, &meta, err) &&
		   check_frames(w, &meta, err);
	w->object = NULL;
	memcpy(w->map.sha256, meta.sha256, SHA256_LEN);
	done = done && block_map_write(w->repo, w->label, &w->map, &map_bytes, err);
	if (done)
	{
		fill_manifest_pack(w, &meta, out);
		*stored = meta.head_len + meta.payload_size + map_bytes;
	}
	object_meta_free(&meta);
	pack_free(w);
	return done;
}

void
pack_abort(PackWriter *w)
{
	if (w == NULL)
		return;
	object_abort(w->object);
	pack_free(w);
}
