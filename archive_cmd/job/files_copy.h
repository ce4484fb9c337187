/*-------------------------------------------------------------------------
 *
 * files_copy.h
 *	  Reads one file of a backup of files, and sees whether it held still.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FILES_COPY_H
#define PGDR_FILES_COPY_H

#include <stdatomic.h>

#include "job/files_scan.h"
#include "job/target_writer.h"

typedef struct FilesCopy
{
	TargetWriter *writer;
	uint8_t *buffer;                  /* FILES_READ_SIZE bytes */
	atomic_uint_fast64_t *attributes; /* files that have extended ones */
} FilesCopy;

#define FILES_READ_SIZE (1024 * 1024)

/* *copied is false if the file is not there any more. */
extern bool files_copy(FilesCopy *c, const FilesEntry *entry, uint32_t owner,
					   bool *copied, Error *err);

#endif
