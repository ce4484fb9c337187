/*-------------------------------------------------------------------------
 *
 * backup_file.h
 *	  Copies one file into a pack: reads it once, looks at its pages, and
 *	  computes on the way what the manifest says of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_FILE_H
#define PGDR_BACKUP_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/progress.h"
#include "job/backup_build.h"
#include "pg/datadir.h"
#include "pg/server.h"
#include "repo/pack.h"

/* How far the server's WAL has come: no page can be from later. */
typedef struct WalLimit
{
	/* fixed */
	Server *server;

	/* mutable */
	pthread_mutex_t lock;     /* of the connection */
	atomic_uint_fast64_t lsn; /* may be behind the server, never ahead */
} WalLimit;

typedef struct FileCopySpec
{
	const char *pgdata;
	const char *algorithm; /* "CRC32C", "SHA256", "NONE" */
	const ContentKey *content;
	TarOwner owner;
	bool check_pages;
	uint64_t start_lsn; /* of the backup; with check_pages */
	WalLimit *limit;    /* likewise */
	BackupBuild *build; /* gets the file and the damage found in it */
	Progress *progress;
} FileCopySpec;

/* Reused from file to file, by one thread. */
typedef struct FileCopier FileCopier;

extern FileCopier *file_copier_new(const FileCopySpec *spec); /* keeps spec */
extern void file_copier_free(FileCopier *c);                  /* NULL is fine */

/*
 * Opens a file of the data directory.  *vanished: it is not there any more,
 * and nothing is open.
 */
extern bool file_copier_open(FileCopier *c, const DataFile *file,
							 bool *vanished, Error *err);

/*
 * Copies the file just opened into the pack, with the size that it has now:
 * what is added meanwhile is left to WAL replay, what is cut off is replaced
 * by zeros.  Closes it, also on failure.
 */
extern bool file_copier_run(FileCopier *c, PackWriter *pack, Error *err);

/*
 * Copies what is in memory as a file.  Contents too long for memory go through
 * begin, write, end: exactly file->size bytes.
 */
extern bool file_copier_put(FileCopier *c, PackWriter *pack,
							const DataFile *file, const void *data, Error *err);
extern bool file_copier_begin(FileCopier *c, PackWriter *pack,
							  const DataFile *file, Error *err);
extern bool file_copier_write(FileCopier *c, const void *data, size_t len,
							  Error *err);
extern bool file_copier_end(FileCopier *c, Error *err);

#endif
