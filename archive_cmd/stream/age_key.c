/*-------------------------------------------------------------------------
 *
 * age_key.c
 *	  Recipients, and identities with their files.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define SECRET_TEXT_LEN AGE_BECH32_LEN(AGE_SECRET_HRP)

/* ---- recipients ---- */

/*
 * A point of small order would make the same shared secret for everybody.
 * libsodium tells by refusing to multiply it.
 */
static bool
is_sound_point(const uint8_t key[AGE_KEY_LEN])
{
	static const uint8_t any_scalar[AGE_KEY_LEN] = {8};
	uint8_t product[AGE_KEY_LEN];

	return crypto_scalarmult_curve25519(product, any_scalar, key) == 0;
}

static bool
recipient_error(const char *text, Error *err)
{
	/* somebody may have put the secret key here: do not repeat just any text */
	if (strncmp(text, AGE_RECIPIENT_HRP "1", 4) == 0)
		return error_set(err, ERR_CONFIG, "recipient \"%s\" is not valid",
						 text);
	error_set(err, ERR_CONFIG, "recipient does not begin with \"age1\"");
	if (strncasecmp(text, AGE_SECRET_HRP, strlen(AGE_SECRET_HRP)) == 0)
		error_hint(err, "This is a secret key.  Give the public key, which "
						"stands in a comment of the identity file.");
	return false;
}

bool
age_recipient_add(AgeRecipients *list, const char *text, Error *err)
{
	AgeRecipient r;

	if (!age_bech32_decode(AGE_RECIPIENT_HRP, text, strlen(text), r.key) ||
		!is_sound_point(r.key))
		return recipient_error(text, err);
	list->items = mem_grow(list->items, list->count, &list->cap,
						   sizeof(AgeRecipient));
	list->items[list->count++] = r;
	return true;
}

void
age_recipient_text(const AgeRecipient *r, char *out)
{
	age_bech32_encode(AGE_RECIPIENT_HRP, r->key, out);
}

void
age_key_id(const AgeRecipient *r, char out[AGE_KEY_ID_LEN + 1])
{
	char text[AGE_RECIPIENT_TEXT];

	age_recipient_text(r, text);
	memcpy(out, text, AGE_KEY_ID_LEN);
	out[AGE_KEY_ID_LEN] = '\0';
}

void
age_recipients_free(AgeRecipients *list)
{
	free(list->items);
	*list = (AgeRecipients){0};
}

/* ---- identities ---- */

AgeIdentities *
age_identities_new(void)
{
	return mem_zalloc(sizeof(AgeIdentities));
}

void
age_identities_free(AgeIdentities *ids)
{
	if (!ids)
		return;
	age_secret_free(ids->items);
	free(ids);
}

size_t
age_identities_count(const AgeIdentities *ids)
{
	return ids->count;
}

void
age_identity_recipient(const AgeIdentities *ids, size_t i, AgeRecipient *out)
{
	memcpy(out->key, ids->items[i].public_key, sizeof(out->key));
}

int64_t
age_identity_created(const AgeIdentities *ids, size_t i)
{
	return ids->items[i].created;
}

/* Room for one more; sodium has no realloc. */
static bool
identities_grow(AgeIdentities *ids, Error *err)
{
	size_t cap = ids->cap ? 2 * ids->cap : 4;
	AgeIdentity *items;

	if (ids->count < ids->cap)
		return true;
	items = age_secret_alloc(cap * sizeof(AgeIdentity), err);
	if (!items)
		return false;
	if (ids->count > 0)
		memcpy(items, ids->items, ids->count * sizeof(AgeIdentity));
	age_secret_free(ids->items);
	ids->items = items;
	ids->cap = cap;
	return true;
}

/* "# created: TIME", as age-keygen writes it; a comment that is not is none. */
static int64_t
created_of(const char *line, size_t len)
{
	static const char key[] = "# created: ";
	Error ignored = ERROR_INIT;
	int64_t t = 0;
	char *text;

	if (len <= strlen(key) || strncmp(line, key, strlen(key)) != 0)
		return 0;
	text = mem_strndup(line + strlen(key), len - strlen(key));
	if (!clock_parse(text, &t, &ignored))
		t = 0;
	error_clear(&ignored);
	free(text);
	return t;
}

static bool
add_secret_line(AgeIdentities *ids, const char *line, size_t len, Error *err)
{
	AgeIdentity *id;

	if (!identities_grow(ids, err))
		return false;
	id = &ids->items[ids->count];
	if (!age_bech32_decode(AGE_SECRET_HRP, line, len, id->secret))
		return error_set(err, ERR_KEY, "not a valid secret key");
	if (crypto_scalarmult_curve25519_base(id->public_key, id->secret) != 0)
		return error_set(err, ERR_KEY, "not a usable secret key");
	id->created = 0;
	ids->count++;
	return true;
}

static size_t
trimmed_len(const char *line, size_t len)
{
	while (len > 0 && strchr(" \t\r", line[len - 1]) && line[len - 1])
		len--;
	return len;
}

bool
age_identities_add_text(AgeIdentities *ids, const char *text, size_t len,
						Error *err)
{
	size_t before = ids->count;
	const char *end = text + len;
	int64_t created = 0;
	int line_no = 1;

	for (const char *p = text; p < end; line_no++)
	{
		const char *newline = memchr(p, '\n', (size_t) (end - p));
		const char *stop = newline ? newline : end;
		size_t n = trimmed_len(p, (size_t) (stop - p));

		if (n > 0 && p[0] == '#')
			created = created_of(p, n) > 0 ? created_of(p, n) : created;
		else if (n > 0)
		{
			if (!add_secret_line(ids, p, n, err))
				return error_prefix(err, "line %d of the identity file",
									line_no);
			ids->items[ids->count - 1].created = created;
			created = 0;
		}
		p = newline ? newline + 1 : end;
	}
	if (ids->count == before)
		return error_set(err, ERR_KEY, "identity file has no secret key");
	return true;
}

bool
age_identity_generate(char **text, AgeRecipient *public_key, Error *err)
{
	AgeIdentity *id = age_secret_alloc(sizeof(AgeIdentity), err);
	char created[CLOCK_TEXT_LEN];
	char recipient[AGE_RECIPIENT_TEXT];
	const size_t room = 256;
	int n;

	if (!id)
		return false;
	*text = age_secret_alloc(room, err);
	if (!*text)
	{
		age_secret_free(id);
		return false;
	}
	randombytes_buf(id->secret, sizeof(id->secret));
	crypto_scalarmult_curve25519_base(id->public_key, id->secret);
	memcpy(public_key->key, id->public_key, sizeof(public_key->key));
	age_recipient_text(public_key, recipient);
	n = snprintf(*text, room, "# created: %s\n# public key: %s\n",
				 clock_format(clock_now(), created), recipient);
	/* the secret goes straight into its place: stdio might keep a copy */
	age_bech32_encode(AGE_SECRET_HRP, id->secret, *text + n);
	memcpy(*text + n + SECRET_TEXT_LEN, "\n", 2);
	age_secret_free(id);
	return true;
}
