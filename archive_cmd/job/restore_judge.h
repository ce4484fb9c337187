/*-------------------------------------------------------------------------
 *
 * restore_judge.h
 *	  Can a recovery reach its target from one of these backups?
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_JUDGE_H
#define PGDR_RESTORE_JUDGE_H

#include "job/restore_target.h"
#include "job/restore_wal.h"

typedef struct RestoreJudge
{
	/* what to judge */
	RestoreWal path;
	const RestoreTarget *target;
	const BackupInfo *const *backups; /* newest first, at least one, all on
										 * the path */
	size_t count;
	bool standby;

	/* what was found */
	const BackupInfo *backup; /* to be restored */
	WalReach reach;
	int64_t reach_time; /* last commit that can be had; 0: unknown */
	bool reachable;
	char *verdict;         /* why not, a sentence; NULL if reachable */
	uint64_t wal_segments; /* to replay at most */
	uint64_t branch_lsn;   /* as in RestorePlan */
} RestoreJudge;

/*
 * Takes the first backup, except when the target must be looked for in the
 * WAL (xid, name): then the newest from which it can be reached, or the first
 * if it is nowhere.  False only when it could not be found out.
 */
extern bool restore_judge(RestoreJudge *judge, Error *err);

#endif
