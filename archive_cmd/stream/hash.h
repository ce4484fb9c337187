/*-------------------------------------------------------------------------
 *
 * hash.h
 *	  SHA-256 (OpenSSL), XXH3-128 with a secret (xxHash), CRC-32C, and the
 *	  stages that compute them on what passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HASH_H
#define PGDR_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crc32c.h"
#include "stream/stream.h"

#define SHA256_LEN 32
#define SHA256_HEX_LEN 64
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

typedef struct Sha256 Sha256;
extern Sha256 *sha256_new(void);
extern void sha256_add(Sha256 *h, const void *data, size_t len);
extern void sha256_final(Sha256 *h, uint8_t out[SHA256_LEN]); /* and reset */
extern void sha256_free(Sha256 *h);
extern void sha256_once(const void *data, size_t len, uint8_t out[SHA256_LEN]);

extern void hmac_sha256(const uint8_t *key, size_t key_len, const void *data,
						size_t len, uint8_t out[SHA256_LEN]);

typedef struct ContentHash ContentHash;
extern ContentHash *content_hash_new(const ContentKey *key); /* keeps key */
extern void content_hash_add(ContentHash *h, const void *data, size_t len);
/* Canonical (big-endian) bytes; resets. */
extern void content_hash_final(ContentHash *h, uint8_t out[CONTENT_LEN]);
extern void content_hash_free(ContentHash *h);

/*
 * Pass everything on; the caller reads hash and count from h and *count, to
 * which the bytes are added (count may be NULL).
 */
extern Stage *stage_sha256(Sha256 *h, uint64_t *count, Stage *next);
extern Stage *stage_content_hash(ContentHash *h, uint64_t *count, Stage *next);

extern void hex_encode(const uint8_t *data, size_t len, char *out); /* 2n+1 */
/* False unless text is exactly 2*len lower-case hex digits. */
extern bool hex_decode(const char *text, uint8_t *out, size_t len);

#endif
