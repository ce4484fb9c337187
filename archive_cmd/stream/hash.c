/*-------------------------------------------------------------------------
 *
 * hash.c
 *	  XXH3-128 by libxxhash, and the stages of both hashes.
 *
 * A hash that could not be computed must never look like one that was: the
 * library calls here fail only when memory is exhausted or the library is
 * broken, and then the process stops, as base/mem.h has it.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/hash.h"

#include <stdlib.h>
#include <string.h>

/*
 * XXH3_generateSecret() is exported by the library, but its declaration is
 * behind this macro.  Its result is pinned by a known answer in the unit test.
 */
#define XXH_STATIC_LINKING_ONLY
#if defined(__x86_64__)
/* the same functions, as the CPU at hand does them best */
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

static void
require(bool done)
{
	if (!done)
		abort();
}

/* ---- the content hash ---- */

struct ContentHash
{
	XXH3_state_t *state;
	const ContentKey *key;
};

void
content_key_expand(const uint8_t key[CONTENT_KEY_LEN], ContentKey *out)
{
	require(XXH3_generateSecret(out->secret, sizeof(out->secret), key,
								CONTENT_KEY_LEN) == XXH_OK);
}

static void
content_hash_reset(ContentHash *h)
{
	/* the state points into the key: that is why the caller keeps it */
	require(XXH3_128bits_reset_withSecret(h->state, h->key->secret,
										  sizeof(h->key->secret)) == XXH_OK);
}

ContentHash *
content_hash_new(const ContentKey *key)
{
	ContentHash *h = mem_zalloc(sizeof(ContentHash));

	h->state = XXH3_createState();
	require(h->state != NULL);
	h->key = key;
	content_hash_reset(h);
	return h;
}

void
content_hash_add(ContentHash *h, const void *data, size_t len)
{
	require(len == 0 || XXH3_128bits_update(h->state, data, len) == XXH_OK);
}

void
content_hash_final(ContentHash *h, uint8_t out[CONTENT_LEN])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h->state));
	memcpy(out, canonical.digest, CONTENT_LEN);
	content_hash_reset(h);
}

void
content_hash_free(ContentHash *h)
{
	if (!h)
		return;
	XXH3_freeState(h->state);
	free(h);
}

uint64_t
content_block_hash(const ContentKey *key, const void *data, size_t len)
{
	return XXH3_128bits_withSecret(data, len, key->secret, sizeof(key->secret))
		.high64;
}

void
plain_hash(const void *data, size_t len, char hex[CONTENT_HEX_LEN + 1])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
	hex_encode(canonical.digest, CONTENT_LEN, hex);
}

/* ---- stages ---- */

typedef struct HashStage
{
	Stage base;
	Sha256 *sha256; /* one of these two */
	ContentHash *content;
	uint64_t *count; /* may be NULL */
} HashStage;

static bool
hash_write(Stage *stage, const void *data, size_t len, Error *err)
{
	HashStage *s = (HashStage *) stage;

	if (s->sha256)
		sha256_add(s->sha256, data, len);
	else
		content_hash_add(s->content, data, len);
	if (s->count)
		*s->count += len;
	return stage_write(s->base.next, data, len, err);
}

static bool
hash_finish(Stage *stage, Error *err)
{
	return stage_finish(stage->next, err);
}

static void
hash_free(Stage *stage)
{
	free(stage);
}

static const StageOps hash_ops = {hash_write, hash_finish, hash_free};

static HashStage *
hash_stage_new(uint64_t *count, Stage *next)
{
	HashStage *s = mem_zalloc(sizeof(HashStage));

	s->base.ops = &hash_ops;
	s->base.next = next;
	s->count = count;
	return s;
}

Stage *
stage_sha256(Sha256 *h, uint64_t *count, Stage *next)
{
	HashStage *s = hash_stage_new(count, next);

	s->sha256 = h;
	return &s->base;
}

Stage *
stage_content_hash(ContentHash *h, uint64_t *count, Stage *next)
{
	HashStage *s = hash_stage_new(count, next);

	s->content = h;
	return &s->base;
}
