/*-------------------------------------------------------------------------
 *
 * push_existing.c
 *	  When the name of a WAL file is taken already.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_existing.h"

#include <inttypes.h>
#include <string.h>

#include "repo/object.h"

static bool
hash_piece(void *arg, const void *data, size_t len, Error *err)
{
	(void) err;
	content_hash_add(arg, data, len);
	return true;
}

static bool
hash_source(const Repo *repo, PushSource *s, uint8_t hash[CONTENT_LEN],
			Error *err)
{
	PushTaker taker = {.take = hash_piece};
	ContentHash *h;
	bool done;

	if (!repo->has_content)
	{
		error_set(err, ERR_KEY, "the content key is not known");
		return error_hint(err, "Set content-key-file in the configuration.");
	}
	h = content_hash_new(&repo->content);
	taker.arg = h;
	done = push_source_read(s, &taker, err);
	content_hash_final(h, hash);
	content_hash_free(h);
	return done;
}

static bool
other_content(const char *name, const ObjectMeta *meta, const PushSource *s,
			  Error *err)
{
	error_set(err, ERR_EXISTS, "the repository holds \"%s\" with other content",
			  name);
	error_detail(err,
				 "Its contents have %" PRIu64 " bytes, those of \"%s\" have "
				 "%lld; their content hashes differ.",
				 meta->plain_size, s->path, (long long) s->before.st_size);
	return error_hint(err, "Make sure that no other server archives into this "
						   "repository.  Nothing was overwritten.");
}

/* The store keeps what it holds to itself: what do we know of it? */
static bool
accept_by_record(const Repo *repo, PushSource *s, const PushRecord *record,
				 PushStored *out, Error *err)
{
	uint8_t known[CONTENT_LEN];
	uint8_t hash[CONTENT_LEN];
	uint64_t size;

	if (!push_record_read(record, &size, known))
	{
		error_set(err, ERR_EXISTS, "\"%s\" is in %s already", out->object,
				  repo->storage->where);
		error_detail(err, "This host may not read it there, and has no note of "
						  "having put it there, so that it cannot tell "
						  "whether it is the same.");
		return error_hint(err, "Compare it on a host that may read the store, "
							   "with \"pgdr verify\".");
	}
	if (!hash_source(repo, s, hash, err))
		return false;
	out->plain_size = size;
	if (size == (uint64_t) s->before.st_size &&
		memcmp(hash, known, CONTENT_LEN) == 0)
		return true;
	out->other = true;
	error_set(err, ERR_EXISTS, "%s holds \"%s\" with other content",
			  repo->storage->where, out->object);
	return error_detail(err,
						"This host has put it there itself, with other "
						"content than \"%s\" has now.",
						s->path);
}

/*
 * Another copy is as good as success only if it is intact and will survive a
 * crash: its writer may have died before its last fsync.
 */
bool
push_accept_existing(Repo *repo, PushSource *s, const PushRecord *record,
					 PushStored *out, Error *err)
{
	const char *name = out->object;
	ObjectMeta meta = {0};
	uint8_t hash[CONTENT_LEN];
	bool done = false;

	if (!object_check_stored(repo, name, &meta, err))
	{
		if (err->code == ERR_DENIED)
		{
			error_clear(err);
			return accept_by_record(repo, s, record, out, err);
		}
		if (err->code == ERR_DAMAGED || err->code == ERR_MISMATCH)
			error_hint(err, "Move this object out of the repository; the next "
							"attempt stores the file again.");
	}
	else if (hash_source(repo, s, hash, err))
	{
		if (meta.plain_size != (uint64_t) s->before.st_size ||
			memcmp(hash, meta.content, CONTENT_LEN) != 0)
		{
			out->other = true;
			other_content(name, &meta, s, err);
		}
		else
			done = storage_settle(repo->storage, name, err);
	}
	out->plain_size = meta.plain_size;
	out->stored_size = meta.payload_size + meta.head_len;
	object_meta_free(&meta);
	return done;
}
