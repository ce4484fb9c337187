/*-------------------------------------------------------------------------
 *
 * error.h
 *	  The error object that every function below cmd/ reports through.
 *
 * A function that can fail returns bool (true: done) and takes an Error * as
 * its last parameter.  The first error wins: setting an Error that is already
 * set changes nothing, so that cleanup code cannot hide the cause.
 * Nothing below cmd/ prints or exits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ERROR_H
#define PGDR_ERROR_H

#include <stdbool.h>

typedef enum ErrCode
{
	ERR_NONE = 0,
	ERR_USAGE,       /* the command line is wrong */
	ERR_CONFIG,      /* the configuration is wrong or incomplete */
	ERR_NOT_FOUND,   /* the store answered: this does not exist */
	ERR_EXISTS,      /* the name is taken; what lies there is untouched */
	ERR_DAMAGED,     /* stored bytes are not what was written */
	ERR_KEY,         /* no identity opens this, or a key is missing */
	ERR_MISMATCH,    /* belongs to another cluster, timeline, name */
	ERR_INCOMPLETE,  /* something needed is missing (a hole in the WAL) */
	ERR_IO,          /* reading or writing failed */
	ERR_FULL,        /* no room (ENOSPC, EDQUOT, quota) */
	ERR_DENIED,      /* no permission */
	ERR_LOCKED,      /* the store lets nobody remove it yet */
	ERR_TIMEOUT,     /* a deadline passed */
	ERR_BUSY,        /* somebody else holds the lock or lease */
	ERR_CANCELED,    /* asked to stop (signal, or another worker failed) */
	ERR_SERVER,      /* PostgreSQL said no */
	ERR_UNSUPPORTED, /* newer format, unknown major version, ... */
	ERR_INTERNAL     /* a bug */
} ErrCode;

typedef struct Error
{
	ErrCode code;
	bool transient; /* trying again later may work */
	char *message;  /* lower case, one line, no period */
	char *detail;   /* sentences, or NULL */
	char *hint;     /* sentences, or NULL */
	bool shadowed;  /* a later error_set() was dropped */
} Error;

#define ERROR_INIT \
	{              \
		0          \
	}

/*
 * All of these return false, so that "return error_set(...)" reads well.
 * Line breaks in a message (libpq ends its own with one) become spaces.
 */
extern bool error_set(Error *err, ErrCode code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Appends ": strerror(errnum)" and derives the code from errnum (ENOENT gives
 * ERR_NOT_FOUND, ENOSPC and EDQUOT ERR_FULL, EACCES/EPERM/EROFS ERR_DENIED,
 * EEXIST ERR_EXISTS, anything else ERR_IO).  It is transient for EAGAIN, EBUSY,
 * EINTR, EMFILE, ENFILE, ENOBUFS, ESTALE, ETIMEDOUT and the network's errors.
 */
extern bool error_set_errno(Error *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Add a detail or hint to the error just set, after what is there already.
 * What belongs to an error that error_set() dropped is dropped as well.
 */
extern bool error_detail(Error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
extern bool error_hint(Error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Put "text: " before the message, to say what was being done. */
extern bool error_prefix(Error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline bool
error_is_set(const Error *err)
{
	return err->code != ERR_NONE;
}

/* Free the texts and reset to ERR_NONE. */
extern void error_clear(Error *err);

/* Move src into dst unless dst is set already; src is cleared. */
extern void error_move(Error *dst, Error *src);

/* The same with a copy; src stays as it is. */
extern void error_copy(Error *dst, const Error *src);

/* Stable lower-case name of a code ("not_found"), as in JSON output. */
extern const char *error_code_name(ErrCode code);

#endif
