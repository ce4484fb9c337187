/*-------------------------------------------------------------------------
 *
 * pin.c
 *	  pgdr pin [--until TIME] LABEL, unpin LABEL, hold [--reason TEXT] LABEL,
 *	  release LABEL: keeps a backup whatever the retention rules say.
 *
 * In every repository that has it, or in that of --repo.  A pin keeps it from
 * expire, and from delete without --force; a legal hold also from delete with
 * it.
 *
 * result: command, label, until (of a pin with an end), reason (of a hold).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include "base/clock.h"
#include "job/pin.h"

static bool
pin_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	(void) member;
	return pin_backup(repo, ctx_argument(ctx, 0), arg, err);
}

static bool
read_until(const Context *ctx, int64_t *until, Error *err)
{
	const char *text = ctx_option(ctx, "until");

	if (text == NULL)
		return true;
	if (!clock_parse(text, until, err))
		return error_prefix(err, "option --until");
	if (*until > clock_now())
		return true;
	return error_set(err, ERR_USAGE, "option --until: \"%s\" has passed", text);
}

static bool
run(Context *ctx, const char *command, PinAction action, Error *err)
{
	static const char *const said[] = {
		[PIN_SET] = "pinned backup",
		[PIN_LIFT] = "unpinned backup",
		[HOLD_SET] = "put a legal hold on backup",
		[HOLD_LIFT] = "lifted the legal hold on backup"};
	PinSpec spec = {.action = action, .reason = ctx_option(ctx, "reason")};
	EachRepo each = {.run = pin_one, .arg = &spec, .forgive_absence = true};
	char until[CLOCK_TEXT_LEN];
	Json *obj;

	ctx_only_writes(ctx);
	if (!read_until(ctx, &spec.until, err) || !ctx_each_repo(ctx, &each, err))
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", command);
	json_put_str(obj, "label", ctx_argument(ctx, 0));
	if (spec.until != 0)
		json_put_str(obj, "until", clock_format(spec.until, until));
	if (spec.reason != NULL)
		json_put_str(obj, "reason", spec.reason);
	ctx_emit(ctx, "result", obj);
	ctx_print(ctx, "%s %s\n", said[action], ctx_argument(ctx, 0));
	return true;
}

static bool
run_pin(Context *ctx, Error *err)
{
	return run(ctx, "pin", PIN_SET, err);
}

static bool
run_unpin(Context *ctx, Error *err)
{
	return run(ctx, "unpin", PIN_LIFT, err);
}

static bool
run_hold(Context *ctx, Error *err)
{
	return run(ctx, "hold", HOLD_SET, err);
}

static bool
run_release(Context *ctx, Error *err)
{
	return run(ctx, "release", HOLD_LIFT, err);
}

static const OptionSpec pin_options[] = {
	{"until", OPTION_TEXT, "TIME", "until then; else until it is unpinned"},
	{NULL, OPTION_FLAG, NULL, NULL}};

static const OptionSpec hold_options[] = {
	{"reason", OPTION_TEXT, "TEXT", "a note kept with the hold"},
	{NULL, OPTION_FLAG, NULL, NULL}};

static const OptionSpec no_options[] = {{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_pin = {.name = "pin",
						 .arguments = "LABEL",
						 .summary = "keep a backup from expiring",
						 .min_args = 1,
						 .max_args = 1,
						 .options = pin_options,
						 .run = run_pin};

const Command cmd_unpin = {.name = "unpin",
						   .arguments = "LABEL",
						   .summary = "let a pinned backup expire again",
						   .min_args = 1,
						   .max_args = 1,
						   .options = no_options,
						   .run = run_unpin};

const Command cmd_hold = {.name = "hold",
						  .arguments = "LABEL",
						  .summary = "put a legal hold on a backup",
						  .min_args = 1,
						  .max_args = 1,
						  .options = hold_options,
						  .run = run_hold};

const Command cmd_release = {.name = "release",
							 .arguments = "LABEL",
							 .summary = "lift the legal hold on a backup",
							 .min_args = 1,
							 .max_args = 1,
							 .options = no_options,
							 .run = run_release};
