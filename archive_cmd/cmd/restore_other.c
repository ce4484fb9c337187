/*-------------------------------------------------------------------------
 *
 * restore_other.c
 *	  pgdr restore of a backup that is not one of the cluster.
 *
 * The plan line has backup, backup_target, target_dir (not with
 * --to-connection), files, plain_bytes, stored_bytes and repositories; the
 * result line has command, backup, backup_target, target_dir, dry_run, files, plain_bytes (not with --dry-run)
 * and duration_ms.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/restore.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "job/unpack.h"
#include "job/unpack_dump.h"
#include "repo/target.h"

bool
restore_other_check(const Context *ctx, const RestorePlan *plan, Error *err)
{
	/* options that speak of recovery */
	static const char *const values[] = {
		"target-type",    "target",       "target-timeline",
		"target-action",  "archive-mode", "tablespace-map-all",
		"tablespace-map", "link-map",     "db-include"};
	static const char *const flags[] = {"target-exclusive", "standby", "force",
										"delta", "skip-wal-check"};
	const char *given = NULL;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		if (ctx_option_at(ctx, values[i], 0) != NULL)
			given = values[i];
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
	{
		if (ctx_flag(ctx, flags[i]))
			given = flags[i];
	}
	if (given != NULL)
		return error_set(err, ERR_USAGE,
						 "--%s has no meaning for a backup of %s", given,
						 plan->backup.target);
	if (ctx_option(ctx, "to-connection") != NULL &&
		target_name(plan->backup.target, TARGET_LOGICAL) == NULL)
		return error_set(err, ERR_USAGE,
						 "--to-connection goes with a backup of logical:NAME "
						 "only");
	return true;
}

static bool
into_database(const Context *ctx)
{
	return ctx_option(ctx, "to-connection") != NULL;
}

/* Not the connection string: it may hold a password. */
static void
put_where(const Context *ctx, Json *obj, const RestoreOptions *given)
{
	if (!into_database(ctx))
		json_put_str(obj, "target_dir", given->target_dir);
}

static void
show_plan(Context *ctx, const RestoreOptions *given, const RestorePlan *plan)
{
	Json *obj = json_new_object();
	Json *names = json_new_array();
	char time[CLOCK_TEXT_LEN];
	char plain[32];
	char stored[32];

	json_put_str(obj, "backup", plan->backup.label);
	json_put_str(obj, "backup_target", plan->backup.target);
	put_where(ctx, obj, given);
	json_put_int(obj, "files", (int64_t) plan->file_count);
	json_put_int(obj, "plain_bytes", (int64_t) plan->plain_bytes);
	json_put_int(obj, "stored_bytes", (int64_t) plan->stored_bytes);
	for (size_t i = 0; i < plan->source_count; i++)
		json_append(
			names,
			json_new_string(ctx_member_settings(ctx, plan->sources[i])->name));
	json_put(obj, "repositories", names);
	ctx_emit(ctx, "plan", obj);
	ctx_print(ctx, "restore of backup %s of %s into %s\n", plan->backup.label,
			  plan->backup.target,
			  into_database(ctx) ? "a database" : given->target_dir);
	ctx_print(ctx,
			  "  backup:   complete at %s, %s in %" PRIu64
			  " files (%s to read)\n",
			  clock_format(plan->backup.stop_time, time),
			  size_text(plan->plain_bytes, plain), plan->file_count,
			  size_text(plan->stored_bytes, stored));
}

static void
show_result(Context *ctx, const RestoreOptions *given, const RestorePlan *plan,
			int64_t usecs)
{
	Json *obj = json_new_object();
	bool dry_run = ctx_flag(ctx, "dry-run");
	char size[32];

	json_put_str(obj, "command", "restore");
	json_put_str(obj, "backup", plan->backup.label);
	json_put_str(obj, "backup_target", plan->backup.target);
	put_where(ctx, obj, given);
	json_put_bool(obj, "dry_run", dry_run);
	if (!dry_run)
	{
		json_put_int(obj, "files", (int64_t) plan->file_count);
		json_put_int(obj, "plain_bytes", (int64_t) plan->plain_bytes);
		ctx_print(ctx, "restored %s in %" PRIu64 " files in %.1f s\n",
				  size_text(plan->plain_bytes, size), plan->file_count,
				  (double) usecs / (double) USECS_PER_SEC);
	}
	json_put_int(obj, "duration_ms", usecs / 1000);
	ctx_emit(ctx, "result", obj);
}

bool
restore_other(Context *ctx, const RestoreOptions *given,
			  const RestorePlan *plan, Error *err)
{
	/* of a group's options, those for the cluster are not for this */
	RestoreOptions options = {.target_dir = given->target_dir,
							  .protect = given->protect,
							  .protect_count = given->protect_count,
							  .workers = given->workers};
	RepoSet *set = ctx_repo_set(ctx, err);
	const Settings *settings = ctx_settings(ctx, err);
	const char *connection = ctx_option(ctx, "to-connection");
	DumpOptions dump = {.connection = connection,
						.program = ctx_program(ctx),
						.bin_path = settings->pg_bin_path};
	int64_t begun = clock_monotonic();
	bool done = true;

	if (set == NULL)
		return false;
	show_plan(ctx, given, plan);
	if (!ctx_flag(ctx, "dry-run"))
	{
		options.progress = ctx_progress_start(ctx);
		dump.progress = options.progress;
		done = connection != NULL ? unpack_dump(set, &dump, plan, err)
								  : unpack_run(set, &options, plan, err);
		ctx_progress_stop(ctx);
	}
	if (done)
		show_result(ctx, given, plan, clock_monotonic() - begun);
	return done;
}
