/*-------------------------------------------------------------------------
 *
 * settings_repo.c
 *	  What the sections of repositories say: keys of our own, and keys that
 *	  belong to the driver of the repository's type.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* "memory" is for tests: what it holds is gone with the process. */
static const StorageDriver *
driver_of(const char *type)
{
	return strcmp(type, storage_memory.type) != 0 ? storage_driver(type) : NULL;
}

bool
take_repo_type(const KeySpec *spec, void *field, const ConfigEntry *entry,
			   Error *err)
{
	StrBuf wanted = STRBUF_INIT;
	const char *type;

	(void) spec;
	(void) field; /* it was needed before all else, and is there */
	if (driver_of(entry->value) != NULL)
		return true;
	strbuf_puts(&wanted, "one of");
	for (size_t i = 0; (type = storage_type(i)) != NULL; i++)
	{
		if (driver_of(type) != NULL)
			strbuf_printf(&wanted, "%s %s", i > 0 ? "," : "", type);
	}
	bad_value(entry, wanted.data, err);
	strbuf_free(&wanted);
	return false;
}

/* Of a directory a path on this host; of other stores what the driver says. */
bool
take_repo_path(const KeySpec *spec, void *field, const ConfigEntry *entry,
			   Error *err)
{
	RepoSettings *repo = field;

	(void) spec;
	free(repo->path);
	repo->path = NULL;
	if (strcmp(repo->type, storage_posix.type) != 0)
		repo->path = mem_strdup(entry->value);
	else if (entry->value[0] == '/')
		repo->path = file_absolute(entry->value);
	else if (entry->value[0] != '\0')
		return bad_value(entry, "an absolute path", err);
	return true;
}

bool
take_repo_required(const KeySpec *spec, void *field, const ConfigEntry *entry,
				   Error *err)
{
	return take_yes_no(spec, &((RepoSettings *) field)->required, entry, err);
}

/* ---- keys of drivers ---- */

const StorageKey *
repo_driver_keys(const Config *cfg, const char *section)
{
	const char *type = config_get(cfg, section, "type");
	const StorageDriver *driver = driver_of(type != NULL ? type
														 : REPO_DEFAULT_TYPE);

	return driver != NULL ? driver->keys : NULL;
}

const StorageKey *
find_driver_key(const StorageKey *keys, const char *key)
{
	for (; keys != NULL && keys->key != NULL; keys++)
	{
		if (strcmp(keys->key, key) == 0)
			return keys;
	}
	return NULL;
}

static bool
bad_driver_value(const StorageKey *key, const ConfigEntry *entry, Error *err)
{
	static const char *const wanted[] = {
		[STORAGE_KEY_TEXT] = "a text that is not empty",
		[STORAGE_KEY_PATH] = "an absolute path",
		[STORAGE_KEY_INT] = "an integer from 0 to 2147483647",
		[STORAGE_KEY_SIZE] = "a size such as \"500kB\", \"16MB\", \"1GB\"",
		[STORAGE_KEY_DURATION] = "a time such as \"90s\", \"15min\"",
		[STORAGE_KEY_BOOL] = "\"yes\" or \"no\""};
	char *choices;
	size_t len = 0;

	if (key->kind != STORAGE_KEY_CHOICE)
		return bad_value(entry, wanted[key->kind], err);
	choices = mem_alloc(2 * strlen(key->choices) + sizeof("one of "));
	memcpy(choices, "one of ", strlen("one of "));
	len = strlen("one of ");
	for (const char *p = key->choices; *p != '\0'; p++)
	{
		choices[len++] = *p == '|' ? ',' : *p;
		if (*p == '|')
			choices[len++] = ' ';
	}
	choices[len] = '\0';
	bad_value(entry, choices, err);
	free(choices);
	return false;
}

bool
take_driver_key(RepoSettings *repo, const StorageKey *key,
				const ConfigEntry *entry, Error *err)
{
	/* the environment can only set to nothing what the file sets */
	if (entry->value[0] == '\0' && !key->required)
		return true;
	if (!storage_key_accepts(key, entry->value))
		return bad_driver_value(key, entry, err);
	repo->params = mem_realloc(repo->params,
							   (repo->param_count + 1) * sizeof(StorageParam));
	repo->params[repo->param_count++] = (StorageParam){
		.key = mem_strdup(entry->key), .value = mem_strdup(entry->value)};
	return true;
}

static bool
missing(const RepoSettings *repo, const char *key, const char *help, Error *err)
{
	error_set(err, ERR_CONFIG, "key \"%s\" is missing in section [repo:%s]",
			  key, repo->name);
	if (help != NULL)
		error_detail(err, "A repository of type %s needs it: %s.", repo->type,
					 help);
	return false;
}

bool
check_repo(const RepoSettings *repo, Error *err)
{
	const StorageDriver *driver = driver_of(repo->type);
	const StorageOptions options = {.params = repo->params,
									.param_count = repo->param_count};

	if (repo->path == NULL && strcmp(repo->type, storage_posix.type) == 0)
		return missing(repo, "path", NULL, err);
	for (const StorageKey *key = driver != NULL ? driver->keys : NULL;
		 key != NULL && key->key != NULL; key++)
	{
		if (key->required && storage_param(&options, key->key) == NULL)
			return missing(repo, key->key, key->help, err);
	}
	return true;
}
