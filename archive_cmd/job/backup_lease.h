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

#include "repo/repo.h"

typedef struct LeaseKeeper
{
	/* fixed */
	Repo *repo; /* a connection of its own */
	const char *label;

	/* mutable */
	pthread_mutex_t lock; /* of all below, and of repo */
	pthread_cond_t wake;
	int64_t renewed; /* wall clock, as in the lease's name */
	bool ended;
} LeaseKeeper;

/* The lease of this label was taken just now. */
extern bool lease_keeper_open(LeaseKeeper *keeper, const Repo *repo,
							  const char *label, Error *err);
extern void lease_keeper_close(LeaseKeeper *keeper);

/*
 * Renews until lease_keeper_end() is called; for a thread of its own.  A
 * renewal that fails is tried again as long as the last one is valid.
 */
extern bool lease_keeper_run(LeaseKeeper *keeper, Error *err);
extern void lease_keeper_end(LeaseKeeper *keeper);

/*
 * Renews now.  False also if the lease had run out since the last time, for
 * then the packs may have been collected.
 */
extern bool lease_keeper_renew(LeaseKeeper *keeper, Error *err);

#endif
