/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  pgdr expire [--dry-run] [--keep-... VALUE]...: removes what the
 *	  retention rules give up.
 *
 * The rules come from retention-... of the repository; the options take their
 * place, 0 sets a rule aside.
 *
 * decision: object ("backup LABEL", "WAL 1: 0/1000000 - 0/3000000"), label (of
 * a backup), action (keep, remove), rules (array of those that keep it),
 * reason.
 * result: command, dry_run, keep_full, keep_time_ms (of the first repository),
 * and what was removed: backups, segments, leftovers (objects of interrupted
 * backups, temporary files, old quarantine), bytes (stored); repositories:
 * array of objects with name, keep_full, keep_time_ms and the same four.  With
 * --dry-run what was removed is absent.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/info_json.h"
#include "job/expire.h"

typedef struct Run
{
	RetentionPolicy policy; /* of the first repository */
	ExpireResult sum;
	Json *repositories;
} Run;

typedef struct PolicyOption
{
	const char *name;
	size_t offset; /* in RetentionPolicy */
} PolicyOption;

#define POLICY(member) offsetof(RetentionPolicy, member)

static const PolicyOption counts[] = {
	{"keep-full", POLICY(keep_full)},
	{"keep-last", POLICY(keep_last)},
	{"keep-hourly", POLICY(keep_period[PERIOD_HOUR])},
	{"keep-daily", POLICY(keep_period[PERIOD_DAY])},
	{"keep-weekly", POLICY(keep_period[PERIOD_WEEK])},
	{"keep-monthly", POLICY(keep_period[PERIOD_MONTH])},
	{"keep-yearly", POLICY(keep_period[PERIOD_YEAR])},
	{"keep-incremental", POLICY(keep_incremental)},
	{"keep-minimum", POLICY(minimum)},
	{NULL, 0}};

static const PolicyOption times[] = {{"keep-time", POLICY(keep_time)},
									 {"keep-archival", POLICY(keep_archival)},
									 {"keep-wal", POLICY(wal_time)},
									 {NULL, 0}};

static bool
read_calendar(const Context *ctx, RetentionPolicy *policy, Error *err)
{
	const char *text = ctx_option(ctx, "keep-calendar");

	if (text == NULL)
		return true;
	policy->period_full = strcmp(text, "full") == 0;
	return policy->period_full || strcmp(text, "all") == 0 ||
		   error_set(err, ERR_USAGE,
					 "option --keep-calendar must be \"all\" or \"full\"");
}

static bool
read_policy(Context *ctx, size_t member, RetentionPolicy *policy, Error *err)
{
	*policy = ctx_member_settings(ctx, member)->retention;
	for (const PolicyOption *o = counts; o->name != NULL; o++)
	{
		uint32_t *field = (uint32_t *) (void *) ((char *) policy + o->offset);
		int64_t value = *field;

		if (!ctx_option_int(ctx, o->name, 0, UINT32_MAX, &value, err))
			return false;
		*field = (uint32_t) value;
	}
	for (const PolicyOption *o = times; o->name != NULL; o++)
	{
		const char *text = ctx_option(ctx, o->name);

		if (text != NULL &&
			!clock_parse_duration(
				text, (int64_t *) (void *) ((char *) policy + o->offset), err))
			return error_prefix(err, "option --%s", o->name);
	}
	return read_calendar(ctx, policy, err) &&
		   settings_retention_ok(policy, err);
}

static void
show_decisions(Context *ctx, const RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];
		Json *obj = json_new_object();
		char rules[INFO_RULES_LEN];

		info_rules_text(d->rules, rules);
		ctx_print(ctx, "%-6s  %s%s%s%s\n        %s\n",
				  d->keep ? "keep" : "remove", d->object, d->keep ? " (" : "",
				  rules, d->keep ? ")" : "", d->reason);
		json_put_str(obj, "object", d->object);
		if (d->label != NULL)
			json_put_str(obj, "label", d->label);
		json_put_str(obj, "action", d->keep ? "keep" : "remove");
		json_put(obj, "rules", info_rules_json(d->rules));
		json_put_str(obj, "reason", d->reason);
		ctx_emit(ctx, "decision", obj);
	}
}

/* removed is NULL when nothing was done. */
static void
put_result(Json *obj, const RetentionPolicy *policy,
		   const ExpireResult *removed)
{
	json_put_int(obj, "keep_full", policy->keep_full);
	json_put_int(obj, "keep_time_ms", policy->keep_time / 1000);
	if (removed == NULL)
		return;
	json_put_int(obj, "backups", (int64_t) removed->backups);
	json_put_int(obj, "segments", (int64_t) removed->segments);
	json_put_int(obj, "leftovers", (int64_t) removed->leftovers);
	json_put_int(obj, "bytes", (int64_t) removed->bytes);
	json_put_int(obj, "locked", (int64_t) removed->locked);
}

static void
note_result(Context *ctx, Run *run, size_t member,
			const RetentionPolicy *policy, const ExpireResult *removed)
{
	Json *obj = json_new_object();
	char size[32];

	if (removed != NULL)
	{
		ctx_print(ctx,
				  "removed %" PRIu64 " backups, %" PRIu64
				  " WAL segments, %" PRIu64 " leftovers (%s)\n",
				  removed->backups, removed->segments, removed->leftovers,
				  size_text(removed->bytes, size));
		run->sum.backups += removed->backups;
		run->sum.segments += removed->segments;
		run->sum.leftovers += removed->leftovers;
		run->sum.bytes += removed->bytes;
		run->sum.locked += removed->locked;
		if (removed->locked > 0)
			ctx_print(ctx,
					  "%" PRIu64 " objects are locked in the store; they go "
					  "when their time has come\n",
					  removed->locked);
	}
	else
		ctx_print(ctx, "dry run: nothing was removed\n");
	if (member == 0)
		run->policy = *policy;
	json_put_str(obj, "name", ctx_member_settings(ctx, member)->name);
	put_result(obj, policy, removed);
	json_append(run->repositories, obj);
}

static bool
carry_out(Context *ctx, size_t member, Repo *repo, Run *run, Error *err)
{
	RetentionPolicy policy;
	RetentionPlan plan;
	ExpireResult removed;
	Catalog catalog;
	bool done;

	if (!read_policy(ctx, member, &policy, err))
		return false;
	done = expire_plan(repo, &policy, &catalog, &plan, err);
	if (done)
		show_decisions(ctx, &plan);
	if (done && ctx_flag(ctx, "dry-run"))
		note_result(ctx, run, member, &policy, NULL);
	else if (done)
	{
		done = expire_run(repo, &policy, &plan, &removed, err);
		if (done)
			note_result(ctx, run, member, &policy, &removed);
	}
	retention_plan_free(&plan);
	catalog_free(&catalog);
	return done;
}

static bool
expire_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	return carry_out(ctx, member, repo, arg, err);
}

/* Before anything is removed anywhere. */
static bool
check_options(Context *ctx, Error *err)
{
	RetentionPolicy policy;

	return ctx_repo_set(ctx, err) != NULL && read_policy(ctx, 0, &policy, err);
}

static bool
run_expire(Context *ctx, Error *err)
{
	Run run = {.repositories = NULL};
	EachRepo each = {.run = expire_one, .arg = &run};
	bool dry_run = ctx_flag(ctx, "dry-run");
	Json *obj;

	ctx_only_writes(ctx);
	if (!check_options(ctx, err))
		return false;
	run.repositories = json_new_array();
	if (!ctx_each_repo(ctx, &each, err))
	{
		json_free(run.repositories);
		return false;
	}
	obj = json_new_object();
	json_put_str(obj, "command", "expire");
	json_put_bool(obj, "dry_run", dry_run);
	put_result(obj, &run.policy, dry_run ? NULL : &run.sum);
	json_put(obj, "repositories", run.repositories);
	ctx_emit(ctx, "result", obj);
	return true;
}

static const OptionSpec options[] = {
	{"dry-run", OPTION_FLAG, NULL, "only say what would go, and why"},
	{"keep-full", OPTION_INT, "N", "keep the newest N good full backups"},
	{"keep-last", OPTION_INT, "N", "keep the newest N good backups"},
	{"keep-time", OPTION_TEXT, "DURATION",
	 "keep every moment of that time recoverable"},
	{"keep-hourly", OPTION_INT, "N", "keep the newest of each of N hours"},
	{"keep-daily", OPTION_INT, "N", "keep the newest of each of N days"},
	{"keep-weekly", OPTION_INT, "N", "keep the newest of each of N weeks"},
	{"keep-monthly", OPTION_INT, "N", "keep the newest of each of N months"},
	{"keep-yearly", OPTION_INT, "N", "keep the newest of each of N years"},
	{"keep-calendar", OPTION_TEXT, "all|full",
	 "which backups these five choose from"},
	{"keep-incremental", OPTION_INT, "N",
	 "of those that are only newer, N incremental ones"},
	{"keep-minimum", OPTION_INT, "N", "never leave fewer good backups"},
	{"keep-archival", OPTION_TEXT, "DURATION",
	 "let archival backups expire then"},
	{"keep-wal", OPTION_TEXT, "DURATION", "keep WAL of that time"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_expire = {
	.name = "expire",
	.arguments = "",
	.summary = "remove what the retention rules give up",
	.options = options,
	.run = run_expire,
	.is_nice = true};
