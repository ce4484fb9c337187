/*-------------------------------------------------------------------------
 *
 * clock_shim.c
 *	  Preloaded by tests: shifts the wall clock by CLOCK_SHIM_USECS, with
 *	  CLOCK_SHIM_FILE only when there is that file.
 *
 * Leases run out and retention looks back; no test can wait that long.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long
shift_usecs(void)
{
	const char *text = getenv("CLOCK_SHIM_USECS");
	const char *file = getenv("CLOCK_SHIM_FILE");

	if (file && access(file, F_OK) != 0)
		return 0;
	return text ? strtoll(text, NULL, 10) : 0;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	long result = syscall(SYS_clock_gettime, id, ts);

	if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
	{
		long long nsecs = ts->tv_sec * 1000000000LL + ts->tv_nsec +
						  shift_usecs() * 1000;

		ts->tv_sec = nsecs / 1000000000LL;
		ts->tv_nsec = nsecs % 1000000000LL;
	}
	return (int) result;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
