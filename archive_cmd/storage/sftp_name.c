/*-------------------------------------------------------------------------
 *
 * sftp_name.c
 *	  Giving an object on an SFTP server its name.
 *
 * OpenSSH does the plain rename of SFTP 3 as link() and unlink(), so it fails
 * if the name is taken.  The trap is an answer that gets lost: the rename may
 * have been done, or be done later by a server process that still runs, or
 * have been done by half, with both names there.  What then counts is whether
 * the object has our bytes:
 *
 *	temporary file	object		then
 *	there			missing		rename again
 *	there			there		equal bytes: done; else ERR_EXISTS
 *	missing			there		equal size, time and head: done; else ERR_EXISTS
 *	missing			missing		ERR_IO
 *
 * Only our rename takes the temporary file away, whose name is random (sweep
 * takes old ones only), so the third line is sure enough without reading all
 * of a large object.
 *
 * After a lost answer the temporary file is never removed by us: a server
 * process between link() and unlink() would find it gone, and then take the
 * object away again.  Sweep gets it, when that process is long gone.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp_write.h"

#include <stdlib.h>
#include <string.h>

#define COMPARE_CHUNK ((size_t) 256 * 1024)

/* Is there such a file?  *missing if the server says no. */
static bool
look(SftpStorage *ss, const char *path, SshAttrs *attrs, bool *missing,
	 Error *err)
{
	Error cause = ERROR_INIT;

	*missing = false;
	if (ssh_lstat(ss->ssh, path, attrs, &cause))
		return true;
	*missing = cause.code == ERR_NOT_FOUND;
	if (!*missing)
		error_move(err, &cause);
	error_clear(&cause);
	return *missing;
}

/* As many bytes as asked for, or an error. */
static bool
read_exactly(SftpStorage *ss, SshFile *file, uint64_t offset, char *buf,
			 size_t len, Error *err)
{
	SshRange range = {.offset = offset, .left = len};
	size_t got = 1;

	while (range.left > 0 && got > 0)
	{
		if (!ssh_read(file, &range, buf + (len - range.left),
					  (size_t) range.left, &got, err))
			return false;
		sftp_pass_download(ss, got);
		range.offset += got;
		range.left -= got;
	}
	return range.left == 0 ||
		   error_set(err, ERR_IO, "file ends before its size");
}

/* Both open files have that size; *same if they have the same bytes. */
static bool
compare_files(SftpStorage *ss, SshFile *const file[2], uint64_t size,
			  bool *same, Error *err)
{
	char *buf = mem_alloc(2 * COMPARE_CHUNK);
	bool done = true;

	*same = true;
	for (uint64_t offset = 0; done && *same && offset < size;)
	{
		size_t n = size - offset < COMPARE_CHUNK ? (size_t) (size - offset)
												 : COMPARE_CHUNK;

		done = read_exactly(ss, file[0], offset, buf, n, err) &&
			   read_exactly(ss, file[1], offset, buf + COMPARE_CHUNK, n, err);
		*same = done && memcmp(buf, buf + COMPARE_CHUNK, n) == 0;
		offset += n;
	}
	free(buf);
	return done;
}

/*
 * If the temporary file has gone in between, the try is made again and finds
 * it gone.
 */
static bool
compare_with_temp(SftpWriter *w, bool *same, Error *err)
{
	SftpStorage *ss = w->ss;
	SshFile *file[2] = {NULL, NULL};
	bool done;

	done = ssh_open(ss->ssh, w->temp, SSH_READ, 0, &file[0], err) &&
		   ssh_open(ss->ssh, w->target, SSH_READ, 0, &file[1], err) &&
		   compare_files(ss, file, w->attrs.size, same, err);
	if (!done && err->code == ERR_NOT_FOUND)
	{
		err->code = ERR_IO;
		err->transient = true;
	}
	ssh_file_close(file[0]);
	ssh_file_close(file[1]);
	return done;
}

/*
 * Where reading is not allowed, size and time have to do.  Without a head (a
 * small object) all of it is still in the buffer.
 */
static bool
compare_with_head(SftpWriter *w, bool *same, Error *err)
{
	const char *ours = w->offset > 0 ? w->head : w->buf.data;
	size_t len = w->offset > 0 ? w->head_len : w->buf.len;
	char *buf = mem_alloc(len + 1);
	Error cause = ERROR_INIT;
	SshFile *file = NULL;
	bool done;

	done = ssh_open(w->ss->ssh, w->target, SSH_READ, 0, &file, &cause) &&
		   read_exactly(w->ss, file, 0, buf, len, &cause);
	*same = !done || len == 0 || memcmp(buf, ours, len) == 0;
	if (!done && cause.code != ERR_DENIED)
		error_move(err, &cause);
	error_clear(&cause);
	ssh_file_close(file);
	free(buf);
	return !error_is_set(err);
}

typedef enum NameState
{
	NAME_UNKNOWN, /* *err is set */
	NAME_FREE,
	NAME_OURS,
	NAME_TAKEN
} NameState;

/* After an answer got lost; see above.  The order of the two looks matters. */
static NameState
judge(SftpWriter *w, Error *err)
{
	SftpStorage *ss = w->ss;
	SshAttrs temp;
	SshAttrs target;
	bool temp_gone;
	bool target_missing;
	bool same = false;

	if (!look(ss, w->temp, &temp, &temp_gone, err) ||
		!look(ss, w->target, &target, &target_missing, err))
		return NAME_UNKNOWN;
	if (target_missing && !temp_gone)
		return NAME_FREE;
	if (target_missing)
	{
		if (sftp_check_root(ss, err))
			error_set(err, ERR_IO, "temporary file and object are gone");
		return NAME_UNKNOWN;
	}
	if (target.kind != SSH_FILE || target.size != w->attrs.size ||
		target.mtime != w->attrs.mtime)
		return NAME_TAKEN;
	if (temp_gone ? !compare_with_head(w, &same, err)
				  : !compare_with_temp(w, &same, err))
		return NAME_UNKNOWN;
	return same ? NAME_OURS : NAME_TAKEN;
}

/*
 * The caller will rely on what lies there, so it must not be something whose
 * writer was killed before the name was durable.
 */
static bool
name_taken(SftpWriter *w, Error *err)
{
	SshAttrs attrs;

	if (!ssh_lstat(w->ss->ssh, w->target, &attrs, err))
	{
		/* Taken a moment ago, and gone now: not the answer to a retry. */
		err->transient = err->transient || err->code == ERR_NOT_FOUND;
		err->code = err->code == ERR_NOT_FOUND ? ERR_IO : err->code;
		return false;
	}
	if (attrs.kind == SSH_FILE && !sftp_sync_object(w->ss, w->target, err))
		return false;
	return error_set(err, ERR_EXISTS, "object already exists");
}

static bool
settle_on(SftpWriter *w, NameState state, Error *err)
{
	if (state == NAME_TAKEN)
		return name_taken(w, err);
	w->named = state == NAME_OURS;
	return w->named;
}

/* The server refused: because the name is taken, or for another reason? */
static bool
not_renamed(SftpWriter *w, Error *cause, Error *err)
{
	bool missing = false;
	SshAttrs attrs;

	if (!look(w->ss, w->target, &attrs, &missing, err))
	{
		error_clear(cause);
		return false;
	}
	if (!missing)
	{
		error_clear(cause);
		return settle_on(w, w->rename_lost ? judge(w, err) : NAME_TAKEN, err);
	}
	if (cause->code == ERR_NOT_FOUND || cause->code == ERR_EXISTS)
		cause->code = ERR_IO;
	if (sftp_check_root(w->ss, err))
	{
		sftp_explain(w->ss, 0, cause);
		error_move(err, cause);
	}
	error_clear(cause);
	return false;
}

/* Servers that are not OpenSSH have to show that they do not replace. */
static bool
ensure_safe_rename(SftpStorage *ss, Error *err)
{
	static const char openssh[] = "SSH-2.0-OpenSSH_";

	if (ss->rename_safe)
		return true;
	ss->rename_safe = strncmp(ssh_server_version(ss->ssh), openssh,
							  strlen(openssh)) == 0;
	return ss->rename_safe || sftp_check_rename(ss, err);
}

bool
sftp_step_name(SftpStorage *ss, void *arg, Error *err)
{
	SftpWriter *w = arg;
	bool lost_before = w->rename_lost;
	Error cause = ERROR_INIT;
	NameState state;

	if (lost_before)
	{
		state = judge(w, err);
		if (state != NAME_FREE)
			return settle_on(w, state, err);
	}
	if (!ensure_safe_rename(ss, err))
		return false;
	w->rename_lost = w->keep_temp = true;
	if (ssh_rename(ss->ssh, w->temp, w->target, &cause))
	{
		w->named = true;
		return true;
	}
	if (ssh_is_lost(ss->ssh))
	{
		error_move(err, &cause);
		return false;
	}
	w->rename_lost = w->keep_temp = lost_before;
	return not_renamed(w, &cause, err);
}

/*
 * The file is still open under its old name, unless the connection broke.  An
 * fsync that is repeated here is none of the bytes: those are durable.
 */
bool
sftp_step_sync_name(SftpStorage *ss, void *arg, Error *err)
{
	SftpWriter *w = arg;

	if (!ss->sync)
		return true;
	if (w->file != NULL && !ssh_file_is_dead(w->file))
		return ssh_fsync(w->file, err);
	return sftp_sync_object(ss, w->target, err);
}
