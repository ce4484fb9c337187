/*-------------------------------------------------------------------------
 *
 * object_read.c
 *	  Reads an object: store -> SHA-256 -> age -> zstd -> content hash -> sink.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

#define READ_BUFFER (256 * 1024)
#define STAT_READ 4096

/* ---- the payload ---- */

/* Pushes the payload, part of which is in rest already, into chain. */
static bool
pump(StorageReader *r, const StrBuf *rest, Stage *chain, Error *err)
{
	char *block = mem_alloc(READ_BUFFER);
	size_t got = rest->len;
	bool done = got == 0 || stage_write(chain, rest->data, got, err);

	while (done)
	{
		done = thread_check_stop(err) &&
			   storage_read(r, block, READ_BUFFER, &got, err);
		if (!done || got == 0)
			break;
		done = stage_write(chain, block, got, err);
	}
	free(block);
	return done;
}

bool
object_check_payload(const ObjectMeta *meta, Sha256 *sha256, uint64_t size,
					 Error *err)
{
	uint8_t hash[SHA256_LEN];

	sha256_final(sha256, hash);
	if (size != meta->payload_size)
	{
		error_set(err, ERR_DAMAGED, "it is not as long as it was written");
		return error_detail(err,
							"Its payload has %" PRIu64 " bytes, it should "
							"have %" PRIu64 ".",
							size, meta->payload_size);
	}
	if (memcmp(hash, meta->sha256, SHA256_LEN) != 0)
		return error_set(err, ERR_DAMAGED,
						 "its SHA-256 is not the one it was written with");
	return true;
}

/* ---- decoding ---- */

/* Hands everything on but the finish, which waits for the last check. */
typedef struct Gate
{
	Stage base;
} Gate;

static bool
gate_write(Stage *stage, const void *data, size_t len, Error *err)
{
	return stage_write(stage->next, data, len, err);
}

static bool
gate_finish(Stage *stage, Error *err)
{
	(void) stage;
	(void) err;
	return true;
}

static void
gate_free(Stage *stage)
{
	(void) stage; /* lives on the stack */
}

static const StageOps gate_ops = {gate_write, gate_finish, gate_free};

typedef struct Decoder
{
	Gate gate;
	ContentHash *content; /* NULL if the content key is not known */
	Sha256 *sha256;
	AgeFileKey *key;
	Stage *hash; /* front */
	Stage *decrypt;
	Stage *zstd;
	Stage *check;
	uint64_t payload_size;
	uint64_t plain_size;
} Decoder;

static bool
decoder_init(Decoder *d, const Repo *repo, const ObjectHead *head, Stage *sink,
			 Error *err)
{
	Stage *next;

	d->gate.base.ops = &gate_ops;
	d->gate.base.next = sink;
	next = &d->gate.base;
	if (!repo->has_content)
	{
		error_set(err, ERR_KEY, "the content key is not known");
		return error_hint(err, "Set content-key-file or identity-file in the "
							   "configuration.");
	}
	d->content = content_hash_new(&repo->content);
	d->check = stage_content_hash(d->content, &d->plain_size, next);
	d->zstd = stage_zstd_decompress(d->check, err);
	if (!d->zstd)
		return false;
	next = d->zstd;
	if (head->meta.encrypted)
	{
		d->key = object_unlock(repo, head, err);
		if (!d->key)
			return false;
		d->decrypt = stage_age_decrypt(d->key, next);
		next = d->decrypt;
	}
	d->sha256 = sha256_new();
	d->hash = stage_sha256(d->sha256, &d->payload_size, next);
	return true;
}

static void
decoder_free(Decoder *d)
{
	stage_free(d->hash);
	stage_free(d->decrypt);
	stage_free(d->zstd);
	stage_free(d->check);
	content_hash_free(d->content);
	sha256_free(d->sha256);
	age_file_key_free(d->key);
}

static bool
check_plain(Decoder *d, const ObjectMeta *meta, Error *err)
{
	uint8_t hash[CONTENT_LEN];

	content_hash_final(d->content, hash);
	if (d->plain_size != meta->plain_size ||
		memcmp(hash, meta->content, CONTENT_LEN) != 0)
		return error_set(err, ERR_DAMAGED,
						 "its content is not what its metadata says");
	return true;
}

/*
 * The SHA-256 is looked at before the decoder's own verdict, because "its
 * bytes changed" says more than "authentication failed".
 */
static bool
decode(const Repo *repo, StorageReader *r, const ObjectHead *head,
	   const StrBuf *rest, Stage *sink, Error *err)
{
	Decoder d = {0};
	bool done;

	done = decoder_init(&d, repo, head, sink, err) &&
		   pump(r, rest, d.hash, err) && stage_finish(d.hash, err) &&
		   object_check_payload(&head->meta, d.sha256, d.payload_size, err) &&
		   check_plain(&d, &head->meta, err) && stage_finish(sink, err);
	decoder_free(&d);
	return done;
}

/* ---- the calls ---- */

typedef struct OpenObject
{
	StorageReader *reader;
	ObjectHead head;
	StrBuf rest;
} OpenObject;

static bool
open_object(Repo *repo, const char *name, uint64_t length, OpenObject *o,
			Error *err)
{
	return storage_read_open(repo->storage, name, 0, length, &o->reader, err) &&
		   object_head_read(repo, name, o->reader, &o->head, &o->rest, err);
}

/* Hands the metadata to the caller if it is wanted and all went well. */
static bool
close_object(OpenObject *o, bool done, ObjectMeta *out)
{
	if (done && out)
	{
		*out = o->head.meta;
		memset(&o->head.meta, 0, sizeof(o->head.meta));
	}
	storage_read_close(o->reader);
	object_head_free(&o->head);
	strbuf_free(&o->rest);
	return done;
}

bool
object_read(Repo *repo, const char *name, Stage *sink, ObjectMeta *out,
			Error *err)
{
	OpenObject o = {0};
	bool done = open_object(repo, name, STORAGE_TO_END, &o, err);

	if (done)
	{
		done = decode(repo, o.reader, &o.head, &o.rest, sink, err);
		if (!done && (err->code == ERR_DAMAGED || err->code == ERR_KEY))
			object_error(repo, name, err);
	}
	return close_object(&o, done, out);
}

typedef struct StoredHash
{
	Sha256 *sha256;
	uint64_t size;
} StoredHash;

static bool
hash_stored(void *arg, const void *data, size_t len, Error *err)
{
	StoredHash *h = arg;

	(void) err;
	sha256_add(h->sha256, data, len);
	h->size += len;
	return true;
}

static bool
try_to_open(const Repo *repo, const ObjectHead *head)
{
	const AgeIdentities *ids = repo->options.keys->identities;
	Error ignored = ERROR_INIT;
	AgeFileKey *key;
	bool opens;

	if (!head->meta.encrypted || ids == NULL || age_identities_count(ids) == 0)
		return true;
	key = object_unlock(repo, head, &ignored);
	opens = key != NULL;
	age_file_key_free(key);
	error_clear(&ignored);
	return opens;
}

static bool
check_stored(Repo *repo, const char *name, ObjectMeta *out, bool *opens,
			 Error *err)
{
	OpenObject o = {0};
	StoredHash h = {.sha256 = sha256_new()};
	Stage *sink = stage_sink(hash_stored, &h);
	bool done = open_object(repo, name, STORAGE_TO_END, &o, err);

	if (done)
	{
		done = pump(o.reader, &o.rest, sink, err) &&
			   object_check_payload(&o.head.meta, h.sha256, h.size, err);
		if (!done && err->code == ERR_DAMAGED)
			object_error(repo, name, err);
		if (done && opens != NULL)
			*opens = try_to_open(repo, &o.head);
	}
	stage_free(sink);
	sha256_free(h.sha256);
	return close_object(&o, done, out);
}

bool
object_check_at(Repo *repo, const char *place, const char *name,
				ObjectHead *head, Error *err)
{
	OpenObject o = {0};
	StoredHash h = {.sha256 = sha256_new()};
	Stage *sink = stage_sink(hash_stored, &h);
	bool done = storage_read_open(repo->storage, place, 0, STORAGE_TO_END,
								  &o.reader, err) &&
				object_head_read(repo, name, o.reader, &o.head, &o.rest, err) &&
				pump(o.reader, &o.rest, sink, err) &&
				object_check_payload(&o.head.meta, h.sha256, h.size, err);

	if (done)
	{
		*head = o.head;
		memset(&o.head, 0, sizeof(o.head));
	}
	else if (err->code == ERR_DAMAGED)
		object_error(repo, place, err);
	stage_free(sink);
	sha256_free(h.sha256);
	return close_object(&o, done, NULL);
}

bool
object_check_stored(Repo *repo, const char *name, ObjectMeta *out, Error *err)
{
	return check_stored(repo, name, out, NULL, err);
}

bool
object_check_opens(Repo *repo, const char *name, bool *opens, Error *err)
{
	return check_stored(repo, name, NULL, opens, err);
}

/*
 * A small range takes in most heads, and a store that is far away sends no
 * more; a long head (many recipients, a long history) needs a second look.
 */
bool
object_stat(Repo *repo, const char *name, ObjectMeta *out, Error *err)
{
	OpenObject o = {0};
	Error first = ERROR_INIT;
	bool done = open_object(repo, name, STAT_READ, &o, &first);

	if (!done && first.code == ERR_DAMAGED)
	{
		close_object(&o, false, NULL);
		memset(&o, 0, sizeof(o));
		error_clear(&first);
		done = open_object(repo, name, AGE_HEADER_MAX, &o, &first);
	}
	error_move(err, &first);
	return close_object(&o, done, out);
}

bool
object_get(Repo *repo, const char *name, const char *kind, size_t max,
		   StrBuf *out, Error *err)
{
	ObjectMeta meta = {0};
	Stage *sink = stage_sink_buffer(out, max);
	bool done = object_read(repo, name, sink, &meta, err);

	stage_free(sink);
	if (done && kind && strcmp(meta.kind, kind) != 0)
	{
		done = error_set(err, ERR_MISMATCH, "it is a \"%s\", not a \"%s\"",
						 meta.kind, kind);
		object_error(repo, name, err);
	}
	object_meta_free(&meta);
	return done;
}

bool
object_read_raw(Repo *repo, const char *name, Stage *sink, Error *err)
{
	StorageReader *r = NULL;
	StrBuf none = STRBUF_INIT;
	bool done;

	done = storage_read_open(repo->storage, name, 0, STORAGE_TO_END, &r, err) &&
		   pump(r, &none, sink, err) && stage_finish(sink, err);
	storage_read_close(r);
	return done;
}
