/*-------------------------------------------------------------------------
 *
 * server_backup.c
 *	  What is asked of a live server: its settings, and backup control.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "common/wal_name.h"

/*
 * On a primary the checkpoint's timeline lags behind after a promotion, so the
 * name of the WAL file written tells.  On a standby no such name can be had;
 * what pg_control says of the replay is at most one restartpoint old.
 */
#define TIMELINE_SQL                                                          \
	"CASE WHEN pg_is_in_recovery() THEN"                                      \
	" greatest((SELECT timeline_id FROM pg_control_checkpoint()),"            \
	" (SELECT min_recovery_end_timeline FROM pg_control_recovery()))::bigint" \
	" ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1,"          \
	" 8))::bit(32)::bigint END"

#define SETTING_SQL(name) "max(setting) FILTER (WHERE name = '" name "')"

/*
 * pg_settings leaves out what the role may not see, where current_setting()
 * would fail.
 */
static const char info_sql[] =
	"SELECT current_setting('server_version_num'),"
	" (SELECT system_identifier FROM pg_control_system())," TIMELINE_SQL
	", pg_is_in_recovery(), current_setting('is_superuser')," SETTING_SQL("wal_segment_size") "," SETTING_SQL("data_directory") "," SETTING_SQL("config_file") "," SETTING_SQL(
		"hba_file") "," SETTING_SQL("ident_file") "," SETTING_SQL("archive_mode") "," SETTING_SQL("archive_command") "," SETTING_SQL("archive_library") "," SETTING_SQL("wal_level") " FROM pg_settings";

static char *
text_or_empty(const char *value)
{
	return mem_strdup(value != NULL ? value : "");
}

static bool
number(const char *value, uint64_t *out, Error *err)
{
	char *end;

	*out = 0;
	if (value != NULL)
	{
		/* the server's 64-bit numbers are signed; the bits are what counts */
		*out = (uint64_t) strtoll(value, &end, 10);
		if (end != value && *end == '\0')
			return true;
	}
	return error_set(err, ERR_SERVER, "PostgreSQL returned no number");
}

static bool
position(const char *value, uint64_t *out, Error *err)
{
	if (value != NULL && lsn_parse(value, out))
		return true;
	return error_set(err, ERR_SERVER, "PostgreSQL returned no WAL position");
}

static bool
take_info(void *arg, char *const *values, int ncols, Error *err)
{
	ServerInfo *info = arg;
	uint64_t version;
	uint64_t timeline;
	uint64_t segment_size;

	if (ncols != 14)
		return error_set(err, ERR_INTERNAL, "unexpected number of columns");
	if (!number(values[0], &version, err) ||
		!number(values[1], &info->sysid, err) ||
		!number(values[2], &timeline, err) ||
		!number(values[5], &segment_size, err))
		return false;
	info->version_num = (int) version;
	info->major = (int) version / 10000;
	info->timeline = (uint32_t) timeline;
	info->segment_size = (uint32_t) segment_size;
	info->in_recovery = values[3] != NULL && strcmp(values[3], "t") == 0;
	info->superuser = values[4] != NULL && strcmp(values[4], "on") == 0;
	info->data_directory = text_or_empty(values[6]);
	info->config_file = text_or_empty(values[7]);
	info->hba_file = text_or_empty(values[8]);
	info->ident_file = text_or_empty(values[9]);
	info->archive_mode = text_or_empty(values[10]);
	info->archive_command = text_or_empty(values[11]);
	info->archive_library = text_or_empty(values[12]);
	info->wal_level = text_or_empty(values[13]);
	return true;
}

bool
server_info(Server *s, ServerInfo *out, Error *err)
{
	*out = (ServerInfo){0};
	if (server_query(s, info_sql, take_info, out, err))
		return true;
	server_info_free(out);
	return false;
}

void
server_info_free(ServerInfo *info)
{
	free(info->data_directory);
	free(info->config_file);
	free(info->hba_file);
	free(info->ident_file);
	free(info->archive_mode);
	free(info->archive_command);
	free(info->archive_library);
	free(info->wal_level);
	*info = (ServerInfo){0};
}

bool
server_current_lsn(Server *s, uint64_t *out, Error *err)
{
	char *text;
	bool done;

	if (!server_value(s,
					  "SELECT CASE WHEN pg_is_in_recovery()"
					  " THEN pg_last_wal_replay_lsn()"
					  " ELSE pg_current_wal_lsn() END",
					  &text, err))
		return false;
	done = position(text, out, err);
	free(text);
	return done;
}

static bool
ask_timeline(Server *s, uint32_t *out, Error *err)
{
	char *text;
	uint64_t timeline = 0;
	bool done;

	if (!server_value(s, "SELECT " TIMELINE_SQL, &text, err))
		return false;
	done = number(text, &timeline, err);
	free(text);
	*out = (uint32_t) timeline;
	return done;
}

bool
server_backup_start(Server *s, const char *label, bool fast,
					ServerBackupStart *out, Error *err)
{
	char *text;
	bool done;

	*out = (ServerBackupStart){0};
	if (!server_value_1(s,
						fast ? "SELECT pg_backup_start($1, true)"
							 : "SELECT pg_backup_start($1, false)",
						label, &text, err))
		return error_prefix(err, "could not start a backup");
	done = position(text, &out->start_lsn, err) &&
		   ask_timeline(s, &out->timeline, err);
	free(text);
	return done;
}

static bool
take_stop(void *arg, char *const *values, int ncols, Error *err)
{
	ServerBackupStop *stop = arg;

	if (ncols != 3 || values[1] == NULL)
		return error_set(err, ERR_SERVER,
						 "PostgreSQL returned no "
						 "backup_label");
	if (!position(values[0], &stop->stop_lsn, err))
		return false;
	stop->backup_label = mem_strdup(values[1]);
	stop->tablespace_map = text_or_empty(values[2]);
	return true;
}

bool
server_backup_stop(Server *s, ServerBackupStop *out, Error *err)
{
	*out = (ServerBackupStop){0};
	if (!server_query(s,
					  "SELECT lsn, labelfile, spcmapfile"
					  " FROM pg_backup_stop(wait_for_archive => false)",
					  take_stop, out, err))
		error_prefix(err, "could not stop the backup");
	else if (out->backup_label == NULL)
		error_set(err, ERR_SERVER, "could not stop the backup: no answer");
	else if (ask_timeline(s, &out->timeline, err))
		return true;
	server_backup_stop_free(out);
	return false;
}

void
server_backup_stop_free(ServerBackupStop *stop)
{
	free(stop->backup_label);
	free(stop->tablespace_map);
	*stop = (ServerBackupStop){0};
}
