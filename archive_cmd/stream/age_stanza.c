/*-------------------------------------------------------------------------
 *
 * age_stanza.c
 *	  The file key, wrapped in stanzas: for X25519 recipients, and for a
 *	  passphrase (scrypt).
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define X25519_INFO "age-encryption.org/v1/X25519"
#define SCRYPT_LABEL "age-encryption.org/v1/scrypt"

#define BODY_LINE_BYTES 48

/* The wrapping key is used once, so its nonce may be zero. */
static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

static void
wrap(const AgeFileKey *key, const uint8_t with[AGE_KEY_LEN],
	 uint8_t out[AGE_WRAPPED_LEN])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, key->bytes,
											  AGE_FILE_KEY_LEN, NULL, 0, NULL,
											  zero_nonce, with);
}

static bool
unwrap(const AgeStanza *st, const uint8_t with[AGE_KEY_LEN], AgeFileKey *out)
{
	return crypto_aead_chacha20poly1305_ietf_decrypt(
			   out->bytes, NULL, NULL, st->body, st->body_len, NULL, 0,
			   zero_nonce, with) == 0;
}

/* ---- text of stanzas ---- */

void
age_stanza_add(StrBuf *out, const char *args, const void *body, size_t len)
{
	const uint8_t *p = body;

	strbuf_printf(out, "-> %s\n", args);
	for (; len >= BODY_LINE_BYTES; p += BODY_LINE_BYTES, len -= BODY_LINE_BYTES)
	{
		age_base64_add(out, p, BODY_LINE_BYTES);
		strbuf_putc(out, '\n');
	}
	/* the last line is short by definition, if need be empty */
	age_base64_add(out, p, len);
	strbuf_putc(out, '\n');
}

size_t
age_stanza_len(const char *args, size_t len)
{
	size_t chars = len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);

	return strlen("-> ") + strlen(args) + 1 + chars + len / BODY_LINE_BYTES + 1;
}

static void
add_stanza_base64(StrBuf *out, const char *type, AgeBytes arg, const char *more,
				  const uint8_t body[AGE_WRAPPED_LEN])
{
	StrBuf args = STRBUF_INIT;

	strbuf_printf(&args, "%s ", type);
	age_base64_add(&args, arg.data, arg.len);
	strbuf_puts(&args, more);
	age_stanza_add(out, args.data, body, AGE_WRAPPED_LEN);
	strbuf_free(&args);
}

/* ---- X25519 ---- */

static void
x25519_wrap_key(const uint8_t shared[AGE_KEY_LEN],
				const uint8_t share[AGE_KEY_LEN],
				const uint8_t recipient[AGE_KEY_LEN], uint8_t out[AGE_KEY_LEN])
{
	uint8_t salt[2 * AGE_KEY_LEN];

	memcpy(salt, share, AGE_KEY_LEN);
	memcpy(salt + AGE_KEY_LEN, recipient, AGE_KEY_LEN);
	age_hkdf((AgeBytes){shared, AGE_KEY_LEN}, (AgeBytes){salt, sizeof(salt)},
			 X25519_INFO, out);
}

bool
age_x25519_wrap(const AgeFileKey *key, const AgeRecipient *to, StrBuf *out,
				Error *err)
{
	uint8_t ephemeral[AGE_KEY_LEN];
	uint8_t share[AGE_KEY_LEN];
	uint8_t shared[AGE_KEY_LEN];
	uint8_t with[AGE_KEY_LEN];
	uint8_t body[AGE_WRAPPED_LEN];
	bool good;

	randombytes_buf(ephemeral, sizeof(ephemeral));
	/* fails when the result is all zero: a recipient of small order */
	good = crypto_scalarmult_curve25519_base(share, ephemeral) == 0 &&
		   crypto_scalarmult_curve25519(shared, ephemeral, to->key) == 0;
	if (good)
	{
		x25519_wrap_key(shared, share, to->key, with);
		wrap(key, with, body);
		add_stanza_base64(out, AGE_TYPE_X25519,
						  (AgeBytes){share, sizeof(share)}, "", body);
	}
	else
		error_set(err, ERR_CONFIG, "recipient is not a usable public key");
	sodium_memzero(ephemeral, sizeof(ephemeral));
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(with, sizeof(with));
	return good;
}

static bool
x25519_share(const AgeStanza *st, uint8_t share[AGE_KEY_LEN])
{
	return st->nargs == 1 && st->body_len == AGE_WRAPPED_LEN &&
		   age_base64_exact(st->args[0], strlen(st->args[0]), share,
							AGE_KEY_LEN);
}

/* *found: did it open?  False only if the stanza is wrong for everybody. */
static bool
x25519_unwrap(const AgeStanza *st, const AgeIdentity *id, AgeFileKey *out,
			  bool *found, Error *err)
{
	uint8_t share[AGE_KEY_LEN];
	uint8_t shared[AGE_KEY_LEN];
	uint8_t with[AGE_KEY_LEN];

	if (!x25519_share(st, share) ||
		crypto_scalarmult_curve25519(shared, id->secret, share) != 0)
		return error_set(err, ERR_DAMAGED,
						 "age header is malformed: a stanza of type X25519 "
						 "is not valid");
	x25519_wrap_key(shared, share, id->public_key, with);
	*found = unwrap(st, with, out);
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(with, sizeof(with));
	return true;
}

/* ---- scrypt ---- */

static bool
scrypt_key(const char *passphrase, const uint8_t salt[AGE_SALT_LEN], int log_n,
		   uint8_t out[AGE_KEY_LEN], Error *err)
{
	uint8_t labelled[sizeof(SCRYPT_LABEL) - 1 + AGE_SALT_LEN];

	memcpy(labelled, SCRYPT_LABEL, sizeof(SCRYPT_LABEL) - 1);
	memcpy(labelled + sizeof(SCRYPT_LABEL) - 1, salt, AGE_SALT_LEN);
	errno = 0;
	if (crypto_pwhash_scryptsalsa208sha256_ll(
			(const uint8_t *) passphrase, strlen(passphrase), labelled,
			sizeof(labelled), UINT64_C(1) << log_n, 8, 1, out,
			AGE_KEY_LEN) != 0)
	{
		error_set_errno(err, errno ? errno : ENOMEM,
						"could not derive a key from the passphrase");
		return error_detail(err, "It takes %llu MiB of memory.",
							1ULL << log_n >> 10);
	}
	return true;
}

bool
age_scrypt_wrap(const AgeFileKey *key, const char *passphrase, int log_n,
				StrBuf *out, Error *err)
{
	uint8_t salt[AGE_SALT_LEN];
	uint8_t with[AGE_KEY_LEN];
	uint8_t body[AGE_WRAPPED_LEN];
	char factor[16];

	if (log_n < 1 || log_n > AGE_SCRYPT_MAX)
		return error_set(err, ERR_CONFIG,
						 "scrypt work factor %d is outside the range 1 to %d",
						 log_n, AGE_SCRYPT_MAX);
	randombytes_buf(salt, sizeof(salt));
	if (!scrypt_key(passphrase, salt, log_n, with, err))
		return false;
	wrap(key, with, body);
	sodium_memzero(with, sizeof(with));
	snprintf(factor, sizeof(factor), " %d", log_n);
	add_stanza_base64(out, AGE_TYPE_SCRYPT, (AgeBytes){salt, sizeof(salt)},
					  factor, body);
	return true;
}

/* A decimal number without sign or leading zero, at most the limit; or 0. */
static int
parse_work_factor(const char *text)
{
	int n = 0;

	if (text[0] == '0')
		return 0;
	for (const char *p = text; *p; p++)
	{
		if (*p < '0' || *p > '9')
			return 0;
		n = n * 10 + (*p - '0');
		if (n > AGE_SCRYPT_MAX)
			return 0;
	}
	return n;
}

/* Is it shaped as it should be?  *log_n and salt may then be used. */
static bool
scrypt_arguments(const AgeStanza *st, uint8_t salt[AGE_SALT_LEN], int *log_n)
{
	if (st->nargs != 2 || st->body_len != AGE_WRAPPED_LEN ||
		!age_base64_exact(st->args[0], strlen(st->args[0]), salt, AGE_SALT_LEN))
		return false;
	*log_n = parse_work_factor(st->args[1]);
	return *log_n > 0;
}

/* ---- unwrapping ---- */

/*
 * A scrypt stanza beside others would let somebody who knows the passphrase
 * forge a file to the others: age forbids it, also for unknown stanzas.
 */
static bool
check_stanzas(const AgeHeader *h, Error *err)
{
	uint8_t share[AGE_KEY_LEN];

	for (size_t i = 0; i < h->count; i++)
	{
		const AgeStanza *st = &h->stanzas[i];

		if (strcmp(st->type, AGE_TYPE_SCRYPT) == 0 && h->count != 1)
			return error_set(err, ERR_DAMAGED,
							 "age header is malformed: a stanza of type "
							 "scrypt is not alone");
		if (strcmp(st->type, AGE_TYPE_X25519) == 0 && !x25519_share(st, share))
			return error_set(err, ERR_DAMAGED,
							 "age header is malformed: a stanza of type "
							 "X25519 is not valid");
	}
	return true;
}

/* Takes over key; gives it back if the header's MAC is right. */
static AgeFileKey *
check_mac(AgeFileKey *key, const AgeHeader *h, const uint8_t *data, Error *err)
{
	uint8_t mac[AGE_MAC_LEN];

	key->cipher = h->cipher;
	age_header_mac(key, data, h->mac_offset, mac);
	if (sodium_memcmp(mac, h->mac, sizeof(mac)) == 0)
		return key;
	error_set(err, ERR_DAMAGED, "age header does not match its MAC");
	age_file_key_free(key);
	return NULL;
}

/* Tries each identity on each stanza until one opens. */
static bool
find_file_key(const AgeHeader *h, const AgeIdentities *ids, AgeFileKey *out,
			  Error *err)
{
	bool found = false;

	for (size_t i = 0; i < h->count; i++)
	{
		if (strcmp(h->stanzas[i].type, AGE_TYPE_X25519) != 0)
			continue;
		for (size_t j = 0; j < ids->count; j++)
		{
			if (!x25519_unwrap(&h->stanzas[i], &ids->items[j], out, &found,
							   err))
				return false;
			if (found)
				return true;
		}
	}
	error_set(err, ERR_KEY, "none of the identities opens this file");
	if (age_header_find(h, AGE_TYPE_SCRYPT))
		error_detail(err, "The file is encrypted with a passphrase.");
	return false;
}

AgeFileKey *
age_unwrap(const AgeHeader *h, const uint8_t *data, const AgeIdentities *ids,
		   Error *err)
{
	AgeFileKey *key;

	if (!check_stanzas(h, err))
		return NULL;
	key = age_secret_alloc(sizeof(AgeFileKey), err);
	if (!key)
		return NULL;
	if (find_file_key(h, ids, key, err))
		return check_mac(key, h, data, err);
	age_file_key_free(key);
	return NULL;
}

static bool
scrypt_unwrap(const AgeStanza *st, const char *passphrase, AgeFileKey *out,
			  Error *err)
{
	uint8_t salt[AGE_SALT_LEN];
	uint8_t with[AGE_KEY_LEN];
	int log_n;
	bool found;

	if (!scrypt_arguments(st, salt, &log_n))
		return error_set(err, ERR_DAMAGED,
						 "age header is malformed: a stanza of type scrypt "
						 "is not valid");
	if (!scrypt_key(passphrase, salt, log_n, with, err))
		return false;
	found = unwrap(st, with, out);
	sodium_memzero(with, sizeof(with));
	return found || error_set(err, ERR_KEY, "passphrase is wrong");
}

AgeFileKey *
age_unwrap_passphrase(const AgeHeader *h, const uint8_t *data,
					  const char *passphrase, Error *err)
{
	const AgeStanza *st = age_header_find(h, AGE_TYPE_SCRYPT);
	AgeFileKey *key;

	if (!check_stanzas(h, err))
		return NULL;
	if (!st)
	{
		error_set(err, ERR_KEY, "file is not encrypted with a passphrase");
		return NULL;
	}
	key = age_secret_alloc(sizeof(AgeFileKey), err);
	if (!key)
		return NULL;
	if (scrypt_unwrap(st, passphrase, key, err))
		return check_mac(key, h, data, err);
	age_file_key_free(key);
	return NULL;
}
