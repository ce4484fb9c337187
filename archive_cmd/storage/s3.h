/*-------------------------------------------------------------------------
 *
 * s3.h
 *	  What the files of the S3 driver share.
 *
 * An object of the store is an object of the bucket, its name behind the
 * prefix.  See doc/storage-s3.md for what each operation costs in requests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_S3_H
#define PGDR_S3_H

#include "storage/http.h"
#include "storage/s3_credentials.h"
#include "storage/sigv4.h"
#include "storage/storage.h"

/* How an object is created only if its name is free. */
typedef enum S3Conditional
{
	S3_IF_NONE_MATCH, /* If-None-Match: * */
	S3_GENERATION,    /* Google's x-goog-if-generation-match: 0 */
	S3_HEAD           /* by looking before and after: no promise */
} S3Conditional;

/* What the server checks a body with, beside the signature. */
typedef enum S3Checksum
{
	S3_SHA256, /* x-amz-checksum-sha256 */
	S3_MD5,    /* Content-MD5 */
	S3_NO_CHECKSUM
} S3Checksum;

typedef struct S3Storage
{
	Storage base;
	Http *http;
	S3Credentials *credentials;
	char *root;   /* URL of the bucket, without a slash at its end */
	char *bucket; /* for messages */
	char *prefix; /* of all keys: "" or "path/" */
	char *region;
	const SigV4Scheme *scheme;
	S3Conditional conditional;
	S3Checksum checksum;
	size_t part_size;
	char *object_lines;    /* headers of each new object: class, encryption */
	const char *lock_mode; /* "COMPLIANCE", "GOVERNANCE"; NULL: no locks */
	int64_t lock_time;     /* that a new object is locked, microseconds */
} S3Storage;

/* ---- requests (s3_request.c) ---- */

typedef struct S3Request
{
	/* set by the caller */
	S3Storage *s3;
	const char *method;
	const char *name;  /* of the object; NULL: the bucket itself */
	const char *query; /* escaped, without "?"; NULL: none */
	const char *lines; /* more headers; NULL: none */
	const void *body;
	size_t body_len;
	const uint8_t *body_hash; /* its SHA-256, if it is known already */
	bool (*accept)(int status);
	bool (*check)(void *request, const HttpResponse *answer, Error *err);
	bool last_words;

	/* set by s3_request_prepare() */
	char *url;
	char payload[SHA256_HEX_LEN + 1];
	HttpRequest http;
} S3Request;

/* Fills in what the HTTP client wants; url is freed by s3_request_free(). */
extern void s3_request_prepare(S3Request *r);
extern void s3_request_free(S3Request *r);

/*
 * Sends it, with all tries.  Errors of the server are those of s3_explain();
 * answer is to be freed in either case.
 */
extern bool s3_send(S3Request *r, HttpResponse *answer, Error *err);

/*
 * Makes an Error of an answer that says no: NoSuchKey is ERR_NOT_FOUND,
 * PreconditionFailed ERR_EXISTS, NoSuchUpload ERR_INCOMPLETE.  Leaves *err
 * alone if the answer is not S3's.  The argument is an S3Request.
 */
extern void s3_explain(void *request, const HttpResponse *answer, Error *err);

/* Escaped text as a part of a query: "name=value", with "&" in front. */
extern void s3_add_query(StrBuf *query, const char *name, const char *value);

/* ---- objects (s3.c) ---- */

#define S3_ID_LEN 32
#define S3_ETAG_MAX 128
#define S3_VERSION_MAX 1025

typedef struct S3Object
{
	uint64_t size;
	int64_t mtime;
	char id[S3_ID_LEN + 1];       /* what its writer gave it, or "" */
	char etag[S3_ETAG_MAX];       /* without quotes */
	char version[S3_VERSION_MAX]; /* of it; "": the bucket keeps none */
	int64_t locked_until;         /* 0: it is not locked */
	bool held;                    /* there is a legal hold on it */
} S3Object;

/*
 * What is known of an object; all but its id when it may be listed but not
 * read.  ERR_NOT_FOUND only if the server said that of the object.
 */
extern bool s3_look_up(S3Storage *s3, const char *name, S3Object *out,
					   Error *err);

/* ---- object locks (s3_lock.c) ---- */

extern bool s3_lock_configure(S3Storage *s3, const StorageOptions *options,
							  Error *err);
/* Headers of a new object, which lock it. */
extern void s3_add_lock(StrBuf *lines, const S3Storage *s3);
/* What an answer says of version and lock. */
extern void s3_take_lock(const HttpResponse *answer, S3Object *out);
/* ERR_LOCKED while a lock or a hold is on it. */
extern bool s3_check_unlocked(const S3Object *object, Error *err);
extern bool s3_lock(Storage *st, const char *name, int64_t until, Error *err);
extern bool s3_hold(Storage *st, const char *name, bool held, Error *err);

/* ---- the parts of the driver table in other files ---- */

extern bool s3_list(Storage *st, const char *prefix, bool recursive,
					StorageListFn fn, void *arg, Error *err);
/* The one object of that name in a listing. */
extern bool s3_list_one(S3Storage *s3, const char *name, S3Object *out,
						Error *err);
extern bool s3_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
					 Error *err);
extern bool s3_write_open(Storage *st, const char *name, size_t head_len,
						  StorageWriter **out, Error *err);
extern bool s3_write(StorageWriter *sw, const void *data, size_t len,
					 Error *err);
extern bool s3_commit(StorageWriter *sw, const void *head, Error *err);
extern void s3_abort(StorageWriter *sw);

/* ERR_UNSUPPORTED if the server replaces what it is asked not to replace. */
extern bool s3_check_condition(S3Storage *s3, Error *err);

#endif
