/*-------------------------------------------------------------------------
 *
 * archive_ahead.c
 *	  Being the pusher of look-ahead (cmd/detach.h starts it).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/archive_ahead.h"

#include "cmd/detach.h"
#include "job/spool_lock.h"

static bool
push_all(Context *ctx, AheadOptions *options, Error *err)
{
	const RepoSet *set = ctx_repo_set(ctx, err);
	RepoSet *sets;
	uint64_t count = 0;
	bool done;
	Json *obj;

	if (set == NULL)
		return false;
	detach_copy_sets(set, options->workers, &sets);
	options->open = detach_set;
	options->arg = sets;
	done = ahead_run(options, &count, err);
	detach_free_sets(options->workers, sets);
	if (!done)
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "archive-push");
	json_put_int(obj, "acknowledged", (int64_t) count);
	ctx_emit(ctx, "result", obj);
	return true;
}

bool
archive_ahead_run(Context *ctx, const AheadSpool *spool,
				  const PgControl *control, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	AheadOptions options = {.spool = spool,
							.control = control,
							.pgdata = settings->pgdata,
							.after = ctx_argument(ctx, 0),
							.workers = detach_workers(settings, 1),
							.preparing = settings->process_max,
							.limit = (uint32_t) settings->push_ahead};
	int lock;
	bool done;

	if (settings->push_ahead == 0)
		return error_set(err, ERR_USAGE, "push-ahead is 0: no look-ahead");
	if (!ahead_spool_make(spool, err) ||
		!spool_take_lock(spool->dir, &lock, err))
		return false;
	if (lock < 0)
		return error_set(err, ERR_BUSY, "another pusher is at work");
	ctx_only_writes(ctx);
	done = push_all(ctx, &options, err);
	spool_unlock(lock);
	return done;
}
