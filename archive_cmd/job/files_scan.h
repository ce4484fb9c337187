/*-------------------------------------------------------------------------
 *
 * files_scan.h
 *	  Lists what lies at and below some paths, for a backup of files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FILES_SCAN_H
#define PGDR_FILES_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

typedef enum FilesKind
{
	FILES_DIR,
	FILES_FILE,
	FILES_LINK, /* symbolic */
	FILES_HARD  /* another name of a file that is in the list */
} FilesKind;

typedef struct FilesEntry
{
	FilesKind kind;
	char *path; /* absolute without the slash in front */
	char *to;   /* of a symbolic link what it says; of another name the
				 * path of the first; else NULL */
	uint64_t size;
	int64_t mtime; /* microseconds since 1970 */
	uint32_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	dev_t dev;
	ino_t ino;
	bool shared; /* it has several names */
} FilesEntry;

typedef struct FilesPlace
{
	dev_t dev;
	ino_t ino;
} FilesPlace;

typedef struct FilesSpec
{
	const char *const *paths; /* absolute */
	size_t path_count;
	const char *const *excludes; /* with a slash they are compared with the
								  * absolute path, else with the name; an
								  * excluded directory is so with all below */
	size_t exclude_count;
	const FilesPlace *avoid; /* directories that are passed over: a repository
							  * must not be backed up into itself */
	size_t avoid_count;
} FilesSpec;

typedef struct FilesScan
{
	FilesEntry *entries; /* by path: parents first */
	size_t count;
	size_t cap;
	uint64_t total_bytes; /* of the files */
	size_t file_count;
} FilesScan;

/*
 * Links are never followed, but for those on the way to a path.  A path that
 * does not exist is ERR_CONFIG, what may not be read ERR_DENIED.  Sockets,
 * FIFOs and devices are passed over with a warning, and so is what is to be
 * avoided.
 */
extern bool files_scan(const FilesSpec *spec, FilesScan *out, Error *err);
extern void files_scan_free(FilesScan *scan);

#endif
