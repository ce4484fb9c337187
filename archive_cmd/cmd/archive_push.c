/*-------------------------------------------------------------------------
 *
 * archive_push.c
 *	  pgdr archive-push PATH: the server's archive_command.
 *
 * result: command, name, already (identical content was there before),
 * plain_size, stored_size, repositories (array of objects with name, stored and,
 * if it is not, message).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "job/push.h"

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

static bool
run_archive_push(Context *ctx, Error *err)
{
	const char *path = ctx_argument(ctx, 0);
	const Settings *settings = ctx_settings(ctx, err);
	PgControl control;
	PushResult result;
	RepoSet *set;
	Json *obj;

	if (settings == NULL ||
		(path[0] != '/' && !check_directory(settings, err)) ||
		!pg_control_read(settings->pgdata, &control, err))
		return false;
	ctx_only_writes(ctx);
	set = ctx_repo_set(ctx, err);
	if (set == NULL || !push_file(set, path, &control, &result, err))
		return false;
	log_debug("\"%s\" is in the repository%s", result.name,
			  result.already ? " already" : "");
	obj = json_new_object();
	json_put_str(obj, "command", "archive-push");
	json_put_str(obj, "name", result.name);
	json_put_bool(obj, "already", result.already);
	json_put_int(obj, "plain_size", (int64_t) result.plain_size);
	json_put_int(obj, "stored_size", (int64_t) result.stored_size);
	json_put(obj, "repositories", ctx_outcomes_json(set, "stored"));
	ctx_emit(ctx, "result", obj);
	return true;
}

const Command cmd_archive_push = {
	.name = "archive-push",
	.arguments = "PATH",
	.summary = "store a WAL file (archive_command)",
	.min_args = 1,
	.max_args = 1,
	.run = run_archive_push};
