/*-------------------------------------------------------------------------
 *
 * ahead.h
 *	  Look-ahead: archives segments before the server asks for them.
 *
 * One process at a time archives the segments that the server of a data
 * directory has ready, by a lock in the spool: the one that the server has
 * called, or a pusher, which is started when more segments wait.  The pusher
 * prepares several at a time, but gives them their names in the repositories
 * strictly in the order of their names: what recovery, "hole" and the recovery
 * point rely on holds as if there were no look-ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AHEAD_H
#define PGDR_AHEAD_H

#include "job/ahead_ack.h"
#include "pg/control.h"

/* ---- the server's own call ---- */

typedef enum AheadAnswer
{
	AHEAD_PUSH,   /* archive it; *lock is held, or -1 */
	AHEAD_DONE,   /* it has been archived; see *ack */
	AHEAD_FAILED, /* it was tried just now, in vain: *err */
} AheadAnswer;

typedef struct AheadCall
{
	const AheadSpool *spool;
	const char *path; /* of the segment, as the server gave it */
	/* Is an acknowledgement still true?  For what is cheap to look at. */
	bool (*confirm)(void *arg, const AheadAck *ack);
	void *arg;
} AheadCall;

/*
 * Waits if a pusher is at work.  What look-ahead itself fails in is no error:
 * the answer then is to archive it.
 */
extern AheadAnswer ahead_ask(const AheadCall *call, AheadAck *ack, int *lock,
							 Error *err);

/*
 * Is it worth to start a pusher, now that this segment is archived?  begun is
 * when that began.
 */
extern bool ahead_is_worth(const char *path, const PushResult *result,
						   int64_t begun);

/* ---- the pusher ---- */

typedef struct AheadOptions
{
	const AheadSpool *spool;
	const PgControl *control;
	const char *pgdata;
	const char *after; /* path of the segment that was archived last */
	int workers;
	int preparing;  /* of them, at a time: who may use a CPU */
	uint32_t limit; /* segments archived and not yet asked for, at most */
	/* Each worker has a set of its own, with connections of its own. */
	RepoSet *(*open)(void *arg, int worker);
	void *arg;
} AheadOptions;

/*
 * Until nothing is left to do, something failed, the server is gone, or it is
 * asked to stop.  *count: segments that were acknowledged.
 */
extern bool ahead_run(const AheadOptions *options, uint64_t *count, Error *err);

#endif
