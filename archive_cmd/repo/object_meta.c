/*-------------------------------------------------------------------------
 *
 * object_meta.c
 *	  The metadata of an object as text (doc/repository-format.md, "Object").
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAC_MEMBER ",\"mac\":\""
#define MAC_MEMBER_LEN (sizeof(MAC_MEMBER) - 1)
/* the member, 64 digits, the closing quote and brace */
#define MAC_TAIL_LEN (MAC_MEMBER_LEN + SHA256_HEX_LEN + 2)

void
object_meta_free(ObjectMeta *meta)
{
	free(meta->kind);
	free(meta->name);
	json_free(meta->keys);
	json_free(meta->extra);
	memset(meta, 0, sizeof(*meta));
}

/* Everything up to, not including, the MAC member. */
static char *
meta_text(const ObjectMeta *meta)
{
	Json *obj = json_new_object();
	char hex[SHA256_HEX_LEN + 1];
	char *text;

	json_put_int(obj, "format", REPO_FORMAT);
	json_put_str(obj, "kind", meta->kind);
	json_put_str(obj, "name", meta->name);
	json_put_int(obj, "size", (int64_t) meta->plain_size);
	json_put_int(obj, "zstd", (int64_t) meta->zstd_size);
	json_put_int(obj, "payload", (int64_t) meta->payload_size);
	hex_encode(meta->content, CONTENT_LEN, hex);
	json_put_str(obj, "content", hex);
	hex_encode(meta->sha256, SHA256_LEN, hex);
	json_put_str(obj, "sha256", hex);
	if (meta->keys)
		json_put(obj, "keys", json_dup(meta->keys));
	if (meta->extra)
		json_put(obj, "extra", json_dup(meta->extra));
	text = json_dump(obj);
	json_free(obj);
	text[strlen(text) - 1] = '\0'; /* the brace comes after the MAC */
	return text;
}

Json *
object_key_ids(const AgeRecipients *recipients)
{
	Json *ids = json_new_array();
	char id[AGE_KEY_ID_LEN + 1];

	for (size_t i = 0; i < recipients->count; i++)
	{
		age_key_id(&recipients->items[i], id);
		json_append(ids, json_new_string(id));
	}
	return ids;
}

size_t
object_meta_len(const ObjectMeta *meta)
{
	char *text = meta_text(meta);
	size_t len = strlen(text) + MAC_TAIL_LEN;

	free(text);
	return len;
}

/* Room for the metadata when every number has its most digits. */
size_t
object_meta_room(const ObjectSpec *spec, const Json *keys)
{
	ObjectMeta most = {.kind = (char *) spec->kind,
					   .name = (char *) spec->name,
					   .plain_size = INT64_MAX,
					   .zstd_size = INT64_MAX,
					   .payload_size = INT64_MAX,
					   .keys = (Json *) (uintptr_t) keys};
	size_t room = object_meta_len(&most);

	if (spec->extra_room > 0)
		room += strlen(",\"extra\":") + spec->extra_room;
	return room;
}

bool
object_meta_format(const Repo *repo, const ObjectMeta *meta, size_t room,
				   char *out, Error *err)
{
	char *text = meta_text(meta);
	size_t len = strlen(text);
	uint8_t mac[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	if (len + MAC_TAIL_LEN > room)
	{
		free(text);
		return error_set(err, ERR_INTERNAL,
						 "metadata of \"%s\" has %zu bytes, room for %zu",
						 meta->name, len + MAC_TAIL_LEN, room);
	}
	hmac_sha256(repo->mac_key, SHA256_LEN, text, len, mac);
	hex_encode(mac, sizeof(mac), hex);
	memset(out, ' ', room);
	memcpy(out, text, len);
	memcpy(out + len, MAC_MEMBER, MAC_MEMBER_LEN);
	memcpy(out + len + MAC_MEMBER_LEN, hex, SHA256_HEX_LEN);
	memcpy(out + len + MAC_MEMBER_LEN + SHA256_HEX_LEN, "\"}", 2);
	free(text);
	return true;
}

/*
 * The MAC covers the text as it stands, so it is found by position, not by
 * parsing: the last member, then nothing but padding.
 */
static bool
check_mac(const Repo *repo, const char *text, size_t len, Error *err)
{
	uint8_t stored[SHA256_LEN];
	uint8_t mac[SHA256_LEN];
	const char *tail;
	char hex[SHA256_HEX_LEN + 1];

	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len < MAC_TAIL_LEN)
		return error_set(err, ERR_DAMAGED, "metadata is too short");
	tail = text + len - MAC_TAIL_LEN;
	memcpy(hex, tail + MAC_MEMBER_LEN, SHA256_HEX_LEN);
	hex[SHA256_HEX_LEN] = '\0';
	if (memcmp(tail, MAC_MEMBER, MAC_MEMBER_LEN) != 0 ||
		!hex_decode(hex, stored, sizeof(stored)))
		return error_set(err, ERR_DAMAGED, "metadata has no MAC");
	if (!repo->has_content)
		return true; /* cannot be judged without the key */
	hmac_sha256(repo->mac_key, SHA256_LEN, text, len - MAC_TAIL_LEN, mac);
	if (memcmp(mac, stored, sizeof(mac)) == 0)
		return true;
	error_set(err, ERR_DAMAGED, "metadata is not authentic");
	return error_detail(err, "It was damaged, or written by somebody who does "
							 "not hold the content key of this repository.");
}

static bool
require_size(const Json *obj, const char *key, uint64_t *out, Error *err)
{
	int64_t value;

	if (!json_require_int(obj, key, &value, err))
		return false;
	if (value < 0)
		return error_set(err, ERR_DAMAGED, "\"%s\" is negative", key);
	*out = (uint64_t) value;
	return true;
}

static bool
require_hash(const Json *obj, const char *key, uint8_t *out, size_t len,
			 Error *err)
{
	const char *text;

	if (!json_require_str(obj, key, &text, err))
		return false;
	if (!hex_decode(text, out, len))
		return error_set(err, ERR_DAMAGED, "\"%s\" is not a hash", key);
	return true;
}

static bool
take_members(const Json *obj, ObjectMeta *out, Error *err)
{
	const char *kind;
	const char *name;
	const Json *extra = json_get(obj, "extra");
	const Json *keys = json_get(obj, "keys");
	int64_t format;

	if (!json_require_int(obj, "format", &format, err) ||
		!json_require_str(obj, "kind", &kind, err) ||
		!json_require_str(obj, "name", &name, err) ||
		!require_size(obj, "size", &out->plain_size, err) ||
		!require_size(obj, "zstd", &out->zstd_size, err) ||
		!require_size(obj, "payload", &out->payload_size, err) ||
		!require_hash(obj, "content", out->content, CONTENT_LEN, err) ||
		!require_hash(obj, "sha256", out->sha256, SHA256_LEN, err))
		return false;
	if (format > REPO_FORMAT)
	{
		error_set(err, ERR_UNSUPPORTED,
				  "object has format %" PRId64
				  ", this program knows formats up to %d",
				  format, REPO_FORMAT);
		return error_hint(err, "Use a newer pgdr.");
	}
	if (extra && !json_is_object(extra))
		return error_set(err, ERR_DAMAGED, "\"extra\" is not an object");
	if (keys && !json_is_array(keys))
		return error_set(err, ERR_DAMAGED, "\"keys\" is not an array");
	out->keys = keys ? json_dup(keys) : NULL;
	out->kind = mem_strdup(kind);
	out->name = mem_strdup(name);
	out->extra = extra ? json_dup(extra) : NULL;
	return true;
}

bool
object_meta_parse(const Repo *repo, const char *text, size_t len,
				  ObjectMeta *out, Error *err)
{
	Json *obj;
	bool done;

	if (len > OBJECT_META_MAX)
		return error_set(err, ERR_DAMAGED, "metadata has %zu bytes", len);
	if (!check_mac(repo, text, len, err))
		return false;
	obj = json_parse(text, len, err);
	if (!obj)
		return error_prefix(err, "could not read metadata");
	done = take_members(obj, out, err);
	json_free(obj);
	return done;
}
