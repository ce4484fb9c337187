/*-------------------------------------------------------------------------
 *
 * param.c
 *	  The keys that belong to a driver, and their values.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/storage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

const char *
storage_param(const StorageOptions *options, const char *key)
{
	for (size_t i = options->param_count; i > 0; i--)
	{
		if (strcmp(options->params[i - 1].key, key) == 0)
			return options->params[i - 1].value;
	}
	return NULL;
}

static bool
parse_int(const char *text, int64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 && *out <= INT32_MAX;
}

bool
storage_parse_size(const char *text, uint64_t *out)
{
	static const struct
	{
		const char *unit;
		int shift;
	} units[] = {{"", 0}, {"B", 0}, {"kB", 10}, {"MB", 20}, {"GB", 30}};
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strcmp(end, units[i].unit) == 0)
		{
			if (errno != 0 || *out > UINT64_MAX >> units[i].shift)
				return false;
			*out <<= units[i].shift;
			return true;
		}
	}
	return false;
}

static bool
parse_duration(const char *text, int64_t *out)
{
	Error why = ERROR_INIT;
	bool done = clock_parse_duration(text, out, &why);

	error_clear(&why);
	return done;
}

static bool
parse_bool(const char *text, bool *out)
{
	*out = strcmp(text, "yes") == 0;
	return *out || strcmp(text, "no") == 0;
}

/* Is value one of the words of "a|b|c"? */
static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (;;)
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
storage_key_accepts(const StorageKey *key, const char *value)
{
	int64_t number;
	uint64_t size;
	bool flag;

	switch (key->kind)
	{
		case STORAGE_KEY_TEXT:
			return value[0] != '\0';
		case STORAGE_KEY_PATH:
			return value[0] == '/';
		case STORAGE_KEY_INT:
			return parse_int(value, &number);
		case STORAGE_KEY_SIZE:
			return storage_parse_size(value, &size);
		case STORAGE_KEY_DURATION:
			return parse_duration(value, &number);
		case STORAGE_KEY_BOOL:
			return parse_bool(value, &flag);
		case STORAGE_KEY_CHOICE:
			return is_choice(key->choices, value);
	}
	return false;
}

int64_t
storage_param_int(const StorageOptions *options, const char *key,
				  int64_t fallback)
{
	const char *text = storage_param(options, key);
	int64_t value;

	return text != NULL && parse_int(text, &value) ? value : fallback;
}

uint64_t
storage_param_size(const StorageOptions *options, const char *key,
				   uint64_t fallback)
{
	const char *text = storage_param(options, key);
	uint64_t value;

	return text != NULL && storage_parse_size(text, &value) ? value : fallback;
}

int64_t
storage_param_duration(const StorageOptions *options, const char *key,
					   int64_t fallback)
{
	const char *text = storage_param(options, key);
	int64_t value;

	return text != NULL && parse_duration(text, &value) ? value : fallback;
}

bool
storage_param_bool(const StorageOptions *options, const char *key,
				   bool fallback)
{
	const char *text = storage_param(options, key);
	bool value;

	return text != NULL && parse_bool(text, &value) ? value : fallback;
}
