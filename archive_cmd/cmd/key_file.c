/*-------------------------------------------------------------------------
 *
 * key_file.c
 *	  A new identity as the bytes of its file.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/key_file.h"

#include <string.h>

/* Work factor of scrypt: 2^18, as age takes. */
#define SCRYPT_LOG_N 18

static bool
encrypt(KeyFile *key, const char *passphrase_file, Error *err)
{
	char *passphrase = age_passphrase_from_file(passphrase_file, err);
	bool done;

	if (passphrase == NULL)
		return false;
	done = age_encrypt_buffer_passphrase(passphrase, SCRYPT_LOG_N, key->secret,
										 strlen(key->secret), &key->encrypted,
										 err);
	age_secret_free(passphrase);
	key->data = key->encrypted.data;
	key->len = key->encrypted.len;
	return done;
}

bool
key_file_make(const char *passphrase_file, KeyFile *out, Error *err)
{
	*out = (KeyFile){0};
	if (!age_init(err) ||
		!age_identity_generate(&out->secret, &out->recipient, err))
		return false;
	out->data = out->secret;
	out->len = strlen(out->secret);
	if (passphrase_file == NULL || encrypt(out, passphrase_file, err))
		return true;
	key_file_free(out);
	return false;
}

void
key_file_free(KeyFile *key)
{
	age_secret_free(key->secret);
	strbuf_free(&key->encrypted);
	*key = (KeyFile){0};
}
