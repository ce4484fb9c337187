/*-------------------------------------------------------------------------
 *
 * config.h
 *	  The INI file and the environment, as sections of keys (inih is included
 *	  by config.c only).  What a key means is cmd/settings.c's business.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CONFIG_H
#define PGDR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ConfigEntry
{
	char *section; /* "global", "repo:local" */
	char *key;     /* "compress-level" */
	char *value;
	char *source; /* "/etc/pgdr/pgdr.conf:12", "environment" */
} ConfigEntry;

typedef struct Config
{
	ConfigEntry *entries; /* in order of the file; a key may repeat */
	size_t count;
	size_t cap;
} Config;

/*
 * Syntax errors, text outside a section and lines longer than the parser
 * takes (CONFIG_LINE_MAX bytes) are ERR_CONFIG with file and line, and so is
 * a file that is absent.  A key may repeat (recipient).
 *
 * What inih makes of a line, as tested: "=" or ":" ends a key; a line that
 * starts with ";" or "#" is a comment; in a value, ";" after white space
 * starts a comment ("a;b" is whole, "a ;b" is "a"), "#" never does; quotes mean
 * nothing; white space around a value is removed.  Two things are ours: an
 * indented line is a line of its own, never a continuation of the value
 * above, and nothing but a comment may follow "[section]".
 */
#define CONFIG_LINE_MAX 197

extern bool config_read_file(const char *path, Config *out, Error *err);

/*
 * Adds an entry that comes from elsewhere and takes precedence: removes every
 * entry of that section and key first when replace is true.
 */
extern void config_add(Config *cfg, const char *section, const char *key,
					   const char *value, const char *source, bool replace);

/*
 * Takes over PGDR_<SECTION>_<KEY> variables for the given section and keys
 * ("repo:local" + "path" is PGDR_REPO_LOCAL_PATH).
 */
extern void config_apply_environment(Config *cfg, const char *section,
									 const char *const *keys, size_t nkeys);

/* The last value, or NULL. */
extern const char *config_get(const Config *cfg, const char *section,
							  const char *key);
extern void config_free(Config *cfg);

#endif
