/*-------------------------------------------------------------------------
 *
 * age_crypto.c
 *	  Start of libsodium, secret memory, key derivation, base64.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <errno.h>
#include <string.h>

bool
age_init(Error *err)
{
	if (sodium_init() < 0)
		return error_set(err, ERR_INTERNAL, "could not start libsodium");
	return true;
}

void *
age_secret_alloc(size_t size, Error *err)
{
	void *p = sodium_malloc(size);

	if (!p)
		error_set_errno(err, ENOMEM, "could not allocate memory for a secret");
	return p;
}

void
age_secret_free(void *secret)
{
	sodium_free(secret);
}

void
age_file_key_free(AgeFileKey *key)
{
	sodium_free(key);
}

AgeFileKey *
age_file_key_new(Error *err)
{
	AgeFileKey *key = age_secret_alloc(sizeof(AgeFileKey), err);

	if (key)
	{
		randombytes_buf(key->bytes, sizeof(key->bytes));
		key->cipher = AGE_CHACHA20_POLY1305;
	}
	return key;
}

static void
hmac(AgeBytes key, AgeBytes a, AgeBytes b, uint8_t out[AGE_MAC_LEN])
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key.data, key.len);
	crypto_auth_hmacsha256_update(&st, a.data, a.len);
	crypto_auth_hmacsha256_update(&st, b.data, b.len);
	crypto_auth_hmacsha256_final(&st, out);
	sodium_memzero(&st, sizeof(st));
}

void
age_hkdf(AgeBytes ikm, AgeBytes salt, const char *info,
		 uint8_t out[AGE_KEY_LEN])
{
	uint8_t prk[AGE_MAC_LEN];

	/* an empty salt stands for zeros, and HMAC pads its key with those */
	hmac(salt, ikm, (AgeBytes){"", 0}, prk);
	hmac((AgeBytes){prk, sizeof(prk)}, (AgeBytes){info, strlen(info)},
		 (AgeBytes){"\x01", 1}, out);
	sodium_memzero(prk, sizeof(prk));
}

void
age_header_mac(const AgeFileKey *key, const void *data, size_t len,
			   uint8_t out[AGE_MAC_LEN])
{
	uint8_t mac_key[AGE_KEY_LEN];

	age_hkdf((AgeBytes){key->bytes, AGE_FILE_KEY_LEN}, (AgeBytes){"", 0},
			 "header", mac_key);
	hmac((AgeBytes){mac_key, sizeof(mac_key)}, (AgeBytes){data, len},
		 (AgeBytes){"", 0}, out);
	sodium_memzero(mac_key, sizeof(mac_key));
}

void
age_payload_key(const AgeFileKey *key, const uint8_t nonce[AGE_NONCE],
				uint8_t out[AGE_KEY_LEN])
{
	/* never one key for two ciphers */
	age_hkdf((AgeBytes){key->bytes, AGE_FILE_KEY_LEN},
			 (AgeBytes){nonce, AGE_NONCE},
			 key->cipher == AGE_AES_256_GCM ? "payload aes-256-gcm" : "payload",
			 out);
}

void
age_base64_add(StrBuf *sb, const void *data, size_t len)
{
	size_t room = sodium_base64_encoded_len(
		len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	char *text = mem_alloc(room);

	sodium_bin2base64(text, room, data, len,
					  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	strbuf_puts(sb, text);
	free(text);
}

bool
age_base64_exact(const char *text, size_t len, uint8_t *out, size_t out_len)
{
	size_t got;

	/* libsodium 1.0.18 takes every byte above 127 for a slash */
	for (size_t i = 0; i < len; i++)
	{
		if ((uint8_t) text[i] > 127)
			return false;
	}

	/*
	 * It does refuse other foreign characters, padding and stray low bits;
	 * what is left is a single way to write each value.
	 */
	return sodium_base642bin(out, out_len, text, len, NULL, &got, NULL,
							 sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
		   got == out_len;
}
