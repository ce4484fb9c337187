/*-------------------------------------------------------------------------
 *
 * sftp_path.c
 *	  Paths and directories on the server, and what its answers mean.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define TEMP_SUFFIX ".tmp"
#define TEMP_RANDOM_DIGITS 16
/* Leaves room in a component for the rest of a temporary name. */
#define TEMP_BASE_MAX 200

/* Directories may be removed while we make others in them. */
#define MAKE_DIRS_TRIES 10000

/* A file system with less room than this is full, whatever was asked for. */
#define FULL_BELOW ((uint64_t) 64 * 1024)

char *
sftp_path(const SftpStorage *ss, const char *name)
{
	if (name[0] == '\0')
		return mem_strdup(ss->root[0] != '\0' ? ss->root : "/");
	return mem_printf("%s/%s", ss->root, name);
}

bool
sftp_check_root(SftpStorage *ss, Error *err)
{
	Error cause = ERROR_INIT;
	char *root = sftp_path(ss, "");
	SshAttrs attrs;

	if (!ssh_stat(ss->ssh, root, &attrs, &cause))
	{
		if (cause.code == ERR_NOT_FOUND)
		{
			error_clear(&cause);
			error_set(&cause, ERR_IO,
					  "directory \"%s\" does not exist on the server", root);
			error_detail(&cause, "The root directory of the repository does "
								 "not exist.");
			error_hint(&cause, "Check whether the disk that holds it is "
							   "mounted on the server; a new repository is "
							   "made by \"pgdr init\".");
		}
		error_move(err, &cause);
	}
	else if (attrs.kind != SSH_DIR)
		error_set(err, ERR_CONFIG, "\"%s\" is no directory on the server",
				  root);
	free(root);
	return !error_is_set(err);
}

bool
sftp_absent(SftpStorage *ss, Error *err)
{
	if (!sftp_check_root(ss, err))
		return false;
	return error_set(err, ERR_NOT_FOUND, "object does not exist");
}

bool
sftp_alien(const char *path, Error *err)
{
	error_set(err, ERR_IO,
			  "\"%s\" on the server is neither a file nor a "
			  "directory",
			  path);
	return error_hint(err, "Below the root of a repository no symbolic link "
						   "is followed.");
}

/* A directory of that name is no object, as in an object store. */
bool
sftp_find(SftpStorage *ss, const char *path, SshAttrs *out, Error *err)
{
	Error cause = ERROR_INIT;

	if (!ssh_lstat(ss->ssh, path, out, &cause))
	{
		if (cause.code == ERR_NOT_FOUND)
			sftp_absent(ss, err);
		else
			error_move(err, &cause);
		error_clear(&cause);
		return false;
	}
	if (out->kind == SSH_DIR)
		return sftp_absent(ss, err);
	return out->kind == SSH_FILE || sftp_alien(path, err);
}

void
sftp_explain(SftpStorage *ss, uint64_t need, Error *err)
{
	Error ignored = ERROR_INIT;
	char *root;
	SshSpace space;
	bool done;

	if (err->code != ERR_IO || err->transient || !sftp_connect(ss, &ignored))
	{
		error_clear(&ignored);
		return;
	}
	root = sftp_path(ss, "");
	done = ssh_space(ss->ssh, root, &space, &ignored);
	free(root);
	error_clear(&ignored);
	if (!done)
		return;
	if (space.read_only)
	{
		err->code = ERR_DENIED;
		error_detail(err, "The file system of the server is read-only.");
	}
	else if (space.files == 0 || space.bytes < need || space.bytes < FULL_BELOW)
	{
		err->code = ERR_FULL;
		error_detail(err,
					 "The file system of the server has room for %" PRIu64
					 " bytes more%s.",
					 space.bytes, space.files == 0 ? ", and for no file" : "");
	}
	else
		error_hint(err, "The server does not say why; a quota, or an error of "
						"its disk, may be the cause.");
}

/*
 * Directories
 */

typedef enum Made
{
	MADE,
	MADE_NOT, /* the one above is missing */
	MADE_FAILED
} Made;

static Made
make_dir(SftpStorage *ss, const char *path, Error *err)
{
	Error cause = ERROR_INIT;
	Error ignored = ERROR_INIT;
	SshAttrs attrs;
	bool there;

	if (ssh_mkdir(ss->ssh, path, SFTP_DIR_MODE, &cause))
		return MADE;
	if (cause.code == ERR_NOT_FOUND)
	{
		error_clear(&cause);
		return MADE_NOT;
	}
	/* "Failure" is also what the server says of one that exists. */
	there = ssh_stat(ss->ssh, path, &attrs, &ignored);
	error_clear(&ignored);
	if (there && attrs.kind == SSH_DIR)
	{
		error_clear(&cause);
		return MADE;
	}
	if (there)
	{
		error_clear(&cause);
		error_set(err, ERR_IO, "\"%s\" on the server is not a directory", path);
		return MADE_FAILED;
	}
	sftp_explain(ss, 0, &cause);
	error_move(err, &cause);
	return MADE_FAILED;
}

/* Begins at the end of the path: mostly only the last one is missing. */
bool
sftp_make_dirs(SftpStorage *ss, const char *path, size_t keep, Error *err)
{
	size_t full = strlen(path);
	size_t len = full;
	Made made = MADE_NOT;

	for (int try = 0; try < MAKE_DIRS_TRIES; try++)
	{
		char *part = mem_strndup(path, len);

		made = len == 0 ? MADE : make_dir(ss, part, err);
		free(part);
		if (made == MADE_FAILED)
			return false;
		if (made == MADE && len == full)
			return true;
		if (made == MADE) /* down */
			len += 1 + strcspn(path + len + 1, "/");
		else /* up */
			while (len > 0 && path[--len] != '/')
				;
		if (len == keep && keep > 0)
		{
			if (!sftp_check_root(ss, err))
				return false;
			len += 1 + strcspn(path + len + 1, "/");
		}
	}
	error_set(err, ERR_BUSY, "could not keep a directory to write to");
	err->transient = true;
	return false;
}

bool
sftp_make_parents(SftpStorage *ss, const char *path, Error *err)
{
	char *dir = mem_strndup(path, (size_t) (strrchr(path, '/') - path));
	bool done = sftp_make_dirs(ss, dir, strlen(ss->root), err);

	free(dir);
	return done;
}

void
sftp_prune(SftpStorage *ss, const char *path)
{
	size_t keep = strlen(ss->root);
	char *dir = mem_strdup(path);
	Error ignored = ERROR_INIT;
	bool removed = true;
	char *slash;

	while (removed && (slash = strrchr(dir, '/')) != NULL &&
		   (size_t) (slash - dir) > keep)
	{
		*slash = '\0';
		removed = ssh_rmdir(ss->ssh, dir, &ignored);
	}
	free(dir);
	error_clear(&ignored);
}

/*
 * Temporary names
 */

bool
sftp_temp_path(const char *path, char **out, Error *err)
{
	const char *base = strrchr(path, '/') + 1;
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t) sizeof(r))
	{
		error_set_errno(err, errno, "could not get random bytes");
		return false;
	}
	*out = mem_printf("%.*s.%.*s.%0*" PRIx64 "%s", (int) (base - path), path,
					  TEMP_BASE_MAX, base, TEMP_RANDOM_DIGITS, r, TEMP_SUFFIX);
	return true;
}

/*
 * Exactly what sftp_temp_path() makes, and what the posix driver makes in a
 * directory that is used both ways: other hidden files are not ours to remove.
 */
bool
sftp_is_temp_name(const char *name)
{
	size_t len = strlen(name);
	size_t suffix = strlen(TEMP_SUFFIX);
	const char *random;

	if (name[0] != '.' || len < suffix + TEMP_RANDOM_DIGITS + 3 ||
		strcmp(name + len - suffix, TEMP_SUFFIX) != 0)
		return false;
	random = name + len - suffix - TEMP_RANDOM_DIGITS;
	return strspn(random, "0123456789abcdef") == TEMP_RANDOM_DIGITS &&
		   random[-1] == '.';
}

/*
 * What the server can do
 */

bool
sftp_no_sync(Error *err)
{
	error_clear(err);
	error_set(err, ERR_UNSUPPORTED, "the server cannot fsync a file");
	error_detail(err, "It has no extension \"fsync@openssh.com\".");
	return error_hint(err, "Without it, what is acknowledged may be lost when "
						   "the server crashes. If you accept that, set "
						   "\"fsync = no\" for this repository.");
}

bool
sftp_sync_object(SftpStorage *ss, const char *path, Error *err)
{
	Error cause = ERROR_INIT;
	SshFile *file;
	bool done;

	if (!ss->sync)
		return true;
	if (!ssh_open(ss->ssh, path, SSH_READ, 0, &file, &cause))
	{
		if (cause.code == ERR_NOT_FOUND)
			sftp_absent(ss, err);
		else
			error_move(err, &cause);
		error_clear(&cause);
		return false;
	}
	done = ssh_fsync(file, err);
	if (err->code == ERR_UNSUPPORTED)
		sftp_no_sync(err);
	ssh_file_close(file);
	return done;
}

static bool
make_empty(SftpStorage *ss, const char *path, Error *err)
{
	SshFile *file;
	bool done = true;

	if (!ssh_open(ss->ssh, path, SSH_CREATE, 0600, &file, err))
		return false;
	if (ss->sync)
		done = ssh_fsync(file, err);
	if (err->code == ERR_UNSUPPORTED)
		sftp_no_sync(err);
	ssh_file_close(file);
	return done;
}

/* The second one may be refused, but not replaced. */
static bool
try_rename(SftpStorage *ss, const char *from, const char *to, Error *err)
{
	Error cause = ERROR_INIT;
	bool replaced;

	if (!make_empty(ss, from, err) || !make_empty(ss, to, err))
		return false;
	replaced = ssh_rename(ss->ssh, from, to, &cause);
	if (replaced)
	{
		error_set(err, ERR_UNSUPPORTED,
				  "the server's rename replaces existing files");
		return error_hint(err, "On such a server two writers could not be "
							   "kept apart, and an object could be "
							   "overwritten; use one with OpenSSH.");
	}
	if (ssh_is_lost(ss->ssh))
		error_move(err, &cause);
	error_clear(&cause);
	return !error_is_set(err);
}

/*
 * SFTP 3 wants a rename to fail if the new name is taken, but not every server
 * does so.  OpenSSH does.
 */
bool
sftp_check_rename(SftpStorage *ss, Error *err)
{
	char *any = sftp_path(ss, "rename");
	char *from = NULL;
	char *to = NULL;
	Error ignored = ERROR_INIT;
	bool done;

	done = sftp_temp_path(any, &from, err) && sftp_temp_path(any, &to, err) &&
		   try_rename(ss, from, to, err);
	if (from != NULL)
		ssh_unlink(ss->ssh, from, &ignored);
	if (to != NULL)
		ssh_unlink(ss->ssh, to, &ignored);
	error_clear(&ignored);
	free(any);
	free(from);
	free(to);
	ss->rename_safe = done;
	return done;
}
