/*-------------------------------------------------------------------------
 *
 * sftp.h
 *	  What the files of the sftp driver share; nobody else includes this.
 *
 * Each operation is made of steps that can be done again after the connection
 * broke: sftp_run() connects, runs the step, and tries again when the error is
 * transient.  A step that does something which must not be done twice finds
 * out first what became of it.
 *
 * Directories are made with mode 0700, objects with 0600, or 0400 with the key
 * write-once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SFTP_H
#define PGDR_SFTP_H

#include "storage/limit.h"
#include "storage/retry.h"
#include "storage/ssh.h"
#include "storage/storage.h"

#define SFTP_DIR_MODE 0700

typedef struct SftpStorage
{
	Storage base;
	char *root; /* absolute, without a slash at its end */
	SshOptions server;
	RetryPolicy policy;
	Limit *limit;
	bool sync;       /* fsync is asked for */
	bool write_once; /* objects get no right to be written to */

	Ssh *ssh;         /* NULL: not connected at the moment */
	bool rename_safe; /* the server's rename is known not to replace */
	int64_t waited;   /* for rate limits, during the present step */
	bool final;       /* set by a step: no further try of it */
} SftpStorage;

typedef bool (*SftpStep)(SftpStorage *ss, void *arg, Error *err);
extern bool sftp_run(SftpStorage *ss, SftpStep step, void *arg, Error *err);

/* Connects unless connected; a connection that was lost is dropped. */
extern bool sftp_connect(SftpStorage *ss, Error *err);

/* Rate limits; what they made wait no time-out counts. */
extern void sftp_pass_upload(SftpStorage *ss, size_t bytes);
extern void sftp_pass_download(SftpStorage *ss, size_t bytes);

/* sftp_path.c.  All of these are used inside of steps. */

/* Absolute path of an object or directory ("" is the root); caller frees. */
extern char *sftp_path(const SftpStorage *ss, const char *name);

/* ERR_IO with a hint unless the root is there. */
extern bool sftp_check_root(SftpStorage *ss, Error *err);

/* ERR_NOT_FOUND, if the root is there. */
extern bool sftp_absent(SftpStorage *ss, Error *err);

/* ERR_NOT_FOUND if there is no such object; path is absolute. */
extern bool sftp_find(SftpStorage *ss, const char *path, SshAttrs *out,
					  Error *err);

/* Error for what is neither file nor directory. */
extern bool sftp_alien(const char *path, Error *err);

/*
 * Makes a directory and what is missing above it, but nothing above the first
 * keep bytes of the path, which are the root.
 */
extern bool sftp_make_dirs(SftpStorage *ss, const char *path, size_t keep,
						   Error *err);

/* Those above an object. */
extern bool sftp_make_parents(SftpStorage *ss, const char *path, Error *err);

/* Removes the directories above an object as long as they are empty. */
extern void sftp_prune(SftpStorage *ss, const char *path);

/*
 * Servers say "failure" for most things.  If the file system is full, with
 * respect to need bytes more, or read-only, *err becomes that.
 */
extern void sftp_explain(SftpStorage *ss, uint64_t need, Error *err);

/* A temporary name beside path; caller frees. */
extern bool sftp_temp_path(const char *path, char **out, Error *err);
extern bool sftp_is_temp_name(const char *name);

/* ERR_UNSUPPORTED if the server's rename replaces what is in the way. */
extern bool sftp_check_rename(SftpStorage *ss, Error *err);
/* ERR_UNSUPPORTED with a hint, for a server without fsync. */
extern bool sftp_no_sync(Error *err);
/* Makes an object durable that is there. */
extern bool sftp_sync_object(SftpStorage *ss, const char *path, Error *err);

/* The part of the driver table that is in other files. */
extern bool sftp_read_open(Storage *st, const char *name, uint64_t offset,
						   uint64_t length, StorageReader **out, Error *err);
extern bool sftp_read(StorageReader *sr, void *buf, size_t cap, size_t *got,
					  Error *err);
extern void sftp_read_close(StorageReader *sr);
extern bool sftp_write_open(Storage *st, const char *name, size_t head_len,
							StorageWriter **out, Error *err);
extern bool sftp_write(StorageWriter *sw, const void *data, size_t len,
					   Error *err);
extern bool sftp_commit(StorageWriter *sw, const void *head, Error *err);
extern void sftp_abort(StorageWriter *sw);
extern bool sftp_list(Storage *st, const char *prefix, bool recursive,
					  StorageListFn fn, void *arg, Error *err);
extern bool sftp_replace(Storage *st, const char *from, const char *to,
						 Error *err);
extern bool sftp_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
					   Error *err);

#endif
