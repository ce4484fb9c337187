/*-------------------------------------------------------------------------
 *
 * spool_note.h
 *	  Notes in a spool: what one process tells another, if it is still true.
 *
 * A note is a file with one line: CRC-32C of the rest, and a JSON object.  One
 * that is not as it was written counts as none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SPOOL_NOTE_H
#define PGDR_SPOOL_NOTE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"

/* obj stays the caller's.  Durably, and replacing an older one at once ... */
extern bool note_write_durable(const char *path, const Json *obj, Error *err);
/* ... or neither: a reader may find it half written, which is none. */
extern bool note_write(const char *path, const Json *obj, Error *err);

/* NULL if there is none, or it is not as it was written. */
extern Json *note_read(const char *path);

/*
 * What tells a file from any other, and from itself with other content: nobody
 * can set the time of its last change.
 */
extern Json *note_identity(const struct stat *st);
extern bool note_is_identity(const Json *obj, const struct stat *st);

/* An error as an object, and back. */
extern Json *note_error(const Error *why);
extern void note_take_error(const Json *obj, Error *why);

#endif
