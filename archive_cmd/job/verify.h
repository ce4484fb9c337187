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
	bool mark;         /* add a mark to each backup verified */
	int workers;
	ProblemFn problem;
	void *problem_arg;
	Progress *progress;
} VerifyOptions;

typedef struct VerifyResult
{
	uint64_t objects; /* looked at */
	uint64_t bytes;   /* stored bytes read */
	uint64_t backups;
	uint64_t segments;
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
