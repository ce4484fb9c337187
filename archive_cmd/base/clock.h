/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  Times: microseconds since 1970-01-01 UTC, and their ISO 8601 text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CLOCK_H
#define PGDR_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define USECS_PER_SEC INT64_C(1000000)

/* Microseconds between 1970-01-01 and PostgreSQL's epoch 2000-01-01. */
#define CLOCK_PG_EPOCH (INT64_C(946684800) * USECS_PER_SEC)

#define CLOCK_TEXT_LEN 40

extern int64_t clock_now(void);        /* wall clock, microseconds */
extern int64_t clock_monotonic(void);  /* for durations, microseconds */
extern int64_t clock_thread_cpu(void); /* that this thread had, microseconds */

/* Ends early when thread_should_stop(), at most a tenth of a second late. */
extern void clock_sleep(int64_t usecs);

/* "2026-11-21T00:18:29.123456Z"; returns buf (CLOCK_TEXT_LEN bytes). */
extern char *clock_format(int64_t t, char *buf);
/* "20261121T001829Z" */
extern char *clock_format_label(int64_t t, char *buf);

/*
 * Parses "YYYY-MM-DD[ T]HH:MM[:SS[.ffffff]][Z|+HH[:MM]|-HH[:MM]]"; without an
 * offset the time is local, and a time that the change to summer time leaves out
 * is none.  Years 1971 to 9999.  ERR_USAGE when it is no time.
 */
extern bool clock_parse(const char *text, int64_t *out, Error *err);

/*
 * "250ms", "90s", "15min", "4h", "30d", "2w"; a bare number is seconds.
 * "m" is refused: minutes to one reader, months to another.
 */
extern bool clock_parse_duration(const char *text, int64_t *usecs, Error *err);

#endif
