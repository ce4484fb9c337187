/*-------------------------------------------------------------------------
 *
 * fanout_internal.h
 *	  What the fanout_*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FANOUT_INTERNAL_H
#define PGDR_FANOUT_INTERNAL_H

#include <pthread.h>

#include "base/thread.h"
#include "storage/fanout.h"

typedef struct Fanout Fanout;

/* One member's side of a connection. */
typedef struct Lane
{
	/* fixed */
	Fanout *fanout;
	size_t member;
	bool borrowed; /* st is closed by somebody else */

	/* by whoever runs the lane's share of a job, else by the caller */
	Storage *st; /* NULL: not connected */
	FanoutResult result;

	/* under the lock of the fanout */
	bool has_thread;
	bool has_job;
	pthread_t thread;
} Lane;

/* A lane's share of a job; it never fails as a whole, it drops its member. */
typedef void (*LaneFn)(Lane *lane, void *arg);

struct Fanout
{
	Storage base;
	FanoutGroup *group;
	Lane *lanes;
	size_t count;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work;
	pthread_cond_t idle;
	LaneFn fn;
	void *arg;
	const ThreadScope *scope;
	size_t pending;
	bool ended;
};

extern const StorageOptions *fanout_group_options(const FanoutGroup *group,
												  size_t member);
extern bool fanout_group_is_strict(const FanoutGroup *group);

/*
 * Error for an operation after which no member is left: code and cause of the
 * first, in the detail those of all.
 */
extern bool fanout_group_error(FanoutGroup *group, Error *err);

/*
 * Each live and connected lane does its share, the first in this thread, the
 * others in theirs, and all have when this returns.
 */
extern void fanout_run(Fanout *f, LaneFn fn, void *arg);

/* Ends the threads. */
extern void fanout_end(Fanout *f);

/* The part of the driver table that is in fanout_write.c. */
extern bool fanout_write_open(Storage *st, const char *name, size_t head_len,
							  StorageWriter **out, Error *err);
extern bool fanout_write(StorageWriter *sw, const void *data, size_t len,
						 Error *err);
extern bool fanout_commit(StorageWriter *sw, const void *head, Error *err);
extern void fanout_abort(StorageWriter *sw);

#endif
