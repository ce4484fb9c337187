/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  What the configuration says, checked and typed.
 *
 * The tables of keys say everything: name, form, bounds, and the member that
 * takes the value.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/suggest.h"

#define SECTION_GLOBAL "global"
#define SECTION_REPO "repo:"

/* Settings on their way, with what has no member of its own. */
typedef struct Draft
{
	Settings settings;
	RetentionPolicy retention; /* of [global], for repositories without */
} Draft;

typedef struct KeySpec KeySpec;
typedef bool (*TakeFn)(const KeySpec *spec, void *field,
					   const ConfigEntry *entry, Error *err);

struct KeySpec
{
	const char *key;
	TakeFn take;
	size_t offset; /* of the member in Draft or RepoSettings */
	bool required;
	bool repeats;
	int64_t min;
	int64_t max;
	const char *choices; /* "posix|s3" */
};

/* ---- forms of values ---- */

static bool
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

static bool
take_text(const KeySpec *spec, void *field, const ConfigEntry *entry,
		  Error *err)
{
	(void) spec;
	(void) err;
	replace_text(field, entry->value);
	return true;
}

/* An optional path may be set to nothing, as the environment can only do. */
static bool
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

static bool
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

static bool
take_int(const KeySpec *spec, void *field, const ConfigEntry *entry, Error *err)
{
	int64_t v;

	if (!parse_number(spec, entry, &v, err))
		return false;
	*(int *) field = (int) v;
	return true;
}

static bool
take_count(const KeySpec *spec, void *field, const ConfigEntry *entry,
		   Error *err)
{
	int64_t v;

	if (!parse_number(spec, entry, &v, err))
		return false;
	*(uint32_t *) field = (uint32_t) v;
	return true;
}

static bool
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

static bool
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

static bool
take_encryption(const KeySpec *spec, void *field, const ConfigEntry *entry,
				Error *err)
{
	int index;

	if (!is_choice(spec->choices, entry->value, &index))
		return bad_value(entry, "\"age\" or \"none\"", err);
	*(bool *) field = index == 0;
	return true;
}

/* One recipient, or several with white space or commas between them. */
static bool
take_recipients(const KeySpec *spec, void *field, const ConfigEntry *entry,
				Error *err)
{
	static const char between[] = " \t,";
	Settings *s = field;
	const char *p = entry->value + strspn(entry->value, between);

	(void) spec;
	if (*p == '\0')
		return bad_value(entry, "a recipient, \"age1...\"", err);
	while (*p != '\0')
	{
		size_t len = strcspn(p, between);

		s->recipients = mem_realloc(s->recipients,
									(s->recipient_count + 1) * sizeof(char *));
		s->recipients[s->recipient_count++] = mem_strndup(p, len);
		p += len;
		p += strspn(p, between);
	}
	return true;
}

/* ---- the keys ---- */

#define GLOBAL(member) offsetof(Draft, settings.member)
#define REPO(member) offsetof(RepoSettings, member)

#define KEY(name_, take_, offset_, ...)                             \
	{                                                               \
		.key = name_, .take = take_, .offset = offset_, __VA_ARGS__ \
	}

static const KeySpec global_keys[] = {
	KEY("cluster", take_name, GLOBAL(cluster), .required = true),
	KEY("pgdata", take_path, GLOBAL(pgdata), .required = true),
	KEY("connection", take_text, GLOBAL(connection)),
	KEY("spool-path", take_path, GLOBAL(spool_path)),
	KEY("process-max", take_int, GLOBAL(process_max), .min = 1, .max = 64),
	KEY("compress-level", take_int, GLOBAL(compress_level), .min = -7,
		.max = 22),
	KEY("encryption", take_encryption, GLOBAL(encrypt), .choices = "age|none"),
	KEY("recipient", take_recipients, offsetof(Draft, settings),
		.repeats = true),
	KEY("identity-file", take_path, GLOBAL(identity_file)),
	KEY("passphrase-file", take_path, GLOBAL(passphrase_file)),
	KEY("content-key-file", take_path, GLOBAL(content_key_file)),
	KEY("archive-timeout", take_duration, GLOBAL(archive_timeout),
		.min = USECS_PER_SEC),
	KEY("manifest-checksums", take_choice, GLOBAL(manifest_checksums),
		.choices = "CRC32C|SHA256|NONE"),
	KEY("retention-full", take_count, offsetof(Draft, retention.keep_full),
		.max = UINT32_MAX),
	KEY("retention-time", take_duration, offsetof(Draft, retention.keep_time)),
	{.key = NULL}};

static const KeySpec repo_keys[] = {
	KEY("type", take_choice, REPO(type), .choices = "posix"),
	KEY("path", take_path, REPO(path), .required = true),
	KEY("retention-full", take_count, REPO(retention.keep_full),
		.max = UINT32_MAX),
	KEY("retention-time", take_duration, REPO(retention.keep_time)),
	{.key = NULL}};

static const KeySpec *
find_key(const KeySpec *table, const char *key)
{
	for (; table->key != NULL; table++)
	{
		if (strcmp(table->key, key) == 0)
			return table;
	}
	return NULL;
}

static const KeySpec *
keys_of_section(const char *section)
{
	if (strcmp(section, SECTION_GLOBAL) == 0)
		return global_keys;
	if (strncmp(section, SECTION_REPO, strlen(SECTION_REPO)) == 0)
		return repo_keys;
	return NULL;
}

/* ---- what is not known ---- */

static bool
unknown_section(const ConfigEntry *entry, Error *err)
{
	Suggest s;

	error_set(err, ERR_CONFIG, "%s: unknown section [%s]", entry->source,
			  entry->section);
	suggest_start(&s, entry->section);
	suggest_offer(&s, SECTION_GLOBAL);
	if (s.best != NULL)
		return error_hint(err, "Perhaps you meant [%s].", s.best);
	return error_hint(err, "There are [global] and [repo:NAME].");
}

static bool
unknown_key(const ConfigEntry *entry, const KeySpec *table, Error *err)
{
	Suggest s;

	error_set(err, ERR_CONFIG, "%s: unknown key \"%s\" in section [%s]",
			  entry->source, entry->key, entry->section);
	suggest_start(&s, entry->key);
	for (; table->key != NULL; table++)
		suggest_offer(&s, table->key);
	if (s.best != NULL)
		error_hint(err, "Perhaps you meant \"%s\".", s.best);
	return false;
}

/* An entry's section and key; that it is the first of its key. */
static bool
check_entry(const Config *cfg, size_t at, Error *err)
{
	const ConfigEntry *entry = &cfg->entries[at];
	const KeySpec *table = keys_of_section(entry->section);
	const KeySpec *spec;

	if (table == NULL)
		return unknown_section(entry, err);
	if (table == repo_keys &&
		!settings_name_ok(entry->section + strlen(SECTION_REPO)))
	{
		error_set(err, ERR_CONFIG, "%s: invalid section name [%s]",
				  entry->source, entry->section);
		return error_detail(err, "The name of a repository has letters, "
								 "digits, \"_\" and \"-\".");
	}
	spec = find_key(table, entry->key);
	if (spec == NULL)
		return unknown_key(entry, table, err);
	for (size_t i = 0; i < at && !spec->repeats; i++)
	{
		const ConfigEntry *other = &cfg->entries[i];

		if (strcmp(other->section, entry->section) == 0 &&
			strcmp(other->key, entry->key) == 0)
			return error_set(err, ERR_CONFIG,
							 "%s: key \"%s\" is given twice in section [%s]",
							 entry->source, entry->key, entry->section);
	}
	return true;
}

/* ---- the environment ---- */

static char *
variable_name(const char *section, const char *key)
{
	char *name = mem_printf("PGDR_%s_%s", section, key);

	for (char *p = name; *p != '\0'; p++)
		*p = isalnum((unsigned char) *p) ? (char) toupper((unsigned char) *p)
										 : '_';
	return name;
}

static void
apply_section(Config *cfg, const char *section, const KeySpec *table)
{
	for (; table->key != NULL; table++)
		config_apply_environment(cfg, section, &table->key, 1);
}

/* Does "NAME=..." set a key of one of the sections? */
static bool
variable_is_known(const char *variable, const char *section,
				  const KeySpec *table)
{
	size_t len = strcspn(variable, "=");

	for (; table->key != NULL; table++)
	{
		char *name = variable_name(section, table->key);
		bool same = strlen(name) == len && strncmp(name, variable, len) == 0;

		free(name);
		if (same)
			return true;
	}
	return false;
}

static bool
variable_is_ours(const Settings *s, const char *variable)
{
	if (variable_is_known(variable, SECTION_GLOBAL, global_keys))
		return true;
	for (size_t i = 0; i < s->repo_count; i++)
	{
		char *section = mem_printf(SECTION_REPO "%s", s->repos[i].name);
		bool known = variable_is_known(variable, section, repo_keys);

		free(section);
		if (known)
			return true;
	}
	return false;
}

/* A misspelt variable is as wrong as a misspelt key. */
static bool
check_environment(const Settings *s, Error *err)
{
	for (char **p = environ; *p != NULL; p++)
	{
		if (strncmp(*p, "PGDR_GLOBAL_", 12) != 0 &&
			strncmp(*p, "PGDR_REPO_", 10) != 0)
			continue;
		if (variable_is_ours(s, *p))
			continue;
		error_set(err, ERR_CONFIG,
				  "environment variable \"%.*s\" sets no key "
				  "of the configuration",
				  (int) strcspn(*p, "="), *p);
		return error_hint(err, "Its form is PGDR_GLOBAL_<KEY>, or "
							   "PGDR_REPO_<NAME>_<KEY> for a repository of "
							   "the configuration file.");
	}
	return true;
}

/* ---- putting it together ---- */

static int
default_process_max(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1)
		return 1;
	return cores < 4 ? (int) cores : 4;
}

static void
set_defaults(Draft *draft)
{
	Settings *s = &draft->settings;

	s->connection = mem_strdup("");
	s->spool_path = mem_strdup("/var/spool/pgdr");
	s->process_max = default_process_max();
	s->compress_level = 1;
	s->encrypt = true;
	s->archive_timeout = 60 * USECS_PER_SEC;
	s->manifest_checksums = mem_strdup("CRC32C");
}

/* Every repository of the file, in order. */
static void
find_repos(const Config *cfg, Draft *draft)
{
	Settings *s = &draft->settings;

	for (size_t i = 0; i < cfg->count; i++)
	{
		const char *name = cfg->entries[i].section;
		bool known = false;

		if (keys_of_section(name) != repo_keys)
			continue;
		name += strlen(SECTION_REPO);
		for (size_t k = 0; k < s->repo_count && !known; k++)
			known = strcmp(s->repos[k].name, name) == 0;
		if (known)
			continue;
		s->repos = mem_realloc(s->repos,
							   (s->repo_count + 1) * sizeof(RepoSettings));
		s->repos[s->repo_count++] = (RepoSettings){.name = mem_strdup(name),
												   .type = mem_strdup("posix")};
	}
}

/* The values of one section into the struct that starts at base. */
static bool
take_section(const Config *cfg, const char *section, void *base, Error *err)
{
	const KeySpec *table = keys_of_section(section);

	for (size_t i = 0; i < cfg->count; i++)
	{
		const ConfigEntry *entry = &cfg->entries[i];
		const KeySpec *spec;

		if (strcmp(entry->section, section) != 0)
			continue;
		spec = find_key(table, entry->key);
		if (!spec->take(spec, (char *) base + spec->offset, entry, err))
			return false;
	}
	for (; table->key != NULL; table++)
	{
		const char *value = config_get(cfg, section, table->key);

		if (table->required && (value == NULL || value[0] == '\0'))
			return error_set(err, ERR_CONFIG,
							 "key \"%s\" is missing in section [%s]",
							 table->key, section);
	}
	return true;
}

static bool
take_repo(const Config *cfg, const Draft *draft, RepoSettings *repo, Error *err)
{
	char *section = mem_printf(SECTION_REPO "%s", repo->name);
	bool done;

	repo->retention = draft->retention;
	done = take_section(cfg, section, repo, err);
	free(section);
	return done;
}

static bool
check_whole(const Settings *s, Error *err)
{
	if (s->repo_count == 0)
	{
		error_set(err, ERR_CONFIG, "no repository is configured");
		return error_hint(err, "Add a section [repo:NAME] with type and path.");
	}
	if (s->encrypt && s->recipient_count == 0)
	{
		error_set(err, ERR_CONFIG,
				  "encryption is on, but there is no recipient");
		return error_hint(err, "Set recipient to the public key that \"pgdr "
							   "key generate\" prints, or encryption = none.");
	}
	if (!s->encrypt && s->recipient_count > 0)
		return error_set(err, ERR_CONFIG,
						 "recipient is set, but encryption is \"none\"");
	return true;
}

static bool
fill(Config *cfg, Draft *draft, Error *err)
{
	Settings *s = &draft->settings;

	for (size_t i = 0; i < cfg->count; i++)
	{
		if (!check_entry(cfg, i, err))
			return false;
	}
	find_repos(cfg, draft);
	if (!check_environment(s, err))
		return false;
	apply_section(cfg, SECTION_GLOBAL, global_keys);
	for (size_t i = 0; i < s->repo_count; i++)
	{
		char *section = mem_printf(SECTION_REPO "%s", s->repos[i].name);

		apply_section(cfg, section, repo_keys);
		free(section);
	}
	if (!take_section(cfg, SECTION_GLOBAL, draft, err))
		return false;
	for (size_t i = 0; i < s->repo_count; i++)
	{
		if (!take_repo(cfg, draft, &s->repos[i], err))
			return false;
	}
	return check_whole(s, err);
}

/* Errors about the whole do not name the file themselves. */
static bool
name_file(const char *file, Error *err)
{
	if (strstr(err->message, file) == NULL)
		error_prefix(err, "configuration file \"%s\"", file);
	return false;
}

bool
settings_load(const char *file, Settings *out, Error *err)
{
	Config cfg = {0};
	Draft draft = {0};
	bool done;

	if (file == NULL)
		file = getenv("PGDR_CONFIG");
	if (file == NULL || file[0] == '\0')
		file = SETTINGS_DEFAULT_FILE;
	draft.settings.file = file_absolute(file);
	if (!config_read_file(draft.settings.file, &cfg, err))
	{
		error_hint(err, "Name the configuration with --config or PGDR_CONFIG, "
						"or make one with \"pgdr init\".");
		settings_free(&draft.settings);
		return false;
	}
	set_defaults(&draft);
	done = fill(&cfg, &draft, err);
	if (done)
		*out = draft.settings;
	else
	{
		name_file(draft.settings.file, err);
		settings_free(&draft.settings);
	}
	config_free(&cfg);
	return done;
}

void
settings_free(Settings *s)
{
	for (size_t i = 0; i < s->repo_count; i++)
	{
		free(s->repos[i].name);
		free(s->repos[i].type);
		free(s->repos[i].path);
	}
	for (size_t i = 0; i < s->recipient_count; i++)
		free(s->recipients[i]);
	free(s->repos);
	free(s->recipients);
	free(s->file);
	free(s->cluster);
	free(s->pgdata);
	free(s->connection);
	free(s->spool_path);
	free(s->identity_file);
	free(s->passphrase_file);
	free(s->content_key_file);
	free(s->manifest_checksums);
	*s = (Settings){0};
}
