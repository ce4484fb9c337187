/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  pgdr expire [--dry-run] [--keep-full N] [--keep-time DURATION]: removes
 *	  what the retention rules give up.
 *
 * The rules come from retention-full and retention-time of the repository;
 * the options take their place, 0 sets a rule aside.
 *
 * decision: object ("backup LABEL", "WAL 1: 0/1000000 - 0/3000000"), label (of
 * a backup), action (keep, remove), reason.
 * result: command, dry_run, keep_full, keep_time_ms, and what was removed:
 * backups, segments, leftovers (objects of interrupted backups, temporary
 * files), bytes (stored).  With --dry-run these four are absent.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>

#include "base/clock.h"
#include "job/expire.h"

static bool
read_policy(Context *ctx, RetentionPolicy *policy, Error *err)
{
	const RepoSettings *settings = ctx_repo_settings(ctx, err);
	const char *time = ctx_option(ctx, "keep-time");
	int64_t keep_full;

	if (settings == NULL)
		return false;
	*policy = settings->retention;
	keep_full = policy->keep_full;
	if (!ctx_option_int(ctx, "keep-full", 0, UINT32_MAX, &keep_full, err))
		return false;
	policy->keep_full = (uint32_t) keep_full;
	if (time != NULL && !clock_parse_duration(time, &policy->keep_time, err))
		return error_prefix(err, "option --keep-time");
	return true;
}

static void
show_decisions(Context *ctx, const RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];
		Json *obj = json_new_object();

		ctx_print(ctx, "%-6s  %s\n        %s\n", d->keep ? "keep" : "remove",
				  d->object, d->reason);
		json_put_str(obj, "object", d->object);
		if (d->label != NULL)
			json_put_str(obj, "label", d->label);
		json_put_str(obj, "action", d->keep ? "keep" : "remove");
		json_put_str(obj, "reason", d->reason);
		ctx_emit(ctx, "decision", obj);
	}
}

/* removed is NULL when nothing was done. */
static void
say_result(Context *ctx, const RetentionPolicy *policy,
		   const ExpireResult *removed)
{
	Json *obj = json_new_object();
	char size[32];

	json_put_str(obj, "command", "expire");
	json_put_bool(obj, "dry_run", removed == NULL);
	json_put_int(obj, "keep_full", policy->keep_full);
	json_put_int(obj, "keep_time_ms", policy->keep_time / 1000);
	if (removed != NULL)
	{
		json_put_int(obj, "backups", (int64_t) removed->backups);
		json_put_int(obj, "segments", (int64_t) removed->segments);
		json_put_int(obj, "leftovers", (int64_t) removed->leftovers);
		json_put_int(obj, "bytes", (int64_t) removed->bytes);
		ctx_print(ctx,
				  "removed %" PRIu64 " backups, %" PRIu64
				  " WAL segments, %" PRIu64 " leftovers (%s)\n",
				  removed->backups, removed->segments, removed->leftovers,
				  size_text(removed->bytes, size));
	}
	else
		ctx_print(ctx, "dry run: nothing was removed\n");
	ctx_emit(ctx, "result", obj);
}

static bool
carry_out(Context *ctx, Repo *repo, const RetentionPolicy *policy,
		  const RetentionPlan *plan, Error *err)
{
	ExpireResult removed;

	show_decisions(ctx, plan);
	if (ctx_flag(ctx, "dry-run"))
		say_result(ctx, policy, NULL);
	else if (expire_run(repo, plan, &removed, err))
		say_result(ctx, policy, &removed);
	else
		return false;
	return true;
}

static bool
run_expire(Context *ctx, Error *err)
{
	RetentionPolicy policy;
	RetentionPlan plan;
	Catalog catalog;
	Repo *repo;
	bool done;

	if (!read_policy(ctx, &policy, err))
		return false;
	ctx_only_writes(ctx);
	repo = ctx_repo(ctx, err);
	if (repo == NULL || !catalog_load(repo, false, &catalog, err))
		return false;
	retention_decide(&catalog, &policy, clock_now(), &plan);
	done = carry_out(ctx, repo, &policy, &plan, err);
	retention_plan_free(&plan);
	catalog_free(&catalog);
	return done;
}

static const OptionSpec options[] = {
	{"dry-run", OPTION_FLAG, NULL, "only say what would go, and why"},
	{"keep-full", OPTION_INT, "N", "keep the newest N good full backups"},
	{"keep-time", OPTION_TEXT, "DURATION",
	 "keep every moment of that time recoverable"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_expire = {
	.name = "expire",
	.arguments = "",
	.summary = "remove what the retention rules give up",
	.options = options,
	.run = run_expire};
