/*-------------------------------------------------------------------------
 *
 * tar.h
 *	  Headers of a tar stream: POSIX ustar, with pax records where a name, a
 *	  size or a time does not fit.
 *
 * Pure: it makes bytes.  What stands between the headers (contents, padding,
 * the end) is repo/pack.c's business.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TAR_H
#define PGDR_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define TAR_BLOCK 512
#define TAR_END_LEN (2 * TAR_BLOCK) /* zeros that end a stream */

typedef struct TarOwner
{
	uint32_t uid;
	uint32_t gid;
	const char *user; /* NULL: numbers only */
	const char *group;
} TarOwner;

typedef struct TarEntry
{
	const char *path; /* relative; any bytes, any length */
	bool is_dir;
	uint32_t mode;         /* permission bits */
	uint64_t size;         /* of the contents; 0 for a directory */
	int64_t mtime;         /* microseconds since 1970; kept in whole seconds */
	const TarOwner *owner; /* NULL: root by number */
	const char *link;      /* what a symbolic link says; NULL: it is none */
	bool is_hard;          /* link is the path of another entry, and this is one
					   * more name of it */
} TarEntry;

/*
 * Adds the header of one entry to out: a multiple of TAR_BLOCK bytes, behind
 * which entry->size bytes and tar_padding() zeros must follow.
 */
extern void tar_header(StrBuf *out, const TarEntry *entry);

/* Zeros that fill the last block of contents. */
static inline size_t
tar_padding(uint64_t size)
{
	return (size_t) ((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

#endif
