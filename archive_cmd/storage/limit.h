/*-------------------------------------------------------------------------
 *
 * limit.h
 *	  Rate limits of a repository: bytes per second up and down, requests per
 *	  second; shared by all connections of this process to that repository.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_LIMIT_H
#define PGDR_LIMIT_H

#include "storage/storage.h"

#define LIMIT_KEYS                                       \
	{"upload-rate", STORAGE_KEY_SIZE, false, NULL,       \
	 "bytes per second to send at most"},                \
		{"download-rate", STORAGE_KEY_SIZE, false, NULL, \
		 "bytes per second to receive at most"},         \
	{                                                    \
		"request-rate", STORAGE_KEY_INT, false, NULL,    \
			"requests per second at most"                \
	}

typedef struct Limit Limit;

/*
 * The one of options->repo, with the rates of these options; lives until the
 * process ends.  Thread-safe.
 */
extern Limit *limit_of(const StorageOptions *options);

/* One for reading, that is nobody else's; lives until limit_free(). */
extern Limit *limit_new(uint64_t bytes_per_second);
extern void limit_free(Limit *l); /* NULL is fine */

/*
 * Wait until this much may pass; return at once when there is no limit or a
 * stop is asked for.  Each returns the microseconds that it waited, which no
 * time-out should count.
 */
extern int64_t limit_upload(Limit *l, size_t bytes);
extern int64_t limit_download(Limit *l, size_t bytes);
extern int64_t limit_request(Limit *l);

/* How many bytes to send at a time so that the flow is even. */
extern size_t limit_upload_chunk(Limit *l, size_t most);

#endif
