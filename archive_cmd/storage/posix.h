/*-------------------------------------------------------------------------
 *
 * posix.h
 *	  What the files of the posix driver share; nobody else includes this.
 *
 * The root directory is opened once and everything is done relative to it.
 * Below the root no symbolic link is followed.  Directories are made with mode
 * 0700, objects with 0600: what is not encrypted is the user's own business,
 * never the group's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_POSIX_H
#define PGDR_POSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/clock.h"
#include "storage/storage.h"

#define POSIX_DIR_MODE 0700
#define POSIX_FILE_MODE 0600

typedef struct PosixStorage
{
	Storage base;
	char *root; /* as configured */
	int fd;     /* of the root */
	dev_t dev;  /* of the root, to see that it is still the same */
	ino_t ino;
} PosixStorage;

/* One component of a name, and what a temporary name needs. */
typedef char PosixName[STORAGE_COMPONENT_MAX + 1];

/*
 * error_set_errno() for a step inside an operation: ENOENT and EEXIST become
 * ERR_IO, because only the driver knows when they are answers; sets transient.
 */
extern bool posix_fail(Error *err, int errnum, const char *what);

/*
 * The directory of a name ("" is the root; the caller frees it) and its last
 * component (which points into name).
 */
extern void posix_split(const char *name, char **dir, const char **base);

/* ERR_IO with a hint unless the root is still there and still the same. */
extern bool posix_check_root(PosixStorage *ps, Error *err);

/*
 * Opens a directory below the root.  *fd is -1 if the store answered that
 * there is none (also when a file is in the way).
 */
extern bool posix_open_dir(PosixStorage *ps, const char *dir, int *fd,
						   Error *err);

/*
 * Likewise, making what is missing.  *fd is -1 if a directory vanished while
 * we were on the way down (expiry removes empty ones): try again.
 */
extern bool posix_make_dir(PosixStorage *ps, const char *dir, int *fd,
						   Error *err);

/*
 * fsync of the directory dirfd and of all above it up to the root, depth
 * levels up.
 */
extern bool posix_sync_dirs(int dirfd, int depth, Error *err);

/* Number of directories between an object and the root. */
extern int posix_depth(const char *name);

/*
 * Removes the directories above name as long as they are empty.  Failing is
 * no error: it only tidies.
 */
extern void posix_prune(PosixStorage *ps, const char *name);

/*
 * Finds an object: *dirfd is its open directory (the caller closes it),
 * ERR_NOT_FOUND if there is none.
 */
extern bool posix_find(PosixStorage *ps, const char *name, int *dirfd,
					   struct stat *sb, Error *err);

/* Microseconds since 1970. */
static inline int64_t
posix_mtime(const struct stat *sb)
{
	return sb->st_mtim.tv_sec * USECS_PER_SEC + sb->st_mtim.tv_nsec / 1000;
}

/* Error for what is neither file nor directory; name is for the message. */
extern bool posix_alien(mode_t mode, const char *name, Error *err);

/* A temporary name for base, and whether a name is one of those. */
extern bool posix_temp_name(const char *base, PosixName out, Error *err);
extern bool posix_is_temp_name(const char *name);

/* The part of the driver table that is in posix_write.c and posix_list.c. */
extern bool posix_write_open(Storage *st, const char *name, size_t head_len,
							 StorageWriter **out, Error *err);
extern bool posix_write(StorageWriter *sw, const void *data, size_t len,
						Error *err);
extern bool posix_commit(StorageWriter *sw, const void *head, Error *err);
extern void posix_abort(StorageWriter *sw);
extern bool posix_list(Storage *st, const char *prefix, bool recursive,
					   StorageListFn fn, void *arg, Error *err);
extern bool posix_sweep(Storage *st, int64_t older_than_usecs,
						uint64_t *removed, Error *err);

#endif
