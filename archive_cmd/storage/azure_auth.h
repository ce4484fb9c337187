/*-------------------------------------------------------------------------
 *
 * azure_auth.h
 *	  Credentials for Azure Blob Storage: an account key, which signs each
 *	  request ("SharedKey"), or a shared access signature, which is part of
 *	  each URL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AZURE_AUTH_H
#define PGDR_AZURE_AUTH_H

#include "storage/http.h"

/* Just one of key and sas is set. */
typedef struct AzureAuth
{
	char *account;
	uint8_t *key;
	size_t key_len;
	char *sas; /* "sv=...&sig=...", without the question mark */
} AzureAuth;

/*
 * From the files that the configuration names, else from the environment
 * (AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN).  After an error there is
 * nothing to free.
 */
extern bool azure_auth_load(const StorageOptions *options, AzureAuth *out,
							Error *err);
extern void azure_auth_free(AzureAuth *auth);

/*
 * Appends the headers that every request needs, with the signature if there is
 * a key, to lines.  What is in lines already is signed too.
 */
extern void azure_authorize(const AzureAuth *auth, const HttpRequest *request,
							int64_t now, StrBuf *lines);

/* What is signed, for tests too; caller frees. */
extern char *azure_string_to_sign(const char *account,
								  const HttpRequest *request,
								  const StrBuf *lines);

/* "Fri, 26 Jun 2015 23:39:12 GMT" */
#define AZURE_DATE_LEN 30
extern void azure_format_date(int64_t t, char out[AZURE_DATE_LEN]);

/* A time that the SAS names ("st", "se"), or 0. */
extern int64_t azure_sas_time(const AzureAuth *auth, const char *parameter);

/* Does it say of itself that it lacks that permission ('r')? */
extern bool azure_sas_forbids(const AzureAuth *auth, char permission);

#endif
