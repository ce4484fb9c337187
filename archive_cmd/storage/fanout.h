/*-------------------------------------------------------------------------
 *
 * fanout.h
 *	  Writes once, to several stores at a time.
 *
 * A FanoutGroup names the stores, its members, of one operation.  A Storage
 * of the group hands each buffer to all of them in parallel.  A member that
 * fails is dropped: for the rest of the operation nothing is asked of it any
 * more, by no connection of the group.  What has been written to the others
 * goes on as long as one is left; whether what is left suffices is for the
 * caller to judge.
 *
 * Reading is not what this is for: list, stat and read go to the first member
 * that is left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FANOUT_H
#define PGDR_FANOUT_H

#include "storage/storage.h"

typedef struct FanoutGroup FanoutGroup;

/*
 * strict: a member in which a name is taken is dropped as well, for what must
 * be written by us alone (a backup's packs).  Otherwise see fanout_result().
 */
extern FanoutGroup *fanout_group_new(bool strict);
extern void fanout_group_free(FanoutGroup *group); /* NULL is fine */

/* Members count from 0.  Texts of options stay the caller's. */
extern void fanout_group_add(FanoutGroup *group, const StorageOptions *options);
extern size_t fanout_group_count(const FanoutGroup *group);

/*
 * What follows may be called from any thread.  The first drop of a member
 * counts; *why (which may be unset: it does not take part) is taken over.
 */
extern void fanout_group_drop(FanoutGroup *group, size_t member, Error *why);
extern bool fanout_group_is_live(FanoutGroup *group, size_t member);
extern size_t fanout_group_live(FanoutGroup *group); /* how many */

/* Moves out why a member was dropped; *why is unset if there is no reason. */
extern void fanout_group_take_why(FanoutGroup *group, size_t member,
								  Error *why);

/*
 * A Storage of the group over connections that are open already (NULL for a
 * member that is not), which stay the caller's.  storage_open() with options
 * that have the group opens connections of its own.
 */
extern void fanout_wrap(FanoutGroup *group, Storage *const *opened,
						Storage **out);

/* What became of a member in the last commit on this Storage. */
typedef enum FanoutResult
{
	FANOUT_ABSENT, /* it was dropped before */
	FANOUT_STORED,
	FANOUT_EXISTS, /* the name is taken there */
	FANOUT_FAILED  /* dropped by this commit */
} FanoutResult;
extern FanoutResult fanout_result(const Storage *st, size_t member);

extern const StorageDriver storage_fanout;

#endif
