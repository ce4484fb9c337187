/*-------------------------------------------------------------------------
 *
 * sftp_list.c
 *	  What lies in a store on an SFTP server: objects, and what interrupted
 *	  writers left.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

typedef struct DirCall
{
	char *path;
	SshEntries entries;
	bool missing;
} DirCall;

typedef struct ListCall
{
	SftpStorage *ss;
	bool recursive;
	StorageListFn fn;
	void *arg;
} ListCall;

typedef struct SweepCall
{
	SftpStorage *ss;
	int64_t before; /* seconds, by the server's clock */
	uint64_t *removed;
} SweepCall;

/*
 * Names that no object has ("lost+found", hidden files) are not ours; of the
 * hidden ones only our own leftovers count.
 */
static bool
is_object_name(const char *name)
{
	Error ignored = ERROR_INIT;
	bool valid = storage_check_name(name, &ignored);

	error_clear(&ignored);
	return valid;
}

static char *
name_below(const char *dir, const char *name)
{
	return dir[0] ? mem_printf("%s/%s", dir, name) : mem_strdup(name);
}

/* A directory that is not there is an empty one, if there is a root. */
static bool
step_read_dir(SftpStorage *ss, void *arg, Error *err)
{
	DirCall *call = arg;
	Error cause = ERROR_INIT;

	ssh_entries_free(&call->entries);
	if (ssh_read_dir(ss->ssh, call->path, &call->entries, &cause))
		return true;
	call->missing = cause.code == ERR_NOT_FOUND;
	if (!call->missing)
		error_move(err, &cause);
	error_clear(&cause);
	return call->missing && sftp_check_root(ss, err);
}

/*
 * The whole directory at once: the callback may use the connection, and remove
 * what it is shown.
 */
static bool
read_dir(SftpStorage *ss, const char *dir, SshEntries *out, Error *err)
{
	DirCall call = {.path = sftp_path(ss, dir)};
	bool done = sftp_run(ss, step_read_dir, &call, err);

	free(call.path);
	if (!done)
		ssh_entries_free(&call.entries);
	*out = call.entries;
	return done;
}

static bool list_dir(ListCall *call, const char *dir, Error *err);

static bool
list_entry(ListCall *call, const char *dir, const SshEntry *found, Error *err)
{
	char *name = name_below(dir, found->name);
	StorageEntry entry = {.name = name};
	bool done;

	if (found->attrs.kind == SSH_DIR && call->recursive)
		done = list_dir(call, name, err);
	else if (found->attrs.kind != SSH_OTHER)
	{
		entry.is_dir = found->attrs.kind == SSH_DIR;
		entry.size = entry.is_dir ? 0 : found->attrs.size;
		entry.mtime = found->attrs.mtime * USECS_PER_SEC;
		done = call->fn(call->arg, &entry, err);
	}
	else
		done = sftp_alien(name, err);
	free(name);
	return done;
}

static bool
list_dir(ListCall *call, const char *dir, Error *err)
{
	SshEntries entries;
	bool done = read_dir(call->ss, dir, &entries, err);

	for (size_t i = 0; done && i < entries.count; i++)
	{
		if (is_object_name(entries.item[i].name))
			done = list_entry(call, dir, &entries.item[i], err);
	}
	ssh_entries_free(&entries);
	return done;
}

static bool
step_check_root(SftpStorage *ss, void *arg, Error *err)
{
	(void) arg;
	return sftp_check_root(ss, err);
}

/*
 * The root is looked at last: when it went away on the way, what was shown is
 * not the whole.
 */
bool
sftp_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
		  void *arg, Error *err)
{
	ListCall call = {
		.ss = (SftpStorage *) st, .recursive = recursive, .fn = fn, .arg = arg};

	return list_dir(&call, prefix, err) &&
		   sftp_run(call.ss, step_check_root, NULL, err);
}

/*
 * Leftovers
 */

static bool sweep_dir(SweepCall *call, const char *dir, Error *err);

static bool
step_unlink(SftpStorage *ss, void *arg, Error *err)
{
	Error cause = ERROR_INIT;

	if (!ssh_unlink(ss->ssh, arg, &cause) && cause.code != ERR_NOT_FOUND)
	{
		error_move(err, &cause);
		return false;
	}
	error_clear(&cause);
	return true;
}

/* Failing is no error: a directory may well not be empty. */
static bool
step_rmdir(SftpStorage *ss, void *arg, Error *err)
{
	Error cause = ERROR_INIT;

	if (!ssh_rmdir(ss->ssh, arg, &cause) && cause.transient)
		error_move(err, &cause);
	error_clear(&cause);
	return !error_is_set(err);
}

static bool
sweep_entry(SweepCall *call, const char *dir, const SshEntry *found, Error *err)
{
	char *name = name_below(dir, found->name);
	char *path = sftp_path(call->ss, name);
	bool done = true;

	if (found->attrs.kind == SSH_DIR && is_object_name(found->name))
		done = sweep_dir(call, name, err) &&
			   sftp_run(call->ss, step_rmdir, path, err);
	else if (found->attrs.kind == SSH_FILE && sftp_is_temp_name(found->name) &&
			 found->attrs.mtime <= call->before)
	{
		done = sftp_run(call->ss, step_unlink, path, err);
		*call->removed += done;
	}
	free(path);
	free(name);
	return done;
}

static bool
sweep_dir(SweepCall *call, const char *dir, Error *err)
{
	SshEntries entries;
	bool done = read_dir(call->ss, dir, &entries, err);

	for (size_t i = 0; done && i < entries.count; i++)
		done = sweep_entry(call, dir, &entries.item[i], err);
	ssh_entries_free(&entries);
	return done;
}

/*
 * The age of a leftover is a matter of the server's clock.  With ours, if it
 * is ahead, a writer that is at work would lose its file.
 */
static bool
step_server_time(SftpStorage *ss, void *arg, Error *err)
{
	char *any = sftp_path(ss, "time");
	char *path = NULL;
	Error ignored = ERROR_INIT;
	SshAttrs attrs = {0};
	SshFile *file;
	bool done = false;

	if (!sftp_check_root(ss, err) || !sftp_temp_path(any, &path, err))
	{
		free(any);
		return false;
	}
	if (ssh_open(ss->ssh, path, SSH_CREATE, 0600, &file, err))
	{
		done = ssh_fstat(file, &attrs, err);
		ssh_file_close(file);
		ssh_unlink(ss->ssh, path, &ignored);
		error_clear(&ignored);
	}
	*(int64_t *) arg = attrs.mtime;
	free(any);
	free(path);
	return done;
}

bool
sftp_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed, Error *err)
{
	SweepCall call = {.ss = (SftpStorage *) st, .removed = removed};

	if (!sftp_run(call.ss, step_server_time, &call.before, err))
		return false;
	call.before -= older_than_usecs / USECS_PER_SEC;
	return sweep_dir(&call, "", err);
}
