/*-------------------------------------------------------------------------
 *
 * key.c
 *	  pgdr key generate|list: identities and recipients.
 *
 * key: recipient, configured (may write), identity (can be read here).
 * result: command, action, recipient and file of a new key.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/key_file.h"

/* ---- generate ---- */

static void
say_generated(Context *ctx, const char *file, const char *recipient)
{
	Json *obj = json_new_object();

	if (file != NULL)
		ctx_print(ctx,
				  "The key is in \"%s\".  Keep a copy of it elsewhere: what "
				  "is encrypted to it\ncannot be read without it.\n"
				  "Public key: %s\n",
				  file, recipient);
	json_put_str(obj, "command", "key");
	json_put_str(obj, "action", "generate");
	json_put_str(obj, "recipient", recipient);
	if (file != NULL)
		json_put_str(obj, "file", file);
	ctx_emit(ctx, "result", obj);
}

static bool
generate(Context *ctx, Error *err)
{
	const char *out = ctx_option(ctx, "out");
	const char *passphrase = ctx_option(ctx, "passphrase-file");
	char recipient[AGE_RECIPIENT_TEXT];
	KeyFile key = {0};
	char *file = NULL;
	bool done;

	if (out == NULL && ctx_json(ctx))
		return error_set(err, ERR_USAGE,
						 "with JSON output the key needs a file: --out");
	if (!key_file_make(passphrase, &key, err))
		return false;
	age_recipient_text(&key.recipient, recipient);
	if (out != NULL)
	{
		file = file_absolute(out);
		done = file_write_durable(file, key.data, key.len, 0600, false, err);
	}
	else
	{
		done = file_write_all(STDOUT_FILENO, key.data, key.len,
							  "standard output", err);
		/* the file's text may be encrypted: say it where it does not mix */
		if (done)
			log_info("public key: %s", recipient);
	}
	if (done)
		say_generated(ctx, file, recipient);
	key_file_free(&key);
	free(file);
	return done;
}

/* ---- list ---- */

static void
show_key(Context *ctx, const AgeRecipient *key, bool configured, bool identity)
{
	char text[AGE_RECIPIENT_TEXT];
	Json *obj = json_new_object();

	age_recipient_text(key, text);
	ctx_print(ctx, "%s  %s%s%s\n", text, configured ? "recipient" : "",
			  configured && identity ? ", " : "", identity ? "identity" : "");
	json_put_str(obj, "recipient", text);
	json_put_bool(obj, "configured", configured);
	json_put_bool(obj, "identity", identity);
	ctx_emit(ctx, "key", obj);
}

static bool
is_recipient(const RepoKeys *keys, const AgeRecipient *key)
{
	for (size_t i = 0; i < keys->recipients.count; i++)
	{
		if (memcmp(&keys->recipients.items[i], key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

static bool
is_identity(const RepoKeys *keys, const AgeRecipient *key)
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

static void
show_keys(Context *ctx, const RepoKeys *keys)
{
	AgeRecipient own;

	for (size_t i = 0; i < keys->recipients.count; i++)
		show_key(ctx, &keys->recipients.items[i], true,
				 is_identity(keys, &keys->recipients.items[i]));
	for (size_t i = 0;
		 keys->identities != NULL && i < age_identities_count(keys->identities);
		 i++)
	{
		age_identity_recipient(keys->identities, i, &own);
		if (!is_recipient(keys, &own))
			show_key(ctx, &own, false, true);
	}
}

static bool
list(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	RepoKeys keys;
	Json *obj;

	if (settings == NULL || !settings_load_keys(settings, &keys, err))
		return false;
	if (!settings->encrypt)
		ctx_print(ctx, "Encryption is off.\n");
	show_keys(ctx, &keys);
	repo_keys_free(&keys);
	obj = json_new_object();
	json_put_str(obj, "command", "key");
	json_put_str(obj, "action", "list");
	ctx_emit(ctx, "result", obj);
	return true;
}

static bool
run_key(Context *ctx, Error *err)
{
	const char *action = ctx_argument(ctx, 0);

	if (strcmp(action, "generate") == 0)
		return generate(ctx, err);
	if (strcmp(action, "list") == 0)
		return list(ctx, err);
	error_set(err, ERR_USAGE, "unknown action \"%s\" of command \"key\"",
			  action);
	return error_hint(err, "There are \"generate\" and \"list\".");
}

static const OptionSpec options[] = {
	{"out", OPTION_TEXT, "FILE", "generate: new file for the key"},
	{"passphrase-file", OPTION_TEXT, "FILE",
	 "generate: encrypt the key with this file's first line"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_key = {.name = "key",
						 .arguments = "generate|list",
						 .summary = "make a key, or list those in use",
						 .min_args = 1,
						 .max_args = 1,
						 .options = options,
						 .run = run_key,
						 .is_query = true};
