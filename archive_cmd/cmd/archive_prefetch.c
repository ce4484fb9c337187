/*-------------------------------------------------------------------------
 *
 * archive_prefetch.c
 *	  Look-ahead of recovery: the server's call, and being the fetcher.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/archive_prefetch.h"

#include <string.h>
#include <sys/resource.h>

#include "cmd/detach.h"
#include "job/spool_lock.h"

/* Replay is one process: what is ahead of it gives way to it. */
#define FETCHER_NICE 10

/* ---- the server's call ---- */

void
archive_prefetch_begin(Context *ctx, const GetOptions *options, Prefetch *out)
{
	Error ignored = ERROR_INIT;
	const Settings *settings = ctx_settings(ctx, &ignored);
	WalName name;

	*out = (Prefetch){.options = options};
	error_clear(&ignored);
	if (settings == NULL || settings->get_ahead == 0 ||
		options->home.sysid == 0 || options->segment_size == 0 ||
		!wal_name_parse(options->name, &name) || name.kind != WAL_SEGMENT ||
		!options->server_syncs)
		return;
	settings_print(settings, ctx_option(ctx, "repo"), out->print);
	out->spool = prefetch_spool(PREFETCH_WAL_DIR, &options->home, out->print);
	out->applies = true;
}

bool
archive_prefetch_deliver(const Prefetch *p)
{
	return p->applies && prefetch_deliver(&p->spool, p->options->name,
										  p->options->destination);
}

void
archive_prefetch_look_ahead(Context *ctx, const Prefetch *p)
{
	int lock;

	if (!p->applies || !prefetch_is_recovering("."))
		return;
	prefetch_tell(&p->spool, p->options->name, &lock);
	if (lock >= 0)
		detach_ahead(ctx, "archive-get", lock);
	spool_unlock(lock);
}

void
archive_prefetch_end(Prefetch *p)
{
	prefetch_spool_free(&p->spool);
}

/* ---- the fetcher ---- */

static bool
fetch_all(Context *ctx, PrefetchOptions *options, Error *err)
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
	done = prefetch_run(options, &count, err);
	detach_free_sets(options->workers, sets);
	if (!done)
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "archive-get");
	json_put_int(obj, "fetched", (int64_t) count);
	ctx_emit(ctx, "result", obj);
	return true;
}

static bool
run_with_lock(Context *ctx, const GetOptions *get, const PrefetchSpool *spool,
			  Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	PrefetchOptions options = {.spool = spool,
							   .pgdata = ".",
							   .wal_dir = PREFETCH_WAL_DIR,
							   .segment_size = get->segment_size,
							   .after = get->name,
							   .workers = detach_workers(settings, 0),
							   .limit = settings->get_ahead};
	bool done;

	if (!prefetch_spool_make(spool, err) ||
		!spool_take_lock(spool->dir, &options.lock, err))
		return false;
	if (options.lock < 0)
		return error_set(err, ERR_BUSY, "another fetcher is at work");
	/* recovery may have ended since the call that started this */
	if (!prefetch_is_recovering("."))
	{
		prefetch_spool_remove(spool);
		spool_unlock(options.lock);
		error_set(err, ERR_USAGE, "no server recovers in this directory");
		return error_hint(err, "archive-get starts itself with --ahead.");
	}
	if (getpriority(PRIO_PROCESS, 0) < FETCHER_NICE)
		setpriority(PRIO_PROCESS, 0, FETCHER_NICE);
	done = fetch_all(ctx, &options, err);
	if (!done)
		prefetch_failed_write(spool);
	spool_unlock(options.lock);
	return done;
}

bool
archive_prefetch_run(Context *ctx, const GetOptions *options, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	char print[CONTENT_HEX_LEN + 1];
	PrefetchSpool spool;
	bool done;

	if (settings->get_ahead == 0)
		return error_set(err, ERR_USAGE, "get-ahead is 0: no look-ahead");
	if (!options->server_syncs || options->home.sysid == 0)
		return error_set(err, ERR_USAGE,
						 "this is no data directory, or \"%s\" not what a "
						 "server asks for",
						 options->destination);
	settings_print(settings, ctx_option(ctx, "repo"), print);
	spool = prefetch_spool(PREFETCH_WAL_DIR, &options->home, print);
	done = run_with_lock(ctx, options, &spool, err);
	prefetch_spool_free(&spool);
	return done;
}
