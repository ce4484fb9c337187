/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Looks for whatever would keep this cluster from being archived, backed
 *	  up and recovered.
 *
 *-------------------------------------------------------------------------
 */
#include "job/check_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/catalog.h"

#define HOUR (3600 * USECS_PER_SEC)
#define OLD_BACKUP (7 * 24 * HOUR)
#define CLOCK_SLACK (5 * 60 * USECS_PER_SEC)
#define FREE_PERCENT 10

static void
report(Check *c, const char *check, const char *object, bool warning,
	   Error *why)
{
	const Problem problem = {.warning = warning,
							 .check = check,
							 .object = object,
							 .message = why->message,
							 .detail = why->detail,
							 .hint = why->hint};

	if (warning)
		c->out->warnings++;
	else
		c->out->errors++;
	c->options->problem(c->options->problem_arg, &problem);
	error_clear(why);
}

void
check_error(Check *c, const char *check, const char *object, Error *why)
{
	report(c, check, object, false, why);
}

void
check_warning(Check *c, const char *check, const char *object, Error *why)
{
	report(c, check, object, true, why);
}

WalHome
check_home(const Check *c)
{
	if (c->server != NULL)
		return (WalHome){.sysid = c->info.sysid, .major = c->info.major};
	if (c->has_control)
		return (WalHome){.sysid = c->control.sysid, .major = c->control.major};
	return (WalHome){0};
}

/* ---- keys ---- */

static bool
can_read_new_objects(const RepoKeys *keys)
{
	AgeRecipient own;

	for (size_t i = 0; i < age_identities_count(keys->identities); i++)
	{
		age_identity_recipient(keys->identities, i, &own);
		for (size_t k = 0; k < keys->recipients.count; k++)
		{
			if (memcmp(&own, &keys->recipients.items[k], sizeof(own)) == 0)
				return true;
		}
	}
	return false;
}

static bool
lies_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* A key that is lost together with what it opens, or found with it. */
static void
check_key_place(Check *c, const char *file)
{
	const char *repo = c->repo->options.storage.path;
	Error why = ERROR_INIT;

	if (lies_in(file, c->options->pgdata))
		error_set(&why, ERR_CONFIG,
				  "identity file \"%s\" lies in the data "
				  "directory",
				  file);
	else if (repo != NULL && lies_in(file, repo))
		error_set(&why, ERR_CONFIG,
				  "identity file \"%s\" lies in the "
				  "repository",
				  file);
	else
		return;
	error_hint(&why, "Move it elsewhere, and keep a copy on another machine.");
	check_warning(c, "key", "identity-file", &why);
}

static void
check_keys(Check *c)
{
	const RepoKeys *keys = c->repo->options.keys;
	Error why = ERROR_INIT;

	if (!c->repo->encrypted || keys->identities == NULL)
		return;
	if (!can_read_new_objects(keys))
	{
		error_set(&why, ERR_KEY,
				  "the identity of this host belongs to none of the "
				  "recipients");
		error_hint(&why, "What is archived now cannot be read here.  Compare "
						 "with \"pgdr key list\".");
		check_error(c, "key", "identity-file", &why);
	}
	if (c->options->identity_file != NULL)
		check_key_place(c, c->options->identity_file);
}

/* ---- repository ---- */

static void
check_room(Check *c)
{
	const StorageOptions *storage = &c->repo->options.storage;
	struct statvfs fs;
	Error why = ERROR_INIT;
	uint64_t percent;

	if (strcmp(storage->type, "posix") != 0)
		return;
	if (statvfs(storage->path, &fs) != 0)
	{
		error_set_errno(&why, errno, "could not look at file system of \"%s\"",
						storage->path);
		check_warning(c, "space", storage->repo, &why);
		return;
	}
	percent = fs.f_blocks > 0
				  ? (uint64_t) fs.f_bavail * 100 / (uint64_t) fs.f_blocks
				  : 100;
	if (percent >= FREE_PERCENT)
		return;
	error_set(&why, ERR_FULL,
			  "only %" PRIu64 " %% of the repository's file "
			  "system is free",
			  percent);
	error_hint(&why, "Make room; \"pgdr expire --dry-run\" shows what "
					 "retention would remove.");
	check_warning(c, "space", storage->repo, &why);
}

static void
check_homes(Check *c)
{
	WalHome home = check_home(c);
	WalHome *homes = NULL;
	size_t count = 0;
	bool known = false;
	Error why = ERROR_INIT;

	if (!repo_list_homes(c->repo, &homes, &count, &why))
	{
		check_error(c, "repository", c->repo->options.storage.repo, &why);
		return;
	}
	for (size_t i = 0; i < count; i++)
		known |= homes[i].sysid == home.sysid && homes[i].major == home.major;
	if (!known && count > 0 && home.sysid != 0)
	{
		error_set(&why, ERR_MISMATCH,
				  "the repository holds only WAL of other clusters");
		error_detail(&why,
					 "This cluster's system identifier is %" PRIu64
					 ", the repository has %" PRIu64 ".",
					 home.sysid, homes[0].sysid);
		error_hint(&why, "After initdb or pg_upgrade this is expected until "
						 "the first segment is archived.");
		check_warning(c, "cluster", c->repo->options.storage.repo, &why);
	}
	free(homes);
}

static void
check_clock(Check *c, int64_t newest)
{
	Error why = ERROR_INIT;
	char now[CLOCK_TEXT_LEN];
	char then[CLOCK_TEXT_LEN];

	if (newest <= clock_now() + CLOCK_SLACK)
		return;
	error_set(&why, ERR_CONFIG, "the clock of this host is behind");
	error_detail(&why, "It is %s here; the repository has something of %s.",
				 clock_format(clock_now(), now), clock_format(newest, then));
	error_hint(&why, "Backups are ordered, kept and expired by time: set the "
					 "clock.");
	check_warning(c, "clock", "clock", &why);
}

/* ---- backups ---- */

static void
check_backup(Check *c, const CatalogBackup *backup)
{
	Error why = ERROR_INIT;

	if (backup->state == BACKUP_UNREADABLE)
	{
		error_set(&why, ERR_DAMAGED, "backup is not readable");
		if (backup->problem.message != NULL)
			error_detail(&why, "It says: %s.", backup->problem.message);
	}
	else if (backup->state == BACKUP_COMPLETE && !backup->wal_ok)
	{
		error_set(&why, ERR_INCOMPLETE,
				  "WAL that the backup needs is not in the repository");
		error_hint(&why, "Take a new backup.");
	}
	else if (backup->state == BACKUP_COMPLETE && backup->verified_at != 0 &&
			 !backup->verified_ok)
		error_set(&why, ERR_DAMAGED,
				  "the last verification of the backup "
				  "failed");
	if (error_is_set(&why))
		check_error(c, "backup", backup->info.label, &why);
}

static void
check_newest(Check *c, const BackupInfo *newest)
{
	Error why = ERROR_INIT;
	char when[CLOCK_TEXT_LEN];

	if (newest == NULL)
	{
		error_set(&why, ERR_NOT_FOUND, "there is no backup of this cluster");
		error_hint(&why, "Take one with \"pgdr backup\".");
	}
	else if (clock_now() - newest->stop_time > OLD_BACKUP)
	{
		error_set(&why, ERR_NOT_FOUND,
				  "the newest backup is older than a "
				  "week");
		error_detail(&why, "It is of %s.",
					 clock_format(newest->stop_time, when));
	}
	if (error_is_set(&why))
		check_warning(c, "backup", newest != NULL ? newest->label : "backups",
					  &why);
}

static void
check_backups(Check *c)
{
	const WalHome home = check_home(c);
	const BackupInfo *newest = NULL;
	Catalog catalog;
	Error why = ERROR_INIT;

	if (!catalog_load(c->repo, false, &catalog, &why))
	{
		check_error(c, "repository", c->repo->options.storage.repo, &why);
		return;
	}
	for (size_t i = 0; i < catalog.backup_count; i++)
	{
		const CatalogBackup *backup = &catalog.backups[i];

		check_backup(c, backup);
		if (backup->state == BACKUP_COMPLETE &&
			(home.sysid == 0 || backup->info.sysid == home.sysid))
			newest = &backup->info;
	}
	check_newest(c, newest);
	check_clock(c, newest != NULL ? newest->stop_time : c->repo->created);
	catalog_free(&catalog);
}

/* ---- the whole ---- */

static void
check_pgdata(Check *c)
{
	Error why = ERROR_INIT;

	c->has_control = pg_control_read(c->options->pgdata, &c->control, &why);
	if (c->has_control)
		return;
	error_hint(&why, "Correct pgdata in the configuration, and run this as the "
					 "owner of the data directory.");
	check_error(c, "pgdata", c->options->pgdata, &why);
}

bool
check_run(Repo *repo, const CheckOptions *options, CheckResult *out, Error *err)
{
	Check c = {.repo = repo, .options = options, .out = out};
	bool done;

	*out = (CheckResult){0};
	check_pgdata(&c);
	check_server(&c);
	check_homes(&c);
	check_keys(&c);
	check_room(&c);
	done = thread_check_stop(err);
	if (done && options->archive && c.archives)
		done = check_archive(&c, err);
	if (done)
		check_backups(&c);
	if (c.server != NULL)
		server_info_free(&c.info);
	server_close(c.server);
	return done;
}
