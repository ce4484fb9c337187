/*-------------------------------------------------------------------------
 *
 * init.c
 *	  pgdr init: makes configuration, key and repository of a cluster.
 *
 * result: command, config, cluster, repository, repo_path, sysid, major,
 * recipient, identity_file, content_key_file (the last three if encrypted),
 * settings (object of the server's settings), applied, restart_needed.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/init.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd/server_command.h"

/* ---- options ---- */

static bool
need_path(const Context *ctx, const char *option, char **out, Error *err)
{
	const char *value = ctx_option(ctx, option);

	if (value == NULL || value[0] == '\0')
		return error_set(err, ERR_USAGE, "option \"--%s\" is required", option);
	*out = file_absolute(value);
	return true;
}

static char *
parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? mem_strdup("/")
						 : mem_strndup(path, (size_t) (slash - path));
}

static const char *
option_or(const Context *ctx, const char *name, const char *fallback)
{
	const char *value = ctx_option(ctx, name);

	return value != NULL ? value : fallback;
}

static void
set_config_file(const Context *ctx, Init *init)
{
	const char *file = ctx_option(ctx, "config");

	if (file == NULL)
		file = getenv("PGDR_CONFIG");
	if (file == NULL || file[0] == '\0')
		file = SETTINGS_DEFAULT_FILE;
	init->config_file = file_absolute(file);
	init->config_dir = parent_of(init->config_file);
}

static bool
read_options(const Context *ctx, Init *init, Error *err)
{
	const char *passphrase = ctx_option(ctx, "passphrase-file");
	const char *spool = ctx_option(ctx, "spool-path");

	set_config_file(ctx, init);
	init->cluster = option_or(ctx, "cluster", "main");
	init->repo_name = option_or(ctx, "repo", "local");
	init->connection = option_or(ctx, "connection", "");
	init->encrypt = !ctx_flag(ctx, "no-encryption");
	if (passphrase != NULL)
		init->passphrase_file = file_absolute(passphrase);
	if (spool != NULL)
		init->spool_path = file_absolute(spool);
	if (init->encrypt)
	{
		init->identity_file = file_join(init->config_dir, "identity.txt");
		init->content_key_file = file_join(init->config_dir, "content.key");
	}
	else if (passphrase != NULL)
		return error_set(err, ERR_USAGE,
						 "--passphrase-file makes no sense with "
						 "--no-encryption");
	return need_path(ctx, "pgdata", &init->pgdata, err) &&
		   need_path(ctx, "repo-path", &init->repo_path, err);
}

/*
 * Everything made here is read by the server's own user when it archives.
 */
static bool
check_owner(const Init *init, Error *err)
{
	const struct passwd *owner;
	struct stat st;

	if (stat(init->pgdata, &st) != 0)
	{
		error_set_errno(err, errno, "could not stat directory \"%s\"",
						init->pgdata);
		return error_hint(err, "--pgdata names the data directory.");
	}
	if (st.st_uid == geteuid())
		return true;
	owner = getpwuid(st.st_uid);
	error_set(err, ERR_DENIED,
			  "pgdr init must be run by the owner of the data directory");
	error_detail(err,
				 "\"%s\" belongs to user \"%s\", who must be able to use the "
				 "files that are made.",
				 init->pgdata, owner != NULL ? owner->pw_name : "?");
	return error_hint(err,
					  "Run it as that user, for instance with \"runuser "
					  "-u %s -- pgdr init ...\".",
					  owner != NULL ? owner->pw_name : "postgres");
}

/* ---- what to say ---- */

static void
say_files(Context *ctx, const Init *init)
{
	ctx_print(ctx, "configuration  %s%s\n", init->config_file,
			  init->config_was_there ? " (was there)" : "");
	ctx_print(ctx, "repository     %s%s\n", init->repo_path,
			  init->repo_was_there ? " (was there)" : "");
	if (!init->encrypt)
	{
		ctx_print(ctx, "encryption     none\n");
		return;
	}
	ctx_print(ctx, "public key     %s\n", init->recipient);
	ctx_print(ctx, "secret key     %s%s\n", init->identity_file,
			  init->key_was_there ? " (was there)" : "");
	ctx_print(ctx,
			  "\nKeep a copy of %s away from this machine.\n"
			  "Without it nothing in the repository can be read again.\n",
			  init->identity_file);
}

static void
say_settings(Context *ctx, const InitServer *server)
{
	char *command = quote_setting(server->archive_command);

	if (server->applied)
		ctx_print(ctx, "\nThe server's settings are made.  %s\n",
				  server->restart_needed
					  ? "Restart the server: archive_mode or wal_level needs "
						"it."
					  : "No restart is needed.");
	else
		ctx_print(ctx,
				  "\nThe server needs these settings (postgresql.conf, then "
				  "a restart; or run this\ncommand again with --apply):\n\n"
				  "wal_level = replica\n"
				  "archive_mode = on\n"
				  "archive_command = %s\n",
				  command);
	ctx_print(ctx, "\nThen:  pgdr check;  pgdr backup\n");
	free(command);
}

static Json *
settings_json(const InitServer *server)
{
	Json *obj = json_new_object();

	json_put_str(obj, "wal_level", "replica");
	json_put_str(obj, "archive_mode", "on");
	json_put_str(obj, "archive_command", server->archive_command);
	return obj;
}

static void
emit_result(Context *ctx, const Init *init, const InitServer *server)
{
	Json *obj = json_new_object();
	char *sysid = mem_printf("%" PRIu64, init->control.sysid);

	json_put_str(obj, "command", "init");
	json_put_str(obj, "config", init->config_file);
	json_put_str(obj, "cluster", init->cluster);
	json_put_str(obj, "repository", init->repo_name);
	json_put_str(obj, "repo_path", init->repo_path);
	json_put_str(obj, "sysid", sysid);
	json_put_int(obj, "major", init->control.major);
	if (init->encrypt)
	{
		json_put_str(obj, "recipient", init->recipient);
		json_put_str(obj, "identity_file", init->identity_file);
		json_put_str(obj, "content_key_file", init->content_key_file);
	}
	json_put(obj, "settings", settings_json(server));
	json_put_bool(obj, "applied", server->applied);
	if (server->applied)
		json_put_bool(obj, "restart_needed", server->restart_needed);
	ctx_emit(ctx, "result", obj);
	free(sysid);
}

/* ---- the command ---- */

static bool
make_all(Context *ctx, Init *init, InitServer *server, Error *err)
{
	if (!read_options(ctx, init, err) || !check_owner(init, err) ||
		!pg_control_read(init->pgdata, &init->control, err) ||
		!init_check_places(init, err) || !init_make(init, err))
		return false;
	say_files(ctx, init);
	server->archive_command = make_archive_command(ctx, init->config_file);
	if (!ctx_flag(ctx, "apply"))
		return true;
	if (init_apply(init, server, err))
		return true;
	return error_detail(err, "Configuration, key and repository are made; only "
							 "the server's settings are not.");
}

static bool
run_init(Context *ctx, Error *err)
{
	Init init = {0};
	InitServer server = {0};
	bool done = make_all(ctx, &init, &server, err);

	if (done)
	{
		say_settings(ctx, &server);
		emit_result(ctx, &init, &server);
	}
	free(init.config_file);
	free(init.config_dir);
	free(init.pgdata);
	free(init.repo_path);
	free(init.spool_path);
	free(init.passphrase_file);
	free(init.identity_file);
	free(init.content_key_file);
	free(server.archive_command);
	return done;
}

static const OptionSpec options[] = {
	{"pgdata", OPTION_TEXT, "DIR", "data directory of the cluster"},
	{"repo-path", OPTION_TEXT, "DIR", "new directory for the repository"},
	{"cluster", OPTION_TEXT, "NAME", "name of the cluster (main)"},
	{"connection", OPTION_TEXT, "CONNINFO", "how to reach the server"},
	{"spool-path", OPTION_TEXT, "DIR", "directory for work in progress"},
	{"passphrase-file", OPTION_TEXT, "FILE",
	 "encrypt the key with this file's first line"},
	{"no-encryption", OPTION_FLAG, NULL, "store everything in the clear"},
	{"apply", OPTION_FLAG, NULL, "make the server's settings as well"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_init = {.name = "init",
						  .arguments = "",
						  .summary = "make configuration, key and repository",
						  .options = options,
						  .run = run_init};
