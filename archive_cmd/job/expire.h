/*-------------------------------------------------------------------------
 *
 * expire.h
 *	  Carries out what retention decided, and collects leftovers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_EXPIRE_H
#define PGDR_EXPIRE_H

#include "base/progress.h"
#include "repo/retention.h"

typedef struct ExpireResult
{
	uint64_t backups; /* removed */
	uint64_t segments;
	uint64_t leftovers; /* objects of interrupted backups, temporary
						 * files, what repair put aside long ago */
	uint64_t bytes;     /* 0 where the store does not tell */
	uint64_t locked;    /* objects that the store does not let go yet */
} ExpireResult;

/*
 * What the policy gives up.  For that with retention-wal it may have to look
 * how old WAL is, which the catalog does not say.  The plan points into the
 * catalog; both are the caller's.
 */
extern bool expire_plan(Repo *repo, const RetentionPolicy *policy,
						Catalog *catalog, RetentionPlan *plan, Error *err);

/* The same of a catalog that is loaded. */
extern bool expire_decide(Repo *repo, const RetentionPolicy *policy,
						  Catalog *catalog, RetentionPlan *plan, Error *err);

/*
 * Removes by the plan.  Of a backup the manifest goes first: from that moment
 * it does not exist; then its marks, packs and leases.  Killed anywhere, the
 * next run goes on.  ERR_BUSY, and nothing is removed, if another one removes
 * what should stay (expire_claim.h).
 * What the policy lets stay after all, because a mark or a backup was added
 * since the plan was made, stays, and is said to in the plan.
 */
extern bool expire_run(Repo *repo, const RetentionPolicy *policy,
					   RetentionPlan *plan, ExpireResult *out, Error *err);

/*
 * One backup by its label, whatever the policy; ERR_BUSY if it is running,
 * ERR_MISMATCH if it is the last good one and not force, ERR_BUSY if it is that
 * when others have removed what they are about to.
 */
extern bool expire_backup(Repo *repo, const char *label, bool force,
						  ExpireResult *out, Error *err);

#endif
