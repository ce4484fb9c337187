/*-------------------------------------------------------------------------
 *
 * azure.h
 *	  What the files of the Azure Blob Storage driver share.
 *
 * An object is a block blob in one container, its name behind a prefix.  It is
 * created by one request that refuses to replace: Put Blob for what fits into
 * one block, else Put Block List after the blocks.  Its metadata holds a
 * random id of the writer, so that a writer whose answer was lost can tell
 * its own blob from another's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AZURE_H
#define PGDR_AZURE_H

#include "storage/azure_auth.h"

typedef struct AzureStorage
{
	Storage base;

	/* fixed */
	Http *http;
	AzureAuth auth;
	char *url;    /* of the container */
	char *prefix; /* of all names: "" or "some/path/" */
	char *tier;   /* or NULL */
	size_t block_size;

	/* mutable */
	bool no_read; /* the credential may list, but not read */
} AzureStorage;

#define AZURE_CODE_LEN 64

/* The server's code for a permission that a SAS lacks. */
#define AZURE_NOT_PERMITTED "AuthorizationPermissionMismatch"

/* Permissions of a SAS, as people know them. */
#define AZURE_READ "read (r)"
#define AZURE_CREATE "create (c)"
#define AZURE_WRITE "write (w)"
#define AZURE_DELETE "delete (d)"
#define AZURE_LIST "list (l)"

/* A request, and what the server called the failure of its last try. */
typedef struct AzureCall
{
	AzureStorage *az;
	const char *method;
	char *url;         /* of azure_url(); its owner frees it */
	const char *needs; /* AZURE_READ and so on */
	const char *lines; /* headers: "name: value\n" each, or NULL */
	const void *body;
	size_t body_len;
	int success;         /* the only status that means that it was done */
	size_t max_response; /* 0: small */
	/* Looks at the answer, may say that it is none; may be NULL. */
	bool (*parse)(void *arg, const HttpResponse *answer, Error *err);
	void *arg;
	char code[AZURE_CODE_LEN]; /* "BlobNotFound", or "" */
} AzureCall;

/*
 * URL of an object (name NULL: of the container) with a query ("" for none,
 * else escaped, without question mark); caller frees.
 */
extern char *azure_url(const AzureStorage *az, const char *name,
					   const char *query);

/* *out is to be freed in either case. */
extern bool azure_send(AzureCall *call, HttpResponse *out, Error *err);
/* The same as a stream, which *call must outlive. */
extern bool azure_stream(AzureCall *call, uint64_t offset, uint64_t length,
						 HttpStream **out, Error *err);

/* Makes an Error of an answer, and notes the server's code in *call. */
extern void azure_explain(AzureCall *call, const HttpResponse *answer,
						  Error *err);

/* The random id of a writer in hexadecimal. */
#define AZURE_ID_BYTES 16
#define AZURE_ID_LEN (2 * AZURE_ID_BYTES)

typedef struct AzureBlob
{
	uint64_t size;
	int64_t mtime;
	char id[AZURE_ID_LEN + 1]; /* of its writer; "" if it has none */
} AzureBlob;

/* What there is under a name, by a right to read or one to list. */
extern bool azure_find(AzureStorage *az, const char *name, AzureBlob *out,
					   Error *err);

/* The same by a listing only. */
extern bool azure_find_listed(AzureStorage *az, const char *name,
							  AzureBlob *out, Error *err);

/* A size as the server writes it. */
extern bool azure_parse_size(const char *text, uint64_t *out);

/* Driver functions. */
extern bool azure_list(Storage *st, const char *prefix, bool recursive,
					   StorageListFn fn, void *arg, Error *err);
extern bool azure_write_open(Storage *st, const char *name, size_t head_len,
							 StorageWriter **out, Error *err);
extern bool azure_write(StorageWriter *sw, const void *data, size_t len,
						Error *err);
extern bool azure_commit(StorageWriter *sw, const void *head, Error *err);
extern void azure_abort(StorageWriter *sw);

#endif
