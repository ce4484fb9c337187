/*-------------------------------------------------------------------------
 *
 * store_tap.h
 *	  What the tests of drivers against real servers check again and again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_STORE_TAP_H
#define PGDR_STORE_TAP_H

#include <stdlib.h>

#include "age_tools.h"
#include "base/mem.h"
#include "storage/storage.h"
#include "tap.h"

#define MB ((size_t) 1024 * 1024)

/* It worked; shows the error if not. */
static inline bool
fine(bool done, Error *err, const char *name)
{
	ok(done && !error_is_set(err), "%s", name);
	if (error_is_set(err))
		printf("# %s: %s\n# %s\n", error_code_name(err->code), err->message,
			   err->detail ? err->detail : "");
	error_clear(err);
	return done;
}

static inline bool
says(const Error *err, const char *word)
{
	return (err->message && strstr(err->message, word)) ||
		   (err->detail && strstr(err->detail, word)) ||
		   (err->hint && strstr(err->hint, word));
}

/* It failed with that code and a word in message, detail or hint. */
static inline bool
fails_with(bool done, Error *err, ErrCode code, const char *word,
		   const char *name)
{
	bool good = !done && err->code == code && says(err, word);

	ok(good, "%s: %s, \"%s\"", name, error_code_name(code), word);
	if (!good)
		printf("# done: %d, got: %s: %s\n# %s\n# %s\n", done,
			   error_code_name(err->code), err->message ? err->message : "",
			   err->detail ? err->detail : "", err->hint ? err->hint : "");
	error_clear(err);
	return good;
}

static inline Storage *
open_store(const StorageOptions *options)
{
	Error err = ERROR_INIT;
	Storage *st = NULL;

	if (!storage_open(options, &st, &err))
	{
		printf("Bail out! %s\n", err.message);
		exit(1);
	}
	return st;
}

/* Bytes that do not compress; caller frees. */
static inline char *
pattern(size_t len)
{
	char *data = mem_alloc(len + 1);

	fill_random(data, len, len);
	return data;
}

/* Does the object hold those bytes? */
static inline bool
holds(Storage *st, const char *name, const char *data, size_t len)
{
	Error err = ERROR_INIT;
	char *got = NULL;
	size_t got_len = 0;
	bool same = storage_get(st, name, 100 * MB, &got, &got_len, &err) &&
				got_len == len && memcmp(got, data, len) == 0;

	if (error_is_set(&err))
		printf("# %s: %s\n", error_code_name(err.code), err.message);
	error_clear(&err);
	free(got);
	return same;
}

#define HEAD_LEN ((size_t) 100)

/* Writes an object of which the first bytes are known at the commit only. */
static inline bool
put_with_head(Storage *st, const char *name, const char *data, size_t len,
			  Error *err)
{
	StorageWriter *w;

	if (!storage_write_open(st, name, HEAD_LEN, &w, err))
		return false;
	if (!storage_write(w, data + HEAD_LEN, len - HEAD_LEN, err))
	{
		storage_abort(w);
		return false;
	}
	return storage_commit(w, data, err);
}

/* Counts what a listing shows. */
static inline bool
count_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	++*(int *) arg;
	return true;
}

#endif
