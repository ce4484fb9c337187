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
#include "cmd/settings_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/suggest.h"
#include "repo/target.h"

/* Settings on their way, with what has no member of its own. */
typedef struct Draft
{
	Settings settings;
	RetentionPolicy retention; /* of [global], for repositories without */
} Draft;

/* ---- the keys ---- */

#define GLOBAL(member) offsetof(Draft, settings.member)
#define REPOS_MAX 16

#define KEY(name_, take_, offset_, ...)                             \
	{                                                               \
		.key = name_, .take = take_, .offset = offset_, __VA_ARGS__ \
	}

/* The same keys for all repositories and for one; at(member) says where to. */
#define RETENTION_KEYS(at)                                                   \
	KEY("retention-full", take_count, at(keep_full), .max = UINT32_MAX),     \
		KEY("retention-last", take_count, at(keep_last), .max = UINT32_MAX), \
		KEY("retention-time", take_duration, at(keep_time)),                 \
		KEY("retention-hourly", take_count, at(keep_period[PERIOD_HOUR]),    \
			.max = UINT32_MAX),                                              \
		KEY("retention-daily", take_count, at(keep_period[PERIOD_DAY]),      \
			.max = UINT32_MAX),                                              \
		KEY("retention-weekly", take_count, at(keep_period[PERIOD_WEEK]),    \
			.max = UINT32_MAX),                                              \
		KEY("retention-monthly", take_count, at(keep_period[PERIOD_MONTH]),  \
			.max = UINT32_MAX),                                              \
		KEY("retention-yearly", take_count, at(keep_period[PERIOD_YEAR]),    \
			.max = UINT32_MAX),                                              \
		KEY("retention-calendar", take_calendar, at(period_full),            \
			.choices = "all|full"),                                          \
		KEY("retention-incremental", take_count, at(keep_incremental),       \
			.max = UINT32_MAX),                                              \
		KEY("retention-minimum", take_count, at(minimum), .min = 1,          \
			.max = UINT32_MAX),                                              \
		KEY("retention-archival", take_duration, at(keep_archival)),         \
		KEY("retention-wal", take_duration, at(wal_time))

#define GLOBAL_RETENTION(member) offsetof(Draft, retention.member)
#define REPO_RETENTION(member) offsetof(RepoSettings, retention.member)

static const KeySpec global_keys[] = {
	KEY("cluster", take_name, GLOBAL(cluster), .required = true),
	KEY("pgdata", take_path, GLOBAL(pgdata), .required = true),
	KEY("connection", take_text, GLOBAL(connection)),
	KEY("primary-connection", take_text, GLOBAL(primary_connection)),
	KEY("spool-path", take_path, GLOBAL(spool_path)),
	KEY("nice", take_int, GLOBAL(nice), .max = 19),
	KEY("process-max", take_int, GLOBAL(process_max), .min = 1, .max = 64),
	KEY("push-ahead", take_int, GLOBAL(push_ahead), .min = 0, .max = 1024),
	KEY("get-ahead", take_size, GLOBAL(get_ahead)),
	KEY("compress-level", take_level, offsetof(Draft, settings), .min = -7,
		.max = 22),
	KEY("compress-long", take_yes_no, GLOBAL(compress_long)),
	KEY("encryption", take_encryption, GLOBAL(encrypt), .choices = "age|none"),
	KEY("cipher", take_cipher, GLOBAL(aes),
		.choices = "chacha20-poly1305|aes-256-gcm"),
	KEY("recipient", take_recipients, offsetof(Draft, settings),
		.repeats = true),
	KEY("escrow-recipient", take_recipients, offsetof(Draft, settings),
		.repeats = true),
	KEY("key-max-age", take_duration, GLOBAL(key_max_age)),
	KEY("identity-file", take_path, GLOBAL(identity_file)),
	KEY("passphrase-file", take_path, GLOBAL(passphrase_file)),
	KEY("content-key-file", take_path, GLOBAL(content_key_file)),
	KEY("archive-timeout", take_duration, GLOBAL(archive_timeout),
		.min = USECS_PER_SEC),
	KEY("manifest-checksums", take_choice, GLOBAL(manifest_checksums),
		.choices = "CRC32C|SHA256|NONE"),
	KEY("pg-bin-path", take_path, GLOBAL(pg_bin_path)),
	KEY("quorum", take_count, GLOBAL(quorum), .max = REPOS_MAX),
	RETENTION_KEYS(GLOBAL_RETENTION),
	{.key = NULL}};

static const KeySpec repo_keys[] = {KEY("type", take_repo_type, 0),
									KEY("path", take_repo_path, 0),
									KEY("required", take_repo_required, 0),
									RETENTION_KEYS(REPO_RETENTION),
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
	return target_keys(section);
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
	return error_hint(err, "There are [global], [repo:NAME], [files:NAME] and "
						   "[logical:NAME].");
}

static bool
unknown_key(const ConfigEntry *entry, const KeySpec *table,
			const StorageKey *driver, Error *err)
{
	Suggest s;

	error_set(err, ERR_CONFIG, "%s: unknown key \"%s\" in section [%s]",
			  entry->source, entry->key, entry->section);
	suggest_start(&s, entry->key);
	for (; table->key != NULL; table++)
		suggest_offer(&s, table->key);
	for (; driver != NULL && driver->key != NULL; driver++)
		suggest_offer(&s, driver->key);
	if (s.best != NULL)
		error_hint(err, "Perhaps you meant \"%s\".", s.best);
	return false;
}

static bool
section_name_ok(const char *section)
{
	if (strncmp(section, SECTION_REPO, strlen(SECTION_REPO)) == 0)
		return settings_name_ok(section + strlen(SECTION_REPO));
	return target_ok(section);
}

/* An entry's section and key; that it is the first of its key. */
static bool
check_entry(const Config *cfg, size_t at, Error *err)
{
	const ConfigEntry *entry = &cfg->entries[at];
	const KeySpec *table = keys_of_section(entry->section);
	const StorageKey *driver;
	const KeySpec *spec;

	if (table == NULL)
		return unknown_section(entry, err);
	if (table != global_keys && !section_name_ok(entry->section))
	{
		error_set(err, ERR_CONFIG, "%s: invalid section name [%s]",
				  entry->source, entry->section);
		return error_detail(err, "The name behind the colon has letters, "
								 "digits, \"_\" and \"-\".");
	}
	driver = table == repo_keys ? repo_driver_keys(cfg, entry->section) : NULL;
	spec = find_key(table, entry->key);
	if (spec == NULL && find_driver_key(driver, entry->key) == NULL)
		return unknown_key(entry, table, driver, err);
	for (size_t i = 0; i < at && (spec == NULL || !spec->repeats); i++)
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

/* The type first: it decides which other keys there are. */
static void
apply_section(Config *cfg, const char *section, const KeySpec *table)
{
	const StorageKey *driver;

	for (const KeySpec *spec = table; spec->key != NULL; spec++)
		config_apply_environment(cfg, section, &spec->key, 1);
	if (table != repo_keys)
		return;
	driver = repo_driver_keys(cfg, section);
	for (; driver != NULL && driver->key != NULL; driver++)
		config_apply_environment(cfg, section, &driver->key, 1);
}

static bool
variable_is(const char *variable, const char *section, const char *key)
{
	size_t len = strcspn(variable, "=");
	char *name = variable_name(section, key);
	bool same = strlen(name) == len && strncmp(name, variable, len) == 0;

	free(name);
	return same;
}

/* Does "NAME=..." set a key of this section? */
static bool
variable_is_known(const Config *cfg, const char *variable, const char *section,
				  const KeySpec *table)
{
	const StorageKey *driver = table == repo_keys
								   ? repo_driver_keys(cfg, section)
								   : NULL;

	for (; table->key != NULL; table++)
	{
		if (variable_is(variable, section, table->key))
			return true;
	}
	for (; driver != NULL && driver->key != NULL; driver++)
	{
		if (variable_is(variable, section, driver->key))
			return true;
	}
	return false;
}

static bool
variable_is_ours(const Config *cfg, const Settings *s, const char *variable)
{
	if (variable_is_known(cfg, variable, SECTION_GLOBAL, global_keys))
		return true;
	for (size_t i = 0; i < s->repo_count; i++)
	{
		char *section = mem_printf(SECTION_REPO "%s", s->repos[i].name);
		bool known = variable_is_known(cfg, variable, section, repo_keys);

		free(section);
		if (known)
			return true;
	}
	for (size_t i = 0; i < s->target_count; i++)
	{
		const char *section = s->targets[i].target;

		if (variable_is_known(cfg, variable, section, target_keys(section)))
			return true;
	}
	return false;
}

/* A misspelt variable is as wrong as a misspelt key. */
static bool
check_environment(const Config *cfg, const Settings *s, Error *err)
{
	for (char **p = environ; *p != NULL; p++)
	{
		if (strncmp(*p, "PGDR_GLOBAL_", 12) != 0 &&
			strncmp(*p, "PGDR_REPO_", 10) != 0 &&
			strncmp(*p, "PGDR_FILES_", 11) != 0 &&
			strncmp(*p, "PGDR_LOGICAL_", 13) != 0)
			continue;
		if (variable_is_ours(cfg, s, *p))
			continue;
		error_set(err, ERR_CONFIG,
				  "environment variable \"%.*s\" sets no key "
				  "of the configuration",
				  (int) strcspn(*p, "="), *p);
		return error_hint(err, "Its form is PGDR_GLOBAL_<KEY>, or "
							   "PGDR_REPO_<NAME>_<KEY> and the like for a "
							   "section of the configuration file.");
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
	s->primary_connection = mem_strdup("");
	s->spool_path = mem_strdup("/var/spool/pgdr");
	s->process_max = default_process_max();
	s->push_ahead = 64;
	s->get_ahead = (uint64_t) 256 << 20;
	s->compress_level = 1;
	s->encrypt = true;
	s->key_max_age = INT64_C(90) * 24 * 3600 * USECS_PER_SEC;
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
		s->repos[s->repo_count++] = (RepoSettings){
			.name = mem_strdup(name), .type = mem_strdup(REPO_DEFAULT_TYPE)};
	}
}

/*
 * A key that is not in the table is one of the driver's.  If the environment
 * changed the type, it may be one of another driver's.
 */
static bool
take_other(const Config *cfg, RepoSettings *repo, const ConfigEntry *entry,
		   Error *err)
{
	const StorageKey *driver = repo_driver_keys(cfg, entry->section);
	const StorageKey *key = find_driver_key(driver, entry->key);

	if (key == NULL)
		return unknown_key(entry, repo_keys, driver, err);
	return take_driver_key(repo, key, entry, err);
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
		if (spec == NULL)
		{
			if (!take_other(cfg, base, entry, err))
				return false;
		}
		else if (!spec->take(spec, (char *) base + spec->offset, entry, err))
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
	/* with a quorum it is not said who must be among them */
	repo->required = draft->settings.quorum == 0;
	if (config_get(cfg, section, "type") != NULL)
	{
		free(repo->type);
		repo->type = mem_strdup(config_get(cfg, section, "type"));
	}
	done = take_section(cfg, section, repo, err) && check_repo(repo, err) &&
		   settings_retention_ok(&repo->retention, err);
	free(section);
	return done;
}

/* For escrow alone nobody would encrypt. */
static bool
has_own_recipient(const Settings *s)
{
	for (size_t i = 0; i < s->recipient_count; i++)
	{
		if (!s->notes[i].escrow)
			return true;
	}
	return false;
}

static bool
check_whole(const Settings *s, Error *err)
{
	if (s->repo_count == 0)
	{
		error_set(err, ERR_CONFIG, "no repository is configured");
		return error_hint(err, "Add a section [repo:NAME] with type and path.");
	}
	if (s->quorum > s->repo_count)
	{
		error_set(err, ERR_CONFIG,
				  "quorum is larger than the number of "
				  "repositories");
		return error_detail(err, "It is %" PRIu32 ", and there are %zu.",
							s->quorum, s->repo_count);
	}
	if (s->encrypt && !has_own_recipient(s))
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

/* Before all else: which keys there are depends on it. */
static bool
check_types(const Config *cfg, Error *err)
{
	for (size_t i = 0; i < cfg->count; i++)
	{
		const ConfigEntry *entry = &cfg->entries[i];

		if (keys_of_section(entry->section) == repo_keys &&
			strcmp(entry->key, "type") == 0 &&
			!take_repo_type(NULL, NULL, entry, err))
			return false;
	}
	return true;
}

static bool
fill(Config *cfg, Draft *draft, Error *err)
{
	Settings *s = &draft->settings;

	if (!check_types(cfg, err))
		return false;
	for (size_t i = 0; i < cfg->count; i++)
	{
		if (!check_entry(cfg, i, err))
			return false;
	}
	find_repos(cfg, draft);
	find_targets(cfg, s);
	apply_section(cfg, SECTION_GLOBAL, global_keys);
	for (size_t i = 0; i < s->repo_count; i++)
	{
		char *section = mem_printf(SECTION_REPO "%s", s->repos[i].name);

		apply_section(cfg, section, repo_keys);
		free(section);
	}
	for (size_t i = 0; i < s->target_count; i++)
		apply_section(cfg, s->targets[i].target,
					  target_keys(s->targets[i].target));
	if (!check_environment(cfg, s, err))
		return false;
	if (!take_section(cfg, SECTION_GLOBAL, draft, err))
		return false;
	for (size_t i = 0; i < s->repo_count; i++)
	{
		if (!take_repo(cfg, draft, &s->repos[i], err))
			return false;
	}
	for (size_t i = 0; i < s->target_count; i++)
	{
		TargetSettings *target = &s->targets[i];

		if (!take_section(cfg, target->target, target, err) ||
			!check_target(target, err))
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
	zstd_pace_free(s->pace);
	for (size_t i = 0; i < s->repo_count; i++)
	{
		free(s->repos[i].name);
		free(s->repos[i].type);
		free(s->repos[i].path);
		for (size_t k = 0; k < s->repos[i].param_count; k++)
		{
			free((char *) s->repos[i].params[k].key);
			free((char *) s->repos[i].params[k].value);
		}
		free(s->repos[i].params);
	}
	for (size_t i = 0; i < s->recipient_count; i++)
		free(s->recipients[i]);
	free_targets(s);
	free(s->pg_bin_path);
	free(s->repos);
	free(s->recipients);
	free(s->notes);
	free(s->file);
	free(s->cluster);
	free(s->pgdata);
	free(s->connection);
	free(s->primary_connection);
	free(s->spool_path);
	free(s->identity_file);
	free(s->passphrase_file);
	free(s->content_key_file);
	free(s->manifest_checksums);
	*s = (Settings){0};
}
