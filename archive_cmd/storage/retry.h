/*-------------------------------------------------------------------------
 *
 * retry.h
 *	  How often and how long a remote store is asked again.
 *
 * A driver runs each of its requests (one HTTP exchange, one SFTP operation)
 * under a Retry: a body is kept in memory until it is confirmed, so it can be
 * sent again.  Only errors marked transient are tried again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RETRY_H
#define PGDR_RETRY_H

#include "storage/storage.h"

/* Keys that every remote driver has; put them into its table of keys. */
#define RETRY_KEYS                                                        \
	{"connect-timeout", STORAGE_KEY_DURATION, false, NULL,                \
	 "time to wait for a connection (10s)"},                              \
		{"stall-timeout", STORAGE_KEY_DURATION, false, NULL,              \
		 "time without any progress before a request is given up (30s)"}, \
		{"total-timeout", STORAGE_KEY_DURATION, false, NULL,              \
		 "time for one operation with all its retries (5min)"},           \
	{                                                                     \
		"retries", STORAGE_KEY_INT, false, NULL,                          \
			"how often a request is tried again (8)"                      \
	}

typedef struct RetryPolicy
{
	int64_t connect_timeout; /* microseconds */
	int64_t stall_timeout;
	int64_t total_timeout;
	int retries;
} RetryPolicy;

extern RetryPolicy retry_policy(const StorageOptions *options);

/* One operation with all its tries. */
typedef struct Retry
{
	const RetryPolicy *policy;
	int64_t begun;    /* monotonic */
	int64_t deadline; /* likewise */
	int tries;        /* that failed so far */
} Retry;

extern void retry_begin(Retry *r, const RetryPolicy *policy);

/* Time that passed on purpose (rate limits) does not count. */
extern void retry_extend(Retry *r, int64_t usecs);

/*
 * After a failed try: true if it should be tried again, having slept (backoff
 * 100 ms doubling to 10 s with full jitter, or wait_hint microseconds if the
 * server gave a Retry-After); *err is then cleared.  False leaves *err, with
 * the number of tries in its detail, at once if it is not transient or the
 * wait would pass the deadline.  A stop request ends the wait: ERR_CANCELED.
 */
extern bool retry_again(Retry *r, int64_t wait_hint, Error *err);

#endif
