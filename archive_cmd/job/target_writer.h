/*-------------------------------------------------------------------------
 *
 * target_writer.h
 *	  Writes files into the packs of a backup that is not one of the cluster.
 *
 * Each thread has its own: its own connection, and its own pack.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_WRITER_H
#define PGDR_TARGET_WRITER_H

#include "base/child.h"
#include "job/target_backup.h"
#include "repo/pack.h"

/*
 * What is longer lies in the packs in parts of this size, as PATH.part000001
 * and so on, if its length is not known before: tar wants it first.
 */
#define TARGET_PART_SIZE (16 * 1024 * 1024)

typedef struct TargetFile
{
	const char *path;
	uint64_t size;
	int64_t mtime; /* microseconds since 1970 */
	uint32_t mode;
	uint32_t owner; /* backup_build_find_owner(); 0: nobody's in particular */
	bool sparse;    /* it has holes */
} TargetFile;

typedef struct TargetWriter TargetWriter;

extern bool target_writer_open(TargetBackup *b, TargetWriter **out, Error *err);

/* Makes the pack in work durable; without it, close() throws it away. */
extern bool target_writer_commit(TargetWriter *w, Error *err);
extern void target_writer_close(TargetWriter *w); /* NULL is fine */

/* All directories above that path, for the manifest. */
extern void target_writer_parents(TargetWriter *w, const char *path);

/* The pack in work, made if there is none: for what is no file. */
extern bool target_writer_pack(TargetWriter *w, PackWriter **out, Error *err);

/* What was said of the size of all before the copy has changed by so much. */
extern void target_writer_announce(TargetWriter *w, int64_t bytes);

/* A file of exactly file->size bytes, in several calls. */
extern bool target_writer_begin(TargetWriter *w, const TargetFile *file,
								Error *err);
extern bool target_writer_write(TargetWriter *w, const void *data, size_t len,
								Error *err);
extern bool target_writer_end(TargetWriter *w, Error *err);

/*
 * The file in work has changed under our eyes: what was written of it is no
 * part of the backup.  The rest of what was announced is filled up.
 */
extern bool target_writer_discard(TargetWriter *w, Error *err);

/* All at a time. */
extern bool target_writer_put(TargetWriter *w, const TargetFile *file,
							  const void *data, Error *err);

/*
 * What the child writes becomes a file; file->size is not looked at.  True
 * only when the child has ended with success.
 */
extern bool target_writer_run(TargetWriter *w, const TargetFile *file,
							  const ChildSpec *child, Error *err);

#endif
