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

typedef enum TreeVerdict
{
	TREE_KEEP,
	TREE_REMOVE, /* with all that is in it */
	TREE_DESCEND /* keep the directory, and ask for what is in it */
} TreeVerdict;

/* path: from the root of the walk. */
struct stat;
typedef TreeVerdict (*TreeJudgeFn)(void *arg, const char *path,
								   const struct stat *st);

typedef struct TreePrune
{
	const char *where; /* the root's name for messages */
	TreeJudgeFn judge;
	void *arg;
} TreePrune;

/*
 * Asks for each entry of the directory whether it stays.  name is that of the
 * directory itself, from the root; "" if it is the root.
 */
extern bool tree_prune(const TreePrune *prune, int fd, const char *name,
					   Error *err);

/*
 * Makes all that is in the directory durable, it included: by syncfs() where
 * that tells of errors, else file by file.
 */
extern bool tree_sync(int fd, const char *where, Error *err);

/* file by file; for file systems and kernels without a useful syncfs() */
extern bool tree_fsync(int fd, const char *where, Error *err);

#endif
