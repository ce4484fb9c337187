/*-------------------------------------------------------------------------
 *
 * digest.h
 *	  SHA-256, HMAC and MD5 (OpenSSL is included by digest.c only), and the
 *	  texts that stand for bytes: hexadecimal and base64.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DIGEST_H
#define PGDR_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_HEX_LEN 64
#define MD5_LEN 16

typedef struct Sha256 Sha256;
extern Sha256 *sha256_new(void);
extern void sha256_add(Sha256 *h, const void *data, size_t len);
extern void sha256_final(Sha256 *h, uint8_t out[SHA256_LEN]); /* and reset */
extern void sha256_free(Sha256 *h);
extern void sha256_once(const void *data, size_t len, uint8_t out[SHA256_LEN]);

extern void hmac_sha256(const uint8_t *key, size_t key_len, const void *data,
						size_t len, uint8_t out[SHA256_LEN]);

/* Only where a protocol asks for it; false where the host forbids it (FIPS). */
extern bool md5_once(const void *data, size_t len, uint8_t out[MD5_LEN]);

extern void hex_encode(const uint8_t *data, size_t len, char *out); /* 2n+1 */
/* False unless text is exactly 2*len lower-case hex digits. */
extern bool hex_decode(const char *text, uint8_t *out, size_t len);

/* With padding, without line breaks; caller frees. */
extern char *base64_encode(const uint8_t *data, size_t len);
/* False unless text is canonical; the caller frees *out. */
extern bool base64_decode(const char *text, uint8_t **out, size_t *len);

#endif
