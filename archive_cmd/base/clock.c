/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  Times: microseconds since 1970-01-01 UTC, and their ISO 8601 text.
 *
 *-------------------------------------------------------------------------
 */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"

#define SLEEP_SLICE (USECS_PER_SEC / 10)

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t) ts.tv_sec * USECS_PER_SEC + ts.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t
clock_thread_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/*
 * In slices: a signal interrupts the sleep of one thread only, and one that
 * arrives just before the sleep would be missed.
 */
void
clock_sleep(int64_t usecs)
{
	int64_t end = clock_monotonic() + usecs;
	int64_t left = usecs;

	while (left > 0 && !thread_should_stop())
	{
		int64_t slice = left < SLEEP_SLICE ? left : SLEEP_SLICE;
		struct timespec ts = {.tv_sec = (time_t) (slice / USECS_PER_SEC),
							  .tv_nsec = (long) (slice % USECS_PER_SEC) * 1000};

		nanosleep(&ts, NULL);
		left = end - clock_monotonic();
	}
}

/* Breaks t up in UTC; returns the microseconds within the second. */
static int
break_up(int64_t t, struct tm *tm)
{
	int64_t usec = t % USECS_PER_SEC;
	time_t sec;

	if (usec < 0)
		usec += USECS_PER_SEC;
	sec = (time_t) ((t - usec) / USECS_PER_SEC);
	gmtime_r(&sec, tm);
	return (int) usec;
}

char *
clock_format(int64_t t, char *buf)
{
	struct tm tm;
	int usec = break_up(t, &tm);
	size_t len = strftime(buf, CLOCK_TEXT_LEN, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(buf + len, CLOCK_TEXT_LEN - len, ".%06dZ", usec);
	return buf;
}

char *
clock_format_label(int64_t t, char *buf)
{
	struct tm tm;

	break_up(t, &tm);
	strftime(buf, CLOCK_TEXT_LEN, "%Y%m%dT%H%M%SZ", &tm);
	return buf;
}

/* Exactly `digits` decimal digits at *s, which moves on. */
static bool
take_number(const char **s, int digits, int *out)
{
	int value = 0;

	for (int i = 0; i < digits; i++)
	{
		if (!isdigit((unsigned char) **s))
			return false;
		value = value * 10 + (*(*s)++ - '0');
	}
	*out = value;
	return true;
}

static bool
take_char(const char **s, const char *allowed)
{
	if (**s == '\0' || strchr(allowed, **s) == NULL)
		return false;
	(*s)++;
	return true;
}

/* One to six digits after the point, as microseconds. */
static bool
take_fraction(const char **s, int *usec)
{
	int digits = 0;

	*usec = 0;
	for (; isdigit((unsigned char) **s); (*s)++, digits++)
	{
		if (digits < 6)
			*usec = *usec * 10 + (**s - '0');
	}
	if (digits == 0 || digits > 6)
		return false;
	for (; digits < 6; digits++)
		*usec *= 10;
	return true;
}

/* "Z", "+HH", "-HH:MM" or "+HHMM", in seconds east of Greenwich. */
static bool
take_offset(const char **s, int *offset)
{
	int sign;
	int hours;
	int minutes = 0;

	*offset = 0;
	if (take_char(s, "Zz"))
		return true;
	sign = **s == '-' ? -1 : 1;
	if (!take_char(s, "+-") || !take_number(s, 2, &hours))
		return false;
	if (**s != '\0')
	{
		take_char(s, ":");
		if (!take_number(s, 2, &minutes))
			return false;
	}
	*offset = sign * (hours * 3600 + minutes * 60);
	return hours <= 15 && minutes <= 59;
}

/* Date and time of day up to, not including, the offset. */
static bool
take_fields(const char **s, struct tm *tm, int *usec)
{
	*usec = 0;
	if (!take_number(s, 4, &tm->tm_year) || !take_char(s, "-") ||
		!take_number(s, 2, &tm->tm_mon) || !take_char(s, "-") ||
		!take_number(s, 2, &tm->tm_mday) || !take_char(s, "Tt ") ||
		!take_number(s, 2, &tm->tm_hour) || !take_char(s, ":") ||
		!take_number(s, 2, &tm->tm_min))
		return false;
	if (take_char(s, ":"))
	{
		if (!take_number(s, 2, &tm->tm_sec))
			return false;
		if (take_char(s, ".") && !take_fraction(s, usec))
			return false;
	}
	if (tm->tm_year < 1971)
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

/*
 * mktime() and timegm() accept the 31st of February and 25 o'clock, and hand
 * back the time that they take it for: it is good if nothing changed.
 */
static bool
to_seconds(const struct tm *tm, bool local, time_t *out)
{
	struct tm norm = *tm;

	norm.tm_isdst = -1;
	norm.tm_wday = -1;
	*out = local ? mktime(&norm) : timegm(&norm);
	return norm.tm_wday != -1 && norm.tm_year == tm->tm_year &&
		   norm.tm_mon == tm->tm_mon && norm.tm_mday == tm->tm_mday &&
		   norm.tm_hour == tm->tm_hour && norm.tm_min == tm->tm_min &&
		   norm.tm_sec == tm->tm_sec;
}

static bool
parse_time(const char *s, int64_t *out)
{
	struct tm tm = {0};
	int usec;
	int offset = 0;
	bool local;
	time_t sec;

	if (!take_fields(&s, &tm, &usec))
		return false;
	local = *s == '\0';
	if (!local && (!take_offset(&s, &offset) || *s != '\0'))
		return false;
	if (!to_seconds(&tm, local, &sec))
		return false;
	*out = ((int64_t) sec - offset) * USECS_PER_SEC + usec;
	return true;
}

bool
clock_parse(const char *text, int64_t *out, Error *err)
{
	if (parse_time(text, out))
		return true;
	error_set(err, ERR_USAGE, "\"%s\" is not a time", text);
	return error_hint(err, "Write it as \"2026-11-21 00:18:29+00\".");
}

static const struct
{
	const char *name;
	int64_t usecs;
} units[] = {
	{"", USECS_PER_SEC},
	{"ms", 1000},
	{"s", USECS_PER_SEC},
	{"min", 60 * USECS_PER_SEC},
	{"h", 3600 * USECS_PER_SEC},
	{"d", 86400 * USECS_PER_SEC},
	{"w", 7 * 86400 * USECS_PER_SEC},
};

static bool
parse_duration(const char *s, int64_t *usecs)
{
	int64_t value = 0;

	if (!isdigit((unsigned char) *s))
		return false;
	for (; isdigit((unsigned char) *s); s++)
	{
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *s - '0', &value))
			return false;
	}
	while (*s == ' ')
		s++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strcmp(s, units[i].name) == 0)
			return !__builtin_mul_overflow(value, units[i].usecs, usecs);
	}
	return false;
}

bool
clock_parse_duration(const char *text, int64_t *usecs, Error *err)
{
	if (parse_duration(text, usecs))
		return true;
	error_set(err, ERR_USAGE, "\"%s\" is not a duration", text);
	return error_hint(err, "Give a number with one of the units \"ms\", \"s\", "
						   "\"min\", \"h\", \"d\" and \"w\".");
}
