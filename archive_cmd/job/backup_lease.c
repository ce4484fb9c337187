/*-------------------------------------------------------------------------
 *
 * backup_lease.c
 *	  Keeps the lease of a running backup alive.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_lease.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "repo/lease.h"

#define RETRY_SECS 10

bool
lease_keeper_open(LeaseKeeper *keeper, const Repo *repo, const char *label,
				  Error *err)
{
	pthread_condattr_t attr;

	memset(keeper, 0, sizeof(*keeper));
	if (!repo_open_again(repo, &keeper->repo, err))
		return false;
	keeper->label = label;
	keeper->renewed = clock_now();
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attr);
	pthread_condattr_destroy(&attr);
	return true;
}

void
lease_keeper_close(LeaseKeeper *keeper)
{
	repo_close(keeper->repo);
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
has_run_out(const LeaseKeeper *keeper)
{
	return clock_now() - keeper->renewed > LEASE_VALID_USECS;
}

/* lease_renew() itself refuses once the lease has run out. */
static bool
renew_locked(LeaseKeeper *keeper, Error *err)
{
	int64_t now = clock_now();

	if (!lease_renew(keeper->repo, keeper->label, err))
		return false;
	keeper->renewed = now;
	return true;
}

bool
lease_keeper_renew(LeaseKeeper *keeper, Error *err)
{
	bool done;

	pthread_mutex_lock(&keeper->lock);
	done = renew_locked(keeper, err);
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
	int64_t pause = LEASE_RENEW_USECS / USECS_PER_SEC;

	for (;;)
	{
		Error failed = ERROR_INIT;

		wait_for(keeper, pause);
		if (keeper->ended)
			return true;
		pause = LEASE_RENEW_USECS / USECS_PER_SEC;
		if (renew_locked(keeper, &failed))
			continue;
		if (has_run_out(keeper))
		{
			error_move(err, &failed);
			return false;
		}
		log_error_object(LOG_WARNING, &failed);
		error_clear(&failed);
		pause = RETRY_SECS;
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
