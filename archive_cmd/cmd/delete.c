/*-------------------------------------------------------------------------
 *
 * delete.c
 *	  pgdr delete [--force] LABEL: removes one backup, whatever the rules say.
 *
 * Its WAL stays until the next expire.
 *
 * It goes from every repository, or from that of --repo.
 *
 * result: command, label, bytes (stored).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include "job/expire.h"

static bool
delete_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	const char *label = ctx_argument(ctx, 0);
	uint64_t *bytes = arg;
	ExpireResult removed;
	char size[32];

	(void) member;
	if (!expire_backup(repo, label, ctx_flag(ctx, "force"), &removed, err))
		return false;
	ctx_print(ctx, "removed backup %s (%s)\n", label,
			  size_text(removed.bytes, size));
	*bytes += removed.bytes;
	return true;
}

static bool
run_delete(Context *ctx, Error *err)
{
	uint64_t bytes = 0;
	EachRepo each = {.run = delete_one, .arg = &bytes, .forgive_absence = true};
	Json *obj;

	ctx_only_writes(ctx);
	if (!ctx_each_repo(ctx, &each, err))
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "delete");
	json_put_str(obj, "label", ctx_argument(ctx, 0));
	json_put_int(obj, "bytes", (int64_t) bytes);
	ctx_emit(ctx, "result", obj);
	return true;
}

static const OptionSpec options[] = {
	{"force", OPTION_FLAG, NULL, "even if it is the last good backup"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_delete = {.name = "delete",
							.arguments = "LABEL",
							.summary = "remove one backup",
							.min_args = 1,
							.max_args = 1,
							.options = options,
							.run = run_delete};
