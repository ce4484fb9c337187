/*-------------------------------------------------------------------------
 *
 * key_rewrap.c
 *	  pgdr key rewrap [--dry-run]: all that is stored, for the recipients of
 *	  the configuration and nobody else.
 *
 * problem: an object that could not be done; check is damaged, key or
 * unreadable.
 * result: command, action, dry_run, objects, rewrapped, bytes, skipped, failed,
 * complete, duration_ms.
 *
 * The exit status is EXIT_PROBLEMS when something is left for the old keys.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/key.h"

#include <inttypes.h>

#include "base/clock.h"
#include "job/rewrap.h"

typedef struct Run
{
	bool dry_run;
	RewrapResult sum;
} Run;

static void
add_result(RewrapResult *sum, const RewrapResult *r)
{
	sum->objects += r->objects;
	sum->rewrapped += r->rewrapped;
	sum->bytes += r->bytes;
	sum->skipped += r->skipped;
	sum->failed += r->failed;
}

static void
say(Context *ctx, const RewrapResult *r, bool dry_run)
{
	char size[32];

	ctx_print(ctx, "%s%" PRIu64 " of %" PRIu64 " objects (%s)\n",
			  dry_run ? "dry run: would rewrap " : "rewrapped ", r->rewrapped,
			  r->objects, size_text(r->bytes, size));
	if (r->skipped > 0)
		ctx_print(ctx,
				  "%" PRIu64
				  " objects belong to backups that are being written "
				  "or removed: run it again later\n",
				  r->skipped);
	if (r->failed > 0)
		ctx_print(ctx, "%" PRIu64 " objects could not be rewrapped\n",
				  r->failed);
}

static bool
rewrap_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	Run *run = arg;
	RewrapOptions options = {.dry_run = run->dry_run,
							 .workers = ctx_settings(ctx, err)->process_max,
							 .problem = ctx_problem,
							 .arg = ctx};
	RewrapResult result;
	bool done;

	(void) member;
	options.progress = ctx_progress_start(ctx);
	done = rewrap_run(repo, &options, &result, err);
	ctx_progress_stop(ctx);
	if (!done)
		return false;
	say(ctx, &result, run->dry_run);
	add_result(&run->sum, &result);
	return true;
}

bool
key_rewrap(Context *ctx, Error *err)
{
	Run run = {.dry_run = ctx_flag(ctx, "dry-run")};
	EachRepo each = {.run = rewrap_one, .arg = &run};
	int64_t start = clock_monotonic();
	bool complete;
	Json *obj;

	if (!ctx_each_repo(ctx, &each, err))
		return false;
	complete = !run.dry_run && run.sum.failed == 0 && run.sum.skipped == 0;
	if (complete)
		ctx_print(ctx, "Nothing that is stored is for other keys than those of "
					   "the configuration.\n");
	else if (!run.dry_run)
		ctx_found_problems(ctx);
	obj = json_new_object();
	json_put_str(obj, "command", "key");
	json_put_str(obj, "action", "rewrap");
	json_put_bool(obj, "dry_run", run.dry_run);
	json_put_int(obj, "objects", (int64_t) run.sum.objects);
	json_put_int(obj, "rewrapped", (int64_t) run.sum.rewrapped);
	json_put_int(obj, "bytes", (int64_t) run.sum.bytes);
	json_put_int(obj, "skipped", (int64_t) run.sum.skipped);
	json_put_int(obj, "failed", (int64_t) run.sum.failed);
	json_put_bool(obj, "complete", complete);
	json_put_int(obj, "duration_ms", (clock_monotonic() - start) / 1000);
	ctx_emit(ctx, "result", obj);
	return true;
}
