/*-------------------------------------------------------------------------
 *
 * s3_credentials.h
 *	  Keys for S3: from files, the environment, a web identity, or the
 *	  metadata service of the instance.
 *
 * The first of these that is configured counts: access-key-file with
 * secret-key-file; credentials-file; AWS_ACCESS_KEY_ID; AWS_ROLE_ARN with
 * AWS_WEB_IDENTITY_TOKEN_FILE; the instance.  Those that expire are renewed
 * in time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_S3_CREDENTIALS_H
#define PGDR_S3_CREDENTIALS_H

#include "storage/http.h"
#include "storage/sigv4.h"
#include "storage/storage.h"

#define S3_CREDENTIAL_KEYS                                             \
	{"access-key-file", STORAGE_KEY_PATH, false, NULL,                 \
	 "file with the access key"},                                      \
		{"secret-key-file", STORAGE_KEY_PATH, false, NULL,             \
		 "file with the secret key, mode 0600"},                       \
		{"session-token-file", STORAGE_KEY_PATH, false, NULL,          \
		 "file with the token of temporary keys, mode 0600"},          \
		{"credentials-file", STORAGE_KEY_PATH, false, NULL,            \
		 "file of keys in the form of ~/.aws/credentials, mode 0600"}, \
	{                                                                  \
		"profile", STORAGE_KEY_TEXT, false, NULL,                      \
			"section of credentials-file (default)"                    \
	}

/* One set of keys. */
typedef struct S3Keys
{
	char *access_key;
	char *secret_key;
	char *token;        /* or NULL */
	int64_t expires_at; /* microseconds since 1970; 0: never */
} S3Keys;

/* Wipes them. */
extern void s3_keys_free(S3Keys *keys);

typedef struct S3Credentials S3Credentials;

/* Keys in files and the environment are read at once, others when needed. */
extern bool s3_credentials_open(const StorageOptions *options,
								const char *region, S3Credentials **out,
								Error *err);
extern void s3_credentials_free(S3Credentials *c); /* NULL is fine */

/* Fills access_key, secret_key, token; they are good until the next call. */
extern bool s3_credentials_get(S3Credentials *c, SigV4Key *key, Error *err);

/*
 * The server said that they have expired: true if s3_credentials_get() may
 * bring others.
 */
extern bool s3_credentials_expired(S3Credentials *c);

/* ---- sources that are asked over HTTP (s3_metadata.c) ---- */

extern bool s3_keys_of_instance(const StorageOptions *options, S3Keys *out,
								Error *err);
extern bool s3_keys_of_web_identity(const StorageOptions *options,
									const char *region, S3Keys *out,
									Error *err);

#endif
