/*-------------------------------------------------------------------------
 *
 * repo.c
 *	  Making and opening a repository: repo.json and what follows from it.
 *
 * repo.json is the one object that is plain JSON: whoever finds the
 * repository, with no tool and no key, can read what it is.  It guards itself
 * with "check", the SHA-256 of its other members, and with "mac", which only
 * the holder of the content key can make.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/repo_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define REPO_ID_BYTES 16

void
repo_keys_free(RepoKeys *keys)
{
	age_recipients_free(&keys->recipients);
	age_identities_free(keys->identities);
	explicit_bzero(keys, sizeof(*keys));
}

/*
 * One key is kept, two are used: XXH3 does not hide its secret, so the key of
 * the MAC must not follow from it.
 */
static void
derive_keys(Repo *repo)
{
	static const char hash_use[] = "pgdr content hash v1";
	static const char mac_use[] = "pgdr object mac v1";
	uint8_t seed[SHA256_LEN];

	hmac_sha256(repo->content_key, CONTENT_KEY_LEN, hash_use, strlen(hash_use),
				seed);
	content_key_expand(seed, &repo->content);
	hmac_sha256(repo->content_key, CONTENT_KEY_LEN, mac_use, strlen(mac_use),
				repo->mac_key);
	explicit_bzero(seed, sizeof(seed));
	repo->has_content = true;
}

/* ---- the guards of repo.json ---- */

static void
copy_unguarded(void *arg, const char *key, const Json *value)
{
	if (strcmp(key, "check") != 0 && strcmp(key, "mac") != 0)
		json_put(arg, key, json_dup(value));
}

/* The text both guards are computed over. */
static char *
guarded_text(const Json *obj)
{
	Json *copy = json_new_object();
	char *text;

	json_each(obj, copy_unguarded, copy);
	text = json_dump(copy);
	json_free(copy);
	return text;
}

static void
guard_check(const char *text, char hex[SHA256_HEX_LEN + 1])
{
	uint8_t hash[SHA256_LEN];

	sha256_once(text, strlen(text), hash);
	hex_encode(hash, sizeof(hash), hex);
}

static void
guard_mac(const Repo *repo, const char *text, char hex[SHA256_HEX_LEN + 1])
{
	uint8_t mac[SHA256_LEN];

	hmac_sha256(repo->mac_key, SHA256_LEN, text, strlen(text), mac);
	hex_encode(mac, sizeof(mac), hex);
}

/* ---- making one ---- */

static bool
entry_is_foreign(void *arg, const StorageEntry *entry, Error *err)
{
	(void) arg;
	return error_set(err, ERR_EXISTS, "\"%s\" is there already", entry->name);
}

static void
put_recipients(Json *obj, const AgeRecipients *recipients)
{
	Json *array = json_new_array();
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; i < recipients->count; i++)
	{
		age_recipient_text(&recipients->items[i], text);
		json_append(array, json_new_string(text));
	}
	json_put(obj, "recipients", array);
}

/*
 * The content key travels with the repository, so that repository and identity
 * suffice to recover: for the recipients' eyes only where there are any.
 */
static bool
put_content_key(Json *obj, const Repo *repo, Error *err)
{
	StrBuf box = STRBUF_INIT;
	char *hex;

	if (!repo->encrypted)
		strbuf_add(&box, repo->content_key, CONTENT_KEY_LEN);
	else if (!age_encrypt_buffer(&repo->options.keys->recipients,
								 repo->content_key, CONTENT_KEY_LEN, &box, err))
		return false;
	hex = mem_alloc(2 * box.len + 1);
	hex_encode((const uint8_t *) box.data, box.len, hex);
	json_put_str(obj, "content_key", hex);
	free(hex);
	strbuf_free(&box);
	return true;
}

bool
repo_json_text(const Repo *repo, StrBuf *out, Error *err)
{
	Json *obj = json_new_object();
	char when[CLOCK_TEXT_LEN];
	char hex[SHA256_HEX_LEN + 1];
	char *text;
	bool done;

	json_put_int(obj, "format", REPO_FORMAT);
	json_put_str(obj, "cluster", repo->options.cluster);
	json_put_str(obj, "id", repo->id);
	json_put_str(obj, "created", clock_format(repo->created, when));
	json_put_str(obj, "encryption", repo->encrypted ? "age" : "none");
	put_recipients(obj, &repo->options.keys->recipients);
	done = put_content_key(obj, repo, err);
	if (done)
	{
		text = guarded_text(obj);
		guard_check(text, hex);
		json_put_str(obj, "check", hex);
		guard_mac(repo, text, hex);
		json_put_str(obj, "mac", hex);
		free(text);
		text = json_dump(obj);
		strbuf_puts(out, text);
		strbuf_putc(out, '\n');
		free(text);
	}
	json_free(obj);
	return done;
}

static bool
make_id(char id[33], Error *err)
{
	uint8_t bytes[REPO_ID_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
		return error_set_errno(err, errno, "could not get random bytes");
	hex_encode(bytes, sizeof(bytes), id);
	return true;
}

static bool
check_free(Repo *repo, bool again, Error *err)
{
	bool exists;

	if (!storage_exists(repo->storage, REPO_JSON, &exists, err))
		return false;
	if (exists)
	{
		error_set(err, ERR_EXISTS, "there is a repository in %s already",
				  repo->storage->where);
		return error_hint(err, "Choose another place, or use this repository "
							   "by its own configuration and key.");
	}
	if (again ||
		storage_list(repo->storage, "", false, entry_is_foreign, NULL, err))
		return true;
	error_prefix(err, "%s is not empty", repo->storage->where);
	return error_hint(err, "A repository needs a place of its own.");
}

static bool
write_repo_json(Repo *repo, Error *err)
{
	StrBuf text = STRBUF_INIT;
	bool done;

	done = make_id(repo->id, err) && repo_json_text(repo, &text, err) &&
		   storage_put(repo->storage, REPO_JSON, text.data, text.len, err);
	strbuf_free(&text);
	return done;
}

static bool
create(const RepoOptions *options, bool again, Error *err)
{
	Repo repo = {.options = *options};
	bool done;

	if (!options->keys->has_content_key)
		return error_set(err, ERR_CONFIG,
						 "a new repository needs a content key");
	memcpy(repo.content_key, options->keys->content_key, CONTENT_KEY_LEN);
	derive_keys(&repo);
	repo.encrypted = options->keys->recipients.count > 0;
	repo.created = clock_now();
	repo.options.storage.create = !again;
	done = storage_open(&repo.options.storage, &repo.storage, err) &&
		   check_free(&repo, again, err) && write_repo_json(&repo, err);
	storage_close(repo.storage);
	explicit_bzero(&repo, sizeof(repo));
	return done;
}

bool
repo_create(const RepoOptions *options, Error *err)
{
	return create(options, false, err);
}

bool
repo_create_again(const RepoOptions *options, Error *err)
{
	return create(options, true, err);
}

/* ---- opening one ---- */

static bool
check_intact(const Json *obj, Error *err)
{
	const char *stored;
	char hex[SHA256_HEX_LEN + 1];
	char *text;

	if (!json_require_str(obj, "check", &stored, err))
		return false;
	text = guarded_text(obj);
	guard_check(text, hex);
	free(text);
	if (strcmp(stored, hex) == 0)
		return true;
	error_set(err, ERR_DAMAGED, "it is not as it was written");
	return error_detail(err, "Its checksum is %s, its contents have %s.",
						stored, hex);
}

static bool
check_format(const Repo *repo, const Json *obj, Error *err)
{
	int64_t format;

	if (!json_require_int(obj, "format", &format, err))
		return false;
	if (format > REPO_FORMAT)
	{
		/* or is it only that the number is not as it was written? */
		if (json_get_str(obj, "check", NULL) != NULL && !check_intact(obj, err))
			return false;
		error_set(err, ERR_UNSUPPORTED,
				  "the repository in %s has format %lld, this program knows "
				  "formats up to %d",
				  repo->storage->where, (long long) format, REPO_FORMAT);
		return error_hint(err, "Use a newer pgdr.");
	}
	if (format < 1)
		return error_set(err, ERR_DAMAGED, "it has format %lld",
						 (long long) format);
	return true;
}

static bool
check_cluster(const Repo *repo, const Json *obj, Error *err)
{
	const char *cluster;
	const char *encryption;
	const RepoKeys *keys = repo->options.keys;
	bool wanted = keys->recipients.count > 0 || keys->identities;

	if (!json_require_str(obj, "cluster", &cluster, err) ||
		!json_require_str(obj, "encryption", &encryption, err))
		return false;
	if (repo->options.cluster && strcmp(cluster, repo->options.cluster) != 0)
	{
		error_set(err, ERR_MISMATCH,
				  "the repository in %s belongs to cluster \"%s\"",
				  repo->storage->where, cluster);
		return error_detail(err, "The configuration is for cluster \"%s\".",
							repo->options.cluster);
	}
	if (wanted != repo->encrypted)
	{
		error_set(err, ERR_MISMATCH, "the repository in %s is %s",
				  repo->storage->where,
				  repo->encrypted ? "encrypted" : "not encrypted");
		return error_detail(err, "The configuration says encryption = %s.",
							wanted ? "age" : "none");
	}
	return true;
}

static bool
take_created(Repo *repo, const Json *obj, Error *err)
{
	const char *encryption;
	const char *created;
	const char *id;
	uint8_t raw[REPO_ID_BYTES];

	if (!json_require_str(obj, "encryption", &encryption, err) ||
		!json_require_str(obj, "created", &created, err) ||
		!json_require_str(obj, "id", &id, err))
		return false;
	repo->encrypted = strcmp(encryption, "none") != 0;
	if (repo->encrypted && strcmp(encryption, "age") != 0)
		return error_set(err, ERR_UNSUPPORTED, "unknown encryption \"%s\"",
						 encryption);
	if (!hex_decode(id, raw, sizeof(raw)) ||
		!clock_parse(created, &repo->created, err))
	{
		error_clear(err);
		return error_set(err, ERR_DAMAGED, "it is not well-formed");
	}
	memcpy(repo->id, id, sizeof(repo->id));
	return true;
}

/* Opens the copy of the content key; *found stays false without an identity. */
static bool
unbox_content_key(Repo *repo, const Json *obj, bool *found, Error *err)
{
	const AgeIdentities *ids = repo->options.keys->identities;
	StrBuf key = STRBUF_INIT;
	const char *hex;
	uint8_t *box;
	size_t len;
	bool done = true;

	if (!json_require_str(obj, "content_key", &hex, err))
		return false;
	len = strlen(hex) / 2;
	box = mem_alloc(len + 1);
	if (!hex_decode(hex, box, len))
		done = error_set(err, ERR_DAMAGED, "it has no legible content key");
	else if (!repo->encrypted)
		strbuf_add(&key, box, len);
	else if (ids)
		done = age_decrypt_buffer(ids, box, len, &key, err);
	free(box);
	if (done && key.len == CONTENT_KEY_LEN)
	{
		memcpy(repo->content_key, key.data, CONTENT_KEY_LEN);
		*found = true;
	}
	if (key.data)
		explicit_bzero(key.data, key.cap);
	strbuf_free(&key);
	return done;
}

/* Only who holds the content key can have written it. */
static bool
check_mac(const Repo *repo, const Json *obj, Error *err)
{
	const char *stored;
	char hex[SHA256_HEX_LEN + 1];
	char *text;

	if (!json_require_str(obj, "mac", &stored, err))
		return false;
	text = guarded_text(obj);
	guard_mac(repo, text, hex);
	free(text);
	if (strcmp(hex, stored) == 0)
		return true;
	error_set(err, ERR_MISMATCH,
			  "the content key is not the one of the repository in %s",
			  repo->storage->where);
	return error_hint(err,
					  "Check content-key-file.  If it is the right one, "
					  "somebody else wrote this repository's \"%s\".",
					  REPO_JSON);
}

static bool
take_content_key(Repo *repo, const Json *obj, Error *err)
{
	const RepoKeys *keys = repo->options.keys;
	bool found = keys->has_content_key;

	if (found)
		memcpy(repo->content_key, keys->content_key, CONTENT_KEY_LEN);
	else if (!unbox_content_key(repo, obj, &found, err))
		return false;
	if (!found)
		return true;
	derive_keys(repo);
	return check_mac(repo, obj, err);
}

static bool
read_repo_json(Repo *repo, Json **out, Error *err)
{
	char *text;
	size_t len;

	if (!storage_get(repo->storage, REPO_JSON, REPO_JSON_MAX, &text, &len, err))
	{
		if (err->code != ERR_NOT_FOUND)
			return false;
		error_clear(err);
		error_set(err, ERR_CONFIG, "there is no repository in %s",
				  repo->storage->where);
		error_detail(err, "It has no \"%s\".", REPO_JSON);
		return error_hint(err,
						  "Make one with \"pgdr repo-init\", or correct the "
						  "configuration; if it should be there, check that "
						  "the store is mounted.");
	}
	*out = json_parse(text, len, err);
	free(text);
	return *out != NULL;
}

bool
repo_json_read(Repo *repo, Json **out, Error *err)
{
	if (!repo->has_content)
		return error_set(err, ERR_KEY, "the content key is not known");
	if (!read_repo_json(repo, out, err))
		return false;
	if (check_intact(*out, err) && check_mac(repo, *out, err))
		return true;
	json_free(*out);
	return false;
}

/*
 * Of a store that is only written to nothing need be read: that this is a
 * repository of this cluster was seen by whoever made it.  Who has come with
 * an identity has come to read.
 */
static bool
go_on_blind(Repo *repo, Error *denied)
{
	const RepoKeys *keys = repo->options.keys;

	if (denied->code != ERR_DENIED || !keys->has_content_key ||
		keys->identities != NULL)
		return false;
	log_info("\"%s\" in %s may not be read; going on without it", REPO_JSON,
			 repo->storage->where);
	error_clear(denied);
	repo->blind = true;
	repo->encrypted = keys->recipients.count > 0;
	memcpy(repo->content_key, keys->content_key, CONTENT_KEY_LEN);
	derive_keys(repo);
	return true;
}

/* Does the list of repo.json name all of these? */
static bool
names_all(const Json *root, const AgeRecipients *recipients)
{
	const Json *list = json_get(root, "recipients");
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; i < recipients->count; i++)
	{
		bool found = false;

		age_recipient_text(&recipients->items[i], text);
		for (size_t k = 0; !found && k < json_array_len(list); k++)
		{
			const char *named = json_str(json_array_at(list, k));

			found = named != NULL && strcmp(named, text) == 0;
		}
		if (!found)
			return false;
	}
	return true;
}

static bool
repo_load(Repo *repo, Error *err)
{
	Json *obj = NULL;
	bool done;

	done = read_repo_json(repo, &obj, err);
	if (!done && go_on_blind(repo, err))
		return true;
	done = done && check_format(repo, obj, err) && check_intact(obj, err) &&
		   take_created(repo, obj, err) && check_cluster(repo, obj, err) &&
		   take_content_key(repo, obj, err);
	if (done)
		repo->root_lacks = !names_all(obj, &repo->options.keys->recipients);
	json_free(obj);
	if (!done && err->code == ERR_DAMAGED)
		error_prefix(err, "could not read \"%s\" in %s", REPO_JSON,
					 repo->storage->where);
	return done;
}

bool
repo_open(const RepoOptions *options, Repo **out, Error *err)
{
	Repo *repo = mem_zalloc(sizeof(Repo));

	repo->options = *options;
	repo->options.storage.create = false;
	if (!storage_open(&repo->options.storage, &repo->storage, err) ||
		!repo_load(repo, err))
	{
		repo_close(repo);
		return false;
	}
	*out = repo;
	return true;
}

bool
repo_open_again(const Repo *repo, Repo **out, Error *err)
{
	Repo *again = mem_alloc(sizeof(Repo));

	*again = *repo;
	again->storage = NULL;
	if (!storage_open(&again->options.storage, &again->storage, err))
	{
		repo_close(again);
		return false;
	}
	*out = again;
	return true;
}

void
repo_close(Repo *repo)
{
	if (!repo)
		return;
	storage_close(repo->storage);
	explicit_bzero(repo, sizeof(*repo));
	free(repo);
}
