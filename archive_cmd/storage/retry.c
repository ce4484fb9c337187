/*-------------------------------------------------------------------------
 *
 * retry.c
 *	  How often and how long a remote store is asked again.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/retry.h"

#include <sys/random.h>

#include "base/clock.h"
#include "base/thread.h"

#define FIRST_WAIT (USECS_PER_SEC / 10)
#define LONGEST_WAIT (10 * USECS_PER_SEC)

RetryPolicy
retry_policy(const StorageOptions *options)
{
	return (RetryPolicy){
		.connect_timeout = storage_param_duration(options, "connect-timeout",
												  10 * USECS_PER_SEC),
		.stall_timeout = storage_param_duration(options, "stall-timeout",
												30 * USECS_PER_SEC),
		.total_timeout = storage_param_duration(options, "total-timeout",
												300 * USECS_PER_SEC),
		.retries = (int) storage_param_int(options, "retries", 8)};
}

void
retry_begin(Retry *r, const RetryPolicy *policy)
{
	r->policy = policy;
	r->begun = clock_monotonic();
	r->deadline = r->begun + policy->total_timeout;
	r->tries = 0;
}

void
retry_extend(Retry *r, int64_t usecs)
{
	r->deadline += usecs;
}

/* 0 .. most, every value as likely: clients that failed together spread. */
static int64_t
jitter(int64_t most)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t) clock_monotonic();
	return (int64_t) (random % ((uint64_t) most + 1));
}

static int64_t
backoff(int tries)
{
	int64_t most = FIRST_WAIT;

	while (--tries > 0 && most < LONGEST_WAIT)
		most *= 2;
	return jitter(most < LONGEST_WAIT ? most : LONGEST_WAIT);
}

static bool
give_up(const Retry *r, Error *err)
{
	if (r->tries > 1)
		error_detail(err, "It was tried %d times in %.1f seconds.", r->tries,
					 (double) (clock_monotonic() - r->begun) / USECS_PER_SEC);
	return false;
}

bool
retry_again(Retry *r, int64_t wait_hint, Error *err)
{
	int64_t wait;

	r->tries++;
	if (!err->transient || r->tries > r->policy->retries)
		return give_up(r, err);
	wait = wait_hint > 0 ? wait_hint : backoff(r->tries);
	if (clock_monotonic() + wait >= r->deadline)
		return give_up(r, err);
	clock_sleep(wait);
	error_clear(err);
	return thread_check_stop(err);
}
