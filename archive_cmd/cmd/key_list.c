/*-------------------------------------------------------------------------
 *
 * key_list.c
 *	  pgdr key list [--objects]: the keys in use, their age, and what is
 *	  stored for whom.
 *
 * key: recipient, configured (may write), escrow, identity (can be read here),
 * created.
 * key_use: repository, keys (array of ids), known (false: the objects do not
 * say for whom they are), objects, backups, segments, bytes.
 * result: command, action.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/rewrap.h"

bool
key_is_recipient(const AgeRecipients *list, const AgeRecipient *key)
{
	for (size_t i = 0; i < list->count; i++)
	{
		if (memcmp(&list->items[i], key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

bool
key_is_identity(const RepoKeys *keys, const AgeRecipient *key)
{
	AgeRecipient own;

	for (size_t i = 0;
		 keys->identities != NULL && i < age_identities_count(keys->identities);
		 i++)
	{
		age_identity_recipient(keys->identities, i, &own);
		if (memcmp(&own, key, sizeof(own)) == 0)
			return true;
	}
	return false;
}

/* ---- the keys ---- */

typedef struct ShownKey
{
	const AgeRecipient *key;
	bool configured;
	bool escrow;
	bool identity;
	int64_t created;
} ShownKey;

static void
show_key(Context *ctx, const ShownKey *k)
{
	char text[AGE_RECIPIENT_TEXT];
	char created[CLOCK_TEXT_LEN];
	int64_t days = (clock_now() - k->created) / (24 * 3600 * USECS_PER_SEC);
	Json *obj = json_new_object();

	age_recipient_text(k->key, text);
	ctx_print(ctx, "%s  %s%s%s", text,
			  k->escrow       ? "escrow"
			  : k->configured ? "recipient"
							  : "",
			  k->configured && k->identity ? ", " : "",
			  k->identity ? "identity" : "");
	if (k->created > 0)
		ctx_print(ctx, ", made on %.10s (%" PRId64 " days old)",
				  clock_format(k->created, created), days);
	ctx_print(ctx, "\n");
	json_put_str(obj, "recipient", text);
	json_put_bool(obj, "configured", k->configured);
	json_put_bool(obj, "escrow", k->escrow);
	json_put_bool(obj, "identity", k->identity);
	if (k->created > 0)
		json_put_str(obj, "created", clock_format(k->created, created));
	ctx_emit(ctx, "key", obj);
}

static void
show_keys(Context *ctx, const Settings *settings, const RepoKeys *keys)
{
	AgeRecipient own;

	for (size_t i = 0; i < keys->recipients.count; i++)
	{
		ShownKey k = {
			.key = &keys->recipients.items[i],
			.configured = true,
			.escrow = settings->notes[i].escrow,
			.identity = key_is_identity(keys, &keys->recipients.items[i]),
			.created = settings_key_created(settings, keys, i)};

		show_key(ctx, &k);
	}
	for (size_t i = 0;
		 keys->identities != NULL && i < age_identities_count(keys->identities);
		 i++)
	{
		ShownKey k = {.key = &own,
					  .identity = true,
					  .created = age_identity_created(keys->identities, i)};

		age_identity_recipient(keys->identities, i, &own);
		if (!key_is_recipient(&keys->recipients, &own))
			show_key(ctx, &k);
	}
}

/* ---- what is stored ---- */

static void
show_use(Context *ctx, const KeyUse *use)
{
	Json *obj = json_new_object();
	Json *keys = json_new_array();
	char size[32];
	const char *p = use->keys;

	ctx_print(ctx,
			  "%s: %" PRIu64 " objects (%s), %" PRIu64 " backups, %" PRIu64
			  " WAL segments\n",
			  *p != '\0' ? p : "not told", use->objects,
			  size_text(use->bytes, size), use->backups, use->segments);
	while (*p != '\0')
	{
		size_t len = strcspn(p, " ");
		char *id = mem_strndup(p, len);

		json_append(keys, json_new_string(id));
		free(id);
		p += len + (p[len] == ' ');
	}
	json_put(obj, "keys", keys);
	json_put_bool(obj, "known", use->keys[0] != '\0');
	json_put_int(obj, "objects", (int64_t) use->objects);
	json_put_int(obj, "backups", (int64_t) use->backups);
	json_put_int(obj, "segments", (int64_t) use->segments);
	json_put_int(obj, "bytes", (int64_t) use->bytes);
	ctx_emit(ctx, "key_use", obj);
}

static bool
show_uses(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	int workers = ctx_settings(ctx, err)->process_max;
	Progress *progress;
	KeyUses uses;
	bool done;

	(void) member;
	(void) arg;
	progress = ctx_progress_start(ctx);
	done = key_uses_load(repo, workers, progress, &uses, err);
	ctx_progress_stop(ctx);
	for (size_t i = 0; done && i < uses.count; i++)
		show_use(ctx, &uses.items[i]);
	key_uses_free(&uses);
	return done;
}

bool
key_list(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	EachRepo each = {.run = show_uses};
	RepoKeys keys;
	Json *obj;

	if (settings == NULL || !settings_load_keys(settings, &keys, err))
		return false;
	if (!settings->encrypt)
		ctx_print(ctx, "Encryption is off.\n");
	show_keys(ctx, settings, &keys);
	repo_keys_free(&keys);
	if (ctx_flag(ctx, "objects") && !ctx_each_repo(ctx, &each, err))
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "key");
	json_put_str(obj, "action", "list");
	ctx_emit(ctx, "result", obj);
	return true;
}
