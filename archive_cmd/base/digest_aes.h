/*-------------------------------------------------------------------------
 *
 * digest_aes.h
 *	  AES-256-GCM by OpenSSL: for sites that must name it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DIGEST_AES_H
#define PGDR_DIGEST_AES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define AES_GCM_KEY 32
#define AES_GCM_NONCE 12
#define AES_GCM_TAG 16

typedef struct AesGcm AesGcm;

/* One direction, one thread.  NULL with *err set if it cannot be had. */
extern AesGcm *aes_gcm_new(const uint8_t key[AES_GCM_KEY], bool encrypt,
						   Error *err);
extern void aes_gcm_free(AesGcm *gcm); /* NULL is fine; wipes the key */

/* len + AES_GCM_TAG bytes into out.  A nonce must never come twice. */
extern bool aes_gcm_seal(AesGcm *gcm, const uint8_t nonce[AES_GCM_NONCE],
						 const uint8_t *data, size_t len, uint8_t *out,
						 Error *err);

/*
 * The other way; len counts the tag.  *authentic false: nothing in out may be
 * used.  The return value is false only if it could not be found out.
 */
extern bool aes_gcm_open(AesGcm *gcm, const uint8_t nonce[AES_GCM_NONCE],
						 const uint8_t *data, size_t len, uint8_t *out,
						 bool *authentic, Error *err);

#endif
