/*-------------------------------------------------------------------------
 *
 * retention_calendar.c
 *	  Keeps the newest backup of each of the last hours, days, ... years.
 *
 * The calendar is that of UTC, and a backup belongs where it began, as its
 * label says.  Only periods with a good backup count, so that a time in which
 * none were taken makes nothing expire.  Of a period without a good one that
 * lies between them the newest stays: it may turn out to be good yet.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define PERIOD_TEXT_LEN 48

static const RetentionRule rules[PERIOD_COUNT] = {[PERIOD_HOUR] = RULE_HOURLY,
												  [PERIOD_DAY] = RULE_DAILY,
												  [PERIOD_WEEK] = RULE_WEEKLY,
												  [PERIOD_MONTH] = RULE_MONTHLY,
												  [PERIOD_YEAR] = RULE_YEARLY};

static void
split_time(int64_t t, struct tm *out)
{
	time_t seconds = (time_t) (t / USECS_PER_SEC);

	gmtime_r(&seconds, out);
}

/* A number that all times of the same period have. */
static int64_t
period_of(RetentionPeriod period, int64_t t)
{
	int64_t seconds = t / USECS_PER_SEC;
	struct tm tm;

	switch (period)
	{
		case PERIOD_HOUR:
			return seconds / 3600;
		case PERIOD_DAY:
			return seconds / 86400;
		case PERIOD_WEEK:
			/* 1970-01-01 was a Thursday */
			return (seconds / 86400 + 3) / 7;
		case PERIOD_MONTH:
			split_time(t, &tm);
			return tm.tm_year * 12 + tm.tm_mon;
		case PERIOD_YEAR:
		case PERIOD_COUNT:
			break;
	}
	split_time(t, &tm);
	return tm.tm_year;
}

/* "2026-11-29", "the week from 2026-11-23"; returns buf. */
static const char *
period_text(RetentionPeriod period, int64_t t, char buf[PERIOD_TEXT_LEN])
{
	char day[CLOCK_TEXT_LEN];

	if (period == PERIOD_WEEK)
		t = (7 * period_of(period, t) - 3) * 86400 * USECS_PER_SEC;
	clock_format(t, day); /* "2026-11-29T18:42:32.123456Z" */
	if (period == PERIOD_YEAR)
		snprintf(buf, PERIOD_TEXT_LEN, "%.4s", day);
	else if (period == PERIOD_MONTH)
		snprintf(buf, PERIOD_TEXT_LEN, "%.7s", day);
	else if (period == PERIOD_HOUR)
		snprintf(buf, PERIOD_TEXT_LEN, "the hour from %.10s %.2s:00Z", day,
				 day + strlen("YYYY-MM-DDT"));
	else
		snprintf(buf, PERIOD_TEXT_LEN, "%s%.10s",
				 period == PERIOD_WEEK ? "the week from " : "", day);
	return buf;
}

static bool
is_candidate(const Retention *r, const Fate *fate, const BackupInfo *of)
{
	return retention_in_series(fate->backup, of) &&
		   !fate->backup->info.archival &&
		   (fate->backup->info.type == BACKUP_FULL || !r->policy->period_full);
}

static void
keep_pick(const Retention *r, RetentionPeriod period, Fate *good, Fate *newest)
{
	char text[PERIOD_TEXT_LEN];
	Fate *pick = good != NULL ? good : newest;

	period_text(period, pick->backup->info.start_time, text);
	if (good != NULL)
		retention_keep(good, rules[period],
					   "It is the newest good %sbackup of %s.",
					   r->policy->period_full ? "full " : "", text);
	else
		retention_keep(newest, rules[period],
					   "It is the newest backup of %s, of which there is no "
					   "good one: it %s.",
					   text, newest->flaw);
}

static void
apply_period(const Retention *r, const BackupInfo *of, RetentionPeriod period)
{
	uint32_t left = r->policy->keep_period[period];
	size_t i = r->catalog->backup_count;

	while (left > 0 && i > 0)
	{
		Fate *good = NULL;
		Fate *newest = NULL;
		int64_t number = 0;

		for (; i > 0; i--)
		{
			Fate *fate = &r->fates[i - 1];
			int64_t n = period_of(period, fate->backup->info.start_time);

			if (!is_candidate(r, fate, of))
				continue;
			if (newest != NULL && n != number)
				break;
			number = n;
			if (newest == NULL)
				newest = fate;
			if (good == NULL && fate->flaw == NULL)
				good = fate;
		}
		if (newest == NULL)
			break;
		keep_pick(r, period, good, newest);
		left -= good != NULL;
	}
}

void
retention_apply_calendar(const Retention *r, const BackupInfo *of)
{
	for (int period = 0; period < PERIOD_COUNT; period++)
		apply_period(r, of, (RetentionPeriod) period);
}
