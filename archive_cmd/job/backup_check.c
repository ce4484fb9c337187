/*-------------------------------------------------------------------------
 *
 * backup_check.c
 *	  May this directory be backed up through this server, and would the
 *	  backup be of use?
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/wal_name.h"

static bool
is_empty(const char *text)
{
	return text == NULL || text[0] == '\0';
}

/* By what the paths lead to: one of them may go through a link. */
static bool
check_directory(const char *pgdata, const ServerInfo *info, Error *err)
{
	struct stat ours;
	struct stat theirs;

	if (is_empty(info->data_directory))
	{
		error_set(err, ERR_DENIED,
				  "the server does not tell its data directory");
		return error_hint(err, "Grant pg_read_all_settings to the role that "
							   "pgdr connects as.");
	}
	if (stat(pgdata, &ours) != 0)
		return error_set_errno(err, errno, "could not stat directory \"%s\"",
							   pgdata);
	if (stat(info->data_directory, &theirs) == 0 &&
		ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return true;
	error_set(err, ERR_MISMATCH,
			  "\"%s\" is not the data directory of the server", pgdata);
	error_detail(err, "The server that the connection reaches runs in \"%s\".",
				 info->data_directory);
	return error_hint(err, "Correct pgdata or connection in the "
						   "configuration; pgdr runs on the server's host.");
}

static bool
check_identity(const char *pgdata, const PgControl *control,
			   const ServerInfo *info, Error *err)
{
	if (control->sysid == info->sysid && control->major == info->major)
		return true;
	error_set(err, ERR_MISMATCH,
			  "\"%s\" belongs to another cluster than the server", pgdata);
	error_detail(err,
				 "The directory has system identifier %" PRIu64
				 " and version %d, the server %" PRIu64 " and %d.",
				 control->sysid, control->major, info->sysid, info->major);
	return error_hint(err, "Correct pgdata or connection in the "
						   "configuration.");
}

bool
backup_check_archiving(const ServerInfo *info, Error *err)
{
	if (strcmp(info->wal_level, "minimal") == 0)
	{
		error_set(err, ERR_CONFIG, "wal_level of the server is minimal");
		return error_hint(err, "Set wal_level to replica and restart the "
							   "server.");
	}
	if (strcmp(info->archive_mode, "off") == 0)
	{
		error_set(err, ERR_CONFIG, "archive_mode of the server is off");
		error_detail(err, "A backup cannot be recovered without the WAL "
						  "written while it was taken.");
		return error_hint(err, "Set archive_mode to on and archive_command as "
							   "pgdr init printed it, and restart the "
							   "server.");
	}
	if (is_empty(info->archive_command) && is_empty(info->archive_library))
	{
		error_set(err, ERR_CONFIG, "archive_command of the server is empty");
		return error_hint(err, "Set archive_command as pgdr init printed it "
							   "and reload the server.");
	}
	return true;
}

bool
backup_check_server(const char *pgdata, const PgControl *control,
					const ServerInfo *info, Error *err)
{
	if (!check_identity(pgdata, control, info, err) ||
		!check_directory(pgdata, info, err))
		return false;
	return info->in_recovery || backup_check_archiving(info, err);
}

bool
backup_check_started(const char *pgdata, const ServerBackupStart *start,
					 bool standby, Error *err)
{
	const char *state = standby ? "in archive recovery" : "in production";
	PgControl control;
	char redo[LSN_TEXT_LEN];
	char begun[LSN_TEXT_LEN];

	if (!pg_control_read(pgdata, &control, err))
		return false;
	if (control.redo_lsn >= start->start_lsn &&
		strcmp(pg_control_state_name(control.state), state) == 0)
		return true;
	lsn_format(control.redo_lsn, redo);
	lsn_format(start->start_lsn, begun);
	error_set(err, ERR_MISMATCH,
			  "the server that started the backup does not run in \"%s\"",
			  pgdata);
	error_detail(err,
				 "The directory's last checkpoint is at %s (%s), the "
				 "server's at %s.",
				 redo, pg_control_state_name(control.state), begun);
	return error_hint(err, "Correct pgdata or connection in the "
						   "configuration; pgdr runs on the server's host.");
}
