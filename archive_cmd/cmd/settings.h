/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  What the configuration says, checked and typed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SETTINGS_H
#define PGDR_SETTINGS_H

#include "base/config.h"
#include "repo/repo.h"
#include "repo/retention.h"
#include "stream/zstd_pace.h"

/* What may stand between several recipients in one value. */
#define RECIPIENT_BETWEEN " \t,"

#define SETTINGS_DEFAULT_FILE "/etc/pgdr/pgdr.conf"

typedef struct RepoSettings
{
	char *name; /* "local" of [repo:local] */
	char *type; /* "posix" */
	char *path; /* or NULL */
	bool required;
	StorageParam *params; /* the driver's keys; texts are owned */
	size_t param_count;
	RetentionPolicy retention; /* retention-... */
} RepoSettings;

/* What the configuration says of a recipient besides the key. */
typedef struct RecipientNote
{
	int64_t created; /* "age1...@2026-11-29"; 0: not said */
	bool escrow;     /* escrow-recipient: rotation leaves it alone */
} RecipientNote;
/* A target beside the cluster: a section [files:NAME] or [logical:NAME]. */
typedef struct TargetSettings
{
	char *target; /* "files:app" */
	char **paths; /* of files; absolute */
	size_t path_count;
	char **excludes; /* patterns */
	size_t exclude_count;
	char *database; /* of logical */
	char **tables;  /* patterns of pg_dump */
	size_t table_count;
} TargetSettings;

typedef struct Settings
{
	char *file; /* absolute path of the configuration */
	char *cluster;
	char *pgdata;
	char *connection;
	char *primary_connection; /* "" if none */
	char *spool_path;
	int process_max;
	int nice;           /* of commands that take long; 0: as started */
	int push_ahead;     /* segments; 0: no look-ahead */
	uint64_t get_ahead; /* bytes; 0: no look-ahead of recovery */
	int compress_level;
	bool compress_long;
	ZstdPace *pace; /* compress-level = adaptive, or NULL */
	bool encrypt;   /* encryption = age (default) | none */
	bool aes;       /* cipher = chacha20-poly1305 (default) | aes-256-gcm */
	char **recipients;
	RecipientNote *notes; /* by recipient */
	size_t recipient_count;
	int64_t key_max_age;      /* microseconds; 0: as old as it likes */
	char *identity_file;      /* or NULL */
	char *passphrase_file;    /* of an encrypted identity file, or NULL */
	char *content_key_file;   /* or NULL */
	uint32_t quorum;          /* 0: none */
	int64_t archive_timeout;  /* microseconds */
	char *manifest_checksums; /* "CRC32C", "SHA256", "NONE" */
	char *pg_bin_path;        /* of PostgreSQL's client programs, or NULL */
	TargetSettings *targets;  /* in the order of the file */
	size_t target_count;
	RepoSettings *repos; /* in the order of the file; at least one */
	size_t repo_count;
} Settings;

/*
 * file: --config, or NULL for $PGDR_CONFIG, else the default.  Unknown keys
 * and sections, wrong values and missing ones are ERR_CONFIG with file, line
 * and hint.
 */
extern bool settings_load(const char *file, Settings *out, Error *err);
/* The section of this target, or NULL. */
extern const TargetSettings *settings_target(const Settings *settings,
											 const char *target);
extern void settings_free(Settings *settings);

/*
 * Stands for all that decides where segments go and what is made of them; also
 * for the choice of repositories (or NULL: all).
 */
extern void settings_print(const Settings *settings, const char *repos,
						   char hex[CONTENT_HEX_LEN + 1]);

/* Does the policy agree with itself?  ERR_CONFIG if not. */
extern bool settings_retention_ok(const RetentionPolicy *policy, Error *err);

/* May this be the name of a cluster or repository? */
extern bool settings_name_ok(const char *text);

/*
 * Loads recipients, identities and content key from their files.  The
 * passphrase of an encrypted identity file comes from passphrase-file, else
 * from PGDR_PASSPHRASE.  Nothing is left in out on failure.
 */
extern bool settings_load_keys(const Settings *settings, RepoKeys *out,
							   Error *err);

/*
 * When the ith recipient was made: by the configuration, else by its identity
 * if that is here; 0: not known.
 */
extern int64_t settings_key_created(const Settings *settings,
									const RepoKeys *keys, size_t i);

/* That passphrase (an AgePassphraseFn; the argument is the Settings). */
extern char *settings_passphrase(void *settings, Error *err);

/*
 * The same without identities when there is a content key file: what only
 * writes must not depend on (or wait for) a key that it does not need.
 */
extern bool settings_load_write_keys(const Settings *settings, RepoKeys *out,
									 Error *err);

/* Options for opening one repository; they point into settings and keys. */
extern RepoOptions settings_repo_options(const Settings *settings,
										 const RepoSettings *repo,
										 const RepoKeys *keys);

#endif
