/*-------------------------------------------------------------------------
 *
 * repo_copy.c
 *	  pgdr repo-copy --from NAME --to NAME: fills one repository with what
 *	  another one holds.
 *
 * problem: an object that could not be copied.
 * result: command, from, to, created (repo.json was made), copied (objects),
 * bytes, there (objects that were there already), failed, duration_ms.
 *
 * The exit status is EXIT_PROBLEMS when something could not be copied.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "job/repo_copy.h"

static void
say_result(Context *ctx, const RepoCopyResult *r, int64_t usecs)
{
	Json *obj = json_new_object();
	char size[32];

	ctx_print(ctx,
			  "copied %" PRIu64 " objects (%s), %" PRIu64
			  " were there, %" PRIu64 " failed\n",
			  r->copied, size_text(r->bytes, size), r->there, r->failed);
	json_put_str(obj, "command", "repo-copy");
	json_put_str(obj, "from", ctx_option(ctx, "from"));
	json_put_str(obj, "to", ctx_option(ctx, "to"));
	json_put_bool(obj, "created", r->created);
	json_put_int(obj, "copied", (int64_t) r->copied);
	json_put_int(obj, "bytes", (int64_t) r->bytes);
	json_put_int(obj, "there", (int64_t) r->there);
	json_put_int(obj, "failed", (int64_t) r->failed);
	json_put_int(obj, "duration_ms", usecs / 1000);
	ctx_emit(ctx, "result", obj);
}

static bool
need(const Context *ctx, const char *option, Error *err)
{
	if (ctx_option(ctx, option) != NULL)
		return true;
	return error_set(err, ERR_USAGE, "option \"--%s\" is required", option);
}

static bool
run_repo_copy(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	const char *from = ctx_option(ctx, "from");
	const char *to = ctx_option(ctx, "to");
	int64_t start = clock_monotonic();
	RepoCopyOptions options = {.problem = ctx_problem, .arg = ctx};
	RepoCopyResult result;
	RepoSet *set;
	bool done;

	if (settings == NULL || !need(ctx, "from", err) || !need(ctx, "to", err))
		return false;
	if (strcmp(from, to) == 0)
		return error_set(err, ERR_USAGE,
						 "--from and --to name the same repository");
	ctx_only_writes(ctx);
	set = ctx_pair(ctx, from, to, err);
	if (set == NULL)
		return false;
	options.workers = settings->process_max;
	options.progress = ctx_progress_start(ctx);
	done = repo_copy_run(set, &options, &result, err);
	ctx_progress_stop(ctx);
	if (done)
		say_result(ctx, &result, clock_monotonic() - start);
	return done;
}

static const OptionSpec options_table[] = {
	{"from", OPTION_TEXT, "NAME", "repository to copy"},
	{"to", OPTION_TEXT, "NAME", "repository to fill; made if it is empty"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_repo_copy = {.name = "repo-copy",
							   .arguments = "",
							   .summary = "fill a repository from another one",
							   .options = options_table,
							   .run = run_repo_copy,
							   .is_nice = true};
