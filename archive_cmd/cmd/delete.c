/*-------------------------------------------------------------------------
 *
 * delete.c
 *	  pgdr delete [--force] LABEL: removes one backup, whatever the rules say.
 *
 * Its WAL stays until the next expire.
 *
 * result: command, label, bytes (stored).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include "job/expire.h"

static bool
run_delete(Context *ctx, Error *err)
{
	const char *label = ctx_argument(ctx, 0);
	ExpireResult removed;
	char size[32];
	Json *obj;
	Repo *repo;

	ctx_only_writes(ctx);
	repo = ctx_repo(ctx, err);
	if (repo == NULL ||
		!expire_backup(repo, label, ctx_flag(ctx, "force"), &removed, err))
		return false;
	ctx_print(ctx, "removed backup %s (%s)\n", label,
			  size_text(removed.bytes, size));
	obj = json_new_object();
	json_put_str(obj, "command", "delete");
	json_put_str(obj, "label", label);
	json_put_int(obj, "bytes", (int64_t) removed.bytes);
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
