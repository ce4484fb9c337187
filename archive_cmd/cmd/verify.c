/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  pgdr verify [--deep] [--no-mark] [LABEL]: is what the repository holds
 *	  intact and complete?
 *
 * problem: severity (error, warning), check, object, message, detail, hint;
 * check is one of
 *	damaged		stored bytes are not what was written
 *	mismatch	intact, but not what belongs under this name
 *	missing		something that a backup or a timeline needs is not there
 *	hole		a segment is missing, and later WAL is there
 *	key			none of the identities opens it
 *	unsupported	written by a newer version
 *	unreadable	the store cannot read it
 *	leftover	of an interrupted backup
 *	stray		a name that is not one of a repository
 *	vanished	removed while it was to be verified
 *	quarantined	a damaged object that repair has put aside
 * result: command, deep, objects, bytes (stored), backups, segments, errors,
 * warnings, duration_ms; repositories: array of objects with name and the same
 * counts.
 *
 * The exit status is EXIT_PROBLEMS when there are errors.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>

#include "base/clock.h"
#include "job/verify.h"

typedef struct Run
{
	int64_t started;
	VerifyResult sum;
	Json *repositories;
} Run;

static void
put_result(Json *obj, const VerifyResult *r)
{
	json_put_int(obj, "objects", (int64_t) r->objects);
	json_put_int(obj, "bytes", (int64_t) r->bytes);
	json_put_int(obj, "backups", (int64_t) r->backups);
	json_put_int(obj, "segments", (int64_t) r->segments);
	json_put_int(obj, "errors", (int64_t) r->errors);
	json_put_int(obj, "warnings", (int64_t) r->warnings);
}

static void
add_result(VerifyResult *sum, const VerifyResult *r)
{
	sum->objects += r->objects;
	sum->bytes += r->bytes;
	sum->backups += r->backups;
	sum->segments += r->segments;
	sum->errors += r->errors;
	sum->warnings += r->warnings;
}

static void
print_result(Context *ctx, const VerifyResult *r, int64_t usecs)
{
	char size[32];

	ctx_print(ctx,
			  "%s %" PRIu64 " objects (%s) in %.1f s: %" PRIu64
			  " backups, %" PRIu64 " WAL segments\n",
			  ctx_flag(ctx, "deep") ? "decoded" : "checked", r->objects,
			  size_text(r->bytes, size), (double) usecs / USECS_PER_SEC,
			  r->backups, r->segments);
	if (r->errors == 0)
		ctx_print(ctx, "no errors, %" PRIu64 " warnings\n", r->warnings);
	else
		ctx_print(ctx, "%" PRIu64 " errors, %" PRIu64 " warnings\n", r->errors,
				  r->warnings);
}

static bool
verify_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	Run *run = arg;
	VerifyOptions options = {.label = ctx_argument(ctx, 0),
							 .deep = ctx_flag(ctx, "deep"),
							 .mark = !ctx_flag(ctx, "no-mark"),
							 .workers = ctx_settings(ctx, err)->process_max,
							 .problem = ctx_problem,
							 .problem_arg = ctx};
	int64_t start = clock_monotonic();
	VerifyResult result;
	Json *obj;
	bool done;

	options.progress = ctx_progress_start(ctx);
	done = verify_run(repo, &options, &result, err);
	ctx_progress_stop(ctx);
	if (!done)
		return false;
	print_result(ctx, &result, clock_monotonic() - start);
	add_result(&run->sum, &result);
	obj = json_new_object();
	json_put_str(obj, "name", ctx_member_settings(ctx, member)->name);
	put_result(obj, &result);
	json_append(run->repositories, obj);
	return true;
}

static bool
run_verify(Context *ctx, Error *err)
{
	Run run = {.started = clock_monotonic(), .repositories = json_new_array()};
	EachRepo each = {.run = verify_one, .arg = &run, .forgive_absence = true};
	Json *obj;

	if (!ctx_flag(ctx, "deep"))
		ctx_only_writes(ctx); /* the key can stay where it is */
	if (!ctx_each_repo(ctx, &each, err))
	{
		json_free(run.repositories);
		return false;
	}
	obj = json_new_object();
	json_put_str(obj, "command", "verify");
	json_put_bool(obj, "deep", ctx_flag(ctx, "deep"));
	put_result(obj, &run.sum);
	json_put_int(obj, "duration_ms", (clock_monotonic() - run.started) / 1000);
	json_put(obj, "repositories", run.repositories);
	ctx_emit(ctx, "result", obj);
	return true;
}

static const OptionSpec options_table[] = {
	{"deep", OPTION_FLAG, NULL,
	 "decrypt and decode everything, compare every file"},
	{"no-mark", OPTION_FLAG, NULL, "do not record the result"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_verify = {.name = "verify",
							.arguments = "[LABEL]",
							.summary = "prove that what is stored is intact",
							.max_args = 1,
							.options = options_table,
							.run = run_verify,
							.is_query = true,
							.is_nice = true};
