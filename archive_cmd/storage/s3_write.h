/*-------------------------------------------------------------------------
 *
 * s3_write.h
 *	  What the two ways of writing an object to S3 share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_S3_WRITE_H
#define PGDR_S3_WRITE_H

#include "storage/s3.h"

typedef struct S3Buffer
{
	char *data;
	size_t len;
	size_t cap;
} S3Buffer;

typedef struct S3Part
{
	char *etag;     /* as the server gave it */
	char *checksum; /* SHA-256 in base64, or NULL */
} S3Part;

typedef struct S3Writer
{
	StorageWriter base;
	S3Storage *s3;
	char *name;
	size_t head_len;
	char id[S3_ID_LEN + 1]; /* random, kept with the object */
	S3Buffer first;         /* the first part, with room for the head */
	S3Buffer current;       /* the part being filled */

	/* of a multipart upload; upload_id is NULL while there is none */
	char *upload_id;
	S3Part *part; /* [0] is part 1, which is sent last */
	size_t part_cap;
	int parts;         /* sent, without part 1 */
	uint64_t uploaded; /* bytes in them */
} S3Writer;

/* ---- s3_write.c ---- */

/* Is the object of that name the one that this writer made? */
extern bool s3_is_ours(S3Writer *w);
extern bool s3_must_be_free(S3Writer *w, Error *err);
extern void s3_add_checksum(StrBuf *lines, const S3Storage *s3,
							const S3Buffer *body);
extern void s3_add_condition(StrBuf *lines, const S3Storage *s3);
extern void s3_add_object_lines(StrBuf *lines, const S3Writer *w);

/* ---- s3_multipart.c ---- */

/* Sends part number (from 1), beginning the upload if need be. */
extern bool s3_upload_part(S3Writer *w, int number, const S3Buffer *body,
						   Error *err);
/* Sends what is left and makes the object; the caller aborts if it fails. */
extern bool s3_complete(S3Writer *w, Error *err);
/* Gives the upload up, if there is one; what stays is for s3_sweep(). */
extern void s3_abort_upload(S3Writer *w);
extern void s3_parts_free(S3Writer *w);
/* The ETag that the object should have; false if the parts have none. */
extern bool s3_upload_etag(const S3Writer *w, char out[S3_ETAG_MAX]);

#endif
