/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  Test assertions that print TAP, for the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TAP_H
#define PGDR_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count;
static int tap_failed;

static inline bool __attribute__((format(printf, 2, 3)))
ok(bool condition, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", condition ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!condition)
		tap_failed++;
	fflush(stdout);
	return condition;
}

static inline bool
is_str(const char *got, const char *expected, const char *name)
{
	bool same = got && expected ? strcmp(got, expected) == 0 : got == expected;

	ok(same, "%s", name);
	if (!same)
		printf("#      got: %s\n# expected: %s\n", got ? got : "(null)",
			   expected ? expected : "(null)");
	return same;
}

static inline bool
is_int(int64_t got, int64_t expected, const char *name)
{
	ok(got == expected, "%s", name);
	if (got != expected)
		printf("#      got: %" PRId64 "\n# expected: %" PRId64 "\n", got,
			   expected);
	return got == expected;
}

/* Prints the plan; the return value is the exit status. */
static inline int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
