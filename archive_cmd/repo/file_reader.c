/*-------------------------------------------------------------------------
 *
 * file_reader.c
 *	  Reads files of a backup from wherever their bytes lie.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/file_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS 32 /* packs that are open, each with a frame in memory */
#define FRAME_MAX (UINT64_C(64) * 1024 * 1024)

typedef struct PackSlot
{
	uint32_t pack; /* 0: free */
	ObjectReader *object;
	uint8_t *data; /* of the frame in memory */
	size_t size;   /* of the buffer */
	uint64_t begin;
	uint64_t end; /* of that frame in the plaintext; equal if there is none */
	uint64_t used;
} PackSlot;

struct FileReader
{
	/* fixed */
	Repo *repo;
	const Manifest *manifest;

	/* mutable */
	PackSlot slots[SLOTS];
	uint64_t calls;
	ZstdDecoder *decoder;
	StrBuf scratch;
};

FileReader *
file_reader_new(Repo *repo, const Manifest *manifest)
{
	FileReader *r = mem_zalloc(sizeof(FileReader));

	r->repo = repo;
	r->manifest = manifest;
	return r;
}

static void
close_slot(PackSlot *slot)
{
	object_reader_close(slot->object);
	slot->object = NULL;
	slot->pack = 0;
	slot->begin = slot->end = 0;
}

void
file_reader_free(FileReader *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
	{
		close_slot(&r->slots[i]);
		free(r->slots[i].data);
	}
	zstd_decoder_free(r->decoder);
	strbuf_free(&r->scratch);
	free(r);
}

/* ---- packs ---- */

static bool
open_pack(FileReader *r, PackSlot *slot, uint32_t number, Error *err)
{
	const ManifestPack *pack = &r->manifest->packs[number - 1];
	char *name = manifest_pack_name(r->manifest, pack);
	const ObjectMeta *meta;
	bool done = object_open(r->repo, name, &slot->object, err);

	if (done)
	{
		meta = object_reader_meta(slot->object);
		done = (meta->plain_size == pack->plain_size &&
				meta->zstd_size == pack->zstd_size &&
				memcmp(meta->sha256, pack->sha256, SHA256_LEN) == 0) ||
			   error_set(err, ERR_MISMATCH,
						 "\"%s\" is not the pack that the manifest names",
						 name);
	}
	slot->pack = number;
	if (!done)
		close_slot(slot);
	free(name);
	return done;
}

/* The one that has this pack open, or else was not used for longest. */
static PackSlot *
find_slot(FileReader *r, uint32_t pack)
{
	PackSlot *oldest = &r->slots[0];

	for (size_t i = 0; i < SLOTS; i++)
	{
		PackSlot *slot = &r->slots[i];

		if (slot->pack == pack)
			return slot;
		if (slot->used < oldest->used)
			oldest = slot;
	}
	close_slot(oldest);
	return oldest;
}

/* ---- frames ---- */

static size_t
frame_of(const ManifestPack *pack, uint64_t offset)
{
	size_t low = 0;
	size_t high = pack->frame_count;

	while (high - low > 1)
	{
		size_t mid = low + (high - low) / 2;

		if (pack->frames[mid].plain <= offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static bool
load_frame(FileReader *r, PackSlot *slot, uint64_t offset, Error *err)
{
	const ManifestPack *pack = &r->manifest->packs[slot->pack - 1];
	size_t n = frame_of(pack, offset);
	bool last = n + 1 == pack->frame_count;
	uint64_t begin = pack->frames[n].plain;
	uint64_t end = last ? pack->plain_size : pack->frames[n + 1].plain;
	FrameRange range = {.zstd_offset = pack->frames[n].stored,
						.plain_len = (size_t) (end - begin)};

	range.zstd_len = (last ? pack->zstd_size : pack->frames[n + 1].stored) -
					 range.zstd_offset;
	if (end - begin > FRAME_MAX || range.zstd_len > FRAME_MAX)
		return error_set(err, ERR_UNSUPPORTED, "a frame of pack %u is too long",
						 pack->number);
	slot->begin = slot->end = 0;
	if (range.plain_len > slot->size)
	{
		free(slot->data);
		slot->size = range.plain_len;
		slot->data = mem_alloc(slot->size);
	}
	if (r->decoder == NULL)
		r->decoder = zstd_decoder_new(err);
	if (r->decoder == NULL ||
		!object_decode_frames(slot->object, &range, r->decoder, &r->scratch,
							  slot->data, err))
		return false;
	slot->begin = begin;
	slot->end = end;
	return true;
}

/* A frame that holds this byte of the pack. */
static PackSlot *
fetch(FileReader *r, uint32_t pack, uint64_t offset, Error *err)
{
	PackSlot *slot = find_slot(r, pack);

	slot->used = ++r->calls;
	if (slot->pack == 0 && !open_pack(r, slot, pack, err))
		return NULL;
	if ((offset < slot->begin || offset >= slot->end) &&
		!load_frame(r, slot, offset, err))
		return NULL;
	return slot;
}

bool
file_reader_read(FileReader *r, const ManifestFile *file, StageSinkFn fn,
				 void *arg, uint32_t *pack, Error *err)
{
	const ManifestExtent *e = manifest_extents(r->manifest, file);

	for (uint32_t i = 0; i < file->extent_count; i++)
	{
		uint64_t at = e[i].pack_offset;
		uint64_t end = at + e[i].length;

		while (at < end)
		{
			PackSlot *slot = fetch(r, e[i].pack, at, err);
			size_t n;

			*pack = e[i].pack;
			if (slot == NULL)
				return false;
			n = (size_t) ((end < slot->end ? end : slot->end) - at);
			*pack = 0;
			if (!fn(arg, slot->data + (at - slot->begin), n, err))
				return false;
			at += n;
		}
	}
	return true;
}
