/*-------------------------------------------------------------------------
 *
 * rewrap.c
 *	  Gives an object a new head, for other recipients.
 *
 * The switch is not the end of it: whatever has the name then is read, and
 * must be what was made.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/rewrap.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "repo/object_internal.h"

#define BUFFER (256 * 1024)

/* ---- whose is it? ---- */

static bool
names_id(const Json *ids, const char *id)
{
	for (size_t i = 0; i < json_array_len(ids); i++)
	{
		const char *other = json_str(json_array_at(ids, i));

		if (other != NULL && strcmp(other, id) == 0)
			return true;
	}
	return false;
}

bool
rewrap_is_current(const Repo *repo, const ObjectMeta *meta)
{
	const AgeRecipients *recipients = &repo->options.keys->recipients;
	char id[AGE_KEY_ID_LEN + 1];

	if (meta->keys == NULL || json_array_len(meta->keys) != recipients->count)
		return false;
	for (size_t i = 0; i < recipients->count; i++)
	{
		age_key_id(&recipients->items[i], id);
		if (!names_id(meta->keys, id))
			return false;
	}
	return true;
}

/* ---- the new head ---- */

/* As long as the old one, if it can be: readers of ranges are not disturbed. */
static size_t
room_for(const ObjectHead *old, const ObjectMeta *meta)
{
	size_t room = object_meta_len(meta);
	size_t before = age_header_find(&old->age, OBJECT_STANZA)->body_len;

	return room > before ? room : before;
}

static bool
fill_head(const Repo *repo, const ObjectMeta *meta, AgeWriter *w, size_t room,
		  StrBuf *out, Error *err)
{
	size_t len = age_writer_header_len(w);
	char *text = mem_alloc(room);
	uint8_t *bytes = mem_alloc(len);
	bool done = object_meta_format(repo, meta, room, text, err) &&
				age_writer_header(w, text, bytes, err);

	if (done)
		strbuf_add(out, bytes, len);
	free(bytes);
	free(text);
	return done;
}

static bool
make_head(Repo *repo, const ObjectHead *old, StrBuf *out, Error *err)
{
	const AgeRecipients *recipients = &repo->options.keys->recipients;
	ObjectMeta meta = old->meta;
	AgeFileKey *key = object_unlock(repo, old, err);
	AgeWriter *w = NULL;
	size_t room;
	bool done;

	if (key == NULL)
		return false;
	meta.keys = object_key_ids(recipients);
	room = room_for(old, &meta);
	w = age_writer_rewrap(key, recipients, OBJECT_STANZA, room, err);
	done = w != NULL && fill_head(repo, &meta, w, room, out, err);
	age_writer_free(w);
	json_free(meta.keys);
	age_file_key_free(key);
	return done;
}

/* ---- the new object, staged ---- */

typedef struct Rewrap
{
	Repo *repo;
	const char *name;
	char *staged;
	StrBuf head; /* the new one */
} Rewrap;

static bool
copy_payload(StorageReader *r, const StrBuf *rest, StorageWriter *w,
			 const ObjectMeta *meta, Error *err)
{
	char *block = mem_alloc(BUFFER);
	Sha256 *sha256 = sha256_new();
	uint64_t size = 0;
	const char *data = rest->data;
	size_t got = rest->len;
	bool done = true;

	do
	{
		sha256_add(sha256, data, got);
		size += got;
		done = storage_write(w, data, got, err) && thread_check_stop(err) &&
			   storage_read(r, block, BUFFER, &got, err);
		data = block;
	} while (done && got > 0);
	done = done && object_check_payload(meta, sha256, size, err);
	sha256_free(sha256);
	free(block);
	return done;
}

/* What a killed run has staged is not needed: the name has an object. */
static bool
clear_stage(Rewrap *w, Error *err)
{
	Error cause = ERROR_INIT;

	storage_remove(w->repo->storage, w->staged, &cause);
	if (cause.code == ERR_NOT_FOUND)
		error_clear(&cause);
	error_move(err, &cause);
	return !error_is_set(err);
}

static bool
write_staged(Rewrap *w, StorageReader *r, const StrBuf *rest,
			 const ObjectMeta *meta, Error *err)
{
	StorageWriter *out;

	if (!clear_stage(w, err) || !storage_write_open(w->repo->storage, w->staged,
													w->head.len, &out, err))
		return false;
	if (!copy_payload(r, rest, out, meta, err))
	{
		storage_abort(out);
		return false;
	}
	return storage_commit(out, w->head.data, err);
}

/* ---- verified ---- */

/* Those of our identities that it is for now must open it. */
static bool
opens(const Repo *repo, const ObjectHead *head, Error *err)
{
	const AgeRecipients *to = &repo->options.keys->recipients;
	const AgeIdentities *ids = repo->options.keys->identities;
	AgeFileKey *key;
	AgeRecipient own;
	bool meant = false;

	for (size_t i = 0; i < age_identities_count(ids); i++)
	{
		age_identity_recipient(ids, i, &own);
		for (size_t k = 0; k < to->count; k++)
			meant |= memcmp(&own, &to->items[k], sizeof(own)) == 0;
	}
	if (!meant)
		return true;
	key = object_unlock(repo, head, err);
	age_file_key_free(key);
	return key != NULL;
}

static bool
verify_at(const Rewrap *w, const char *place, Error *err)
{
	ObjectHead head = {0};
	bool done = object_check_at(w->repo, place, w->name, &head, err);

	if (done)
		done = (head.bytes.len == w->head.len &&
				memcmp(head.bytes.data, w->head.data, w->head.len) == 0) ||
			   error_set(err, ERR_DAMAGED,
						 "object \"%s\" in %s is not what was written", place,
						 w->repo->storage->where);
	done = done && opens(w->repo, &head, err);
	object_head_free(&head);
	return done;
}

/* ---- the whole ---- */

static bool
stage(Rewrap *w, bool *needed, Error *err)
{
	StorageReader *r = NULL;
	ObjectHead old = {0};
	StrBuf rest = STRBUF_INIT;
	bool done;

	done = storage_read_open(w->repo->storage, w->name, 0, STORAGE_TO_END, &r,
							 err) &&
		   object_head_read(w->repo, w->name, r, &old, &rest, err);
	*needed = done && !rewrap_is_current(w->repo, &old.meta);
	if (*needed)
	{
		done = make_head(w->repo, &old, &w->head, err) &&
			   write_staged(w, r, &rest, &old.meta, err);
		if (!done && (err->code == ERR_DAMAGED || err->code == ERR_KEY))
			object_error(w->repo, w->name, err);
	}
	storage_read_close(r);
	object_head_free(&old);
	strbuf_free(&rest);
	return done;
}

/* A rename has changed no byte: that it was done is all there is to see. */
static bool
has_new_head(const Rewrap *w, Error *err)
{
	char *block = mem_alloc(w->head.len);
	StorageReader *r = NULL;
	size_t at = 0;
	size_t got = 1;
	bool done = storage_read_open(w->repo->storage, w->name, 0, w->head.len, &r,
								  err);

	while (done && at < w->head.len && got > 0)
	{
		done = storage_read(r, block + at, w->head.len - at, &got, err);
		at += done ? got : 0;
	}
	storage_read_close(r);
	if (done && (at != w->head.len || memcmp(block, w->head.data, at) != 0))
		done = error_set(err, ERR_IO,
						 "object \"%s\" in %s was not replaced, another run "
						 "was faster",
						 w->name, w->repo->storage->where);
	free(block);
	return done;
}

/* A name that was removed meanwhile must not come back. */
static bool
take_place(Rewrap *w, Error *err)
{
	Error ignored = ERROR_INIT;
	bool renamed;
	bool there;

	if (!storage_exists(w->repo->storage, w->name, &there, err))
		return false;
	if (!there)
	{
		clear_stage(w, &ignored);
		error_clear(&ignored);
		return error_set(err, ERR_NOT_FOUND, "object \"%s\" was removed",
						 w->name);
	}
	if (!storage_replace(w->repo->storage, w->name, &renamed, err))
		return false;
	return renamed ? has_new_head(w, err)
				   : verify_at(w, w->name, err) && clear_stage(w, err);
}

bool
rewrap_object(Repo *repo, const char *name, bool *changed, Error *err)
{
	Rewrap w = {.repo = repo, .name = name};
	bool needed;
	bool done;

	w.staged = storage_stage_name(name);
	done = stage(&w, &needed, err);
	*changed = done && needed;
	if (*changed)
		done = verify_at(&w, w.staged, err) && take_place(&w, err);
	*changed &= done;
	free(w.staged);
	strbuf_free(&w.head);
	return done;
}
