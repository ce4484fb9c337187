/*-------------------------------------------------------------------------
 *
 * restore_tree.h
 *	  Files below a directory, reached without following a symbolic link:
 *	  paths out of a manifest never lead out of the directory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_TREE_H
#define PGDR_RESTORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Relative, no empty component, no "." and "..", no control to a parent. */
extern bool tree_path_ok(const char *path);

/* The last directory opened, because the next file is mostly in it too. */
typedef struct TreeCache
{
	int root;   /* of which fd */
	char *path; /* "" is the root itself; NULL: none */
	int fd;
} TreeCache;

#define TREE_CACHE_INIT \
	{                   \
		-1, NULL, -1    \
	}
extern void tree_cache_free(TreeCache *cache);

/*
 * Opens the directory that holds path, which is relative to root; *leaf is
 * the last component (in path).  The descriptor stays the cache's.  where is
 * root's name for messages.
 */
extern bool tree_parent(int root, const char *where, const char *path,
						TreeCache *cache, int *fd, const char **leaf,
						Error *err);

/* A directory with exactly this mode; one that is there already will do. */
extern bool tree_mkdir(int root, const char *where, const char *path,
					   mode_t mode, TreeCache *cache, Error *err);

/*
 * Is there anything in the directory, besides the entry called except (may be
 * NULL) and what file_write_durable() leaves when it is killed?
 */
extern bool tree_is_empty(int fd, const char *where, const char *except,
						  bool *empty, Error *err);

/*
 * Removes all that is in the directory, except the entry called keep (may be
 * NULL).  Links are removed, not followed; a directory that is a mount point is
 * emptied and stays.
 */
extern bool tree_empty(int fd, const char *where, const char *keep, Error *err);

/*
 * Makes all that is in the directory durable, it included: by syncfs() where
 * that tells of errors, else file by file.
 */
extern bool tree_sync(int fd, const char *where, Error *err);

/* file by file; for file systems and kernels without a useful syncfs() */
extern bool tree_fsync(int fd, const char *where, Error *err);

#endif
