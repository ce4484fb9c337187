/*-------------------------------------------------------------------------
 *
 * key.c
 *	  pgdr key generate|list|rotate|rewrap: identities and recipients.
 *
 * result of generate: command, action, recipient and file of a new key.  Those
 * of the other actions are in their files.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
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

static const struct
{
	const char *name;
	bool (*run)(Context *ctx, Error *err);
	const char *options; /* those that it takes, with a space behind each */
} actions[] = {{"generate", generate, "out passphrase-file "},
			   {"list", key_list, "objects "},
			   {"rotate", key_rotate, "recipient replace "},
			   {"rewrap", key_rewrap, "dry-run "}};

static const OptionSpec options[] = {
	{"out", OPTION_TEXT, "FILE", "generate: new file for the key"},
	{"passphrase-file", OPTION_TEXT, "FILE",
	 "generate: encrypt the key with this file's first line"},
	{"objects", OPTION_FLAG, NULL,
	 "list: count what is stored, by whom it is for"},
	{"recipient", OPTION_TEXT, "KEY",
	 "rotate: the new public key, whose identity is elsewhere"},
	{"replace", OPTION_LIST, "KEY", "rotate: the old public key; may repeat"},
	{"dry-run", OPTION_FLAG, NULL, "rewrap: only count what would be done"},
	{NULL, OPTION_FLAG, NULL, NULL}};

/* An option of one action must not be passed over by another. */
static bool
check_options(Context *ctx, const char *action, const char *taken, Error *err)
{
	for (const OptionSpec *o = options; o->name != NULL; o++)
	{
		char *word = mem_printf("%s ", o->name);
		bool wrong = ctx_option(ctx, o->name) != NULL &&
					 strstr(taken, word) == NULL;

		free(word);
		if (wrong)
			return error_set(err, ERR_USAGE, "\"key %s\" takes no option --%s",
							 action, o->name);
	}
	return true;
}

static bool
run_key(Context *ctx, Error *err)
{
	const char *action = ctx_argument(ctx, 0);

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		if (strcmp(action, actions[i].name) == 0)
			return check_options(ctx, action, actions[i].options, err) &&
				   actions[i].run(ctx, err);
	}
	error_set(err, ERR_USAGE, "unknown action \"%s\" of command \"key\"",
			  action);
	return error_hint(err, "There are \"generate\", \"list\", \"rotate\" and "
						   "\"rewrap\".");
}

const Command cmd_key = {.name = "key",
						 .arguments = "generate|list|rotate|rewrap",
						 .summary = "make, list and rotate keys",
						 .min_args = 1,
						 .max_args = 1,
						 .options = options,
						 .run = run_key,
						 .is_query = true,
						 .is_nice = true};
