/*-------------------------------------------------------------------------
 *
 * repair.h
 *	  Brings to each repository what it lacks, or has damaged, from another
 *	  one that has it intact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPAIR_H
#define PGDR_REPAIR_H

#include "job/transfer.h"
#include "job/verify.h"
#include "repo/retention.h"

/* Something that was done, or would be. */
typedef struct RepairAction
{
	const char *repository;
	const char *action; /* "copy", "replace", "quarantine", "create" */
	const char *object;
	const char *source; /* name of a repository, or NULL */
} RepairAction;

typedef struct RepairOptions
{
	const char *target; /* this repository alone; NULL: all */
	bool dry_run;
	int workers;
	const RetentionPolicy *policies; /* by member of the set */
	char *const *suspects; /* only these are read to see whether they are
							* damaged (sorted); NULL: everything */
	size_t suspect_count;
	void (*action)(void *arg, const RepairAction *action);
	ProblemFn problem;
	void *arg; /* of both */
	Progress *progress;
} RepairOptions;

typedef struct RepairResult
{
	uint64_t checked;     /* objects that were read */
	uint64_t copied;      /* that were missing */
	uint64_t replaced;    /* that were damaged */
	uint64_t quarantined; /* that were damaged and are not needed */
	uint64_t failed;      /* that could not be healed */
} RepairResult;

/*
 * Reads all that the repositories hold, as verify does without a key, and
 * compares them; with an identity it is also tried whether each object opens.  A damaged object is never overwritten: it is put aside
 * (repo/quarantine.h) before the good one is copied.  What counts as missing
 * missing.h says; besides it the packs of complete backups, timeline histories
 * and repo.json, which is made anew where objects of this cluster lie without
 * it.  What cannot be healed is a problem.
 *
 * False when it could not be done at all; out->failed > 0 when something is
 * left.
 */
extern bool repair_run(RepoSet *set, const RepairOptions *options,
					   RepairResult *out, Error *err);

#endif
