/*-------------------------------------------------------------------------
 *
 * pack.c
 *	  Writes a pack: a tar stream of a backup's files, as one object cut into
 *	  frames that can be fetched alone.
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
	uint32_t number;

	/* mutable */
	ObjectWriter *object;
	uint64_t file_left; /* bytes the file in work still owes */
	size_t padding;     /* zeros that follow it */
	ManifestFrame *frames;
	size_t frame_count;
	size_t frame_cap;
	uint64_t frame_plain; /* where the next frame begins */
	uint64_t frame_stored;
	StrBuf header;
};

static void
pack_free(PackWriter *w)
{
	strbuf_free(&w->header);
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

	w->number = number;
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

bool
pack_begin_file(PackWriter *w, const TarEntry *entry, uint64_t *offset,
				Error *err)
{
	if (!write_header(w, entry, err))
		return false;
	*offset = object_plain_len(w->object);
	w->file_left = entry->size;
	w->padding = tar_padding(entry->size);
	return true;
}

bool
pack_write(PackWriter *w, const void *data, size_t len, Error *err)
{
	if (len > w->file_left)
		return error_set(err, ERR_INTERNAL,
						 "more bytes than the file was announced with");
	w->file_left -= len;
	return object_write(w->object, data, len, err);
}

bool
pack_end_file(PackWriter *w, Error *err)
{
	static const char zeros[TAR_BLOCK];
	size_t padding = w->padding;

	if (w->file_left > 0)
		return error_set(err, ERR_INTERNAL,
						 "fewer bytes than the file was announced with");
	w->padding = 0;
	return padding == 0 || object_write(w->object, zeros, padding, err);
}

uint32_t
pack_number(const PackWriter *w)
{
	return w->number;
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
	out->number = w->number;
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
	if (done)
	{
		fill_manifest_pack(w, &meta, out);
		*stored = meta.head_len + meta.payload_size;
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
