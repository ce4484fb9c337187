/*-------------------------------------------------------------------------
 *
 * archive_get.c
 *	  pgdr archive-get NAME PATH: the server's restore_command.
 *
 * The server takes any status from 1 to 125 for "there is no such file", ends
 * recovery and promotes.  So 1 means just that, and all that is not an answer
 * is 200 or above, which stops the server.  A standby, which asks again and
 * again, must not be stopped: there it is tried a few times, and then 1.
 *
 * result: command, name, ahead (it was fetched before the server asked for it);
 * of --ahead: command, fetched (segments).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cmd/archive_prefetch.h"
#include "job/get.h"
#include "pg/control.h"

/* Pauses before the second, third, ... try on a standby. */
static const int64_t pauses[] = {1 * USECS_PER_SEC, 2 * USECS_PER_SEC,
								 4 * USECS_PER_SEC};

static bool
is_standby(void)
{
	return access("standby.signal", F_OK) == 0;
}

static int
get_exit_status(const Error *err)
{
	if (err->code == ERR_NOT_FOUND || is_standby())
		return EXIT_ABSENT;
	switch (err->code)
	{
		case ERR_USAGE:
		case ERR_CONFIG:
			return EXIT_GET_BASE;
		case ERR_IO:
		case ERR_DENIED:
		case ERR_LOCKED:
		case ERR_BUSY:
		case ERR_SERVER:
		case ERR_EXISTS:
			return EXIT_GET_BASE + 1;
		case ERR_DAMAGED:
			return EXIT_GET_BASE + 2;
		case ERR_KEY:
			return EXIT_GET_BASE + 3;
		case ERR_MISMATCH:
			return EXIT_GET_BASE + 4;
		case ERR_INCOMPLETE:
			return EXIT_GET_BASE + 5;
		case ERR_FULL:
			return EXIT_GET_BASE + 6;
		case ERR_UNSUPPORTED:
			return EXIT_GET_BASE + 7;
		case ERR_TIMEOUT:
			return EXIT_GET_BASE + 8;
		case ERR_NONE:
		case ERR_NOT_FOUND:
		case ERR_CANCELED:
		case ERR_INTERNAL:
			break;
	}
	return EXIT_GET_BASE + 9;
}

/*
 * Which cluster's WAL is wanted: of the data directory that is being
 * recovered, where the server runs this.  Elsewhere (by hand) the configured
 * one; unknown leaves sysid 0.
 */
static void
find_home(const Settings *settings, GetOptions *options)
{
	Error why = ERROR_INIT;
	PgControl control = {0};

	if (!pg_control_read(access("PG_VERSION", F_OK) == 0 ? "."
														 : settings->pgdata,
						 &control, &why))
		log_debug("which cluster this is could not be read: %s", why.message);
	else
	{
		options->home = (WalHome){.sysid = control.sysid,
								  .major = control.major};
		options->segment_size = control.segment_size;
		options->timeline = control.timeline;
	}
	error_clear(&why);
}

/*
 * Is it where the server wants what it has asked for?  It makes that durable
 * before it uses it (KeepFileRestoredFromArchive() in its source, 15 to 18:
 * fsync of the file, rename, fsync of file and directory, an error of which
 * ends recovery), and forgets what lies there from before a crash.
 */
static bool
is_servers_own(const char *destination)
{
	return (strcmp(destination, PREFETCH_WAL_FILE) == 0 ||
			strcmp(destination, PREFETCH_HISTORY_FILE) == 0) &&
		   access("PG_VERSION", F_OK) == 0;
}

/*
 * Only the repository can say that a file is absent; that something needed
 * to ask it is not there (a key, a directory) is a matter of configuration.
 */
static bool
prepare(Context *ctx, GetOptions *options, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);

	if (settings == NULL)
	{
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_CONFIG;
		return false;
	}
	find_home(settings, options);
	options->server_syncs = is_servers_own(options->destination);
	return true;
}

static bool
try_get(Context *ctx, GetOptions *options, Error *err)
{
	RepoSet *set = prepare(ctx, options, err) ? ctx_repo_set(ctx, err) : NULL;

	if (set == NULL)
	{
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_CONFIG;
		return false;
	}
	repo_set_forget(set);
	return get_wal_file(set, options, err);
}

/* Could a little patience help? */
static bool
is_passing(const Error *err)
{
	return err->transient || err->code == ERR_IO || err->code == ERR_TIMEOUT ||
		   err->code == ERR_BUSY;
}

static bool
get_with_patience(Context *ctx, GetOptions *options, Error *err)
{
	const size_t tries = 1 + sizeof(pauses) / sizeof(pauses[0]);
	Error why = ERROR_INIT;

	for (size_t i = 0; i < tries; i++)
	{
		error_clear(&why);
		if (try_get(ctx, options, &why))
			return true;
		if (i + 1 == tries || !is_standby() || !is_passing(&why) ||
			thread_should_stop())
			break;
		log_error_object(LOG_WARNING, &why);
		clock_sleep(pauses[i]);
	}
	error_move(err, &why);
	return false;
}

static void
name_what_failed(Context *ctx, Error *err)
{
	Error why = ERROR_INIT;
	const RepoSet *set = ctx_repo_set(ctx, &why);

	if (set != NULL && set->count == 1)
		error_prefix(err, "could not get \"%s\" from repository \"%s\"",
					 ctx_argument(ctx, 0), repo_set_name(set, 0));
	else
		error_prefix(err, "could not get \"%s\"", ctx_argument(ctx, 0));
	error_clear(&why);
}

static bool
tell(Context *ctx, bool ahead)
{
	Json *obj = json_new_object();

	json_put_str(obj, "command", "archive-get");
	json_put_str(obj, "name", ctx_argument(ctx, 0));
	json_put_bool(obj, "ahead", ahead);
	ctx_emit(ctx, "result", obj);
	return true;
}

/* A standby asks every few seconds: that is no news for its log. */
static bool
tell_absence(Context *ctx, Error *err)
{
	name_what_failed(ctx, err);
	if (err->code != ERR_NOT_FOUND || !is_standby() || ctx_json(ctx))
		return false;
	log_error_object(LOG_INFO, err);
	error_clear(err);
	ctx_exit_with(ctx, EXIT_ABSENT);
	return true;
}

static bool
get_or_take(Context *ctx, GetOptions *options, Error *err)
{
	Prefetch ahead;
	bool done;

	archive_prefetch_begin(ctx, options, &ahead);
	if (archive_prefetch_deliver(&ahead))
		done = tell(ctx, true);
	else if (get_with_patience(ctx, options, err))
	{
		archive_prefetch_look_ahead(ctx, &ahead);
		done = tell(ctx, false);
	}
	else
		done = tell_absence(ctx, err);
	archive_prefetch_end(&ahead);
	return done;
}

static bool
run_archive_get(Context *ctx, Error *err)
{
	GetOptions options = {.name = ctx_argument(ctx, 0),
						  .destination = ctx_argument(ctx, 1)};
	Error why = ERROR_INIT;
	bool prepared = prepare(ctx, &options, &why);

	if (ctx_flag(ctx, "ahead"))
	{
		error_move(err, &why);
		return prepared && archive_prefetch_run(ctx, &options, err);
	}
	error_clear(&why);
	return get_or_take(ctx, &options, err);
}

static const OptionSpec own_options[] = {
	{"ahead", OPTION_FLAG, NULL,
	 "fetch what follows NAME for the server that recovers (started by "
	 "itself)"},
	{.name = NULL}};

const Command cmd_archive_get = {
	.name = "archive-get",
	.arguments = "NAME PATH",
	.summary = "bring a WAL file back (restore_command)",
	.min_args = 2,
	.max_args = 2,
	.options = own_options,
	.run = run_archive_get,
	.exit_status = get_exit_status};
