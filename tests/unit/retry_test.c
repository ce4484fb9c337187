/*-------------------------------------------------------------------------
 *
 * retry_test.c
 *	  When a failed operation is tried again, and when not.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "storage/retry.h"
#include "tap.h"

#define MSEC (USECS_PER_SEC / 1000)

static void
fail_transiently(Error *err)
{
	error_set(err, ERR_IO, "try again");
	err->transient = true;
}

static void
test_policy(void)
{
	static const StorageParam params[] = {{"connect-timeout", "3s"},
										  {"stall-timeout", "500ms"},
										  {"total-timeout", "2min"},
										  {"retries", "0"}};
	StorageOptions options = {.repo = "r"};
	RetryPolicy p = retry_policy(&options);

	ok(p.connect_timeout == 10 * USECS_PER_SEC &&
		   p.stall_timeout == 30 * USECS_PER_SEC &&
		   p.total_timeout == 300 * USECS_PER_SEC && p.retries == 8,
	   "what holds without configuration");
	options.params = params;
	options.param_count = sizeof(params) / sizeof(params[0]);
	p = retry_policy(&options);
	ok(p.connect_timeout == 3 * USECS_PER_SEC &&
		   p.stall_timeout == USECS_PER_SEC / 2 &&
		   p.total_timeout == 120 * USECS_PER_SEC && p.retries == 0,
	   "what the configuration says");
}

static void
test_count(void)
{
	RetryPolicy policy = {.total_timeout = 60 * USECS_PER_SEC, .retries = 3};
	Error err = ERROR_INIT;
	int64_t start = clock_monotonic();
	int again = 0;
	Retry r;

	retry_begin(&r, &policy);
	fail_transiently(&err);
	while (retry_again(&r, 0, &err))
	{
		again++;
		ok(!error_is_set(&err), "the error is gone for try %d", again + 1);
		fail_transiently(&err);
	}
	is_int(again, 3, "as many retries as allowed");
	is_str(err.message, "try again", "the last error stays");
	ok(err.detail && strstr(err.detail, "tried 4 times in") != NULL,
	   "with the number of tries");
	ok(clock_monotonic() - start <= (100 + 200 + 400 + 250) * MSEC,
	   "it did not wait longer than it should");
	error_clear(&err);

	error_set(&err, ERR_DENIED, "never");
	retry_begin(&r, &policy);
	ok(!retry_again(&r, 0, &err), "what is not transient is not tried again");
	ok(err.detail == NULL, "and needs no count");
	error_clear(&err);
}

static void
test_deadline(void)
{
	RetryPolicy policy = {.total_timeout = USECS_PER_SEC / 2, .retries = 1000};
	Error err = ERROR_INIT;
	int64_t start = clock_monotonic();
	Retry r;

	retry_begin(&r, &policy);
	do
		fail_transiently(&err);
	while (retry_again(&r, 0, &err));
	ok(clock_monotonic() - start < 700 * MSEC, "the deadline ends it");
	error_clear(&err);

	retry_begin(&r, &policy);
	fail_transiently(&err);
	start = clock_monotonic();
	ok(!retry_again(&r, USECS_PER_SEC, &err) &&
		   clock_monotonic() - start < 100 * MSEC,
	   "a wait that would pass the deadline is not begun");
	retry_extend(&r, 2 * USECS_PER_SEC);
	start = clock_monotonic();
	ok(retry_again(&r, 300 * MSEC, &err), "unless the deadline moves");
	ok(clock_monotonic() - start >= 300 * MSEC, "what the server asks for");
	error_clear(&err);
}

static bool
stop_worker(void *arg, int worker_no, Error *err)
{
	RetryPolicy policy = {.total_timeout = 60 * USECS_PER_SEC, .retries = 9};
	ErrCode *code = arg;
	Error own = ERROR_INIT;
	Retry r;

	if (worker_no == 1)
		return error_set(err, ERR_IO, "a worker fails");
	retry_begin(&r, &policy);
	fail_transiently(&own);
	retry_again(&r, 20 * USECS_PER_SEC, &own);
	*code = own.code;
	error_clear(&own);
	return true;
}

static void
test_stop(void)
{
	ErrCode code = ERR_NONE;
	int64_t start = clock_monotonic();
	Error err = ERROR_INIT;

	thread_run(2, stop_worker, &code, &err);
	ok(code == ERR_CANCELED, "a stop request ends the wait");
	ok(clock_monotonic() - start < USECS_PER_SEC, "at once");
	error_clear(&err);
}

int
main(void)
{
	test_policy();
	test_count();
	test_deadline();
	test_stop();
	return done_testing();
}
