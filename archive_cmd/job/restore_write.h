/*-------------------------------------------------------------------------
 *
 * restore_write.h
 *	  Writes pieces of files, by several workers, and completes a file when
 *	  the last of it has come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_WRITE_H
#define PGDR_RESTORE_WRITE_H

#include <pthread.h>

#include "base/progress.h"
#include "job/restore_places.h"
#include "job/restore_slice.h"

typedef struct RestoreFile RestoreFile;

/* Shared by all workers. */
typedef struct RestoreOutput
{
	/* fixed */
	const RestorePlaces *places;
	const Manifest *manifest;
	const ContentKey *key;
	const char *control_name; /* for global/pg_control */
	bool in_place;            /* files may be there already, and be longer */
	Progress *progress;       /* or NULL */

	/* mutable, under lock */
	pthread_mutex_t lock;
	pthread_cond_t moved; /* another worker has hashed its part of a file */
	RestoreFile *files;   /* by their number in the manifest */
} RestoreOutput;

/* After slices are made: they tell how much there is to come of each file. */
extern void restore_output_init(RestoreOutput *out,
								const RestoreSlices *slices);
extern void restore_output_free(RestoreOutput *out);

/* Is there anything to come of this file? */
extern bool restore_output_waits(const RestoreOutput *out, size_t file);

/* One worker's open file. */
typedef struct RestoreWriter
{
	RestoreOutput *out;
	TreeCache cache;
	ContentHash *hash;
	int fd; /* -1: none */
	size_t file;
} RestoreWriter;

extern void restore_writer_init(RestoreWriter *w, RestoreOutput *out);
extern void restore_writer_free(RestoreWriter *w);

/*
 * Writes a piece.  Slices must be given to workers in their order, for parts of
 * a file are hashed in order.  With the last piece the file is compared with
 * its content hash, and gets its mode and time.  *differs: all was written, but
 * the hash is another one, and there is no error.
 */
extern bool restore_write(RestoreWriter *w, const RestorePiece *piece,
						  const uint8_t *data, bool *differs, Error *err);

/* The file as it lies there now: complete, if the hash is the right one. */
extern bool restore_write_check(RestoreWriter *w, size_t file, bool *differs,
								Error *err);

/* A file that consists of nothing but zeros, which take no space. */
extern bool restore_write_zeros(RestoreWriter *w, size_t file, Error *err);

/* Only overwrites; for what was found to be wrong. */
extern bool restore_rewrite(RestoreWriter *w, const RestorePiece *piece,
							const uint8_t *data, Error *err);

/* Mode and time of the backup. */
extern bool restore_set_attributes(int fd, const ManifestFile *file,
								   Error *err);

/* After the last piece of a slice. */
extern bool restore_writer_close(RestoreWriter *w, Error *err);

#endif
