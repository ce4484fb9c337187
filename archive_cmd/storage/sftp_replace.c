/*-------------------------------------------------------------------------
 *
 * sftp_replace.c
 *	  Puts one object in the place of another on an SFTP server.
 *
 * The rename of SFTP 3 does not replace, so it takes two: the old object is
 * put aside, the new one takes its name, the old one goes.  For the time of a
 * round trip, or until the next run when the machine dies there, the name is
 * missing while both objects are there: storage_read_open() and its like look
 * for what was put aside.
 *
 * Each step looks at what is there, so that it can be tried again after a lost
 * connection: OpenSSH renames by link() and unlink(), and may have done half.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef struct ReplaceCall
{
	char *from;
	char *to;
	char *aside;
} ReplaceCall;

static bool
is_there(SftpStorage *ss, const char *path, bool *there, Error *err)
{
	Error cause = ERROR_INIT;
	SshAttrs attrs;

	*there = ssh_lstat(ss->ssh, path, &attrs, &cause);
	if (cause.code == ERR_NOT_FOUND)
		error_clear(&cause);
	error_move(err, &cause);
	return !error_is_set(err);
}

/* Not found is no answer here: the caller has seen that it is there. */
static bool
rename_to(SftpStorage *ss, const char *from, const char *to, Error *err)
{
	Error cause = ERROR_INIT;

	if (ssh_rename(ss->ssh, from, to, &cause))
		return true;
	if (cause.code == ERR_NOT_FOUND || cause.code == ERR_EXISTS)
		cause.code = ERR_IO;
	sftp_explain(ss, 0, &cause);
	error_move(err, &cause);
	return false;
}

/* Another run that settles what was left may have been faster. */
static bool
unlink_aside(SftpStorage *ss, const ReplaceCall *call, Error *err)
{
	Error cause = ERROR_INIT;

	ssh_unlink(ss->ssh, call->aside, &cause);
	if (cause.code == ERR_NOT_FOUND)
		error_clear(&cause);
	error_move(err, &cause);
	return !error_is_set(err);
}

/* Whatever keeps the new one from its place, the old one gets it back. */
static bool
give_place(SftpStorage *ss, const ReplaceCall *call, Error *err)
{
	Error ignored = ERROR_INIT;

	if (rename_to(ss, call->from, call->to, err))
		return true;
	if (!ssh_is_lost(ss->ssh))
		ssh_rename(ss->ssh, call->aside, call->to, &ignored);
	error_clear(&ignored);
	return false;
}

static bool
step_replace(SftpStorage *ss, void *arg, Error *err)
{
	const ReplaceCall *call = arg;
	bool from;
	bool to;
	bool aside;

	if (!is_there(ss, call->from, &from, err) ||
		!is_there(ss, call->to, &to, err) ||
		!is_there(ss, call->aside, &aside, err))
		return false;
	if (!from && !to)
		return error_set(err, ERR_IO, "there is nothing to replace");
	if (from)
	{
		/* to has what is aside, or something newer */
		if (to && aside && !unlink_aside(ss, call, err))
			return false;
		if (to && !rename_to(ss, call->to, call->aside, err))
			return false;
		/* an empty directory may have been removed meanwhile */
		if ((!to && !sftp_make_parents(ss, call->to, err)) ||
			!give_place(ss, call, err))
			return false;
		aside = aside || to;
	}
	if (!sftp_sync_object(ss, call->to, err) ||
		(aside && !unlink_aside(ss, call, err)))
		return false;
	sftp_prune(ss, call->from);
	return true;
}

bool
sftp_replace(Storage *st, const char *from, const char *to, Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	ReplaceCall call = {.from = sftp_path(ss, from), .to = sftp_path(ss, to)};
	bool done;

	call.aside = mem_printf("%s" STORAGE_ASIDE, call.from);
	done = sftp_run(ss, step_replace, &call, err);
	free(call.from);
	free(call.to);
	free(call.aside);
	return done;
}
