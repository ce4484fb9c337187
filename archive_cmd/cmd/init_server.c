/*-------------------------------------------------------------------------
 *
 * init_server.c
 *	  The server's settings that "pgdr init --apply" makes.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/init.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/server.h"

/* Somebody's archive that works must not end because of us. */
static bool
check_free(const ServerInfo *info, const InitServer *server, Error *err)
{
	const char *command = info->archive_command;

	if (info->archive_library != NULL && info->archive_library[0] != '\0')
	{
		error_set(err, ERR_EXISTS, "the server archives with library \"%s\"",
				  info->archive_library);
		return error_hint(err, "Set archive_library = '' first, if it is no "
							   "longer wanted.");
	}
	if (command == NULL || command[0] == '\0' ||
		strcmp(command, "(disabled)") == 0 ||
		strcmp(command, server->archive_command) == 0)
		return true;
	error_set(err, ERR_EXISTS, "the server has an archive_command already");
	error_detail(err, "archive_command is \"%s\".", command);
	return error_hint(err, "Set archive_command = '' first, if it is no "
						   "longer wanted.");
}

static bool
check_server(const Init *init, const ServerInfo *info, Error *err)
{
	if (info->sysid == init->control.sysid)
		return true;
	error_set(err, ERR_MISMATCH,
			  "the server of the connection is not that of the data "
			  "directory");
	error_detail(err,
				 "Its system identifier is %" PRIu64 ", \"%s\" has "
				 "%" PRIu64 ".",
				 info->sysid, init->pgdata, init->control.sysid);
	return error_hint(err, "Name the server with --connection.");
}

static bool
alter(Server *server, const char *setting, const char *value, Error *err)
{
	char *literal = server_quote(server, value);
	char *sql = mem_printf("ALTER SYSTEM SET %s = %s", setting, literal);
	bool done = server_exec(server, sql, err);

	free(sql);
	free(literal);
	return done;
}

/*
 * What needs a restart comes first, so that the command, which takes effect at
 * the reload, is not set when one of those fails.
 */
static bool
alter_all(Server *s, const ServerInfo *info, InitServer *server, Error *err)
{
	bool minimal = strcmp(info->wal_level, "minimal") == 0;
	bool off = strcmp(info->archive_mode, "off") == 0;

	if (minimal && !alter(s, "wal_level", "replica", err))
		return false;
	if (off && !alter(s, "archive_mode", "on", err))
		return false;
	if (!alter(s, "archive_command", server->archive_command, err) ||
		!server_exec(s, "SELECT pg_reload_conf()", err))
		return false;
	server->applied = true;
	server->restart_needed = minimal || off;
	return true;
}

bool
init_apply(const Init *init, InitServer *server, Error *err)
{
	Server *s = NULL;
	ServerInfo info;
	bool done;

	if (!server_connect(init->connection, &s, err))
	{
		error_hint(err, "Start the server and run the same command again, or "
						"name it with --connection.");
		return false;
	}
	done = server_info(s, &info, err);
	if (done)
	{
		done = check_server(init, &info, err) &&
			   check_free(&info, server, err) &&
			   alter_all(s, &info, server, err);
		server_info_free(&info);
	}
	server_close(s);
	return done;
}
