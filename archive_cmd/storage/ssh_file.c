/*-------------------------------------------------------------------------
 *
 * ssh_file.c
 *	  What SFTP can do: files, directories, attributes.
 *
 * libssh2 keeps the state of a half-sent request in the session.  So every
 * function here goes on until its request is answered, or gives the connection
 * up; and none leaves a part of a request in the air.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Longer names do not exist in any file system worth mentioning. */
#define NAME_MAX_LEN 4096

/* What is under way to the server at a time; OpenSSH's window is 2 MB. */
#define WRITE_AHEAD ((size_t) 2 * 1024 * 1024)

#define CLOSE_TRIES 100

/* libssh2 asks for four times as much as the caller has room for. */
#define READ_AHEAD_FACTOR 4

static unsigned
path_len(const char *path)
{
	return (unsigned) strlen(path);
}

static bool
dead(Error *err)
{
	error_set(err, ERR_IO, "the connection was lost");
	err->transient = true;
	return false;
}

/*
 * Names
 */

static void
to_attrs(const LIBSSH2_SFTP_ATTRIBUTES *in, SshAttrs *out)
{
	*out = (SshAttrs){.kind = SSH_OTHER};
	if (in->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS)
	{
		if (LIBSSH2_SFTP_S_ISREG(in->permissions))
			out->kind = SSH_FILE;
		else if (LIBSSH2_SFTP_S_ISDIR(in->permissions))
			out->kind = SSH_DIR;
	}
	if (in->flags & LIBSSH2_SFTP_ATTR_SIZE)
		out->size = in->filesize;
	if (in->flags & LIBSSH2_SFTP_ATTR_ACMODTIME)
		out->mtime = (int64_t) in->mtime;
}

static bool
stat_path(Ssh *ssh, const char *path, int type, SshAttrs *out, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	LIBSSH2_SFTP_ATTRIBUTES attrs = {0};
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_stat_ex(ssh->sftp, path, path_len(path), type,
								  &attrs);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc != 0)
		return ssh_fail(ssh, rc, "could not examine file", err);
	to_attrs(&attrs, out);
	return true;
}

bool
ssh_lstat(Ssh *ssh, const char *path, SshAttrs *out, Error *err)
{
	return stat_path(ssh, path, LIBSSH2_SFTP_LSTAT, out, err);
}

bool
ssh_stat(Ssh *ssh, const char *path, SshAttrs *out, Error *err)
{
	return stat_path(ssh, path, LIBSSH2_SFTP_STAT, out, err);
}

bool
ssh_mkdir(Ssh *ssh, const char *path, int mode, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_mkdir_ex(ssh->sftp, path, path_len(path), mode);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	return rc == 0 || ssh_fail(ssh, rc, "could not create directory", err);
}

bool
ssh_rmdir(Ssh *ssh, const char *path, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_rmdir_ex(ssh->sftp, path, path_len(path));
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	return rc == 0 || ssh_fail(ssh, rc, "could not remove directory", err);
}

bool
ssh_unlink(Ssh *ssh, const char *path, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_unlink_ex(ssh->sftp, path, path_len(path));
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	return rc == 0 || ssh_fail(ssh, rc, "could not remove file", err);
}

/* No flags: SFTP 3 has none, and later versions must not replace either. */
bool
ssh_rename(Ssh *ssh, const char *from, const char *to, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_rename_ex(ssh->sftp, from, path_len(from), to,
									path_len(to), 0);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	return rc == 0 || ssh_fail(ssh, rc, "could not rename file", err);
}

bool
ssh_space(Ssh *ssh, const char *path, SshSpace *out, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	LIBSSH2_SFTP_STATVFS vfs = {0};
	int rc;

	if (ssh->lost)
		return dead(err);
	do
		rc = libssh2_sftp_statvfs(ssh->sftp, path, strlen(path), &vfs);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc != 0)
		return ssh_fail(ssh, rc, "could not examine file system", err);
	out->bytes = vfs.f_bavail * vfs.f_frsize;
	out->files = vfs.f_files > 0 ? vfs.f_favail : UINT64_MAX;
	out->read_only = (vfs.f_flag & LIBSSH2_SFTP_ST_RDONLY) != 0;
	return true;
}

/*
 * Opening and closing
 */

static bool
open_handle(Ssh *ssh, const char *path, unsigned long flags, int mode,
			SshFile **out, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	bool is_dir = flags == 0;
	LIBSSH2_SFTP_HANDLE *handle;
	SshFile *file;
	int rc;

	if (ssh->lost)
		return dead(err);
	do
	{
		handle = libssh2_sftp_open_ex(
			ssh->sftp, path, path_len(path), flags, mode,
			is_dir ? LIBSSH2_SFTP_OPENDIR : LIBSSH2_SFTP_OPENFILE);
		rc = handle != NULL ? 0 : libssh2_session_last_errno(ssh->session);
	} while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (handle == NULL)
		return ssh_fail(
			ssh, rc,
			is_dir ? "could not open directory" : "could not open file", err);
	file = mem_zalloc(sizeof(*file));
	file->ssh = ssh;
	file->handle = handle;
	file->next = ssh->files;
	ssh->files = file;
	*out = file;
	return true;
}

bool
ssh_open(Ssh *ssh, const char *path, SshOpen how, int mode, SshFile **out,
		 Error *err)
{
	static const unsigned long flags[] = {
		[SSH_READ] = LIBSSH2_FXF_READ,
		[SSH_CREATE] = LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL,
		[SSH_REOPEN] = LIBSSH2_FXF_READ | LIBSSH2_FXF_WRITE};

	return open_handle(ssh, path, flags[how], mode, out, err);
}

/* An error is of no use: whoever cares about the bytes has called fsync. */
static void
close_handle(SshFile *file)
{
	SshWait wait = ssh_wait_begin(file->ssh, SSH_WAIT_ANSWER);
	Error ignored = ERROR_INIT;
	int rc;

	do
		rc = libssh2_sftp_close_handle(file->handle);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, &ignored));
	/* With the connection lost, nothing is waited for, and it is freed. */
	for (int i = 0; i < CLOSE_TRIES && rc == LIBSSH2_ERROR_EAGAIN; i++)
		rc = libssh2_sftp_close_handle(file->handle);
	error_clear(&ignored);
}

void
ssh_file_close(SshFile *file)
{
	SshFile **link;

	if (file == NULL)
		return;
	if (file->ssh != NULL)
	{
		for (link = &file->ssh->files; *link != file;)
			link = &(*link)->next;
		*link = file->next;
		close_handle(file);
	}
	free(file);
}

void
ssh_drop_files(Ssh *ssh)
{
	SshFile *file;

	while ((file = ssh->files) != NULL)
	{
		ssh->files = file->next;
		close_handle(file);
		file->ssh = NULL;
		file->handle = NULL;
	}
}

bool
ssh_file_is_dead(const SshFile *file)
{
	return file->ssh == NULL || file->ssh->lost;
}

/*
 * Directories
 */

static void
add_entry(SshEntries *entries, const char *name,
		  const LIBSSH2_SFTP_ATTRIBUTES *attrs)
{
	SshEntry *entry;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	entries->item = mem_grow(entries->item, entries->count, &entries->cap,
							 sizeof(SshEntry));
	entry = &entries->item[entries->count++];
	entry->name = mem_strdup(name);
	to_attrs(attrs, &entry->attrs);
}

static bool
read_entries(SshFile *dir, SshEntries *out, Error *err)
{
	char name[NAME_MAX_LEN];
	int rc;

	do
	{
		SshWait wait = ssh_wait_begin(dir->ssh, SSH_WAIT_ANSWER);
		LIBSSH2_SFTP_ATTRIBUTES attrs = {0};

		do
			rc = libssh2_sftp_readdir_ex(dir->handle, name, sizeof(name) - 1,
										 NULL, 0, &attrs);
		while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
		if (rc < 0)
			return ssh_fail(dir->ssh, rc, "could not read directory", err);
		name[rc] = '\0';
		if (rc > 0)
			add_entry(out, name, &attrs);
	} while (rc > 0);
	return true;
}

bool
ssh_read_dir(Ssh *ssh, const char *path, SshEntries *out, Error *err)
{
	SshFile *dir;
	bool done;

	if (!open_handle(ssh, path, 0, 0, &dir, err))
		return false;
	done = read_entries(dir, out, err);
	ssh_file_close(dir);
	return done;
}

void
ssh_entries_free(SshEntries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->item[i].name);
	free(entries->item);
	*entries = (SshEntries){0};
}

/*
 * Bytes
 */

bool
ssh_fstat(SshFile *file, SshAttrs *out, Error *err)
{
	LIBSSH2_SFTP_ATTRIBUTES attrs = {0};
	SshWait wait;
	int rc;

	if (ssh_file_is_dead(file))
		return dead(err);
	wait = ssh_wait_begin(file->ssh, SSH_WAIT_ANSWER);
	do
		rc = libssh2_sftp_fstat_ex(file->handle, &attrs, 0);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc != 0)
		return ssh_fail(file->ssh, rc, "could not examine file", err);
	to_attrs(&attrs, out);
	return true;
}

/*
 * libssh2 sends as much as it is shown and says how much of it was answered;
 * what was sent but not answered must be shown to it again.
 *
 * It counts what was sent in the same place for reads and writes, and asks for
 * more than is read at the end of a range.  A write after a read without a
 * seek would leave out that many bytes.
 *
 * When a write is refused, libssh2 forgets what comes after it, also a request
 * of which a part is sent already; what would follow on this connection would
 * be taken for the rest of it.
 */
bool
ssh_write(SshFile *file, uint64_t offset, const void *data, size_t len,
		  Error *err)
{
	const char *p = data;
	SshWait wait;

	if (ssh_file_is_dead(file))
		return dead(err);
	libssh2_sftp_seek64(file->handle, offset);
	file->offset = UINT64_MAX;
	wait = ssh_wait_begin(file->ssh, SSH_WAIT_DATA);
	while (len > 0)
	{
		size_t shown = len < WRITE_AHEAD ? len : WRITE_AHEAD;
		ssize_t n = libssh2_sftp_write(file->handle, p, shown);

		if (n > 0)
		{
			p += n;
			len -= (size_t) n;
			file->ssh->empty = 0;
		}
		else if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
		{
			ssh_fail(file->ssh, n, "could not write file", err);
			file->ssh->lost = true;
			return false;
		}
		else if (!ssh_wait(&wait, err))
			return false;
	}
	return true;
}

static size_t
room_for(const SshRange *range, size_t cap)
{
	uint64_t share = range->left / READ_AHEAD_FACTOR +
					 (range->left % READ_AHEAD_FACTOR > 0);

	return share < cap ? (size_t) share : cap;
}

bool
ssh_read(SshFile *file, const SshRange *range, void *buf, size_t cap,
		 size_t *got, Error *err)
{
	SshWait wait;
	ssize_t n;

	*got = 0;
	if (ssh_file_is_dead(file))
		return dead(err);
	cap = room_for(range, cap);
	if (cap == 0)
		return true;
	/* A seek throws away what was read ahead. */
	if (file->offset != range->offset)
		libssh2_sftp_seek64(file->handle, range->offset);
	file->offset = range->offset;
	wait = ssh_wait_begin(file->ssh, SSH_WAIT_DATA);
	do
		n = libssh2_sftp_read(file->handle, buf, cap);
	while (n == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (n < 0)
		return ssh_fail(file->ssh, n, "could not read file", err);
	file->offset += (uint64_t) n;
	*got = (size_t) n;
	return true;
}

bool
ssh_fsync(SshFile *file, Error *err)
{
	SshWait wait;
	int rc;

	if (ssh_file_is_dead(file))
		return dead(err);
	wait = ssh_wait_begin(file->ssh, SSH_WAIT_DISK);
	do
		rc = libssh2_sftp_fsync(file->handle);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	return rc == 0 || ssh_fail(file->ssh, rc, "could not fsync file", err);
}
