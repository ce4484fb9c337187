/*-------------------------------------------------------------------------
 *
 * sftp_write.c
 *	  Writing an object to an SFTP server, so that it is there whole and
 *	  durable or not at all.
 *
 * The bytes go to a temporary name in the directory of the object, are made
 * durable by fsync, and get the name by a rename that does not replace.  SFTP
 * cannot fsync a directory; instead the file is made durable once more after
 * the rename: on ext4, XFS, btrfs and ZFS that forces out the entry of the
 * directory as well.
 *
 * An object of up to one block stays in memory until it is named, so that it
 * can be written anew over another connection.  Of a larger one the temporary
 * file is gone on with, after what is in it was read back and compared: between
 * the two connections the server may have crashed, and lost what it had said
 * it had.  sftp_name.c gives the name.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define BLOCK ((size_t) 8 * 1024 * 1024)

#define FILE_MODE 0600
#define FILE_MODE_ONCE 0400

#define MAX_TRIES 100

/* Time for removing a temporary file that is of no use any more. */
#define LAST_WORDS_TIME (5 * USECS_PER_SEC)

/* All is in memory: nothing that was written is needed. */
static bool
can_restart(const SftpWriter *w)
{
	return w->blocks == 0;
}

/* This try was the last one, but the whole object may well be tried again. */
static bool
interrupted(SftpWriter *w, const char *detail, Error *err)
{
	error_clear(err);
	error_set(err, ERR_IO, "the connection broke while the object was written");
	err->transient = true;
	error_detail(err, "%s", detail);
	w->ss->final = true;
	return false;
}

/*
 * The temporary file
 */

/* Directories are made only when the server misses them. */
static bool
create_temp(SftpWriter *w, Error *err)
{
	SftpStorage *ss = w->ss;
	int mode = ss->write_once ? FILE_MODE_ONCE : FILE_MODE;
	Error cause = ERROR_INIT;

	for (int try = 0; try < MAX_TRIES; try++)
	{
		free(w->temp);
		w->temp = NULL;
		if (!sftp_temp_path(w->target, &w->temp, err))
			return false;
		if (ssh_open(ss->ssh, w->temp, SSH_CREATE, mode, &w->file, &cause))
			return true;
		if (cause.code != ERR_NOT_FOUND)
		{
			sftp_explain(ss, 0, &cause);
			error_move(err, &cause);
			return false;
		}
		error_clear(&cause);
		if (!sftp_make_parents(w->ss, w->target, err))
			return false;
	}
	error_set(err, ERR_BUSY, "could not keep a directory to write to");
	err->transient = true;
	return false;
}

static bool
restart(SftpWriter *w, Error *err)
{
	Error ignored = ERROR_INIT;

	if (w->temp != NULL)
		ssh_unlink(w->ss->ssh, w->temp, &ignored);
	error_clear(&ignored);
	w->sync_sent = false;
	return create_temp(w, err);
}

/* Compares one block of the temporary file with what was written to it. */
static bool
verify_block(SftpWriter *w, size_t number, char *buf, Error *err)
{
	SshRange range = {.offset = w->head_len + (uint64_t) number * BLOCK,
					  .left = BLOCK};
	uint8_t sum[SHA256_LEN];
	size_t len = 0;
	size_t got = 1;

	while (range.left > 0 && got > 0)
	{
		if (!ssh_read(w->file, &range, buf + len, BLOCK - len, &got, err))
			return false;
		sftp_pass_download(w->ss, got);
		range.offset += got;
		range.left -= got;
		len += got;
	}
	sha256_once(buf, len, sum);
	return len == BLOCK && memcmp(sum, w->sums[number], SHA256_LEN) == 0;
}

static bool
verify_temp(SftpWriter *w, Error *err)
{
	char *buf = mem_alloc(BLOCK);
	bool done = true;

	for (size_t i = 0; done && i < w->blocks; i++)
		done = verify_block(w, i, buf, err);
	free(buf);
	if (done || err->transient || err->code == ERR_CANCELED)
		return done;
	return interrupted(w,
					   "What was written before could not be read back "
					   "from the server as it was.",
					   err);
}

static bool
resume(SftpWriter *w, Error *err)
{
	Error cause = ERROR_INIT;

	if (w->ss->write_once)
		return interrupted(w,
						   "With \"write-once\" a file cannot be opened "
						   "again to go on writing.",
						   err);
	if (ssh_open(w->ss->ssh, w->temp, SSH_REOPEN, 0, &w->file, &cause))
		return verify_temp(w, err);
	if (cause.transient || cause.code == ERR_CANCELED)
	{
		error_move(err, &cause);
		return false;
	}
	error_clear(&cause);
	return interrupted(w, "The temporary file could not be opened again.", err);
}

static bool
ensure_file(SftpWriter *w, Error *err)
{
	if (w->file != NULL && !ssh_file_is_dead(w->file))
		return true;
	ssh_file_close(w->file);
	w->file = NULL;
	return can_restart(w) ? restart(w, err) : resume(w, err);
}

/*
 * Blocks
 */

static bool
send_bytes(SftpWriter *w, uint64_t offset, const char *data, size_t len,
		   Error *err)
{
	while (len > 0)
	{
		size_t n = limit_upload_chunk(w->ss->limit, len);

		sftp_pass_upload(w->ss, n);
		if (!ssh_write(w->file, offset, data, n, err))
		{
			sftp_explain(w->ss, len, err);
			return false;
		}
		offset += n;
		data += n;
		len -= n;
	}
	return true;
}

static bool
step_block(SftpStorage *ss, void *arg, Error *err)
{
	SftpWriter *w = arg;

	(void) ss;
	return ensure_file(w, err) &&
		   send_bytes(w, w->offset, w->buf.data, w->buf.len, err);
}

static bool
flush_block(SftpWriter *w, Error *err)
{
	if (!sftp_run(w->ss, step_block, w, err))
		return false;
	w->sums = mem_grow(w->sums, w->blocks, &w->sums_cap, SHA256_LEN);
	sha256_once(w->buf.data, w->buf.len, w->sums[w->blocks]);
	w->blocks++;
	w->offset += w->buf.len;
	strbuf_reset(&w->buf);
	return true;
}

bool
sftp_write_open(Storage *st, const char *name, size_t head_len,
				StorageWriter **out, Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	SftpWriter *w = mem_zalloc(sizeof(*w));

	(void) err;
	w->base.driver = &storage_sftp;
	w->ss = ss;
	w->target = sftp_path(ss, name);
	w->head_len = head_len;
	w->offset = head_len;
	*out = &w->base;
	return true;
}

bool
sftp_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	SftpWriter *w = (SftpWriter *) sw;
	const char *p = data;

	while (len > 0)
	{
		size_t room = BLOCK - w->buf.len;
		size_t n = len < room ? len : room;

		if (n == 0)
		{
			if (!flush_block(w, err))
				return false;
			continue;
		}
		strbuf_add(&w->buf, p, n);
		p += n;
		len -= n;
	}
	return true;
}

/*
 * The end
 */

/* What is sent at once needs no second round trip for its head. */
static void
put_head_before(SftpWriter *w)
{
	StrBuf whole = STRBUF_INIT;

	if (!can_restart(w) || w->head_len == 0)
		return;
	strbuf_reserve(&whole, w->head_len + w->buf.len);
	strbuf_add(&whole, w->head, w->head_len);
	if (w->buf.len > 0)
		strbuf_add(&whole, w->buf.data, w->buf.len);
	strbuf_free(&w->buf);
	w->buf = whole;
	w->offset = 0;
}

static bool
send_rest(SftpWriter *w, Error *err)
{
	return send_bytes(w, w->offset, w->buf.data, w->buf.len, err) &&
		   (can_restart(w) || send_bytes(w, 0, w->head, w->head_len, err));
}

static bool
sync_temp(SftpWriter *w, Error *err)
{
	if (!w->ss->sync)
		return true;
	w->sync_sent = true;
	if (ssh_fsync(w->file, err))
		return true;
	if (err->code == ERR_UNSUPPORTED)
		return sftp_no_sync(err);
	sftp_explain(w->ss, 0, err);
	return false;
}

/*
 * After this the bytes are on the server's disk.  When the answer to fsync got
 * lost, another fsync says nothing: the kernel may have told of an error in
 * the answer that we did not get, and tells of each only once.
 */
static bool
step_finish(SftpStorage *ss, void *arg, Error *err)
{
	SftpWriter *w = arg;
	uint64_t size = w->offset + w->buf.len;

	if (!w->synced && w->sync_sent && !can_restart(w))
		return interrupted(w,
						   "It is not known whether the server's disk has "
						   "all of it.",
						   err);
	if (!w->synced &&
		(!ensure_file(w, err) || !send_rest(w, err) || !sync_temp(w, err)))
		return false;
	w->synced = true;
	if (!ssh_lstat(ss->ssh, w->temp, &w->attrs, err))
	{
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_IO;
		return false;
	}
	if (w->attrs.size != size)
		return error_set(err, ERR_IO,
						 "file has %" PRIu64 " bytes instead of %" PRIu64,
						 w->attrs.size, size);
	return true;
}

/*
 * Frees everything.  What was not named goes, with directories made for it;
 * but not over a connection of its own: sweep finds it as well.
 */
static void
dispose(SftpWriter *w)
{
	SftpStorage *ss = w->ss;
	Error ignored = ERROR_INIT;

	if (w->temp != NULL && !w->named && !w->keep_temp && ss->ssh != NULL &&
		!ssh_is_lost(ss->ssh))
	{
		ssh_set_last_words(ss->ssh, true);
		ssh_set_deadline(ss->ssh, clock_monotonic() + LAST_WORDS_TIME);
		ssh_file_close(w->file);
		w->file = NULL;
		if (ssh_unlink(ss->ssh, w->temp, &ignored))
			sftp_prune(ss, w->target);
		ssh_set_last_words(ss->ssh, false);
		error_clear(&ignored);
	}
	ssh_file_close(w->file);
	strbuf_free(&w->buf);
	free(w->sums);
	free(w->target);
	free(w->temp);
	free(w);
}

bool
sftp_commit(StorageWriter *sw, const void *head, Error *err)
{
	SftpWriter *w = (SftpWriter *) sw;
	bool done;

	w->head = head;
	put_head_before(w);
	done = sftp_run(w->ss, step_finish, w, err) &&
		   sftp_run(w->ss, sftp_step_name, w, err);
	if (done && !sftp_run(w->ss, sftp_step_sync_name, w, err))
		done = error_detail(err, "The object may be visible, but it is not "
								 "known to be durable.");
	dispose(w);
	return done;
}

void
sftp_abort(StorageWriter *sw)
{
	if (sw != NULL)
		dispose((SftpWriter *) sw);
}
