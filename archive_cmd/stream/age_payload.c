/*-------------------------------------------------------------------------
 *
 * age_payload.c
 *	  The payload: a nonce, then chunks of 64 KiB, each sealed with
 *	  ChaCha20-Poly1305, or AES-256-GCM, under its number and a mark on the
 *	  last one.
 *
 * Which chunk is the last shows only when the input ends.  So both ways a
 * full chunk waits in the buffer until another byte comes; only what is known
 * not to be last is taken straight from the caller's memory.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest_aes.h"

#define CHUNK_NONCE crypto_aead_chacha20poly1305_ietf_NPUBBYTES

/* The two are laid out alike, so that chunks are. */
_Static_assert(CHUNK_NONCE == AES_GCM_NONCE, "nonces differ");
_Static_assert(AGE_TAG == AES_GCM_TAG, "tags differ");
_Static_assert(AGE_KEY_LEN == AES_GCM_KEY, "keys differ");

/* The state of both directions. */
typedef struct Payload
{
	Stage base;
	const AgeFileKey *file_key;
	uint8_t *key; /* locked; NULL until the nonce is known */
	AesGcm *aes;  /* NULL: ChaCha20-Poly1305 */
	bool encrypts;
	uint8_t nonce[AGE_NONCE];
	size_t nonce_len; /* bytes of the nonce that are there */
	uint64_t chunk;   /* number of the next chunk */
	bool is_range;
	bool nonce_written;
	size_t used; /* bytes in the buffer, after the nonce */
	uint8_t buf[AGE_NONCE + AGE_ENC_CHUNK]; /* room for both at once */
} Payload;

/* Eleven bytes of number, big-endian, and the mark of the last chunk. */
static void
chunk_nonce(uint64_t chunk, bool last, uint8_t out[CHUNK_NONCE])
{
	memset(out, 0, CHUNK_NONCE);
	for (int i = 0; i < 8; i++)
		out[CHUNK_NONCE - 2 - i] = (uint8_t) (chunk >> 8 * i);
	out[CHUNK_NONCE - 1] = last;
}

static bool
make_key(Payload *s, Error *err)
{
	s->key = age_secret_alloc(AGE_KEY_LEN, err);
	if (!s->key)
		return false;
	age_payload_key(s->file_key, s->nonce, s->key);
	if (s->file_key->cipher == AGE_AES_256_GCM)
		s->aes = aes_gcm_new(s->key, s->encrypts, err);
	return s->aes != NULL || s->file_key->cipher != AGE_AES_256_GCM;
}

static Payload *
payload_new(const StageOps *ops, const AgeFileKey *key, Stage *next)
{
	Payload *s = mem_alloc(sizeof(Payload));

	/* do not touch the pages of the buffer before there is data */
	memset(s, 0, offsetof(Payload, buf));
	s->base.ops = ops;
	s->base.next = next;
	s->file_key = key;
	return s;
}

static void
payload_free(Stage *stage)
{
	Payload *s = (Payload *) stage;

	aes_gcm_free(s->aes);
	age_secret_free(s->key);
	/* plaintext may be a key file; wiping costs microseconds */
	if (s->nonce_len > 0)
		sodium_memzero(s->buf, sizeof(s->buf));
	free(s);
}

/* ---- encryption ---- */

/* Seals a chunk from anywhere, the buffer included, and hands it on. */
static bool
seal(Payload *s, const uint8_t *data, size_t len, bool last, Error *err)
{
	uint8_t nonce[CHUNK_NONCE];
	uint8_t *out = s->buf + AGE_NONCE;
	size_t out_len = len + AGE_TAG;

	if (!s->key && !make_key(s, err))
		return false;
	chunk_nonce(s->chunk++, last, nonce);
	if (!s->aes)
		crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, data, len, NULL, 0,
												  NULL, nonce, s->key);
	else if (!aes_gcm_seal(s->aes, nonce, data, len, out, err))
		return false;
	if (!s->nonce_written)
	{
		/* together with the first chunk, to save a tiny write */
		s->nonce_written = true;
		memcpy(s->buf, s->nonce, AGE_NONCE);
		out = s->buf;
		out_len += AGE_NONCE;
	}
	return stage_write(s->base.next, out, out_len, err);
}

static bool
encrypt_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Payload *s = (Payload *) stage;
	uint8_t *buffered = s->buf + AGE_NONCE;
	const uint8_t *p = data;

	while (len > 0)
	{
		size_t n = AGE_CHUNK - s->used;

		if (n == 0)
		{
			if (!seal(s, buffered, AGE_CHUNK, false, err))
				return false;
			s->used = 0;
			continue;
		}
		if (s->used == 0 && len > AGE_CHUNK)
		{
			if (!seal(s, p, n, false, err))
				return false;
		}
		else
		{
			if (n > len)
				n = len;
			memcpy(buffered + s->used, p, n);
			s->used += n;
		}
		p += n;
		len -= n;
	}
	return true;
}

static bool
encrypt_finish(Stage *stage, Error *err)
{
	Payload *s = (Payload *) stage;

	return seal(s, s->buf + AGE_NONCE, s->used, true, err) &&
		   stage_finish(s->base.next, err);
}

static const StageOps encrypt_ops = {
	encrypt_write,
	encrypt_finish,
	payload_free,
};

Stage *
stage_age_encrypt(AgeWriter *w, Stage *next)
{
	Payload *s = payload_new(&encrypt_ops, w->key, next);

	/* a new nonce for each stage: two payloads under one would be fatal */
	randombytes_buf(s->nonce, sizeof(s->nonce));
	s->nonce_len = AGE_NONCE;
	s->encrypts = true;
	return &s->base;
}

/* ---- decryption ---- */

/* Into out, which is NULL where only the tag is to be checked. */
static bool
decrypt_chunk(Payload *s, const uint8_t *data, size_t len, bool last,
			  uint8_t *out)
{
	uint8_t nonce[CHUNK_NONCE];
	uint8_t *scratch = NULL;
	Error ignored = ERROR_INIT;
	bool good;

	chunk_nonce(s->chunk, last, nonce);
	if (!s->aes)
		return crypto_aead_chacha20poly1305_ietf_decrypt(
				   out, NULL, NULL, data, len, NULL, 0, nonce, s->key) == 0;
	if (!out)
		out = scratch = mem_alloc(len);
	if (!aes_gcm_open(s->aes, nonce, data, len, out, &good, &ignored))
		good = false;
	error_clear(&ignored);
	if (scratch)
		sodium_memzero(scratch, len);
	free(scratch);
	return good;
}

/* Opens a chunk from anywhere, the buffer included, and hands it on. */
static bool
open_chunk(Payload *s, const uint8_t *data, size_t len, bool last, Error *err)
{
	uint8_t *out = s->buf + AGE_NONCE;

	if (!decrypt_chunk(s, data, len, last, out))
	{
		error_set(err, ERR_DAMAGED,
				  "could not decrypt chunk %" PRIu64 " of an age file",
				  s->chunk);
		return error_detail(err, "The chunk was changed, or the file was "
								 "truncated or extended.");
	}
	s->chunk++;
	return len == AGE_TAG || stage_write(s->base.next, out, len - AGE_TAG, err);
}

/* Takes bytes of the nonce from the input; returns how many. */
static size_t
take_nonce(Payload *s, const uint8_t *data, size_t len)
{
	size_t n = AGE_NONCE - s->nonce_len;

	if (n > len)
		n = len;
	memcpy(s->nonce + s->nonce_len, data, n);
	s->nonce_len += n;
	return n;
}

static bool
decrypt_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Payload *s = (Payload *) stage;
	uint8_t *buffered = s->buf + AGE_NONCE;
	const uint8_t *p = data;

	while (len > 0)
	{
		size_t n = AGE_ENC_CHUNK - s->used;

		if (s->nonce_len < AGE_NONCE)
			n = take_nonce(s, p, len);
		else if (!s->key)
		{
			if (!make_key(s, err))
				return false;
			continue;
		}
		else if (n == 0)
		{
			if (!open_chunk(s, buffered, AGE_ENC_CHUNK, false, err))
				return false;
			s->used = 0;
		}
		else if (s->used == 0 && len > AGE_ENC_CHUNK)
		{
			if (!open_chunk(s, p, n, false, err))
				return false;
		}
		else
		{
			if (n > len)
				n = len;
			memcpy(buffered + s->used, p, n);
			s->used += n;
		}
		p += n;
		len -= n;
	}
	return true;
}

static bool
decrypt_finish(Stage *stage, Error *err)
{
	Payload *s = (Payload *) stage;
	uint8_t *buffered = s->buf + AGE_NONCE;
	bool last = true;

	/* without a key there was no byte after the nonce */
	if (!s->key || s->used < AGE_TAG)
		return error_set(err, ERR_DAMAGED, "age file is truncated");
	if (s->used == AGE_TAG && s->chunk > 0)
		return error_set(err, ERR_DAMAGED, "age file has an empty last chunk");
	/* a range may stop at any whole chunk */
	if (s->is_range && s->used == AGE_ENC_CHUNK)
		last = !decrypt_chunk(s, buffered, s->used, false, NULL);
	return open_chunk(s, buffered, s->used, last, err) &&
		   stage_finish(s->base.next, err);
}

static const StageOps decrypt_ops = {
	decrypt_write,
	decrypt_finish,
	payload_free,
};

Stage *
stage_age_decrypt(const AgeFileKey *key, Stage *next)
{
	return &payload_new(&decrypt_ops, key, next)->base;
}

Stage *
stage_age_decrypt_range(const AgeFileKey *key, const uint8_t nonce[AGE_NONCE],
						uint64_t first_chunk, Stage *next)
{
	Payload *s = payload_new(&decrypt_ops, key, next);

	memcpy(s->nonce, nonce, AGE_NONCE);
	s->nonce_len = AGE_NONCE;
	s->chunk = first_chunk;
	s->is_range = true;
	return &s->base;
}
