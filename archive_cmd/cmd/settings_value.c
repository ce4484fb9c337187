/*-------------------------------------------------------------------------
 *
 * settings_value.c
 *	  The forms that values in the configuration have.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

bool
bad_value(const ConfigEntry *entry, const char *wanted, Error *err)
{
	error_set(err, ERR_CONFIG, "%s: invalid value \"%s\" for key \"%s\"",
			  entry->source, entry->value, entry->key);
	return error_detail(err, "It must be %s.", wanted);
}

static void
replace_text(void *field, const char *value)
{
	char **text = field;

	free(*text);
	*text = mem_strdup(value);
}

bool
take_text(const KeySpec *spec, void *field, const ConfigEntry *entry,
		  Error *err)
{
	(void) spec;
	(void) err;
	replace_text(field, entry->value);
	return true;
}

bool
take_path(const KeySpec *spec, void *field, const ConfigEntry *entry,
		  Error *err)
{
	char *path;

	if (entry->value[0] == '\0' && !spec->required)
		return true;
	if (entry->value[0] != '/')
		return bad_value(entry, "an absolute path", err);
	path = file_absolute(entry->value);
	replace_text(field, path);
	free(path);
	return true;
}

bool
settings_name_ok(const char *text)
{
	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		if (!isalnum((unsigned char) *text) && *text != '_' && *text != '-')
			return false;
	}
	return true;
}

bool
take_name(const KeySpec *spec, void *field, const ConfigEntry *entry,
		  Error *err)
{
	(void) spec;
	if (!settings_name_ok(entry->value))
		return bad_value(entry, "a name of letters, digits, \"_\" and \"-\"",
						 err);
	replace_text(field, entry->value);
	return true;
}

static bool
parse_number(const KeySpec *spec, const ConfigEntry *entry, int64_t *out,
			 Error *err)
{
	const char *digits = entry->value + (entry->value[0] == '-');
	char wanted[80];
	char *end;
	long long v;

	errno = 0;
	v = strtoll(entry->value, &end, 10);
	if (!isdigit((unsigned char) digits[0]) || *end != '\0' || errno != 0 ||
		v < spec->min || v > spec->max)
	{
		snprintf(wanted, sizeof(wanted),
				 "an integer from %" PRId64 " to %" PRId64, spec->min,
				 spec->max);
		return bad_value(entry, wanted, err);
	}
	*out = v;
	return true;
}

bool
take_int(const KeySpec *spec, void *field, const ConfigEntry *entry, Error *err)
{
	int64_t v;

	if (!parse_number(spec, entry, &v, err))
		return false;
	*(int *) field = (int) v;
	return true;
}

bool
take_level(const KeySpec *spec, void *field, const ConfigEntry *entry,
		   Error *err)
{
	Settings *s = field;
	Error why = ERROR_INIT;

	if (strcmp(entry->value, "adaptive") == 0)
		s->pace = zstd_pace_new();
	else if (!take_int(spec, &s->compress_level, entry, &why))
	{
		error_clear(&why);
		return bad_value(entry, "an integer from -7 to 22, or \"adaptive\"",
						 err);
	}
	return true;
}

bool
take_yes_no(const KeySpec *spec, void *field, const ConfigEntry *entry,
			Error *err)
{
	(void) spec;
	*(bool *) field = strcmp(entry->value, "yes") == 0;
	return *(bool *) field || strcmp(entry->value, "no") == 0 ||
		   bad_value(entry, "\"yes\" or \"no\"", err);
}

bool
take_count(const KeySpec *spec, void *field, const ConfigEntry *entry,
		   Error *err)
{
	int64_t v;

	if (!parse_number(spec, entry, &v, err))
		return false;
	*(uint32_t *) field = (uint32_t) v;
	return true;
}

bool
take_size(const KeySpec *spec, void *field, const ConfigEntry *entry,
		  Error *err)
{
	uint64_t v;

	(void) spec;
	if (!storage_parse_size(entry->value, &v))
		return bad_value(entry, "a size such as \"64MB\", \"1GB\"", err);
	*(uint64_t *) field = v;
	return true;
}

bool
take_duration(const KeySpec *spec, void *field, const ConfigEntry *entry,
			  Error *err)
{
	Error why = ERROR_INIT;
	int64_t v = 0;
	bool good = clock_parse_duration(entry->value, &v, &why);

	error_clear(&why);
	if (!good || v < spec->min)
		return bad_value(entry, "a time such as \"90s\", \"15min\", \"30d\"",
						 err);
	*(int64_t *) field = v;
	return true;
}

/* Is value one of the words of "a|b|c"?  *index is its place. */
static bool
is_choice(const char *choices, const char *value, int *index)
{
	size_t len = strlen(value);

	for (*index = 0;; (*index)++)
	{
		size_t n = strcspn(choices, "|");

		if (n == len && strncmp(choices, value, n) == 0)
			return true;
		if (choices[n] == '\0')
			return false;
		choices += n + 1;
	}
}

bool
take_choice(const KeySpec *spec, void *field, const ConfigEntry *entry,
			Error *err)
{
	char wanted[80];
	int index;

	if (!is_choice(spec->choices, entry->value, &index))
	{
		snprintf(wanted, sizeof(wanted), "one of %s", spec->choices);
		return bad_value(entry, wanted, err);
	}
	replace_text(field, entry->value);
	return true;
}

bool
take_encryption(const KeySpec *spec, void *field, const ConfigEntry *entry,
				Error *err)
{
	int index;

	if (!is_choice(spec->choices, entry->value, &index))
		return bad_value(entry, "\"age\" or \"none\"", err);
	*(bool *) field = index == 0;
	return true;
}

bool
take_cipher(const KeySpec *spec, void *field, const ConfigEntry *entry,
			Error *err)
{
	int index;

	if (!is_choice(spec->choices, entry->value, &index))
		return bad_value(entry, "\"chacha20-poly1305\" or \"aes-256-gcm\"",
						 err);
	*(bool *) field = index == 1;
	return true;
}

/* "2026-11-29" as the beginning of that day, in UTC. */
static bool
parse_day(const char *text, int64_t *out)
{
	char *time = mem_printf("%s 00:00Z", text);
	Error ignored = ERROR_INIT;
	bool good = strlen(text) == 10 && clock_parse(time, out, &ignored);

	error_clear(&ignored);
	free(time);
	return good;
}

/* Takes text over: a key, and perhaps the day on which it was made. */
static bool
add_recipient(Settings *s, char *text, bool escrow)
{
	RecipientNote note = {.escrow = escrow};
	char *day = strchr(text, '@');
	size_t count = s->recipient_count + 1;

	if (day != NULL)
	{
		*day = '\0';
		if (!parse_day(day + 1, &note.created))
		{
			free(text);
			return false;
		}
	}
	s->recipients = mem_realloc(s->recipients, count * sizeof(char *));
	s->notes = mem_realloc(s->notes, count * sizeof(RecipientNote));
	s->recipients[count - 1] = text;
	s->notes[count - 1] = note;
	s->recipient_count = count;
	return true;
}

bool
take_calendar(const KeySpec *spec, void *field, const ConfigEntry *entry,
			  Error *err)
{
	int index;

	if (!is_choice(spec->choices, entry->value, &index))
		return bad_value(entry, "\"all\" or \"full\"", err);
	*(bool *) field = index == 1;
	return true;
}

bool
settings_retention_ok(const RetentionPolicy *policy, Error *err)
{
	if (policy->wal_time == 0 || policy->wal_time >= policy->keep_time)
		return true;
	error_set(err, ERR_CONFIG, "retention-wal is shorter than retention-time");
	return error_detail(err, "What is to stay recoverable needs its WAL.");
}

/* One recipient, or several with white space or commas between them. */
bool
take_recipients(const KeySpec *spec, void *field, const ConfigEntry *entry,
				Error *err)
{
	const char *p = entry->value + strspn(entry->value, RECIPIENT_BETWEEN);
	bool escrow = strcmp(spec->key, "escrow-recipient") == 0;

	if (*p == '\0')
		return bad_value(entry, "a recipient, \"age1...\"", err);
	while (*p != '\0')
	{
		size_t len = strcspn(p, RECIPIENT_BETWEEN);

		if (!add_recipient(field, mem_strndup(p, len), escrow))
			return bad_value(entry,
							 "a recipient, \"age1...\", with the day on which "
							 "it was made at most: \"age1...@2026-11-29\"",
							 err);
		p += len;
		p += strspn(p, RECIPIENT_BETWEEN);
	}
	return true;
}
