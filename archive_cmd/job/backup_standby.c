/*-------------------------------------------------------------------------
 *
 * backup_standby.c
 *	  What a backup from a standby needs the primary for.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_standby.h"

#include <stdlib.h>

#include "base/log.h"
#include "job/backup_check.h"

static bool
check_primary(Server *primary, const PgControl *control, Error *err)
{
	ServerInfo info;
	bool done;

	if (!server_info(primary, &info, err))
		return false;
	if (info.in_recovery || info.sysid != control->sysid ||
		info.major != control->major)
	{
		error_set(err, ERR_MISMATCH,
				  info.in_recovery
					  ? "primary-connection leads to a standby"
					  : "primary-connection leads to another cluster");
		error_hint(err, "Correct primary-connection in the configuration.");
		done = false;
	}
	else
		done = backup_check_archiving(&info, err);
	server_info_free(&info);
	return done;
}

bool
backup_primary_open(const char *connection, const PgControl *control,
					Server **out, Error *err)
{
	*out = NULL;
	if (connection == NULL || connection[0] == '\0')
	{
		log_info("there is no primary-connection: the backup is complete when "
				 "the primary has archived the segment that it stops in");
		return true;
	}
	if (!server_connect(connection, out, err))
		return error_prefix(err, "could not reach the primary");
	if (check_primary(*out, control, err))
		return true;
	server_close(*out);
	*out = NULL;
	return false;
}

void
backup_primary_switch(Server *primary)
{
	Error why = ERROR_INIT;
	char *lsn = NULL;

	if (!server_value(primary, "SELECT pg_switch_wal()", &lsn, &why))
	{
		error_prefix(&why, "could not end the primary's WAL segment");
		error_hint(&why, "Grant EXECUTE on pg_switch_wal() to the role of "
						 "primary-connection.");
		log_error_object(LOG_WARNING, &why);
	}
	error_clear(&why);
	free(lsn);
}
