/*-------------------------------------------------------------------------
 *
 * check_server.c
 *	  Is the server the one of the configuration, and does it archive here?
 *
 *-------------------------------------------------------------------------
 */
#include "job/check_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEFAULT_CONFIG "/etc/pgdr/pgdr.conf"

/* A problem that keeps the server from archiving. */
static void
setting_error(Check *c, const char *setting, Error *why)
{
	c->archives = false;
	check_error(c, setting, "server", why);
}

static bool
same_directory(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
		   sa.st_ino == sb.st_ino;
}

/* *data_directory is hidden from those without the right to see it. */
static void
check_identity(Check *c)
{
	const ServerInfo *info = &c->info;
	Error why = ERROR_INIT;

	if (c->has_control && info->sysid != c->control.sysid)
	{
		error_set(&why, ERR_MISMATCH,
				  "the server of the connection is another cluster than that "
				  "of pgdata");
		error_detail(&why,
					 "Its system identifier is %" PRIu64 ", \"%s\" has "
					 "%" PRIu64 ".",
					 info->sysid, c->options->pgdata, c->control.sysid);
		error_hint(&why, "Correct connection or pgdata in the configuration.");
		setting_error(c, "cluster", &why);
	}
	else if (info->data_directory != NULL && info->data_directory[0] != '\0' &&
			 !same_directory(info->data_directory, c->options->pgdata))
	{
		error_set(&why, ERR_MISMATCH,
				  "the server's data directory is not that of the "
				  "configuration");
		error_detail(&why, "It is \"%s\"; pgdata is \"%s\".",
					 info->data_directory, c->options->pgdata);
		error_hint(&why, "Correct connection or pgdata in the configuration.");
		setting_error(c, "pgdata", &why);
	}
}

static void
check_modes(Check *c)
{
	const ServerInfo *info = &c->info;
	Error why = ERROR_INIT;

	if (strcmp(info->wal_level, "minimal") == 0)
	{
		error_set(&why, ERR_CONFIG, "wal_level is \"minimal\"");
		error_hint(&why, "Set wal_level = replica and restart the server.");
		setting_error(c, "wal_level", &why);
	}
	if (strcmp(info->archive_mode, "off") == 0)
	{
		error_set(&why, ERR_CONFIG, "archive_mode is off");
		error_hint(&why, "Set archive_mode = on and restart the server.");
		setting_error(c, "archive_mode", &why);
	}
	if (info->archive_library != NULL && info->archive_library[0] != '\0')
	{
		error_set(&why, ERR_CONFIG, "archive_library is set (\"%s\")",
				  info->archive_library);
		error_detail(&why, "The server archives by it, not by "
						   "archive_command.");
		error_hint(&why, "Set archive_library = ''.");
		setting_error(c, "archive_library", &why);
	}
}

/*
 * The command with what the server and the shell take away: "%%" is one
 * percent sign, quotes and backslashes only guard.
 */
static char *
unescape(const char *command)
{
	StrBuf sb = STRBUF_INIT;
	char quote = '\0';

	for (; *command != '\0'; command++)
	{
		if (quote == '\0' && (*command == '\'' || *command == '"'))
			quote = *command;
		else if (*command == quote)
			quote = '\0';
		else
		{
			if (*command == '\\' && quote != '\'' && command[1] != '\0')
				command++;
			else if (command[0] == '%' && command[1] == '%')
				command++;
			strbuf_putc(&sb, *command);
		}
	}
	return strbuf_steal(&sb);
}

static bool
names_config(const char *command, const char *config)
{
	char *plain = unescape(command);
	bool named = strstr(plain, config) != NULL;

	/* a command without --config takes the default, or the environment's */
	if (!named && strcmp(config, DEFAULT_CONFIG) == 0)
		named = strstr(plain, "--config") == NULL &&
				strstr(plain, "PGDR_CONFIG") == NULL;
	free(plain);
	return named;
}

static void
check_command(Check *c)
{
	const char *command = c->info.archive_command;
	Error why = ERROR_INIT;

	if (strcmp(c->info.archive_mode, "off") == 0)
		return;
	if (command == NULL || command[0] == '\0' ||
		strcmp(command, "(disabled)") == 0)
		error_set(&why, ERR_CONFIG, "archive_command is not set");
	else if (strstr(command, "archive-push") == NULL ||
			 strstr(command, "%p") == NULL)
		error_set(&why, ERR_CONFIG,
				  "archive_command does not run \"pgdr archive-push\" with "
				  "\"%%p\"");
	else if (!names_config(command, c->options->config_file))
		error_set(&why, ERR_CONFIG,
				  "archive_command does not use configuration file \"%s\"",
				  c->options->config_file);
	else
		return;
	if (command != NULL && command[0] != '\0')
		error_detail(&why, "It is: %s", command);
	error_hint(&why, "\"pgdr init\" prints the right setting, and with "
					 "--apply sets it.");
	setting_error(c, "archive_command", &why);
}

/* ---- the archiver ---- */

static bool
see_archiver(void *arg, char *const *values, int ncols, Error *err)
{
	Check *c = arg;
	Error why = ERROR_INIT;

	(void) err;
	if (ncols != 3 || values[0] == NULL)
		return true;
	error_set(&why, ERR_SERVER, "the server could not archive \"%s\"",
			  values[0]);
	error_detail(&why, "It last failed at %s (%s failures so far).", values[1],
				 values[2]);
	error_hint(&why, "The server's log has the reason.");
	check_error(c, "archiver", "server", &why);
	return true;
}

/* A failure that no success followed. */
static void
check_archiver(Check *c)
{
	Error why = ERROR_INIT;

	if (!server_query(c->server,
					  "SELECT last_failed_wal, last_failed_time, failed_count"
					  " FROM pg_catalog.pg_stat_archiver"
					  " WHERE last_failed_time >"
					  " coalesce(last_archived_time, '-infinity')",
					  see_archiver, c, &why))
		check_warning(c, "archiver", "server", &why);
}

static void
check_server_clock(Check *c)
{
	Error why = ERROR_INIT;
	char *text = NULL;
	double ahead;

	if (!server_value(c->server, "SELECT extract(epoch from clock_timestamp())",
					  &text, &why))
	{
		check_warning(c, "clock", "server", &why);
		return;
	}
	ahead = strtod(text, NULL) - (double) clock_now() / USECS_PER_SEC;
	free(text);
	if (ahead < 60 && ahead > -60)
		return;
	error_set(&why, ERR_CONFIG,
			  "the clocks of server and this host differ by "
			  "%.0f seconds",
			  ahead);
	check_warning(c, "clock", "server", &why);
}

void
check_server(Check *c)
{
	Error why = ERROR_INIT;

	if (!server_connect(c->options->connection, &c->server, &why))
	{
		error_hint(&why, "Start the server, or correct connection in the "
						 "configuration.");
		check_error(c, "connection", "server", &why);
		return;
	}
	if (!server_info(c->server, &c->info, &why))
	{
		check_error(c, "connection", "server", &why);
		server_close(c->server);
		c->server = NULL;
		return;
	}
	c->archives = true;
	check_identity(c);
	check_modes(c);
	check_command(c);
	check_archiver(c);
	check_server_clock(c);
}
