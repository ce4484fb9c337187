/*-------------------------------------------------------------------------
 *
 * hash.h
 *	  XXH3-128 with a secret (xxHash), and the stages that compute hashes of
 *	  what passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HASH_H
#define PGDR_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crc32c.h"
#include "base/digest.h"
#include "stream/stream.h"

#define CONTENT_LEN 16
#define CONTENT_HEX_LEN 32

/* The secret of the content hash: 32 random bytes, expanded for XXH3. */
#define CONTENT_KEY_LEN 32
typedef struct ContentKey
{
	uint8_t secret[192];
} ContentKey;

/* By XXH3_generateSecret; deterministic, part of the format. */
extern void content_key_expand(const uint8_t key[CONTENT_KEY_LEN],
							   ContentKey *out);

typedef struct ContentHash ContentHash;
extern ContentHash *content_hash_new(const ContentKey *key); /* keeps key */
extern void content_hash_add(ContentHash *h, const void *data, size_t len);
/* Canonical (big-endian) bytes; resets. */
extern void content_hash_final(ContentHash *h, uint8_t out[CONTENT_LEN]);
extern void content_hash_free(ContentHash *h);

/* The first 64 bits of the content hash of a block. */
extern uint64_t content_block_hash(const ContentKey *key, const void *data,
								   size_t len);

/*
 * XXH3-128 without a secret, in hexadecimal: tells texts apart that nobody
 * has an interest in confusing.
 */
extern void plain_hash(const void *data, size_t len,
					   char hex[CONTENT_HEX_LEN + 1]);

/*
 * Pass everything on; the caller reads hash and count from h and *count, to
 * which the bytes are added (count may be NULL).
 */
extern Stage *stage_sha256(Sha256 *h, uint64_t *count, Stage *next);
extern Stage *stage_content_hash(ContentHash *h, uint64_t *count, Stage *next);

#endif
