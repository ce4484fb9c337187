/*-------------------------------------------------------------------------
 *
 * settings_internal.h
 *	  What the settings_*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SETTINGS_INTERNAL_H
#define PGDR_SETTINGS_INTERNAL_H

#include "cmd/settings.h"

#define SECTION_GLOBAL "global"
#define SECTION_REPO "repo:"

typedef struct KeySpec KeySpec;
typedef bool (*TakeFn)(const KeySpec *spec, void *field,
					   const ConfigEntry *entry, Error *err);

/* A key that is pgdr's own, not a driver's. */
struct KeySpec
{
	const char *key;
	TakeFn take;
	size_t offset; /* of the member in Draft or RepoSettings */
	bool required;
	bool repeats;
	int64_t min;
	int64_t max;
	const char *choices; /* "age|none" */
};

/* ---- forms of values (settings_value.c) ---- */

/* ERR_CONFIG; wanted is the end of "It must be ...". */
extern bool bad_value(const ConfigEntry *entry, const char *wanted, Error *err);

extern bool take_text(const KeySpec *spec, void *field,
					  const ConfigEntry *entry, Error *err);
/* An optional path may be set to nothing, as the environment can only do. */
extern bool take_path(const KeySpec *spec, void *field,
					  const ConfigEntry *entry, Error *err);
extern bool take_name(const KeySpec *spec, void *field,
					  const ConfigEntry *entry, Error *err);
extern bool take_level(const KeySpec *spec, void *field,
					   const ConfigEntry *entry, Error *err);
extern bool take_yes_no(const KeySpec *spec, void *field,
						const ConfigEntry *entry, Error *err);
extern bool take_int(const KeySpec *spec, void *field, const ConfigEntry *entry,
					 Error *err);
extern bool take_count(const KeySpec *spec, void *field,
					   const ConfigEntry *entry, Error *err);
extern bool take_size(const KeySpec *spec, void *field,
					  const ConfigEntry *entry, Error *err);
extern bool take_duration(const KeySpec *spec, void *field,
						  const ConfigEntry *entry, Error *err);
extern bool take_choice(const KeySpec *spec, void *field,
						const ConfigEntry *entry, Error *err);
extern bool take_encryption(const KeySpec *spec, void *field,
							const ConfigEntry *entry, Error *err);
/* "full" is true. */
extern bool take_calendar(const KeySpec *spec, void *field,
						  const ConfigEntry *entry, Error *err);
extern bool take_cipher(const KeySpec *spec, void *field,
						const ConfigEntry *entry, Error *err);
extern bool take_recipients(const KeySpec *spec, void *field,
							const ConfigEntry *entry, Error *err);

/* ---- other targets (settings_target.c) ---- */

/* The keys of a section [files:NAME] or [logical:NAME]; NULL: another one. */
extern const KeySpec *target_keys(const char *section);

/* Every such section of the file, in order. */
extern void find_targets(const Config *cfg, Settings *settings);

/* Has the target what it needs? */
extern bool check_target(const TargetSettings *target, Error *err);
extern void free_targets(Settings *settings);

/* ---- repositories (settings_repo.c) ---- */

#define REPO_DEFAULT_TYPE "posix"

/* field is the RepoSettings. */
extern bool take_repo_type(const KeySpec *spec, void *field,
						   const ConfigEntry *entry, Error *err);
extern bool take_repo_path(const KeySpec *spec, void *field,
						   const ConfigEntry *entry, Error *err);
extern bool take_repo_required(const KeySpec *spec, void *field,
							   const ConfigEntry *entry, Error *err);

/* The keys of the driver of this section's type; NULL: none. */
extern const StorageKey *repo_driver_keys(const Config *cfg,
										  const char *section);
extern const StorageKey *find_driver_key(const StorageKey *keys,
										 const char *key);

/* A value of one of those keys. */
extern bool take_driver_key(RepoSettings *repo, const StorageKey *key,
							const ConfigEntry *entry, Error *err);

/* Has the repository what its type needs? */
extern bool check_repo(const RepoSettings *repo, Error *err);

#endif
