/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  pgdr repair [--dry-run] [--repo NAME]: brings to each repository what it
 *	  lacks, or has damaged, from another one.
 *
 * action: action (copy, replace, quarantine, create), repository, object, from
 * (name of the repository it comes from).
 * problem: what could not be healed; check is missing, damaged, unreadable or
 * repository.
 * result: command, dry_run, checked (objects read), copied, replaced,
 * quarantined, failed, duration_ms.
 *
 * The exit status is EXIT_PROBLEMS when something is left.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/repair.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static void
show_action(void *arg, const RepairAction *action)
{
	Context *ctx = arg;
	Json *obj = json_new_object();

	ctx_print(ctx, "%-10s  %s: %s%s%s\n", action->action, action->repository,
			  action->object, action->source != NULL ? " from " : "",
			  action->source != NULL ? action->source : "");
	json_put_str(obj, "action", action->action);
	json_put_str(obj, "repository", action->repository);
	json_put_str(obj, "object", action->object);
	if (action->source != NULL)
		json_put_str(obj, "from", action->source);
	ctx_emit(ctx, "action", obj);
}

static void
say_result(Context *ctx, const RepairResult *r, int64_t usecs)
{
	Json *obj = json_new_object();
	bool dry_run = ctx_flag(ctx, "dry-run");

	ctx_print(ctx,
			  "%schecked %" PRIu64 " objects: %" PRIu64 " copied, %" PRIu64
			  " replaced, %" PRIu64 " put aside, %" PRIu64 " not healed\n",
			  dry_run ? "dry run: nothing was done; " : "", r->checked,
			  r->copied, r->replaced, r->quarantined, r->failed);
	json_put_str(obj, "command", "repair");
	json_put_bool(obj, "dry_run", dry_run);
	json_put_int(obj, "checked", (int64_t) r->checked);
	json_put_int(obj, "copied", (int64_t) r->copied);
	json_put_int(obj, "replaced", (int64_t) r->replaced);
	json_put_int(obj, "quarantined", (int64_t) r->quarantined);
	json_put_int(obj, "failed", (int64_t) r->failed);
	json_put_int(obj, "duration_ms", usecs / 1000);
	ctx_emit(ctx, "result", obj);
}

bool
repair_do(Context *ctx, RepoSet *set, RepairOptions *options,
		  RepairResult *result, Error *err)
{
	RetentionPolicy *policies = mem_zalloc(set->count * sizeof(*policies));
	bool done;

	for (size_t i = 0; i < set->count; i++)
		policies[i] = ctx_member_settings(ctx, i)->retention;
	options->policies = policies;
	options->action = show_action;
	options->problem = ctx_problem;
	options->arg = ctx;
	options->workers = ctx_settings(ctx, err)->process_max;
	options->progress = ctx_progress_start(ctx);
	done = repair_run(set, options, result, err);
	ctx_progress_stop(ctx);
	free(policies);
	return done;
}

/*
 * Nothing is decrypted, but with the identity damage is seen that does not
 * show without: a host that has none can still repair the rest.
 */
static void
use_identity_if_there(Context *ctx, const Settings *settings)
{
	RepoKeys keys;
	Error why = ERROR_INIT;

	if (settings_load_keys(settings, &keys, &why))
		repo_keys_free(&keys);
	else
	{
		log_error_object(LOG_WARNING, &why);
		ctx_only_writes(ctx);
	}
	error_clear(&why);
}

static bool
run_repair(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	RepairOptions options = {.target = ctx_option(ctx, "repo"),
							 .dry_run = ctx_flag(ctx, "dry-run")};
	int64_t start = clock_monotonic();
	RepairResult result;
	RepoSet *set;

	if (settings == NULL || (options.target != NULL &&
							 ctx_repo_named(ctx, options.target, err) == NULL))
		return false;
	use_identity_if_there(ctx, settings);
	set = ctx_all_repos(ctx, err);
	if (set == NULL || !repair_do(ctx, set, &options, &result, err))
		return false;
	say_result(ctx, &result, clock_monotonic() - start);
	return true;
}

static const OptionSpec options_table[] = {
	{"dry-run", OPTION_FLAG, NULL, "only say what would be done"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_repair = {.name = "repair",
							.arguments = "",
							.summary = "heal repositories from one another",
							.options = options_table,
							.run = run_repair,
							.is_nice = true};
