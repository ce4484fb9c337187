/*-------------------------------------------------------------------------
 *
 * restore_read.c
 *	  Fetches slices of packs from whichever repository gives them intact.
 *
 * What proves a slice: the head of its pack is authentic and names the very
 * payload that the manifest names; each chunk of it is authentic, each frame
 * has its checksum; and each file that is made of it is compared with its
 * content hash.  So the SHA-256 of the whole payload need not be computed.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* A worker's way to one repository. */
typedef struct Source
{
	Repo *repo;
	ObjectReader *object; /* the pack that was read last */
	size_t pack;
} Source;

struct RestoreReader
{
	RestoreSources *shared;
	Source *sources;
	ZstdDecoder *decoder;
	StrBuf frames; /* not decoded */
	uint8_t *data;
	size_t data_size;
};

void
restore_sources_init(RestoreSources *s, RepoSet *set, const RestorePlan *plan,
					 const Manifest *manifest)
{
	*s = (RestoreSources){.set = set,
						  .plan = plan,
						  .manifest = manifest,
						  .lock = PTHREAD_MUTEX_INITIALIZER,
						  .down = mem_zalloc(plan->source_count + 1)};
}

void
restore_sources_free(RestoreSources *s)
{
	pthread_mutex_destroy(&s->lock);
	free(s->down);
}

bool
restore_sources_remote(const RestoreSources *s)
{
	return s->plan->source_count > 0 &&
		   strcmp(s->set->members[s->plan->sources[0]].options.storage.type,
				  "posix") != 0;
}

RestoreReader *
restore_reader_new(RestoreSources *sources)
{
	RestoreReader *r = mem_zalloc(sizeof(RestoreReader));

	r->shared = sources;
	r->sources = mem_zalloc((sources->plan->source_count + 1) * sizeof(Source));
	return r;
}

void
restore_reader_free(RestoreReader *r)
{
	for (size_t i = 0; i < r->shared->plan->source_count; i++)
	{
		object_reader_close(r->sources[i].object);
		repo_close(r->sources[i].repo);
	}
	zstd_decoder_free(r->decoder);
	strbuf_free(&r->frames);
	free(r->data);
	free(r->sources);
	free(r);
}

/* ---- one repository ---- */

/* The object is whole in itself, but is it the one this backup was made of? */
static bool
check_pack(const ManifestPack *pack, const ObjectReader *object,
		   const char *name, Error *err)
{
	const ObjectMeta *meta = object_reader_meta(object);

	if (meta->plain_size == pack->plain_size &&
		meta->zstd_size == pack->zstd_size &&
		memcmp(meta->sha256, pack->sha256, SHA256_LEN) == 0)
		return true;
	return error_set(err, ERR_DAMAGED,
					 "\"%s\" is not the pack that the manifest names", name);
}

static bool
open_pack(RestoreReader *r, Source *s, size_t pack, Error *err)
{
	const Manifest *m = r->shared->manifest;
	char *name = manifest_pack_name(m, &m->packs[pack]);
	bool done;

	object_reader_close(s->object);
	s->object = NULL;
	done = object_open(s->repo, name, &s->object, err) &&
		   check_pack(&m->packs[pack], s->object, name, err);
	if (!done)
	{
		object_reader_close(s->object);
		s->object = NULL;
	}
	s->pack = pack;
	free(name);
	return done;
}

static bool
open_source(RestoreReader *r, size_t source, size_t pack, Error *err)
{
	const RestoreSources *shared = r->shared;
	const RepoMember *m = &shared->set->members[shared->plan->sources[source]];
	Source *s = &r->sources[source];

	if (r->decoder == NULL)
		r->decoder = zstd_decoder_new(err);
	if (r->decoder == NULL ||
		(s->repo == NULL && !repo_open_again(m->repo, &s->repo, err)))
		return false;
	return (s->object != NULL && s->pack == pack) || open_pack(r, s, pack, err);
}

const uint8_t *
restore_read_from(RestoreReader *r, size_t source, const RestoreSlice *slice,
				  Error *err)
{
	bool done;

	if (slice->frames.plain_len > r->data_size)
	{
		free(r->data);
		r->data_size = slice->frames.plain_len;
		r->data = mem_alloc(r->data_size);
	}
	done = open_source(r, source, slice->pack, err) &&
		   object_decode_frames(r->sources[source].object, &slice->frames,
								r->decoder, &r->frames, r->data, err);
	/* "not found" would read as if the backup were not there */
	if (!done && err->code == ERR_NOT_FOUND)
		err->code = ERR_INCOMPLETE;
	return done ? r->data : NULL;
}

/* ---- any ---- */

static bool
is_down(RestoreSources *s, size_t source)
{
	bool down;

	pthread_mutex_lock(&s->lock);
	down = s->down[source];
	pthread_mutex_unlock(&s->lock);
	return down;
}

/*
 * A pack that is damaged or missing says nothing of the others; but what does
 * not answer is asked last from now on, so that its time-outs are not waited
 * for again and again.
 */
static void
note_failure(RestoreSources *s, size_t source, const Error *why)
{
	if (why->code == ERR_DAMAGED || why->code == ERR_MISMATCH ||
		why->code == ERR_INCOMPLETE || why->code == ERR_KEY)
		return;
	pthread_mutex_lock(&s->lock);
	s->down[source] = true;
	pthread_mutex_unlock(&s->lock);
}

/*
 * The sources in order, those that did not answer before last.  The error is
 * the first one's.
 */
const uint8_t *
restore_read(RestoreReader *r, const RestoreSlice *slice, Error *err)
{
	RestoreSources *s = r->shared;
	size_t count = s->plan->source_count;
	bool *tried = mem_zalloc(count + 1);
	const uint8_t *data = NULL;
	bool canceled = false;

	for (size_t n = 0; data == NULL && !canceled && n < 2 * count; n++)
	{
		size_t i = n % count;
		Error why = ERROR_INIT;

		if (tried[i] || (n < count && is_down(s, i)))
			continue;
		tried[i] = true;
		data = restore_read_from(r, i, slice, &why);
		if (data != NULL)
			break;
		canceled = why.code == ERR_CANCELED;
		if (!canceled)
			note_failure(s, i, &why);
		if (!canceled && count > 1)
			log_error_object(LOG_WARNING, &why);
		error_move(err, &why);
	}
	free(tried);
	if (data != NULL)
		error_clear(err);
	return data;
}
