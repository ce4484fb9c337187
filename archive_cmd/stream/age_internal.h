/*-------------------------------------------------------------------------
 *
 * age_internal.h
 *	  What the age*.c files share: keys, key derivation, encodings, stanzas.
 *
 * Temporary secrets on the stack are wiped with sodium_memzero() before
 * return; what lives longer is in memory of age_secret_alloc().
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AGE_INTERNAL_H
#define PGDR_AGE_INTERNAL_H

#include <sodium.h>

#include "stream/age.h"

#define AGE_VERSION_LINE "age-encryption.org/v1\n"
#define AGE_AES_LINE "pgdr-aes-256-gcm/v1\n"
#define AGE_FOOTER "---"
#define AGE_TYPE_X25519 "X25519"
#define AGE_TYPE_SCRYPT "scrypt"

#define AGE_KEY_LEN 32 /* of X25519, the MAC and the AEAD */
#define AGE_MAC_LEN 32
#define AGE_FILE_KEY_LEN 16
#define AGE_WRAPPED_LEN (AGE_FILE_KEY_LEN + AGE_TAG)
#define AGE_SALT_LEN 16
#define AGE_SCRYPT_MAX 22 /* log2 of the largest work factor we read */
#define AGE_ENC_CHUNK (AGE_CHUNK + AGE_TAG)

#define AGE_RECIPIENT_HRP "age"
#define AGE_SECRET_HRP "AGE-SECRET-KEY-"

struct AgeFileKey
{
	AgeCipher cipher; /* of the payload */
	uint8_t bytes[AGE_FILE_KEY_LEN];
};

typedef struct AgeIdentity
{
	uint8_t secret[AGE_KEY_LEN];
	uint8_t public_key[AGE_KEY_LEN];
	int64_t created; /* microseconds, 0: not known */
} AgeIdentity;

struct AgeIdentities
{
	AgeIdentity *items; /* age_secret_alloc */
	size_t count;
	size_t cap;
};

struct AgeWriter
{
	AgeFileKey *key;
	StrBuf head;      /* version line and wrapped keys */
	char *extra_type; /* or NULL */
	size_t extra_len;
};

typedef struct AgeBytes
{
	const void *data;
	size_t len;
} AgeBytes;

/* ---- age_crypto.c ---- */

/* Guarded and locked memory; age_secret_free() wipes it.  NULL on error. */
extern void *age_secret_alloc(size_t size, Error *err);

/* HKDF-SHA-256 with 32 bytes of output. */
extern void age_hkdf(AgeBytes ikm, AgeBytes salt, const char *info,
					 uint8_t out[AGE_KEY_LEN]);
extern void age_header_mac(const AgeFileKey *key, const void *data, size_t len,
						   uint8_t out[AGE_MAC_LEN]);
/* The key of the payload whose nonce is given. */
extern void age_payload_key(const AgeFileKey *key,
							const uint8_t nonce[AGE_NONCE],
							uint8_t out[AGE_KEY_LEN]);
/* A new random one; NULL on error. */
extern AgeFileKey *age_file_key_new(Error *err);

/* Appends unpadded base64. */
extern void age_base64_add(StrBuf *sb, const void *data, size_t len);
/* False unless text is the canonical form of exactly out_len bytes. */
extern bool age_base64_exact(const char *text, size_t len, uint8_t *out,
							 size_t out_len);

/* ---- age_bech32.c ---- */

/* hrp in upper case gives and takes upper case only, else lower only. */
#define AGE_BECH32_DATA 52 /* characters of 32 bytes */
#define AGE_BECH32_SUM 6
#define AGE_BECH32_LEN(hrp) \
	(sizeof(hrp) - 1 + 1 + AGE_BECH32_DATA + AGE_BECH32_SUM)
extern void age_bech32_encode(const char *hrp, const uint8_t in[AGE_KEY_LEN],
							  char *out);
extern bool age_bech32_decode(const char *hrp, const char *text, size_t len,
							  uint8_t out[AGE_KEY_LEN]);

/* ---- age_stanza.c ---- */

/* Appends a stanza that wraps key. */
extern bool age_x25519_wrap(const AgeFileKey *key, const AgeRecipient *to,
							StrBuf *out, Error *err);
extern bool age_scrypt_wrap(const AgeFileKey *key, const char *passphrase,
							int log_n, StrBuf *out, Error *err);
/* Appends any stanza; args is what follows "-> ". */
extern void age_stanza_add(StrBuf *out, const char *args, const void *body,
						   size_t len);
/* How much that appends. */
extern size_t age_stanza_len(const char *args, size_t len);

#endif
