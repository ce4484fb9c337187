/*-------------------------------------------------------------------------
 *
 * backup_file_internal.h
 *	  What the files that copy a file share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_FILE_INTERNAL_H
#define PGDR_BACKUP_FILE_INTERNAL_H

#include "job/backup_file.h"

#define FILE_READ_SIZE ((size_t) 1024 * 1024) /* whole pages */

struct FileCopier
{
	/* fixed */
	const FileCopySpec *spec;
	bool crc; /* which checksum backup_manifest wants */
	bool sha;
	uint8_t *buffer; /* FILE_READ_SIZE */
	ContentHash *content;
	Sha256 *sha256;

	/* of the file in work */
	int fd; /* -1: none is open */
	char *full_path;
	PackWriter *pack;
	ManifestFile file;
	uint64_t offset; /* of its contents in the pack */
	uint32_t crc32c;
	bool at_end; /* a read came short: the rest is zeros */
	bool check_pages;
	uint32_t first_block; /* of its segment, in the relation */
	uint32_t damaged;
};

/* The file just opened is read from its start. */
extern void file_copier_start(FileCopier *c);

/*
 * The next bytes of it into the buffer, want at most FILE_READ_SIZE, their
 * pages checked; what has been cut off meanwhile is zeros.
 */
extern bool file_copier_read(FileCopier *c, uint64_t offset, size_t want,
							 Error *err);

/* Hashes what belongs to the file; in order, all of it. */
extern bool file_copier_hash(FileCopier *c, const void *data, size_t len,
							 Error *err);

extern void file_copier_finish_hashes(FileCopier *c); /* into c->file */

/* Hands the file, whose hashes are complete, to the build. */
extern void file_copier_add(FileCopier *c, const BuildRun *runs, size_t count);

/* Forgets the file. */
extern void file_copier_forget(FileCopier *c);

#endif
