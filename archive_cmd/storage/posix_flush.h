/*-------------------------------------------------------------------------
 *
 * posix_flush.h
 *	  Brings what has been written of an object to the disk while the rest of
 *	  it is still being made, so that the fsync at its end waits for little.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_POSIX_FLUSH_H
#define PGDR_POSIX_FLUSH_H

typedef struct PosixFlush PosixFlush;

/* Flushes what was written to fd so far; NULL if no thread can be started. */
extern PosixFlush *posix_flush_start(int fd);

/* And what was written since; never waits. */
extern void posix_flush_more(PosixFlush *f);

/*
 * Ends it, before fd is fsynced or closed (NULL is fine).  The errno of a
 * flush that failed, or 0: after an error nothing of the file can be relied
 * on, whatever fsync says.
 */
extern int posix_flush_end(PosixFlush *f);

#endif
