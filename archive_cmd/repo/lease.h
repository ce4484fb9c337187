/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Says that a backup is being written, with objects that are only ever
 *	  added: backup/<label>/lease/<time>, one at each renewal.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_LEASE_H
#define PGDR_LEASE_H

#include "repo/repo.h"

#define LEASE_VALID_USECS (INT64_C(15) * 60 * 1000000) /* after a renewal */
#define LEASE_RENEW_USECS (INT64_C(2) * 60 * 1000000)

/*
 * Takes a label for a new backup: finds one that is free, beginning with the
 * time now, by writing its first lease object.  *label is the caller's.
 */
extern bool lease_take(Repo *repo, char **label, Error *err);

/*
 * The same of several repositories: the nth label to be tried for a backup
 * begun at that time, NULL behind the last; caller frees.  And the try: *taken
 * stays false if something has this label already.  base as in lease_renew().
 */
extern char *lease_candidate(int64_t begun, int n);
extern bool lease_try(Repo *repo, const char *label, const char *base,
					  bool *taken, Error *err);
extern bool lease_no_label(Error *err); /* that error */

/* For a label that others have used: from now on this is being written. */
extern bool lease_begin(Repo *repo, const char *label, Error *err);

/* base: label of the backup that it refers to, or NULL. */
extern bool lease_renew(Repo *repo, const char *label, const char *base,
						Error *err);

/*
 * To be called when the manifest has been written: if the lease has run out
 * meanwhile, it is taken back, because expire may have collected the packs.
 */
extern bool lease_confirm(Repo *repo, const char *label, Error *err);

/*
 * *alive: was a lease renewed within LEASE_VALID_USECS?  Judged by the time in
 * its name against now, so clocks of hosts may differ by minutes, not more.
 */
extern bool lease_is_alive(Repo *repo, const char *label, int64_t now,
						   bool *alive, Error *err);

/*
 * The backup that the one being written refers to, as its newest lease says:
 * it must not be removed as long as that is alive.  NULL if there is none;
 * caller frees.  Needs no key.
 */
extern bool lease_base(Repo *repo, const char *label, char **base, Error *err);

#endif
