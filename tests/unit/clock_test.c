/*-------------------------------------------------------------------------
 *
 * clock_test.c
 *	  Tests of archive_cmd/base/clock.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"

static void
test_format(void)
{
	char buf[CLOCK_TEXT_LEN];

	is_str(clock_format(0, buf), "1970-01-01T00:00:00.000000Z", "the epoch");
	is_str(clock_format(-1, buf), "1969-12-31T23:59:59.999999Z", "before it");
	is_str(clock_format(CLOCK_PG_EPOCH, buf), "2000-01-01T00:00:00.000000Z",
		   "PostgreSQL's epoch");
	is_str(clock_format(INT64_C(1795220309123456), buf),
		   "2026-11-21T00:18:29.123456Z", "with microseconds");
	is_str(clock_format_label(INT64_C(1795220309123456), buf),
		   "20261121T001829Z", "as a label");
}

static void
test_parse(void)
{
	static const struct
	{
		const char *text;
		const char *utc;
	} cases[] = {
		{"2026-11-21T00:18:29.123456Z", "2026-11-21T00:18:29.123456Z"},
		{"2026-11-21 00:18:29.5+00", "2026-11-21T00:18:29.500000Z"},
		{"2026-11-21 00:18+05:30", "2026-11-20T18:48:00.000000Z"},
		{"2026-11-21 00:18:29-0330", "2026-11-21T03:48:29.000000Z"},
		{"2024-02-29 23:59:59Z", "2024-02-29T23:59:59.000000Z"},
		{"9999-12-31 23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		/* no offset: TZ is Europe/Berlin in this test */
		{"2026-07-01 12:00", "2026-07-01T10:00:00.000000Z"},
		{"2026-12-01 12:00:00.25", "2026-12-01T11:00:00.250000Z"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Error err = ERROR_INIT;
		char buf[CLOCK_TEXT_LEN] = "";
		int64_t t;

		if (clock_parse(cases[i].text, &t, &err))
			clock_format(t, buf);
		is_str(buf, cases[i].utc, cases[i].text);
		error_clear(&err);
	}
}

static void
test_no_time(void)
{
	static const char *const texts[] = {
		"",
		"now",
		"2026-11-21",
		"2026-11-21 00",
		"2026-13-01 00:00Z",
		"2026-02-29 00:00Z",
		"2026-11-31 00:00Z",
		"2026-11-21 24:00Z",
		"2026-11-21 00:60Z",
		"2026-11-21 00:00:60Z",
		"2026-11-21 00:00:00.Z",
		"2026-11-21 00:00:00.1234567Z",
		"2026-11-21 00:00+16",
		"2026-11-21 00:00+05:",
		"2026-11-21 00:00+05:60",
		"2026-11-21 00:00Z ",
		" 2026-11-21 00:00Z",
		"26-11-21 00:00Z",
		"2026-11-21 00:00 +00",
		"1969-01-01 00:00Z",
		"2026-1-21 00:00Z",
		/* left out by the change to summer time */
		"2026-03-29 02:30",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		Error err = ERROR_INIT;
		int64_t t;

		ok(!clock_parse(texts[i], &t, &err) && err.code == ERR_USAGE &&
			   err.hint != NULL,
		   "no time: \"%s\"", texts[i]);
		error_clear(&err);
	}
}

static void
test_duration(void)
{
	static const struct
	{
		const char *text;
		int64_t usecs;
	} good[] = {
		{"0", 0},
		{"90", 90 * USECS_PER_SEC},
		{"250ms", 250000},
		{"90s", 90 * USECS_PER_SEC},
		{"15 min", 900 * USECS_PER_SEC},
		{"4h", 14400 * USECS_PER_SEC},
		{"30d", 2592000 * USECS_PER_SEC},
		{"2w", 1209600 * USECS_PER_SEC},
	};
	static const char *const bad[] = {
		"",
		"-1",
		"+1",
		"m",
		"5m",
		"5 x",
		"1.5h",
		"1h30min",
		"5s ",
		"99999999999999999999",
		"9223372036854775807",
		"9223372036854775807w",
	};
	Error err = ERROR_INIT;
	int64_t t;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		ok(clock_parse_duration(good[i].text, &t, &err) && t == good[i].usecs,
		   "duration \"%s\"", good[i].text);
		error_clear(&err);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		ok(!clock_parse_duration(bad[i], &t, &err) && err.code == ERR_USAGE,
		   "no duration: \"%s\"", bad[i]);
		error_clear(&err);
	}
}

static void
test_clocks(void)
{
	int64_t start = clock_monotonic();
	int64_t wall = clock_now() / USECS_PER_SEC;
	int64_t lapse;

	clock_sleep(150000);
	lapse = clock_monotonic() - start;
	ok(lapse >= 150000, "sleeps as long as asked");
	ok(llabs(wall - (int64_t) time(NULL)) <= 2, "the wall clock");

	start = clock_monotonic();
	clock_sleep(-5);
	ok(clock_monotonic() - start < USECS_PER_SEC, "less than nothing");

	thread_request_stop();
	clock_sleep(60 * USECS_PER_SEC);
	ok(clock_monotonic() - start < 30 * USECS_PER_SEC,
	   "a request to stop ends a sleep");
}

int
main(void)
{
	/* the rule itself, so that no time zone files are needed */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	test_format();
	test_parse();
	test_no_time();
	test_duration();
	test_clocks();
	return done_testing();
}
