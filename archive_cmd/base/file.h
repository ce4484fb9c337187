/*-------------------------------------------------------------------------
 *
 * file.h
 *	  Local files, done durably: complete writes, fsync of file and directory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FILE_H
#define PGDR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"

#define FILE_TMP_PREFIX ".pgdr-tmp-"

/* Whole transfers: EINTR and short transfers are dealt with. */
extern bool file_write_all(int fd, const void *data, size_t len,
						   const char *path, Error *err);
extern bool file_pwrite_all(int fd, const void *data, size_t len,
							uint64_t offset, const char *path, Error *err);

/* Reads up to len bytes; *got < len only at the end of the file. */
extern bool file_pread_full(int fd, void *data, size_t len, uint64_t offset,
							size_t *got, const char *path, Error *err);
extern bool file_read_full(int fd, void *data, size_t len, size_t *got,
						   const char *path, Error *err);

/* The whole of a small file; larger than max is ERR_DAMAGED.  *out is reset
 * first, and holds nothing of use after an error. */
extern bool file_slurp(const char *path, size_t max, StrBuf *out, Error *err);

/*
 * Like file_slurp for a file with a secret: ERR_KEY with a hint when group or
 * others have any right to it; ERR_KEY also when it is absent or not ours to
 * read (a key that is missing must never read as "no such segment", nor as a
 * store that does not let us look).  The buffer is not
 * moved while it is filled, so one explicit_bzero() of *out wipes the secret.
 */
extern bool file_slurp_secret(const char *path, size_t max, StrBuf *out,
							  Error *err);

/* fsync of an open file or of the directory at path. */
extern bool file_fsync(int fd, const char *path, Error *err);
extern bool file_fsync_dir(const char *path, Error *err);
/* fsync of the directory that holds path. */
extern bool file_fsync_parent(const char *path, Error *err);

/* mkdir -p, each new directory made durable in its parent. */
extern bool file_mkdir_p(const char *path, mode_t mode, Error *err);

/*
 * Writes path by way of a temporary name in the same directory, durably.
 * Replaces an existing file only if replace is true, else ERR_EXISTS; that
 * holds against a concurrent writer too.  The temporary name starts with
 * FILE_TMP_PREFIX; one is left behind only when the process is killed.
 */
extern bool file_write_durable(const char *path, const void *data, size_t len,
							   mode_t mode, bool replace, Error *err);

/*
 * *out: does it exist (symbolic links followed)?  False is returned only when that could not be found
 * out.
 */
extern bool file_exists(const char *path, bool *out, Error *err);

/* Is the directory empty (or absent)? */
extern bool file_dir_is_empty(const char *path, bool *out, Error *err);

/* Absolute by its text (links are not resolved), without ".", ".." and doubled slashes; need not exist. */
extern char *file_absolute(const char *path);
/* dir + "/" + name; caller frees. */
extern char *file_join(const char *dir, const char *name);

#endif
