/*-------------------------------------------------------------------------
 *
 * options.h
 *	  Options and arguments of one run, from the command line and from JSON
 *	  on standard input, checked against the tables of OptionSpec.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_OPTIONS_H
#define PGDR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "cmd/cmd.h"

typedef struct OptionValue
{
	const OptionSpec *spec;
	char *value; /* "" of a flag */
} OptionValue;

typedef struct OptionSet
{
	const OptionSpec *own; /* of the command; NULL until it is known */
	OptionValue *values;
	size_t value_count;
	size_t value_cap;
	char **arguments;
	size_t argument_count;
	size_t argument_cap;
} OptionSet;

/* What every command takes. */
extern const OptionSpec global_options[];

/*
 * Global options up to the first word that is none; *used counts what was
 * read.  ERR_USAGE as below.
 */
extern bool options_parse_globals(OptionSet *set, int argc, char *const *argv,
								  int *used, Error *err);

/*
 * The rest, behind the command: global options, set->own and arguments, in
 * any order; "--" ends options.  ERR_USAGE for what is unknown (with the
 * nearest option as hint), given twice, or has a value too many or too few.
 */
extern bool options_parse(OptionSet *set, int argc, char *const *argv,
						  Error *err);

/*
 * The same from one JSON object: option names with a string, an integer, a
 * boolean (flags; false and null mean "not given") or an array (lists), and
 * "arguments" with an array of strings.
 */
extern bool options_parse_json(OptionSet *set, const char *text, size_t len,
							   Error *err);

/* Reads all of a descriptor first; ERR_USAGE if it is larger than 1 MiB. */
extern bool options_parse_fd(OptionSet *set, int fd, Error *err);

/* The i-th value of an option, or NULL. */
extern const char *options_value(const OptionSet *set, const char *name,
								 size_t i);

/* A decimal integer within bounds; ERR_USAGE naming the option otherwise. */
extern bool options_int(const char *name, const char *text, int64_t min,
						int64_t max, int64_t *value, Error *err);

extern void options_free(OptionSet *set);

#endif
