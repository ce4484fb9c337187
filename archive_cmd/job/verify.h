/*-------------------------------------------------------------------------
 *
 * verify.h
 *	  Proves that what a repository holds is intact and complete.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_VERIFY_H
#define PGDR_VERIFY_H

#include "base/progress.h"
#include "repo/catalog.h"

typedef struct Problem
{
	bool warning;           /* not an error: it hinders no recovery */
	const char *repository; /* that it is about, or NULL */
	const char *check;      /* "damaged", "missing", "hole", "stray",
								 * "key", "unreachable", ... */
	const char *object;     /* name in the repository, or what it is about */
	const char *message;
	const char *detail; /* or NULL */
	const char *hint;   /* or NULL */
} Problem;

/* Called from several threads, one at a time. */
typedef void (*ProblemFn)(void *arg, const Problem *problem);

typedef struct VerifyOptions
{
	const char *label; /* one backup (and its WAL); NULL: everything */
	bool deep;         /* decrypt and decode everything, compare every
								 * file's content hash; needs an identity.
								 * Otherwise stored bytes only */
	bool mark;         /* note what was verified: with each backup, and on
								 * the way, so that the next run knows */
	int64_t since;     /* pass over what was verified within so many
								 * microseconds (deep, if deep); 0: nothing */
	double sample;     /* of packs and WAL files only this part, 0..1; 0: all */
	uint64_t seed;     /* decides which */
	uint64_t rate;     /* bytes per second at most; 0: no limit */
	int workers;
	ProblemFn problem;
	void *problem_arg;
	Progress *progress;
} VerifyOptions;

typedef struct VerifyResult
{
	uint64_t objects; /* looked at, without those passed over */
	uint64_t bytes;   /* stored bytes read */
	uint64_t backups;
	uint64_t segments;
	uint64_t skipped; /* objects that were verified recently enough */
	uint64_t unsampled;
	uint64_t missing; /* objects that something needs: packs, WAL, histories */
	uint64_t orphans; /* objects that nothing needs */
	uint64_t orphan_bytes;
	uint64_t errors;
	uint64_t warnings;
} VerifyResult;

/*
 * True when everything could be looked at, whatever was found: see
 * out->errors.  False when it could not be found out (store unreachable, no
 * identity for deep, no such backup).
 */
extern bool verify_run(Repo *repo, const VerifyOptions *options,
					   VerifyResult *out, Error *err);

#endif
