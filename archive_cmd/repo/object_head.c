/*-------------------------------------------------------------------------
 *
 * object_head.c
 *	  Reads the head of an object: an age header with our stanza, or a zstd
 *	  skippable frame.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <stdlib.h>
#include <string.h>

/* One read takes in the head of nearly every object. */
#define HEAD_READ 4096
/* How an encrypted object may begin: by the cipher of its payload. */
#define AGE_MAGIC "age-encryption.org/"
#define AES_MAGIC "pgdr-aes-256-gcm/v1"
#define AGE_MAGIC_LEN (sizeof(AGE_MAGIC) - 1)
_Static_assert(sizeof(AES_MAGIC) == sizeof(AGE_MAGIC), "lengths differ");

void
object_head_free(ObjectHead *head)
{
	strbuf_free(&head->bytes);
	age_header_free(&head->age);
	object_meta_free(&head->meta);
}

bool
object_error(const Repo *repo, const char *name, Error *err)
{
	return error_prefix(err, "object \"%s\" in %s", name, repo->storage->where);
}

/* *more: the head does not end within these bytes. */
static bool
parse_age_head(const Repo *repo, const StrBuf *in, ObjectHead *head, bool *more,
			   Error *err)
{
	const AgeStanza *stanza;

	if (!age_header_parse((const uint8_t *) in->data, in->len, &head->age, more,
						  err))
		return false;
	stanza = age_header_find(&head->age, OBJECT_STANZA);
	if (!stanza)
		return error_set(err, ERR_DAMAGED, "it has no metadata");
	head->meta.encrypted = true;
	head->meta.head_len = head->age.len;
	return object_meta_parse(repo, (const char *) stanza->body,
							 stanza->body_len, &head->meta, err);
}

static bool
parse_plain_head(const Repo *repo, const StrBuf *in, ObjectHead *head,
				 bool *more, Error *err)
{
	uint32_t len;

	if (in->len < ZSTD_SKIPPABLE_HEADER)
	{
		*more = true;
		return false;
	}
	if (!zstd_skippable_parse((const uint8_t *) in->data, &len) ||
		len > OBJECT_META_MAX)
		return error_set(err, ERR_DAMAGED, "it is not an object of pgdr");
	if (in->len < ZSTD_SKIPPABLE_HEADER + (size_t) len)
	{
		*more = true;
		return false;
	}
	head->meta.head_len = ZSTD_SKIPPABLE_HEADER + (uint64_t) len;
	return object_meta_parse(repo, in->data + ZSTD_SKIPPABLE_HEADER, len,
							 &head->meta, err);
}

static bool
parse_head(const Repo *repo, const StrBuf *in, ObjectHead *head, bool *more,
		   Error *err)
{
	size_t probe = in->len < AGE_MAGIC_LEN ? in->len : AGE_MAGIC_LEN;
	bool age = in->len > 0 && (memcmp(in->data, AGE_MAGIC, probe) == 0 ||
							   memcmp(in->data, AES_MAGIC, probe) == 0);

	/*
	 * Whoever can write to the store could put unencrypted objects of his own
	 * in the place of ours: never take one where encryption is the rule.
	 */
	if (in->len >= AGE_MAGIC_LEN && repo->encrypted && !age)
		return error_set(err, ERR_DAMAGED,
						 "it is not encrypted, in an encrypted repository");
	return age ? parse_age_head(repo, in, head, more, err)
			   : parse_plain_head(repo, in, head, more, err);
}

static bool
check_name(const char *name, const ObjectHead *head, Error *err)
{
	if (strcmp(head->meta.name, name) == 0)
		return true;
	error_set(err, ERR_MISMATCH, "it holds what belongs under another name");
	return error_detail(err, "Its content was written as \"%s\".",
						head->meta.name);
}

bool
object_head_read(const Repo *repo, const char *name, StorageReader *r,
				 ObjectHead *head, StrBuf *rest, Error *err)
{
	StrBuf in = STRBUF_INIT;
	char block[HEAD_READ];
	bool more = true;
	size_t got;

	while (more)
	{
		if (!storage_read(r, block, sizeof(block), &got, err))
			break;
		strbuf_add(&in, block, got);
		more = false;
		if (parse_head(repo, &in, head, &more, err))
			break;
		if (more && (got == 0 || in.len > AGE_HEADER_MAX))
		{
			more = false;
			error_set(err, ERR_DAMAGED, "it ends inside its head");
		}
	}
	if (!error_is_set(err) && check_name(name, head, err))
	{
		strbuf_add(&head->bytes, in.data, head->meta.head_len);
		strbuf_add(rest, in.data + head->meta.head_len,
				   in.len - head->meta.head_len);
	}
	strbuf_free(&in);
	if (error_is_set(err))
		return object_error(repo, name, err);
	return true;
}

AgeFileKey *
object_unlock(const Repo *repo, const ObjectHead *head, Error *err)
{
	const AgeIdentities *ids = repo->options.keys->identities;

	if (!ids || age_identities_count(ids) == 0)
	{
		error_set(err, ERR_KEY,
				  "it is encrypted, and no identity is configured");
		error_hint(err, "Name the identity file with identity-file in the "
						"configuration.");
		return NULL;
	}
	return age_unwrap(&head->age, (const uint8_t *) head->bytes.data, ids, err);
}
