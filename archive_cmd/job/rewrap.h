/*-------------------------------------------------------------------------
 *
 * rewrap.h
 *	  Gives all objects of a repository new heads, for the recipients of the
 *	  configuration; and counts for whom they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_JOB_REWRAP_H
#define PGDR_JOB_REWRAP_H

#include "job/verify.h"

typedef struct RewrapOptions
{
	bool dry_run;
	int workers;
	ProblemFn problem; /* one call at a time */
	void *arg;
	Progress *progress; /* or NULL */
} RewrapOptions;

typedef struct RewrapResult
{
	uint64_t objects;   /* looked at */
	uint64_t rewrapped; /* or, with dry_run, that would be */
	uint64_t bytes;     /* stored bytes of those */
	uint64_t skipped;   /* of backups that are being written or removed */
	uint64_t failed;
	bool root; /* repo.json was, too: the last step */
} RewrapResult;

/*
 * What an earlier run left half done is completed first.  An object that
 * cannot be done is a problem, and the others go on; false when the store as a
 * whole does not take it, or a stop was asked for.
 */
extern bool rewrap_run(Repo *repo, const RewrapOptions *options,
					   RewrapResult *out, Error *err);

/* For whom the objects of a repository are. */
typedef struct KeyUse
{
	char *keys; /* ids with a space between them; "" where it is not told */
	uint64_t objects;
	uint64_t segments;
	uint64_t backups; /* their manifests */
	uint64_t bytes;
} KeyUse;

typedef struct KeyUses
{
	KeyUse *items; /* sorted by keys */
	size_t count;
	size_t cap;
} KeyUses;

extern bool key_uses_load(Repo *repo, int workers, Progress *progress,
						  KeyUses *out, Error *err);
extern void key_uses_free(KeyUses *uses);

#endif
