/*-------------------------------------------------------------------------
 *
 * verified.h
 *	  Notes of which objects were verified when: verified/<time>, a mark that
 *	  needs no key to be read (doc/repository-format.md, section 7).
 *
 * A note names ranges of objects of one directory, by the first and the last of
 * them and how many there were: where that is not so any more, it says nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_VERIFIED_H
#define PGDR_VERIFIED_H

#include "base/json.h"
#include "repo/repo.h"

#define VERIFIED_DIR "verified"
#define VERIFIED_AGE (INT64_C(400) * 24 * 3600 * 1000000) /* expire's */

/* Bytes of ranges that one note takes at most. */
#define VERIFIED_NOTE_MAX 40000

typedef struct VerifiedRange
{
	const char *dir;   /* "wal/1-15/00000001/00000000" */
	const char *first; /* names in it */
	const char *last;
	int64_t count;
} VerifiedRange;

/* Is this the name of a note?  *t is when. */
extern bool verified_parse(const char *name, int64_t *t);

/* Adds a range to the array of a note; the bytes that it takes. */
extern size_t verified_add(Json *ranges, const VerifiedRange *range);
/* Writes it; ranges stays the caller's. */
extern bool verified_put(Repo *repo, bool deep, const Json *ranges, Error *err);

/*
 * Calls fn for each range of the notes since that time, of deep ones alone if
 * deep.  A note that is damaged says nothing.
 */
typedef void (*VerifiedFn)(void *arg, const VerifiedRange *range);
extern bool verified_each(Repo *repo, int64_t since, bool deep, VerifiedFn fn,
						  void *arg, Error *err);

#endif
