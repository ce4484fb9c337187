/*-------------------------------------------------------------------------
 *
 * push_source.h
 *	  The WAL file that is to be archived, opened and found to be one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_SOURCE_H
#define PGDR_PUSH_SOURCE_H

#include <sys/stat.h>

#include "base/mem.h"
#include "pg/control.h"
#include "pg/wal_page.h"

/* Bytes that a file is read in at a time, unless the taker says otherwise. */
#define PUSH_PIECE ((size_t) 1 << 20)

/* Bytes of a history file at most. */
#define PUSH_TEXT_MAX ((size_t) 1 << 20)

typedef struct PushSource
{
	const char *path;
	char file[WAL_FILE_NAME_MAX]; /* its name alone */
	WalName name;
	const struct PushGate *gate; /* or NULL */
	int threads;                 /* to compress with; 0: this one */
	const PgControl *control;
	int fd;
	struct stat before; /* as it was opened */
	WalPageHeader page; /* of segments, whole and partial */
	StrBuf text;        /* of history files: the whole */
} PushSource;

/* Called with each piece of the file, in order. */
typedef bool (*PushPieceFn)(void *arg, const void *data, size_t len,
							Error *err);
/* Where the next piece is to be read to; NULL on error. */
typedef void *(*PushRoomFn)(void *arg, Error *err);

typedef struct PushTaker
{
	PushPieceFn take;
	PushRoomFn room; /* NULL: anywhere */
	size_t piece;    /* bytes at a time; 0: PUSH_PIECE */
	void *arg;
} PushTaker;

/*
 * Opens the file and checks name, size and contents against the cluster.
 * push_source_close() whatever comes of it.
 */
extern bool push_source_open(const char *path, const PgControl *control,
							 PushSource *out, Error *err);
extern void push_source_close(PushSource *source);

/*
 * The whole file in pieces.  ERR_IO (transient) if it changes meanwhile: what
 * was read then must not be kept.
 */
extern bool push_source_read(PushSource *source, const PushTaker *taker,
							 Error *err);

/* Does it hold WAL (a segment, or a partial one)? */
extern bool push_source_is_wal(const PushSource *source);

#endif
