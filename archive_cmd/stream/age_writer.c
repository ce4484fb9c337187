/*-------------------------------------------------------------------------
 *
 * age_writer.c
 *	  The header of a new age file.
 *
 * The stanzas that wrap the file key are made at once; the extra stanza's
 * body and the MAC over all of it come at the end, into room whose size is
 * known from the start.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <stdlib.h>
#include <string.h>

/* " " and 43 characters and the line's end, behind AGE_FOOTER */
#define FOOTER_REST (1 + 43 + 1)

/* An empty writer with that file key, or a random one; NULL on error. */
static AgeWriter *
writer_new(const AgeFileKey *from, Error *err)
{
	AgeFileKey *key = age_file_key_new(err);
	AgeWriter *w;

	if (!key)
		return NULL;
	if (from)
		*key = *from;
	w = mem_zalloc(sizeof(AgeWriter));
	w->key = key;
	strbuf_puts(&w->head, key->cipher == AGE_AES_256_GCM ? AGE_AES_LINE
														 : AGE_VERSION_LINE);
	return w;
}

/* Takes over w; NULL if the header would be one that readers refuse. */
static AgeWriter *
check_size(AgeWriter *w, Error *err)
{
	if (age_writer_header_len(w) <= AGE_HEADER_MAX)
		return w;
	error_set(err, ERR_INTERNAL, "age header would be larger than %d bytes",
			  AGE_HEADER_MAX);
	age_writer_free(w);
	return NULL;
}

/* The type must be one word, and none that readers understand otherwise. */
static bool
extra_type_is_valid(const char *type)
{
	if (type[0] == '\0' || strcmp(type, AGE_TYPE_X25519) == 0 ||
		strcmp(type, AGE_TYPE_SCRYPT) == 0)
		return false;
	for (const char *p = type; *p; p++)
	{
		if (*p < 33 || *p > 126)
			return false;
	}
	return true;
}

static AgeWriter *
writer_for(const AgeFileKey *key, const AgeRecipients *recipients,
		   const char *extra_type, size_t extra_len, Error *err)
{
	AgeWriter *w;

	if (recipients->count == 0)
	{
		error_set(err, ERR_CONFIG, "no recipient to encrypt to");
		return NULL;
	}
	if (extra_type &&
		(!extra_type_is_valid(extra_type) || extra_len > AGE_HEADER_MAX))
	{
		error_set(err, ERR_INTERNAL, "extra stanza \"%s\" is not valid",
				  extra_type);
		return NULL;
	}
	w = writer_new(key, err);
	if (!w)
		return NULL;
	for (size_t i = 0; i < recipients->count; i++)
	{
		if (!age_x25519_wrap(w->key, &recipients->items[i], &w->head, err))
		{
			age_writer_free(w);
			return NULL;
		}
	}
	if (extra_type)
	{
		w->extra_type = mem_strdup(extra_type);
		w->extra_len = extra_len;
	}
	return check_size(w, err);
}

AgeWriter *
age_writer_new(const AgeRecipients *recipients, const char *extra_type,
			   size_t extra_len, Error *err)
{
	return writer_for(NULL, recipients, extra_type, extra_len, err);
}

AgeWriter *
age_writer_new_aes(const AgeRecipients *recipients, const char *extra_type,
				   size_t extra_len, Error *err)
{
	AgeFileKey *key = age_file_key_new(err);
	AgeWriter *w;

	if (!key)
		return NULL;
	key->cipher = AGE_AES_256_GCM;
	w = writer_for(key, recipients, extra_type, extra_len, err);
	age_file_key_free(key);
	return w;
}

AgeWriter *
age_writer_rewrap(const AgeFileKey *key, const AgeRecipients *recipients,
				  const char *extra_type, size_t extra_len, Error *err)
{
	return writer_for(key, recipients, extra_type, extra_len, err);
}

AgeWriter *
age_writer_new_passphrase(const char *passphrase, int log_n, Error *err)
{
	AgeWriter *w = writer_new(NULL, err);

	if (!w)
		return NULL;
	if (!age_scrypt_wrap(w->key, passphrase, log_n, &w->head, err))
	{
		age_writer_free(w);
		return NULL;
	}
	return w;
}

size_t
age_writer_header_len(const AgeWriter *w)
{
	size_t len = w->head.len + strlen(AGE_FOOTER) + FOOTER_REST;

	if (w->extra_type)
		len += age_stanza_len(w->extra_type, w->extra_len);
	return len;
}

bool
age_writer_header(AgeWriter *w, const void *extra, uint8_t *out, Error *err)
{
	size_t want = age_writer_header_len(w);
	StrBuf sb = STRBUF_INIT;
	uint8_t mac[AGE_MAC_LEN];
	bool good;

	strbuf_add(&sb, w->head.data, w->head.len);
	if (w->extra_type)
		age_stanza_add(&sb, w->extra_type, extra, w->extra_len);
	strbuf_puts(&sb, AGE_FOOTER);
	age_header_mac(w->key, sb.data, sb.len, mac);
	strbuf_putc(&sb, ' ');
	age_base64_add(&sb, mac, sizeof(mac));
	strbuf_putc(&sb, '\n');
	/* the room was promised: never write past it */
	good = sb.len == want ||
		   error_set(err, ERR_INTERNAL, "age header has an unexpected length");
	if (good)
		memcpy(out, sb.data, sb.len);
	strbuf_free(&sb);
	return good;
}

void
age_writer_free(AgeWriter *w)
{
	if (!w)
		return;
	age_file_key_free(w->key);
	strbuf_free(&w->head);
	free(w->extra_type);
	free(w);
}
