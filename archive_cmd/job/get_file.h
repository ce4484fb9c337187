/*-------------------------------------------------------------------------
 *
 * get_file.h
 *	  A file that appears under its name only when it is complete.
 *
 * Unlike file_write_durable() it is written piece by piece, it replaces what
 * is there, and what killed runs left beside it is removed.  A missing
 * directory is ERR_IO here, never ERR_NOT_FOUND.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_GET_FILE_H
#define PGDR_GET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct GetFile GetFile;

/*
 * Not durable: the disk begins to write it, and whoever uses it makes sure of
 * the rest.
 */
extern bool get_file_create(const char *path, bool durable, GetFile **out,
							Error *err);
extern bool get_file_write(GetFile *file, const void *data, size_t len,
						   Error *err);
/* Under its name; frees, also on failure (then nothing is left). */
extern bool get_file_commit(GetFile *file, Error *err);
extern void get_file_abort(GetFile *file);

#endif
