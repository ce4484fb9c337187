/*-------------------------------------------------------------------------
 *
 * sftp_read.c
 *	  Reading an object from an SFTP server.  When the connection breaks in
 *	  the middle, the rest is read over another one.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* libssh2 has four times as much under way. */
#define READ_CHUNK ((size_t) 512 * 1024)

typedef struct SftpReader
{
	StorageReader base;
	SftpStorage *ss;
	char *path;
	SshFile *file; /* may be dead */
	SshAttrs attrs;
	SshRange range;
	char *chunk; /* bytes that were read before range.offset */
	size_t chunk_len;
	size_t chunk_used;
} SftpReader;

static bool
open_file(SftpReader *r, SshAttrs *attrs, Error *err)
{
	SftpStorage *ss = r->ss;
	Error cause = ERROR_INIT;

	if (!ssh_open(ss->ssh, r->path, SSH_READ, 0, &r->file, &cause))
	{
		if (cause.code == ERR_NOT_FOUND)
			sftp_absent(ss, err);
		else
			error_move(err, &cause);
		error_clear(&cause);
		return false;
	}
	if (!ssh_fstat(r->file, attrs, err))
		return false;
	if (attrs->kind == SSH_DIR)
		return sftp_absent(ss, err);
	return attrs->kind == SSH_FILE || sftp_alien(r->path, err);
}

static bool
step_open(SftpStorage *ss, void *arg, Error *err)
{
	SftpReader *r = arg;

	(void) ss;
	ssh_file_close(r->file);
	r->file = NULL;
	return open_file(r, &r->attrs, err);
}

/* Objects never change: another size or time is another object. */
static bool
reopen(SftpReader *r, Error *err)
{
	SshAttrs now;

	ssh_file_close(r->file);
	r->file = NULL;
	if (!open_file(r, &now, err))
		return false;
	if (now.size == r->attrs.size && now.mtime == r->attrs.mtime)
		return true;
	return error_set(err, ERR_IO, "object changed while it was read");
}

static bool
step_read(SftpStorage *ss, void *arg, Error *err)
{
	SftpReader *r = arg;
	size_t got = 0;

	if ((r->file == NULL || ssh_file_is_dead(r->file)) && !reopen(r, err))
		return false;
	if (!ssh_read(r->file, &r->range, r->chunk, READ_CHUNK, &got, err))
	{
		/* Of an open file this is no answer about the object. */
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_IO;
		return false;
	}
	if (got == 0)
		return error_set(err, ERR_IO, "file ends before its size");
	sftp_pass_download(ss, got);
	r->range.offset += got;
	r->range.left -= got;
	r->chunk_len = got;
	r->chunk_used = 0;
	return true;
}

bool
sftp_read_open(Storage *st, const char *name, uint64_t offset, uint64_t length,
			   StorageReader **out, Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	SftpReader *r = mem_zalloc(sizeof(*r));
	uint64_t size;

	r->base.driver = &storage_sftp;
	r->ss = ss;
	r->path = sftp_path(ss, name);
	if (!sftp_run(ss, step_open, r, err))
	{
		sftp_read_close(&r->base);
		return false;
	}
	size = r->attrs.size;
	r->range.offset = offset < size ? offset : size;
	r->range.left = size - r->range.offset;
	if (length < r->range.left)
		r->range.left = length;
	*out = &r->base;
	return true;
}

bool
sftp_read(StorageReader *sr, void *buf, size_t cap, size_t *got, Error *err)
{
	SftpReader *r = (SftpReader *) sr;
	size_t n;

	if (r->chunk_used == r->chunk_len && r->range.left > 0)
	{
		if (r->chunk == NULL)
			r->chunk = mem_alloc(READ_CHUNK);
		if (!sftp_run(r->ss, step_read, r, err))
			return false;
	}
	n = r->chunk_len - r->chunk_used;
	if (n > cap)
		n = cap;
	if (n > 0)
		memcpy(buf, r->chunk + r->chunk_used, n);
	r->chunk_used += n;
	*got = n;
	return true;
}

void
sftp_read_close(StorageReader *sr)
{
	SftpReader *r = (SftpReader *) sr;

	if (r == NULL)
		return;
	ssh_file_close(r->file);
	free(r->chunk);
	free(r->path);
	free(r);
}
