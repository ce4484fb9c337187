/*-------------------------------------------------------------------------
 *
 * check_backups.c
 *	  Are there backups to recover from, in each repository?
 *
 *-------------------------------------------------------------------------
 */
#include "job/check_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/missing.h"
#include "repo/catalog.h"
#include "repo/target.h"

#define HOUR (3600 * USECS_PER_SEC)
#define OLD_BACKUP (7 * 24 * HOUR)
#define CLOCK_SLACK (5 * 60 * USECS_PER_SEC)

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

/* ---- one repository ---- */

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
		check_member(c, "backup", backup->info.label, &why);
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
check_catalog(Check *c, const Catalog *catalog)
{
	const WalHome home = check_home(c);
	const BackupInfo *newest = NULL;

	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *backup = &catalog->backups[i];

		check_backup(c, backup);
		if (backup->state == BACKUP_COMPLETE &&
			backup_is_cluster(&backup->info) &&
			(home.sysid == 0 || backup->info.sysid == home.sysid))
			newest = &backup->info;
	}
	check_newest(c, newest);
	check_clock(c, newest != NULL ? newest->stop_time : c->repo->created);
}

/* False if it cannot be looked at: that is said. */
static bool
load(Check *c, Catalog *catalog)
{
	Error why = ERROR_INIT;

	if (catalog_load(c->repo, false, catalog, &why))
		return true;
	if (check_may_be_denied(c, &why))
		log_info("backups in repository \"%s\" may not be read from here",
				 c->repo->options.storage.repo);
	else
		check_member(c, "repository", c->repo->options.storage.repo, &why);
	error_clear(&why);
	return false;
}

/* ---- one against the others ---- */

static void
report_missing(Check *c, const Missing *m)
{
	char name[WAL_FILE_NAME_MAX];
	Error why = ERROR_INIT;

	error_set(&why, ERR_INCOMPLETE,
			  "it lacks %zu backups and %" PRIu64
			  " WAL segments that other repositories have",
			  m->backup_count, m->segments);
	if (m->segments > 0)
	{
		wal_name_format(&m->first, name);
		error_detail(&why, "The first segment is %s.", name);
	}
	if (m->backup_count > 0)
		error_detail(&why, "The newest backup is %s.",
					 m->backups[m->backup_count - 1]->info.label);
	error_hint(&why, "\"pgdr repair\" copies them.");
	check_member(c, "missing", c->repo->options.storage.repo, &why);
}

static bool
lacks(const Missing *m)
{
	return m->segments + m->backup_count > 0;
}

/*
 * The server archives while we look.  What was in one repository when it was
 * listed is in the others as well, if they are listed again after that.
 */
static void
compare_one(Check *c, size_t member, const Catalog *listed, const Catalog *all)
{
	const RetentionPolicy *policy = &c->options->policies[member];
	Catalog again;
	Missing m;

	missing_find(listed, all, policy, clock_now(), &m);
	if (lacks(&m) && load(c, &again))
	{
		missing_free(&m);
		missing_find(&again, all, policy, clock_now(), &m);
		catalog_free(&again);
	}
	if (lacks(&m))
		report_missing(c, &m);
	missing_free(&m);
}

static void
compare(Check *c, const Catalog *catalogs, const bool *loaded)
{
	const Catalog **parts = mem_zalloc(c->set->count * sizeof(*parts));
	size_t used = 0;
	Catalog all = {0};
	Error why = ERROR_INIT;

	for (size_t i = 0; i < c->set->count; i++)
	{
		if (loaded[i])
			parts[used++] = &catalogs[i];
	}
	if (used > 1 && catalog_unite(parts, used, &all, &why))
	{
		for (size_t i = 0; i < c->set->count; i++)
		{
			if (loaded[i] && check_enter(c, i))
				compare_one(c, i, &catalogs[i], &all);
		}
		check_leave(c);
		catalog_free(&all);
	}
	if (error_is_set(&why))
		check_error(c, "repository", "repositories", &why);
	free(parts);
}

void
check_backups(Check *c)
{
	size_t count = c->set->count;
	Catalog *catalogs = mem_zalloc(count * sizeof(Catalog));
	bool *loaded = mem_zalloc(count * sizeof(bool));

	for (size_t i = 0; i < count; i++)
	{
		if (!check_enter(c, i))
			continue;
		loaded[i] = load(c, &catalogs[i]);
		if (loaded[i])
			check_catalog(c, &catalogs[i]);
	}
	check_leave(c);
	if (count > 1)
		compare(c, catalogs, loaded);
	for (size_t i = 0; i < count; i++)
	{
		if (loaded[i])
			catalog_free(&catalogs[i]);
	}
	free(loaded);
	free(catalogs);
}
