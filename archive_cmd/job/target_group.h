/*-------------------------------------------------------------------------
 *
 * target_group.h
 *	  Backs up several targets under one label.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_GROUP_H
#define PGDR_TARGET_GROUP_H

#include "job/target_backup.h"

/* Takes one backup into the same set. */
typedef bool (*GroupTakeFn)(void *arg, const char *target, BackupInfo *out,
							Error *err);

typedef struct GroupOptions
{
	TargetOptions target;
	const char *const *targets; /* what it is made of, in this order */
	size_t count;
	GroupTakeFn take;
	void *arg;
} GroupOptions;

/*
 * All or nothing: the group exists only if every one of its members is
 * complete, and only in repositories that have all of them.  Members that were
 * complete before one failed are backups by themselves.
 */
extern bool target_group_take(RepoSet *set, const GroupOptions *options,
							  BackupInfo *out, Error *err);

#endif
