/*-------------------------------------------------------------------------
 *
 * file_reader.h
 *	  Reads files of a backup from wherever their bytes lie.
 *
 * Several frames stay in memory, for a file that is made of runs of several
 * packs comes from each of them in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FILE_READER_H
#define PGDR_FILE_READER_H

#include "repo/manifest.h"
#include "repo/object.h"

typedef struct FileReader FileReader;

/* Keeps both. */
extern FileReader *file_reader_new(Repo *repo, const Manifest *manifest);
extern void file_reader_free(FileReader *r); /* NULL is fine */

/*
 * Hands the bytes of the file to fn, in order.  Whether they are the file is
 * the caller's to find out: its content hash tells.  On failure *pack is the
 * one that could not be read, counted from 1 as in the manifest, 0 if it was
 * fn that failed.
 */
extern bool file_reader_read(FileReader *r, const ManifestFile *file,
							 StageSinkFn fn, void *arg, uint32_t *pack,
							 Error *err);

#endif
