/*-------------------------------------------------------------------------
 *
 * object_write.c
 *	  Writes an object: content hash -> zstd -> age -> SHA-256 -> store.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stream/zstd_pace.h"

struct ObjectWriter
{
	/* fixed */
	Repo *repo;
	char *name;
	char *kind;
	ZstdFrameFn frame_fn;
	void *frame_arg;
	Json *keys;  /* ids of the recipients, or NULL */
	size_t room; /* for the metadata */
	size_t head_len;

	/* the chain, front to end */
	Stage *front; /* content hash */
	Stage *zstd;
	Stage *encrypt; /* NULL if not encrypted */
	Stage *hash;
	Stage *store;

	/* what the stages work with */
	AgeWriter *age;
	ContentHash *content;
	Sha256 *sha256;
	StorageWriter *out;
	int64_t waited; /* for the store, in microseconds: with a pace */

	/* counts */
	uint64_t plain_size;
	uint64_t zstd_size;
	uint64_t payload_size;
};

/* The time in which this thread did nothing; its differences count. */
static int64_t
rest_time(const ObjectWriter *w)
{
	return w->repo->options.pace != NULL
			   ? clock_monotonic() - clock_thread_cpu()
			   : 0;
}

/* After something that began at that time. */
static void
note_pace(ObjectWriter *w, int64_t begun)
{
	if (w->repo->options.pace != NULL)
		zstd_pace_note(w->repo->options.pace, clock_monotonic() - begun,
					   w->waited);
	w->waited = 0;
}

static bool
to_store(void *arg, const void *data, size_t len, Error *err)
{
	ObjectWriter *w = arg;
	int64_t begun = rest_time(w);
	bool done = storage_write(w->out, data, len, err);

	w->waited += rest_time(w) - begun;
	return done;
}

static bool
frame_done(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	ObjectWriter *w = arg;

	w->zstd_size += stored_len;
	if (!w->frame_fn)
		return true;
	return w->frame_fn(w->frame_arg, plain_len, stored_len, err);
}

static void
writer_free(ObjectWriter *w)
{
	storage_abort(w->out);
	stage_free(w->front);
	stage_free(w->zstd);
	stage_free(w->encrypt);
	stage_free(w->hash);
	stage_free(w->store);
	age_writer_free(w->age);
	content_hash_free(w->content);
	sha256_free(w->sha256);
	json_free(w->keys);
	free(w->name);
	free(w->kind);
	free(w);
}

static bool
make_chain(ObjectWriter *w, const ObjectSpec *spec, Error *err)
{
	Repo *repo = w->repo;

	w->sha256 = sha256_new();
	w->content = content_hash_new(&repo->content);
	w->store = stage_sink(to_store, w);
	w->hash = stage_sha256(w->sha256, &w->payload_size, w->store);
	if (repo->encrypted)
	{
		w->age = (repo->options.cipher == AGE_AES_256_GCM ? age_writer_new_aes
														  : age_writer_new)(
			&repo->options.keys->recipients, OBJECT_STANZA, w->room, err);
		if (!w->age)
			return false;
		w->encrypt = stage_age_encrypt(w->age, w->hash);
		w->head_len = age_writer_header_len(w->age);
	}
	else
		w->head_len = ZSTD_SKIPPABLE_HEADER + w->room;
	w->zstd = stage_zstd_compress(repo->options.compress_level,
								  spec->frame_size, frame_done, w,
								  w->encrypt ? w->encrypt : w->hash, err);
	if (!w->zstd)
		return false;
	if (repo->options.compress_long)
		stage_zstd_use_far(w->zstd);
	if (repo->options.pace != NULL)
		stage_zstd_use_pace(w->zstd, repo->options.pace);
	if (spec->pool != NULL)
		stage_zstd_use_pool(w->zstd, spec->pool);
	w->front = stage_content_hash(w->content, &w->plain_size, w->zstd);
	return storage_write_open(repo->storage, spec->name, w->head_len, &w->out,
							  err);
}

ObjectWriter *
object_create(Repo *repo, const ObjectSpec *spec, Error *err)
{
	ObjectWriter *w;

	if (!repo->has_content ||
		(repo->encrypted && repo->options.keys->recipients.count == 0))
	{
		error_set(err, ERR_KEY, "could not write \"%s\": %s", spec->name,
				  repo->has_content ? "there is no recipient"
									: "the content key is not known");
		error_hint(err, "Set content-key-file and recipient in the "
						"configuration.");
		return NULL;
	}
	w = mem_zalloc(sizeof(ObjectWriter));
	w->repo = repo;
	w->name = mem_strdup(spec->name);
	w->kind = mem_strdup(spec->kind);
	w->frame_fn = spec->frame_fn;
	w->frame_arg = spec->frame_arg;
	if (repo->encrypted)
		w->keys = object_key_ids(&repo->options.keys->recipients);
	w->room = object_meta_room(spec, w->keys);
	if (!make_chain(w, spec, err))
	{
		writer_free(w);
		return NULL;
	}
	return w;
}

bool
object_write(ObjectWriter *w, const void *data, size_t len, Error *err)
{
	int64_t begun = clock_monotonic();
	bool done = stage_write(w->front, data, len, err);

	note_pace(w, begun);
	return done;
}

void *
object_room(ObjectWriter *w, Error *err)
{
	return stage_zstd_room(w->zstd, err);
}

bool
object_end_frame(ObjectWriter *w, Error *err)
{
	return stage_zstd_end_frame(w->zstd, err);
}

uint64_t
object_plain_len(const ObjectWriter *w)
{
	return w->plain_size;
}

/* Makes the head; meta has everything that is known now. */
static bool
make_head(ObjectWriter *w, const ObjectMeta *meta, uint8_t *head, Error *err)
{
	char *text = mem_alloc(w->room);
	bool done;

	done = object_meta_format(w->repo, meta, w->room, text, err);
	if (done && w->age)
		done = age_writer_header(w->age, text, head, err);
	else if (done)
		zstd_skippable_frame(text, (uint32_t) w->room, head);
	free(text);
	return done;
}

static void
fill_meta(ObjectWriter *w, const Json *extra, ObjectMeta *meta)
{
	meta->kind = mem_strdup(w->kind);
	meta->name = mem_strdup(w->name);
	meta->plain_size = w->plain_size;
	meta->zstd_size = w->zstd_size;
	meta->payload_size = w->payload_size;
	content_hash_final(w->content, meta->content);
	sha256_final(w->sha256, meta->sha256);
	meta->keys = w->keys ? json_dup(w->keys) : NULL;
	meta->extra = extra ? json_dup(extra) : NULL;
	meta->encrypted = w->age != NULL;
	meta->head_len = w->head_len;
}

bool
object_commit(ObjectWriter *w, const Json *extra, ObjectMeta *out, Error *err)
{
	ObjectMeta meta = {0};
	StorageWriter *store;
	uint8_t *head = NULL;
	int64_t begun = clock_monotonic();
	int64_t rest;
	bool done;

	done = stage_finish(w->front, err);
	if (done)
	{
		fill_meta(w, extra, &meta);
		head = mem_alloc(w->head_len);
		done = make_head(w, &meta, head, err);
	}
	if (done)
	{
		/* commit frees the store's writer whatever comes of it */
		store = w->out;
		w->out = NULL;
		rest = rest_time(w);
		done = storage_commit(store, head, err);
		w->waited += rest_time(w) - rest;
		note_pace(w, begun);
	}
	free(head);
	writer_free(w);
	if (done && out)
		*out = meta;
	else
		object_meta_free(&meta);
	return done;
}

void
object_abort(ObjectWriter *w)
{
	if (w)
		writer_free(w);
}

bool
object_put(Repo *repo, const ObjectSpec *spec, const void *data, size_t len,
		   const Json *extra, Error *err)
{
	ObjectWriter *w = object_create(repo, spec, err);

	if (!w)
		return false;
	if (!object_write(w, data, len, err))
	{
		object_abort(w);
		return false;
	}
	return object_commit(w, extra, NULL, err);
}
