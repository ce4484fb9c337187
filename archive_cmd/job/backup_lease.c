/*-------------------------------------------------------------------------
 *
 * backup_lease.c
 *	  Keeps the lease of a running backup alive.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_lease.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease.h"

#define RETRY_SECS 10

/* ---- taking it ---- */

/* Tries one label everywhere; false if it is not free in one of them. */
static bool
try_in_all(RepoSet *set, const char *label, const char *base)
{
	bool free_label = true;

	for (size_t i = 0; free_label && i < set->count; i++)
	{
		RepoMember *m = &set->members[i];

		if (m->repo != NULL && !error_is_set(&m->why) &&
			lease_try(m->repo, label, base, &free_label, &m->why))
			continue;
		free_label = true; /* of a member that fails it does not depend */
	}
	return free_label;
}

static bool
any_left(const RepoSet *set, Error *err)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (!error_is_set(&set->members[i].why))
			return true;
	}
	return repo_set_verdict(set, err);
}

bool
lease_take_in_all(RepoSet *set, const char *base, char **label, Error *err)
{
	int64_t now = clock_now();
	char *candidate;

	for (int n = 1; (candidate = lease_candidate(now, n)) != NULL; n++)
	{
		bool taken = try_in_all(set, candidate, base);

		if (taken && any_left(set, err))
		{
			*label = candidate;
			return true;
		}
		free(candidate);
		if (taken || !any_left(set, err))
			return false;
	}
	return lease_no_label(err);
}

/* ---- keeping it ---- */

static bool
is_live(const LeaseKeeper *keeper, size_t member)
{
	return keeper->group == NULL || fanout_group_is_live(keeper->group, member);
}

static bool
drop_seat(LeaseKeeper *keeper, size_t member, Error *why, Error *err)
{
	Error copy = ERROR_INIT;

	error_copy(&copy, why);
	if (keeper->group != NULL)
		fanout_group_drop(keeper->group, member, why);
	error_clear(why);
	if (keeper->group == NULL || fanout_group_live(keeper->group) == 0)
	{
		error_move(err, &copy);
		return false;
	}
	error_clear(&copy);
	return true;
}

static bool
open_seats(LeaseKeeper *keeper, RepoSet *set, Error *err)
{
	for (size_t i = 0; i < set->count; i++)
	{
		const RepoMember *m = &set->members[i];
		LeaseSeat *seat = &keeper->seats[keeper->count];
		Error why = ERROR_INIT;

		if (m->repo == NULL || error_is_set(&m->why) || !is_live(keeper, i))
			continue;
		*seat = (LeaseSeat){.member = i, .renewed = clock_now()};
		if (repo_open_again(m->repo, &seat->repo, &why))
			keeper->count++;
		else if (!drop_seat(keeper, i, &why, err))
			return false;
	}
	return true;
}

bool
lease_keeper_open(LeaseKeeper *keeper, RepoSet *set, FanoutGroup *group,
				  const char *label, Error *err)
{
	pthread_condattr_t attr;

	memset(keeper, 0, sizeof(*keeper));
	keeper->group = group;
	keeper->label = label;
	keeper->seats = mem_zalloc((set->count + 1) * sizeof(LeaseSeat));
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (open_seats(keeper, set, err))
		return true;
	lease_keeper_close(keeper);
	return false;
}

void
lease_keeper_close(LeaseKeeper *keeper)
{
	for (size_t i = 0; i < keeper->count; i++)
		repo_close(keeper->seats[i].repo);
	free(keeper->seats);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
}

void
lease_keeper_end(LeaseKeeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->ended = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
}

/*
 * The wall clock counts, as it does for whoever judges the lease: it also
 * goes on while a machine sleeps.
 */
static bool
has_run_out(const LeaseSeat *seat)
{
	return clock_now() - seat->renewed > LEASE_VALID_USECS;
}

/* lease_renew() itself refuses once the lease has run out. */
static bool
renew_seat(LeaseKeeper *keeper, LeaseSeat *seat, Error *err)
{
	int64_t now = clock_now();

	if (!lease_renew(seat->repo, keeper->label, keeper->base, err))
		return false;
	seat->renewed = now;
	return true;
}

/*
 * Renews them all.  last: there is no other time, so that failing is final;
 * else *again is set if something failed that may be tried once more.
 */
static bool
renew_locked(LeaseKeeper *keeper, bool last, bool *again, Error *err)
{
	for (size_t i = 0; i < keeper->count; i++)
	{
		LeaseSeat *seat = &keeper->seats[i];
		Error failed = ERROR_INIT;

		if (!is_live(keeper, seat->member) || renew_seat(keeper, seat, &failed))
			continue;
		if (last || has_run_out(seat))
		{
			if (!drop_seat(keeper, seat->member, &failed, err))
				return false;
			continue;
		}
		log_error_object(LOG_WARNING, &failed);
		error_clear(&failed);
		*again = true;
	}
	return true;
}

bool
lease_keeper_renew(LeaseKeeper *keeper, Error *err)
{
	bool again;
	bool done;

	pthread_mutex_lock(&keeper->lock);
	done = renew_locked(keeper, true, &again, err);
	pthread_mutex_unlock(&keeper->lock);
	return done;
}

bool
lease_keeper_confirm(LeaseKeeper *keeper, Error *err)
{
	bool done = true;

	pthread_mutex_lock(&keeper->lock);
	for (size_t i = 0; done && i < keeper->count; i++)
	{
		LeaseSeat *seat = &keeper->seats[i];
		Error why = ERROR_INIT;

		if (is_live(keeper, seat->member) &&
			!lease_confirm(seat->repo, keeper->label, &why))
			done = drop_seat(keeper, seat->member, &why, err);
	}
	pthread_mutex_unlock(&keeper->lock);
	return done;
}

static void
wait_for(LeaseKeeper *keeper, int64_t secs)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t) secs;
	while (!keeper->ended && rc == 0)
		rc = pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until);
}

static bool
keep(LeaseKeeper *keeper, Error *err)
{
	bool again = false;

	for (;;)
	{
		wait_for(keeper,
				 again ? RETRY_SECS : LEASE_RENEW_USECS / USECS_PER_SEC);
		if (keeper->ended)
			return true;
		again = false;
		if (!renew_locked(keeper, false, &again, err))
			return false;
	}
}

bool
lease_keeper_run(LeaseKeeper *keeper, Error *err)
{
	bool done;

	pthread_mutex_lock(&keeper->lock);
	done = keep(keeper, err);
	pthread_mutex_unlock(&keeper->lock);
	return done;
}
