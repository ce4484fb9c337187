/*-------------------------------------------------------------------------
 *
 * sigv4.h
 *	  Signatures of requests to S3 (AWS Signature Version 4) and to Google
 *	  Cloud Storage, which differs in its names only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SIGV4_H
#define PGDR_SIGV4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/mem.h"

typedef struct SigV4Scheme
{
	const char *algorithm;  /* "AWS4-HMAC-SHA256" */
	const char *key_prefix; /* "AWS4" */
	const char *terminator; /* "aws4_request" */
	const char *header;     /* "x-amz-": how its headers begin */
} SigV4Scheme;

extern const SigV4Scheme sigv4_aws;
extern const SigV4Scheme sigv4_google;

typedef struct SigV4Key
{
	const SigV4Scheme *scheme;
	const char *access_key;
	const char *secret_key;
	const char *token;   /* of a session, or NULL */
	const char *region;  /* "us-east-1" */
	const char *service; /* "s3" */
} SigV4Key;

typedef struct SigV4Request
{
	const char *method;
	const char *url;     /* as it is sent; path and query escaped once */
	const char *payload; /* SHA-256 of the body, in hexadecimal */
	int64_t now;         /* microseconds since 1970 */
} SigV4Request;

/* SHA-256 of no bytes. */
#define SIGV4_EMPTY_PAYLOAD \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/*
 * Appends the headers that the signature needs, with itself, to lines ("name:
 * value\n" each).  What is in lines already is signed too; so is the Host
 * header, which the HTTP client adds.
 */
extern void sigv4_sign(const SigV4Key *key, const SigV4Request *request,
					   StrBuf *lines);

/*
 * The steps, for tests.  lines has all headers; *signed_headers, which the
 * caller frees like the result, their names.
 */
extern char *sigv4_canonical_request(const SigV4Request *request,
									 const StrBuf *lines,
									 char **signed_headers);
extern char *sigv4_string_to_sign(const SigV4Key *key, int64_t now,
								  const char *canonical_request);

#endif
