/*-------------------------------------------------------------------------
 *
 * repo_copy.h
 *	  Fills one repository with what another one holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPO_COPY_H
#define PGDR_REPO_COPY_H

#include "job/transfer.h"
#include "job/verify.h"

typedef struct RepoCopyOptions
{
	int workers;
	ProblemFn problem;
	void *arg;
	Progress *progress;
} RepoCopyOptions;

typedef struct RepoCopyResult
{
	bool created;    /* repo.json was made */
	uint64_t copied; /* objects */
	uint64_t bytes;
	uint64_t there;  /* that were there already */
	uint64_t failed; /* each is a problem */
} RepoCopyResult;

/*
 * Copies from the first member of the set to the second all WAL and all
 * complete backups, as they are stored, each object verified before it gets
 * its name; manifests come after their packs.  What is there already stays as
 * it is, so that an interrupted run is gone on with by the next.  Where the
 * target is empty its repo.json is made, with the same content key.  Leases and
 * marks are not copied: they are about the repository in which they lie.
 */
extern bool repo_copy_run(RepoSet *set, const RepoCopyOptions *options,
						  RepoCopyResult *out, Error *err);

#endif
