/*-------------------------------------------------------------------------
 *
 * stamp.c
 *	  Times as names of objects.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/stamp.h"

#include <string.h>

#include "base/clock.h"

#define PATTERN "ddddddddTdddddd.ddddddZ"
#define FRACTION_AT 15

char *
stamp_format(int64_t t, char *buf)
{
	char text[CLOCK_TEXT_LEN];
	char *to = buf;

	clock_format(t, text);
	for (const char *from = text; *from != '\0'; from++)
	{
		if (*from != '-' && *from != ':')
			*to++ = *from;
	}
	*to = '\0';
	return buf;
}

static bool
fits_pattern(const char *text, const char *pattern, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (pattern[i] == 'd' ? !digit : text[i] != pattern[i])
			return false;
	}
	return true;
}

bool
stamp_parse(const char *text, size_t len, int64_t *t)
{
	char iso[CLOCK_TEXT_LEN];
	size_t n = 0;
	Error none = ERROR_INIT;
	bool ok;

	if (len == sizeof(PATTERN) - 1)
		ok = fits_pattern(text, PATTERN, len);
	else
		ok = len == STAMP_SECONDS_LEN &&
			 fits_pattern(text, PATTERN, FRACTION_AT) &&
			 text[FRACTION_AT] == 'Z';
	if (!ok)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (i == 4 || i == 6)
			iso[n++] = '-';
		if (i == 11 || i == 13)
			iso[n++] = ':';
		iso[n++] = text[i];
	}
	iso[n] = '\0';
	ok = clock_parse(iso, t, &none);
	error_clear(&none);
	return ok;
}
