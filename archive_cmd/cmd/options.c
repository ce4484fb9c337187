/*-------------------------------------------------------------------------
 *
 * options.c
 *	  Options and arguments of one run.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd/suggest.h"

#define STDIN_MAX ((size_t) 1 << 20)

const OptionSpec global_options[] = {
	{"config", OPTION_TEXT, "FILE", "configuration file"},
	{"repo", OPTION_TEXT, "NAME[,NAME]", "repositories, if not all"},
	{"output", OPTION_TEXT, "FORMAT", "text or json"},
	{"log-level", OPTION_TEXT, "LEVEL", "debug, info, warning or error"},
	{"stdin-options", OPTION_FLAG, NULL,
	 "read more options from standard input, as JSON"},
	{"help", OPTION_FLAG, NULL, "show help and exit"},
	{"version", OPTION_FLAG, NULL, "show the version and exit"},
	{NULL, OPTION_FLAG, NULL, NULL}};

static const OptionSpec *
find_in(const OptionSpec *table, const char *name, size_t len)
{
	for (; table != NULL && table->name != NULL; table++)
	{
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static const OptionSpec *
find_option(const OptionSet *set, const char *name, size_t len)
{
	const OptionSpec *spec = find_in(set->own, name, len);

	return spec != NULL ? spec : find_in(global_options, name, len);
}

static void
offer_all(Suggest *s, const OptionSpec *table)
{
	for (; table != NULL && table->name != NULL; table++)
		suggest_offer(s, table->name);
}

static bool
unknown_option(const OptionSet *set, const char *name, size_t len, Error *err)
{
	char *word = mem_strndup(name, len);
	Suggest s;

	suggest_start(&s, word);
	offer_all(&s, set->own);
	offer_all(&s, global_options);
	error_set(err, ERR_USAGE, "unknown option \"--%s\"", word);
	if (s.best != NULL)
		error_hint(err, "Perhaps you meant \"--%s\".", s.best);
	free(word);
	return false;
}

/* Checks the value's form and keeps a copy. */
static bool
add_value(OptionSet *set, const OptionSpec *spec, const char *value, Error *err)
{
	int64_t number;

	if (spec->kind != OPTION_LIST && options_value(set, spec->name, 0) != NULL)
		return error_set(err, ERR_USAGE, "option \"--%s\" is given twice",
						 spec->name);
	if (spec->kind == OPTION_INT &&
		!options_int(spec->name, value, INT64_MIN, INT64_MAX, &number, err))
		return false;
	set->values = mem_grow(set->values, set->value_count, &set->value_cap,
						   sizeof(OptionValue));
	set->values[set->value_count].spec = spec;
	set->values[set->value_count++].value = mem_strdup(value);
	return true;
}

static void
add_argument(OptionSet *set, const char *text)
{
	set->arguments = mem_grow(set->arguments, set->argument_count,
							  &set->argument_cap, sizeof(char *));
	set->arguments[set->argument_count++] = mem_strdup(text);
}

/* "--name", "--name=value" or "--name" "value"; *i is moved past a value. */
static bool
parse_option(OptionSet *set, int argc, char *const *argv, int *i, Error *err)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	const OptionSpec *spec = find_option(set, name, len);

	if (spec == NULL)
		return unknown_option(set, name, len, err);
	if (spec->kind == OPTION_FLAG)
	{
		if (value != NULL)
			return error_set(err, ERR_USAGE, "option \"--%s\" takes no value",
							 spec->name);
		return add_value(set, spec, "", err);
	}
	if (value == NULL)
	{
		if (*i + 1 >= argc)
			return error_set(err, ERR_USAGE, "option \"--%s\" needs a value",
							 spec->name);
		value = argv[++*i];
	}
	return add_value(set, spec, value, err);
}

/* The two short options that everybody tries. */
static bool
parse_short(OptionSet *set, const char *arg, Error *err)
{
	if (strcmp(arg, "-h") == 0 || strcmp(arg, "-?") == 0)
		return add_value(set, find_option(set, "help", 4), "", err);
	if (strcmp(arg, "-V") == 0)
		return add_value(set, find_option(set, "version", 7), "", err);
	return error_set(err, ERR_USAGE, "unknown option \"%s\"", arg);
}

static bool
parse_one(OptionSet *set, int argc, char *const *argv, int *i, Error *err)
{
	if (strncmp(argv[*i], "--", 2) == 0)
		return parse_option(set, argc, argv, i, err);
	return parse_short(set, argv[*i], err);
}

static bool
is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0' && strcmp(arg, "--") != 0;
}

bool
options_parse_globals(OptionSet *set, int argc, char *const *argv, int *used,
					  Error *err)
{
	int i;

	for (i = 0; i < argc && is_option(argv[i]); i++)
	{
		if (parse_one(set, argc, argv, &i, err))
			continue;
		if (err->hint == NULL)
			error_hint(err, "Options of a command come after it.");
		return false;
	}
	*used = i;
	return true;
}

bool
options_parse(OptionSet *set, int argc, char *const *argv, Error *err)
{
	bool ended = false;

	for (int i = 0; i < argc; i++)
	{
		if (!ended && strcmp(argv[i], "--") == 0)
			ended = true;
		else if (ended || !is_option(argv[i]))
			add_argument(set, argv[i]);
		else if (!parse_one(set, argc, argv, &i, err))
			return false;
	}
	return true;
}

/* ---- JSON ---- */

typedef struct JsonWalk
{
	OptionSet *set;
	Error *err;
	bool failed;
} JsonWalk;

static bool
wrong_json(const char *name, const char *wanted, Error *err)
{
	return error_set(err, ERR_USAGE, "member \"%s\" of the options must be %s",
					 name, wanted);
}

/* A string or an integer. */
static bool
add_scalar(OptionSet *set, const OptionSpec *spec, const Json *v, Error *err)
{
	char *text;
	bool done;

	if (json_is_string(v))
		return add_value(set, spec, json_str(v), err);
	if (!json_is_int(v))
		return wrong_json(spec->name, "a string or an integer", err);
	text = mem_printf("%" PRId64, json_int(v, 0));
	done = add_value(set, spec, text, err);
	free(text);
	return done;
}

/* json.h reads booleans as members only. */
static bool
bool_value(const Json *v)
{
	char *text = json_dump(v);
	bool value = strcmp(text, "true") == 0;

	free(text);
	return value;
}

static bool
add_json(OptionSet *set, const OptionSpec *spec, const Json *v, Error *err)
{
	if (json_is_null(v))
		return true;
	if (spec->kind == OPTION_FLAG)
	{
		if (!json_is_bool(v))
			return wrong_json(spec->name, "true or false", err);
		return !bool_value(v) || add_value(set, spec, "", err);
	}
	if (!json_is_array(v))
		return add_scalar(set, spec, v, err);
	if (spec->kind != OPTION_LIST)
		return wrong_json(spec->name, "a single value", err);
	for (size_t i = 0; i < json_array_len(v); i++)
	{
		if (!add_scalar(set, spec, json_array_at(v, i), err))
			return false;
	}
	return true;
}

static bool
add_json_arguments(OptionSet *set, const Json *v, Error *err)
{
	if (!json_is_array(v))
		return wrong_json("arguments", "an array of strings", err);
	for (size_t i = 0; i < json_array_len(v); i++)
	{
		const char *text = json_str(json_array_at(v, i));

		if (text == NULL)
			return wrong_json("arguments", "an array of strings", err);
		add_argument(set, text);
	}
	return true;
}

/* Members that make no sense in what is read because of another option. */
static bool
only_on_command_line(const char *name)
{
	return strcmp(name, "stdin-options") == 0 || strcmp(name, "help") == 0 ||
		   strcmp(name, "version") == 0;
}

static void
take_member(void *arg, const char *key, const Json *v)
{
	JsonWalk *walk = arg;
	const OptionSpec *spec;

	if (walk->failed)
		return;
	if (strcmp(key, "arguments") == 0)
	{
		walk->failed = !add_json_arguments(walk->set, v, walk->err);
		return;
	}
	spec = find_option(walk->set, key, strlen(key));
	if (spec == NULL)
		walk->failed = !unknown_option(walk->set, key, strlen(key), walk->err);
	else if (only_on_command_line(key))
		walk->failed = !error_set(walk->err, ERR_USAGE,
								  "option \"--%s\" cannot come from standard "
								  "input",
								  key);
	else
		walk->failed = !add_json(walk->set, spec, v, walk->err);
}

bool
options_parse_json(OptionSet *set, const char *text, size_t len, Error *err)
{
	JsonWalk walk = {.set = set, .err = err};
	Error why = ERROR_INIT;
	Json *obj = json_parse(text, len, &why);

	if (obj == NULL || !json_is_object(obj))
	{
		error_set(err, ERR_USAGE,
				  "standard input does not hold one JSON object of options");
		if (error_is_set(&why))
			error_detail(err, "The parser says: %s.", why.message);
		error_clear(&why);
		json_free(obj);
		return false;
	}
	json_each(obj, take_member, &walk);
	json_free(obj);
	return !walk.failed;
}

bool
options_parse_fd(OptionSet *set, int fd, Error *err)
{
	StrBuf text = STRBUF_INIT;
	size_t got;
	bool done = false;

	strbuf_reserve(&text, STDIN_MAX + 1);
	if (file_read_full(fd, text.data, STDIN_MAX + 1, &got, "standard input",
					   err))
	{
		if (got > STDIN_MAX)
			error_set(err, ERR_USAGE,
					  "options on standard input are too large");
		else
			done = options_parse_json(set, text.data, got, err);
	}
	strbuf_free(&text);
	return done;
}

/* ---- reading them ---- */

const char *
options_value(const OptionSet *set, const char *name, size_t i)
{
	for (size_t k = 0; k < set->value_count; k++)
	{
		if (strcmp(set->values[k].spec->name, name) == 0 && i-- == 0)
			return set->values[k].value;
	}
	return NULL;
}

bool
options_int(const char *name, const char *text, int64_t min, int64_t max,
			int64_t *value, Error *err)
{
	const char *digits = text + (text[0] == '-');
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (digits[0] < '0' || digits[0] > '9' || *end != '\0' || errno != 0)
		return error_set(err, ERR_USAGE,
						 "option \"--%s\" needs an integer, not \"%s\"", name,
						 text);
	if (v < min || v > max)
	{
		error_set(err, ERR_USAGE,
				  "value %lld of option \"--%s\" is out of range", v, name);
		return error_detail(err, "It can be %" PRId64 " to %" PRId64 ".", min,
							max);
	}
	*value = v;
	return true;
}

void
options_free(OptionSet *set)
{
	for (size_t i = 0; i < set->value_count; i++)
		free(set->values[i].value);
	for (size_t i = 0; i < set->argument_count; i++)
		free(set->arguments[i]);
	free(set->values);
	free(set->arguments);
	*set = (OptionSet){0};
}
