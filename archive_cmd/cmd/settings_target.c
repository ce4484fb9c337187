/*-------------------------------------------------------------------------
 *
 * settings_target.c
 *	  What the sections of targets beside the cluster say: [files:NAME] and
 *	  [logical:NAME].
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/target.h"

#define TARGET(member) offsetof(TargetSettings, member)

static void
add_text(char ***items, size_t *count, char *text)
{
	*items = mem_realloc(*items, (*count + 1) * sizeof(char *));
	(*items)[(*count)++] = text;
}

static bool
take_files_path(const KeySpec *spec, void *field, const ConfigEntry *entry,
				Error *err)
{
	TargetSettings *target = field;

	(void) spec;
	if (entry->value[0] != '/')
		return bad_value(entry, "an absolute path", err);
	add_text(&target->paths, &target->path_count, file_absolute(entry->value));
	return true;
}

static bool
take_exclude(const KeySpec *spec, void *field, const ConfigEntry *entry,
			 Error *err)
{
	TargetSettings *target = field;

	(void) spec;
	if (entry->value[0] == '\0')
		return bad_value(entry, "a pattern", err);
	add_text(&target->excludes, &target->exclude_count,
			 mem_strdup(entry->value));
	return true;
}

static bool
take_table(const KeySpec *spec, void *field, const ConfigEntry *entry,
		   Error *err)
{
	TargetSettings *target = field;

	(void) spec;
	if (entry->value[0] == '\0')
		return bad_value(entry, "a table", err);
	add_text(&target->tables, &target->table_count, mem_strdup(entry->value));
	return true;
}

static const KeySpec files_keys[] = {
	{.key = "path", .take = take_files_path, .required = true, .repeats = true},
	{.key = "exclude", .take = take_exclude, .repeats = true},
	{.key = NULL}};

static const KeySpec logical_keys[] = {
	{.key = "database",
	 .take = take_text,
	 .offset = TARGET(database),
	 .required = true},
	{.key = "table", .take = take_table, .repeats = true},
	{.key = NULL}};

const KeySpec *
target_keys(const char *section)
{
	if (target_name(section, TARGET_FILES) != NULL)
		return files_keys;
	if (target_name(section, TARGET_LOGICAL) != NULL)
		return logical_keys;
	return NULL;
}

void
find_targets(const Config *cfg, Settings *s)
{
	for (size_t i = 0; i < cfg->count; i++)
	{
		const char *section = cfg->entries[i].section;

		if (target_keys(section) == NULL || settings_target(s, section) != NULL)
			continue;
		s->targets = mem_realloc(s->targets, (s->target_count + 1) *
												 sizeof(TargetSettings));
		s->targets[s->target_count++] = (TargetSettings){
			.target = mem_strdup(section)};
	}
}

/* A path inside of another one would be there twice. */
bool
check_target(const TargetSettings *target, Error *err)
{
	for (size_t i = 0; i < target->path_count; i++)
	{
		size_t len = strlen(target->paths[i]);

		for (size_t k = 0; k < target->path_count; k++)
		{
			const char *other = target->paths[k];

			if (k == i || strncmp(other, target->paths[i], len) != 0 ||
				(other[len] != '/' && (other[len] != '\0' || k < i)))
				continue;
			return error_set(err, ERR_CONFIG,
							 "path \"%s\" of section [%s] is inside of "
							 "\"%s\"",
							 other, target->target, target->paths[i]);
		}
	}
	return true;
}

const TargetSettings *
settings_target(const Settings *s, const char *target)
{
	for (size_t i = 0; i < s->target_count; i++)
	{
		if (strcmp(s->targets[i].target, target) == 0)
			return &s->targets[i];
	}
	return NULL;
}

static void
free_list(char **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i]);
	free(items);
}

void
free_targets(Settings *s)
{
	for (size_t i = 0; i < s->target_count; i++)
	{
		TargetSettings *t = &s->targets[i];

		free_list(t->paths, t->path_count);
		free_list(t->excludes, t->exclude_count);
		free_list(t->tables, t->table_count);
		free(t->database);
		free(t->target);
	}
	free(s->targets);
}
