/*-------------------------------------------------------------------------
 *
 * backup_lease.h
 *	  Keeps the lease of a running backup alive.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_LEASE_H
#define PGDR_BACKUP_LEASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "repo/repo_set.h"

/* The lease in one repository. */
typedef struct LeaseSeat
{
	size_t member;   /* of the set */
	Repo *repo;      /* a connection of its own */
	int64_t renewed; /* wall clock, as in the lease's name */
} LeaseSeat;

typedef struct LeaseKeeper
{
	/* fixed */
	FanoutGroup *group; /* NULL: there is one repository */
	const char *label;
	const char *base; /* that the backup refers to, or NULL */

	/* mutable */
	pthread_mutex_t lock; /* of all below, and of the repositories */
	pthread_cond_t wake;
	LeaseSeat *seats;
	size_t count;
	bool ended;
} LeaseKeeper;

/*
 * Takes one label in all members of the set that are open and have no why.
 * base as in lease_renew(); *label is the caller's.  A member that fails gets a why; false if none is
 * left.
 */
extern bool lease_take_in_all(RepoSet *set, const char *base, char **label,
							  Error *err);

/*
 * The lease of this label was taken just now in the members that the group
 * has live (group NULL: the only one that has no why).
 */
extern bool lease_keeper_open(LeaseKeeper *keeper, RepoSet *set,
							  FanoutGroup *group, const char *label,
							  Error *err);
extern void lease_keeper_close(LeaseKeeper *keeper);

/*
 * Renews until lease_keeper_end() is called; for a thread of its own.  A
 * renewal that fails is tried again as long as the last one is valid; then the
 * member is dropped from the group, and it goes on as long as one is left.
 */
extern bool lease_keeper_run(LeaseKeeper *keeper, Error *err);
extern void lease_keeper_end(LeaseKeeper *keeper);

/*
 * Renews now, and drops where that fails.  False if none is left.  It fails
 * also if the lease had run out since the last time, for then the packs may
 * have been collected.
 */
extern bool lease_keeper_renew(LeaseKeeper *keeper, Error *err);

/* When the manifest has been written: lease_confirm() in each repository. */
extern bool lease_keeper_confirm(LeaseKeeper *keeper, Error *err);

#endif
