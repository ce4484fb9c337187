/*-------------------------------------------------------------------------
 *
 * limit_test.c
 *	  Rate limits: how much passes in a given time, and for whom.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "storage/limit.h"
#include "tap.h"

static Limit *
limit(const char *repo, const char *key, const char *value)
{
	StorageParam param = {key, value};
	StorageOptions options = {.repo = repo, .params = &param, .param_count = 1};

	return limit_of(&options);
}

static void
test_none(void)
{
	StorageOptions options = {.repo = "free"};
	Limit *l = limit_of(&options);
	int64_t start = clock_monotonic();

	for (int i = 0; i < 1000; i++)
	{
		if (limit_upload(l, 1000000000) + limit_download(l, 1000000000) +
				limit_request(l) !=
			0)
			break;
	}
	ok(clock_monotonic() - start < USECS_PER_SEC / 2,
	   "without a limit nobody waits");
	ok(limit_upload_chunk(l, 65536) == 65536, "and sends as much as he likes");
}

/* 0.6 seconds' worth, of which a tenth of a second is free. */
static void
test_rates(void)
{
	Limit *l = limit("slow", "upload-rate", "1000kB");
	int64_t start = clock_monotonic();
	int64_t waited = 0;
	int64_t took;

	for (int i = 0; i < 60; i++)
		waited += limit_upload(l, 10240);
	took = clock_monotonic() - start;
	ok(took >= 480000 && took < 1500000, "600 kB at 1000 kB/s: %.2f s",
	   (double) took / USECS_PER_SEC);
	ok(waited >= 480000 && waited <= took, "the waits are told");
	is_int(limit_download(l, 100000000), 0, "the other direction is free");
	is_int((int64_t) limit_upload_chunk(l, 65536), 51200,
		   "a twentieth of a second's worth at a time");
	l = limit("slower", "upload-rate", "1kB");
	is_int((int64_t) limit_upload_chunk(l, 65536), 1024, "but not too little");

	l = limit("few", "request-rate", "10");
	start = clock_monotonic();
	for (int i = 0; i < 6; i++)
		limit_request(l);
	took = clock_monotonic() - start;
	ok(took >= 480000 && took < 1500000, "6 requests at 10 per second: %.2f s",
	   (double) took / USECS_PER_SEC);
}

static void *
use(void *arg)
{
	Limit *l = arg;

	for (int i = 0; i < 15; i++)
		limit_download(l, 10240);
	return NULL;
}

static void
test_shared(void)
{
	Limit *l = limit("shared", "download-rate", "1000kB");
	pthread_t thread[4];
	int64_t start = clock_monotonic();
	int64_t took;

	ok(limit("shared", "download-rate", "1000kB") == l,
	   "one limit for all connections of a repository");
	ok(limit("other", "download-rate", "1000kB") != l,
	   "and one of its own for each");
	for (int i = 0; i < 4; i++)
	{
		if (pthread_create(&thread[i], NULL, use, l) != 0)
			abort();
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	took = clock_monotonic() - start;
	ok(took >= 480000 && took < 1500000,
	   "four threads together are no faster: %.2f s",
	   (double) took / USECS_PER_SEC);
}

int
main(void)
{
	test_none();
	test_rates();
	test_shared();
	return done_testing();
}
