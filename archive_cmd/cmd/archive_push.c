/*-------------------------------------------------------------------------
 *
 * archive_push.c
 *	  pgdr archive-push PATH: the server's archive_command.
 *
 * result: command, name, already (identical content was there before), ahead
 * (it was archived before the server asked for it), plain_size, stored_size, repositories (array of objects with name, stored and,
 * if it is not, message).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/archive_ahead.h"
#include "cmd/detach.h"
#include "job/prefetch.h"
#include "job/spool_lock.h"
#include "storage/storage.h"

static bool
is_data_directory(const char *dot_version, const char *dot_control)
{
	return access(dot_version, F_OK) == 0 && access(dot_control, F_OK) == 0;
}

/*
 * The server runs this in its data directory.  If that is not the one of the
 * configuration, another cluster uses this configuration, whose WAL must not
 * be judged by the control file of this one.
 */
static bool
check_directory(const Settings *settings, Error *err)
{
	struct stat here;
	struct stat configured;

	if (!is_data_directory("PG_VERSION", "global/pg_control"))
		return true;
	if (stat(".", &here) != 0)
		return error_set_errno(err, errno,
							   "could not stat the current directory");
	if (stat(settings->pgdata, &configured) != 0)
		return error_set_errno(err, errno, "could not stat directory \"%s\"",
							   settings->pgdata);
	if (here.st_dev == configured.st_dev && here.st_ino == configured.st_ino)
		return true;
	error_set(err, ERR_MISMATCH,
			  "the server that archives is not the one of the configuration");
	error_detail(err,
				 "Its data directory is not \"%s\", which configuration file "
				 "\"%s\" names.",
				 settings->pgdata, settings->file);
	return error_hint(err, "Each cluster needs a configuration file of its "
						   "own; if the data directory moved, correct "
						   "pgdata.");
}

/* ---- one that was archived ahead ---- */

typedef struct Confirm
{
	Context *ctx;
	const Settings *settings;
	WalHome home;
} Confirm;

/* A directory costs nothing to look into. */
static bool
is_there(const RepoSettings *repo, const Settings *settings, const char *object)
{
	RepoOptions options = settings_repo_options(settings, repo, NULL);
	Error ignored = ERROR_INIT;
	Storage *st = NULL;
	bool there = false;

	if (storage_open(&options.storage, &st, &ignored))
		storage_exists(st, object, &there, &ignored);
	storage_close(st);
	error_clear(&ignored);
	return there;
}

static bool
confirm(void *arg, const AheadAck *ack)
{
	const Confirm *c = arg;
	const Settings *settings = c->settings;
	WalName name;
	char *object;
	bool good = true;

	if (!wal_name_parse(ack->result.name, &name))
		return false;
	object = repo_wal_name(&c->home, &name);
	for (size_t i = 0; good && i < settings->repo_count; i++)
	{
		const RepoSettings *repo = &settings->repos[i];

		if (strcmp(repo->type, "posix") == 0 &&
			push_outcomes_stored(ack->repositories, repo->name))
			good = is_there(repo, settings, object);
	}
	free(object);
	return good;
}

/* ---- the command ---- */

static void
tell(Context *ctx, const PushResult *result, Json *repositories, bool ahead)
{
	Json *obj = json_new_object();

	log_debug("\"%s\" is in the repository%s", result->name,
			  ahead || result->already ? " already" : "");
	json_put_str(obj, "command", "archive-push");
	json_put_str(obj, "name", result->name);
	json_put_bool(obj, "already", result->already);
	json_put_bool(obj, "ahead", ahead);
	json_put_int(obj, "plain_size", (int64_t) result->plain_size);
	json_put_int(obj, "stored_size", (int64_t) result->stored_size);
	json_put(obj, "repositories", repositories);
	ctx_emit(ctx, "result", obj);
}

/*
 * With a pusher started the segment itself is acknowledged as well, for the
 * case that the server asks again while it is at work.
 */
static void
look_ahead(Context *ctx, const AheadSpool *spool, const PushResult *result,
		   int lock)
{
	Json *outcomes = push_outcomes_json(ctx_repo_set(ctx, NULL));
	Error why = ERROR_INIT;

	if (ahead_ack_write(spool, result, outcomes, &why))
		detach_ahead(ctx, "archive-push", lock);
	else
		log_info("no look-ahead: %s", why.message);
	error_clear(&why);
	json_free(outcomes);
}

static bool
push(Context *ctx, const PgControl *control, PushResult *result, Error *err)
{
	const PushJob job = {.path = ctx_argument(ctx, 0),
						 .control = control,
						 .threads = ctx_settings(ctx, err)->process_max};
	RepoSet *set;

	ctx_only_writes(ctx);
	set = ctx_repo_set(ctx, err);
	if (set == NULL || !push_run(set, &job, result, err))
		return false;
	tell(ctx, result, ctx_outcomes_json(set, "stored"), false);
	return true;
}

static bool
push_or_accept(Context *ctx, const AheadSpool *spool, const PgControl *control,
			   Error *err)
{
	const char *path = ctx_argument(ctx, 0);
	Confirm c = {.ctx = ctx,
				 .settings = ctx_settings(ctx, err),
				 .home = {control->sysid, control->major}};
	const AheadCall call = {
		.spool = spool, .path = path, .confirm = confirm, .arg = &c};
	AheadAck ack = {.repositories = NULL};
	PushResult result;
	int64_t begun = clock_now();
	int lock;
	bool done;

	switch (ahead_ask(&call, &ack, &lock, err))
	{
		case AHEAD_DONE:
			push_outcomes_warn(ack.repositories, ack.result.name);
			tell(ctx, &ack.result, ack.repositories, true);
			return true;
		case AHEAD_FAILED:
			return false;
		case AHEAD_PUSH:
			break;
	}
	done = push(ctx, control, &result, err);
	if (done && lock >= 0 && ahead_is_worth(path, &result, begun))
		look_ahead(ctx, spool, &result, lock);
	spool_unlock(lock);
	return done;
}

static bool
run_archive_push(Context *ctx, Error *err)
{
	const char *path = ctx_argument(ctx, 0);
	const Settings *settings = ctx_settings(ctx, err);
	char print[CONTENT_HEX_LEN + 1];
	PgControl control;
	PushResult result;
	AheadSpool spool;
	bool done;

	if (settings == NULL ||
		(path[0] != '/' && !check_directory(settings, err)) ||
		!pg_control_read(settings->pgdata, &control, err))
		return false;
	prefetch_sweep(settings->pgdata);
	if (settings->push_ahead == 0 && !ctx_flag(ctx, "ahead"))
		return push(ctx, &control, &result, err);
	settings_print(settings, ctx_option(ctx, "repo"), print);
	spool = ahead_spool(settings->spool_path, &control, settings->pgdata,
						print);
	done = ctx_flag(ctx, "ahead")
			   ? archive_ahead_run(ctx, &spool, &control, err)
			   : push_or_accept(ctx, &spool, &control, err);
	ahead_spool_free(&spool);
	return done;
}

static const OptionSpec options[] = {
	{"ahead", OPTION_FLAG, NULL,
	 "archive what the server has ready besides PATH (started by itself)"},
	{.name = NULL}};

const Command cmd_archive_push = {
	.name = "archive-push",
	.arguments = "PATH",
	.summary = "store a WAL file (archive_command)",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run_archive_push};
