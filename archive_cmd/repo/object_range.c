/*-------------------------------------------------------------------------
 *
 * object_range.c
 *	  Reads some zstd frames of an object without reading the rest.
 *
 * age encrypts in chunks of 64 KiB, each on its own: the chunks that hold the
 * wanted bytes are fetched, authenticated, and cut to the frames.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

#define READ_BUFFER (256 * 1024)
#define HEAD_READ 4096

struct ObjectReader
{
	Repo *repo;
	char *name;
	ObjectHead head;
	AgeFileKey *key; /* NULL if not encrypted */
	uint8_t nonce[AGE_NONCE];
};

/* The first bytes of the payload; what came with the head may hold them. */
static bool
take_nonce(ObjectReader *o, StorageReader *r, StrBuf *rest, Error *err)
{
	char block[AGE_NONCE];
	size_t got;

	while (rest->len < AGE_NONCE)
	{
		if (!storage_read(r, block, sizeof(block), &got, err))
			return false;
		if (got == 0)
		{
			error_set(err, ERR_DAMAGED, "it has no payload");
			return object_error(o->repo, o->name, err);
		}
		strbuf_add(rest, block, got);
	}
	memcpy(o->nonce, rest->data, AGE_NONCE);
	return true;
}

static bool
open_encrypted(ObjectReader *o, StorageReader *r, StrBuf *rest, Error *err)
{
	o->key = object_unlock(o->repo, &o->head, err);
	if (!o->key)
		return object_error(o->repo, o->name, err);
	return take_nonce(o, r, rest, err);
}

/* With so many bytes from the start of the object. */
static ObjectReader *
open_within(Repo *repo, const char *name, uint64_t length, Error *err)
{
	ObjectReader *o = mem_zalloc(sizeof(ObjectReader));
	StorageReader *r = NULL;
	StrBuf rest = STRBUF_INIT;
	bool done;

	o->repo = repo;
	o->name = mem_strdup(name);
	done = storage_read_open(repo->storage, name, 0, length, &r, err) &&
		   object_head_read(repo, name, r, &o->head, &rest, err) &&
		   (!o->head.meta.encrypted || open_encrypted(o, r, &rest, err));
	storage_read_close(r);
	strbuf_free(&rest);
	if (done)
		return o;
	object_reader_close(o);
	return NULL;
}

/*
 * As with object_stat(): a store that is far away does not begin to send all
 * of a pack only to be told that the head was enough.
 */
bool
object_open(Repo *repo, const char *name, ObjectReader **out, Error *err)
{
	Error first = ERROR_INIT;

	*out = open_within(repo, name, HEAD_READ, &first);
	if (*out == NULL && first.code == ERR_DAMAGED)
	{
		error_clear(&first);
		*out = open_within(repo, name, AGE_HEADER_MAX + HEAD_READ, &first);
	}
	error_move(err, &first);
	return *out != NULL;
}

const ObjectMeta *
object_reader_meta(const ObjectReader *r)
{
	return &r->head.meta;
}

void
object_reader_close(ObjectReader *r)
{
	if (!r)
		return;
	object_head_free(&r->head);
	age_file_key_free(r->key);
	free(r->name);
	free(r);
}

/* ---- reading ---- */

/* Lets through `keep` bytes after `skip` bytes. */
typedef struct Window
{
	Stage base;
	uint64_t skip;
	uint64_t keep;
} Window;

static bool
window_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Window *w = (Window *) stage;
	size_t skip = len < w->skip ? len : (size_t) w->skip;
	size_t keep;

	w->skip -= skip;
	keep = len - skip < w->keep ? len - skip : (size_t) w->keep;
	w->keep -= keep;
	return keep == 0 ||
		   stage_write(stage->next, (const char *) data + skip, keep, err);
}

static bool
window_finish(Stage *stage, Error *err)
{
	Window *w = (Window *) stage;

	if (w->keep > 0)
		return error_set(err, ERR_DAMAGED, "it ends before the frames do");
	return stage_finish(stage->next, err);
}

static void
window_free(Stage *stage)
{
	(void) stage; /* lives on the stack */
}

static const StageOps window_ops = {window_write, window_finish, window_free};

static bool
fetch(ObjectReader *o, uint64_t offset, uint64_t length, Stage *chain,
	  Error *err)
{
	char *block = mem_alloc(READ_BUFFER);
	StorageReader *r = NULL;
	size_t got = 0;
	bool done;

	done = storage_read_open(o->repo->storage, o->name, offset, length, &r,
							 err);
	while (done)
	{
		done = thread_check_stop(err) &&
			   storage_read(r, block, READ_BUFFER, &got, err);
		if (!done || got == 0)
			break;
		done = stage_write(chain, block, got, err);
	}
	storage_read_close(r);
	free(block);
	return done && stage_finish(chain, err);
}

/* The bytes of the store that hold these bytes of the zstd stream. */
static bool
fetch_encrypted(ObjectReader *o, uint64_t zstd_offset, uint64_t zstd_len,
				Stage *window, Error *err)
{
	const ObjectMeta *meta = &o->head.meta;
	uint64_t first = zstd_offset / AGE_CHUNK;
	uint64_t last = (zstd_offset + zstd_len - 1) / AGE_CHUNK;
	uint64_t stored = AGE_CHUNK + AGE_TAG;
	uint64_t from = AGE_NONCE + first * stored;
	uint64_t to = AGE_NONCE + (last + 1) * stored;
	Stage *decrypt;
	bool done;

	if (to > meta->payload_size)
		to = meta->payload_size;
	decrypt = stage_age_decrypt_range(o->key, o->nonce, first, window);
	done = fetch(o, meta->head_len + from, to - from, decrypt, err);
	stage_free(decrypt);
	return done;
}

static bool
fetch_window(ObjectReader *o, uint64_t zstd_offset, uint64_t zstd_len,
			 Window *window, Error *err)
{
	const ObjectMeta *meta = &o->head.meta;

	if (!meta->encrypted)
		return fetch(o, meta->head_len + zstd_offset, zstd_len, &window->base,
					 err);
	window->skip = zstd_offset % AGE_CHUNK;
	return fetch_encrypted(o, zstd_offset, zstd_len, &window->base, err);
}

/*
 * The keys of the repository may be rewrapped meanwhile: then the payload is
 * the same, but it begins elsewhere.  True if the head is another one, which
 * is taken.
 */
static bool
has_new_head(ObjectReader *o)
{
	Error ignored = ERROR_INIT;
	ObjectReader *again;
	bool differs;

	if (!object_open(o->repo, o->name, &again, &ignored))
	{
		error_clear(&ignored);
		return false;
	}
	differs = again->head.bytes.len != o->head.bytes.len &&
			  memcmp(again->head.meta.sha256, o->head.meta.sha256,
					 SHA256_LEN) == 0;
	if (differs)
	{
		ObjectHead head = o->head;

		o->head = again->head;
		again->head = head;
	}
	object_reader_close(again);
	return differs;
}

/* The frames themselves, not decoded. */
static bool
fetch_frames(ObjectReader *o, uint64_t zstd_offset, uint64_t zstd_len,
			 Stage *sink, Error *err)
{
	const ObjectMeta *meta = &o->head.meta;
	Window window = {.base = {.ops = &window_ops, .next = sink},
					 .keep = zstd_len};
	Error cause = ERROR_INIT;
	bool done;

	if (zstd_len == 0 || zstd_offset > meta->zstd_size ||
		zstd_len > meta->zstd_size - zstd_offset)
		return error_set(err, ERR_DAMAGED,
						 "it has no frames at %" PRIu64 " + %" PRIu64,
						 zstd_offset, zstd_len);
	done = fetch_window(o, zstd_offset, zstd_len, &window, &cause);
	/* as long as nothing has reached the sink, it can be tried again */
	if (!done && cause.code == ERR_DAMAGED && window.keep == zstd_len &&
		has_new_head(o))
	{
		error_clear(&cause);
		done = fetch_window(o, zstd_offset, zstd_len, &window, &cause);
	}
	error_move(err, &cause);
	return done;
}

bool
object_read_frames(ObjectReader *o, uint64_t zstd_offset, uint64_t zstd_len,
				   Stage *sink, Error *err)
{
	Stage *zstd = stage_zstd_decompress(sink, err);
	bool done;

	if (!zstd)
		return false;
	done = fetch_frames(o, zstd_offset, zstd_len, zstd, err);
	stage_free(zstd);
	if (!done && err->code == ERR_DAMAGED)
		object_error(o->repo, o->name, err);
	return done;
}

bool
object_decode_frames(ObjectReader *o, const FrameRange *range,
					 ZstdDecoder *decoder, StrBuf *scratch, void *out,
					 Error *err)
{
	Stage *sink = stage_sink_buffer(scratch, range->zstd_len);
	bool done;

	strbuf_reset(scratch);
	done = fetch_frames(o, range->zstd_offset, range->zstd_len, sink, err) &&
		   zstd_decode(decoder, scratch->data, scratch->len, out,
					   range->plain_len, err);
	stage_free(sink);
	if (!done && err->code == ERR_DAMAGED)
		object_error(o->repo, o->name, err);
	return done;
}
