/*-------------------------------------------------------------------------
 *
 * verify_wal.c
 *	  Is all WAL there that recovery needs?
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/wal_catalog.h"

/* Names of segments that were reported already. */
typedef struct Reported
{
	char **names;
	size_t count;
	size_t cap;
} Reported;

/* True at the first time. */
static bool
note_reported(Reported *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
	{
		if (strcmp(r->names[i], name) == 0)
			return false;
	}
	r->names = mem_grow(r->names, r->count, &r->cap, sizeof(char *));
	r->names[r->count++] = mem_strdup(name);
	return true;
}

static void
reported_free(Reported *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->names[i]);
	free(r->names);
}

/*
 * A listing may miss what is archived while it goes on, though it shows what
 * came later: ask for the one name before saying that it is missing.
 */
static bool
is_missing(Verify *v, const char *name, bool *missing, Error *err)
{
	bool exists;

	if (!storage_exists(v->repo->storage, name, &exists, err))
		return false;
	*missing = !exists;
	return true;
}

/* ---- what a backup needs to become consistent ---- */

static void
report_needed(Verify *v, VerifyBackup *b, Reported *done)
{
	const BackupInfo *info = &b->backup->info;
	WalHome home = {info->sysid, info->major};
	const WalCatalog *wal = catalog_wal(&v->catalog, &home);
	char *message = mem_printf("WAL that backup %s needs is missing",
							   info->label);
	Error problem = ERROR_INIT;
	WalReach reach;
	char *object;
	Problem p = {.check = "missing",
				 .message = message,
				 .detail = "The backup cannot be recovered to a consistent "
						   "state."};

	if (wal != NULL && wal->segment_size > 0 &&
		wal_catalog_reach(wal, info->start_timeline, info->start_lsn,
						  info->timeline, &reach, &problem))
	{
		object = repo_wal_name(&home, &reach.missing);
		note_reported(done, object);
	}
	else
		object = repo_backup_dir(info->label);
	if (error_is_set(&problem))
		p.detail = problem.message;
	p.object = object;
	verify_report(v, &p, b);
	error_clear(&problem);
	free(object);
	free(message);
}

/* ---- holes ---- */

static bool
report_hole(Verify *v, const WalHome *home, const WalName *name, bool blocks,
			Reported *done, Error *err)
{
	bool missing = false;
	bool ok = true;
	char *object = repo_wal_name(home, name);
	Problem p = {.warning = !blocks,
				 .check = "hole",
				 .object = object,
				 .message = "segment is missing, and later WAL is there",
				 .detail = blocks ? "No backup can be recovered beyond it."
								  : "Recovery beyond it is possible only from "
									"a later backup."};

	if (blocks)
		p.hint = "Take a new backup.";
	if (note_reported(done, object))
		ok = is_missing(v, object, &missing, err);
	if (missing)
		verify_report(v, &p, NULL);
	free(object);
	return ok;
}

/* How far each of the backups gets that lead to a timeline. */
static WalReach *
find_leads(const Verify *v, const WalCatalog *wal, uint32_t timeline,
		   size_t *count)
{
	WalReach *leads = mem_alloc((v->catalog.backup_count + 1) *
								sizeof(WalReach));

	*count = 0;
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		const CatalogBackup *b = &v->catalog.backups[i];
		Error ignored = ERROR_INIT;

		if (b->state == BACKUP_COMPLETE && b->wal_ok &&
			b->info.sysid == wal->home.sysid &&
			b->info.major == wal->home.major &&
			wal_catalog_reach(wal, b->info.start_timeline, b->info.start_lsn,
							  timeline, &leads[*count], &ignored))
			*count += 1;
		error_clear(&ignored);
	}
	return leads;
}

/*
 * Holes on the way from backups to the end of a timeline.  They are errors
 * when there is no backup from which one gets to the end.
 */
static bool
check_timeline(Verify *v, const WalCatalog *wal, uint32_t timeline,
			   Reported *done, bool *has_backup, Error *err)
{
	size_t count;
	WalReach *leads = find_leads(v, wal, timeline, &count);
	bool reached = false;
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		reached |= !leads[i].hole;
	for (size_t i = 0; ok && i < count; i++)
	{
		if (leads[i].hole)
			ok = report_hole(v, &wal->home, &leads[i].missing, !reached, done,
							 err);
	}
	*has_backup = count > 0;
	free(leads);
	return ok;
}

/* Gaps that no backup comes to. */
static bool
check_gaps(Verify *v, const WalCatalog *wal, Reported *done, Error *err)
{
	for (size_t i = 1; i < wal->range_count; i++)
	{
		const WalRange *before = &wal->ranges[i - 1];
		WalName missing;

		if (before->timeline != wal->ranges[i].timeline)
			continue;
		wal_segment_name(before->timeline, before->last + 1, wal->segment_size,
						 &missing);
		if (!report_hole(v, &wal->home, &missing, false, done, err))
			return false;
	}
	return true;
}

/* ---- histories ---- */

/* Damaged ones are reported where the objects are looked at. */
static void
check_history(Verify *v, const WalCatalog *wal, const CatalogTimeline *t,
			  bool has_backup)
{
	WalName name = {WAL_TIMELINE_HISTORY, t->timeline, 0, 0, 0};
	char *object = repo_wal_name(&wal->home, &name);
	Problem p = {.warning = has_backup,
				 .check = "missing",
				 .object = object,
				 .message = "timeline history is missing or damaged",
				 .detail = has_backup
							   ? "Only backups of that timeline itself can be "
								 "recovered along it."
							   : "No backup can be recovered along that "
								 "timeline."};

	if (t->timeline > 1 && !t->has_history)
		verify_report(v, &p, NULL);
	free(object);
}

static bool
check_home(Verify *v, const WalCatalog *wal, Reported *done, Error *err)
{
	for (size_t i = 0; i < wal->timeline_count; i++)
	{
		const CatalogTimeline *t = &wal->timelines[i];
		bool has_backup = false;

		if (wal->segment_size > 0 &&
			!check_timeline(v, wal, t->timeline, done, &has_backup, err))
			return false;
		check_history(v, wal, t, has_backup);
	}
	return check_gaps(v, wal, done, err);
}

bool
verify_wal(Verify *v, Error *err)
{
	Reported done = {0};
	bool ok = true;

	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		VerifyBackup *b = &v->backups[i];

		if (b->selected && !b->backup->wal_ok)
			report_needed(v, b, &done);
	}
	for (size_t i = 0;
		 ok && v->options->label == NULL && i < v->catalog.wal_count; i++)
		ok = check_home(v, &v->catalog.wal[i], &done, err);
	reported_free(&done);
	return ok;
}
