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

/* A segment that is missing on the way somewhere. */
typedef struct Hole
{
	WalHome home;
	WalName name;
	bool on_way;   /* a backup gets to it: what follows needs another one */
	bool blocks;   /* no backup gets to the end of some timeline */
	bool reported; /* a backup needs it: that was said */
} Hole;

typedef struct Holes
{
	Hole *items;
	size_t count;
	size_t cap;
} Holes;

static bool
same_segment(const WalName *a, const WalName *b)
{
	return a->timeline == b->timeline && a->log == b->log && a->seg == b->seg;
}

/* Several ways may lead to one hole: the worst that it does counts. */
static void
note_hole(Holes *holes, const Hole *hole)
{
	for (size_t i = 0; i < holes->count; i++)
	{
		Hole *old = &holes->items[i];

		if (old->home.sysid == hole->home.sysid &&
			old->home.major == hole->home.major &&
			same_segment(&old->name, &hole->name))
		{
			old->on_way |= hole->on_way;
			old->blocks |= hole->blocks;
			old->reported |= hole->reported;
			return;
		}
	}
	holes->items = mem_grow(holes->items, holes->count, &holes->cap,
							sizeof(Hole));
	holes->items[holes->count++] = *hole;
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
report_needed(Verify *v, VerifyBackup *b, Holes *holes)
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
		Hole hole = {.home = home, .name = reach.missing, .reported = true};

		object = repo_wal_name(&home, &reach.missing);
		note_hole(holes, &hole);
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
report_hole(Verify *v, const Hole *hole, Error *err)
{
	char *object = repo_wal_name(&hole->home, &hole->name);
	Problem p = {.warning = !hole->on_way,
				 .check = "hole",
				 .object = object,
				 .message = "segment is missing, and later WAL is there"};
	bool missing;
	bool ok = is_missing(v, object, &missing, err);

	if (hole->blocks)
	{
		p.detail = "No backup can be recovered beyond it.";
		p.hint = "Take a new backup.";
	}
	else if (hole->on_way)
		p.detail = "No moment between it and the next backup can be "
				   "recovered.";
	else
		p.detail = "Recovery beyond it is possible only from a later backup.";
	if (ok && missing)
		verify_report(v, &p, NULL);
	free(object);
	return ok;
}

/*
 * How far each of the backups gets that lead to a timeline.  Where WAL behind
 * one was given up it is not missed.
 */
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
			!catalog_stands_alone(b) && b->info.sysid == wal->home.sysid &&
			b->info.major == wal->home.major &&
			wal_catalog_leads_to(wal, &b->info, timeline) &&
			wal_catalog_reach(wal, b->info.start_timeline, b->info.start_lsn,
							  timeline, &leads[*count], &ignored))
			*count += 1;
		error_clear(&ignored);
	}
	return leads;
}

/*
 * Holes on the way from backups to the end of a timeline.  They are errors,
 * though there may be a later backup from which one gets to the end: moments
 * are lost that were archived once.
 */
static void
check_timeline(Verify *v, const WalCatalog *wal, uint32_t timeline,
			   Holes *holes, bool *has_backup)
{
	size_t count;
	WalReach *leads = find_leads(v, wal, timeline, &count);
	bool reached = false;

	for (size_t i = 0; i < count; i++)
		reached |= !leads[i].hole;
	for (size_t i = 0; i < count; i++)
	{
		Hole hole = {.home = wal->home,
					 .name = leads[i].missing,
					 .on_way = true,
					 .blocks = !reached};

		if (leads[i].hole)
			note_hole(holes, &hole);
	}
	*has_backup = count > 0;
	free(leads);
}

/* Does the WAL of a backup that stands alone end here? */
static bool
is_end_of_standalone(const Verify *v, const WalRange *range)
{
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		const CatalogBackup *b = &v->catalog.backups[i];

		if (b->state == BACKUP_COMPLETE && catalog_stands_alone(b) &&
			b->info.sysid == range->home.sysid &&
			b->info.major == range->home.major &&
			b->info.timeline >= range->timeline &&
			b->info.start_timeline <= range->timeline &&
			b->info.start_lsn < range->end_lsn &&
			b->info.stop_lsn > range->start_lsn)
			return true;
	}
	return false;
}

/* Gaps that no backup comes to. */
static void
check_gaps(const Verify *v, const WalCatalog *wal, Holes *holes)
{
	for (size_t i = 1; i < wal->range_count; i++)
	{
		const WalRange *before = &wal->ranges[i - 1];
		Hole hole = {.home = wal->home};

		if (before->timeline != wal->ranges[i].timeline ||
			is_end_of_standalone(v, before))
			continue;
		wal_segment_name(before->timeline, before->last + 1, wal->segment_size,
						 &hole.name);
		note_hole(holes, &hole);
	}
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

static void
check_home(Verify *v, const WalCatalog *wal, Holes *holes)
{
	for (size_t i = 0; i < wal->timeline_count; i++)
	{
		const CatalogTimeline *t = &wal->timelines[i];
		bool has_backup = false;

		if (wal->segment_size > 0)
			check_timeline(v, wal, t->timeline, holes, &has_backup);
		check_history(v, wal, t, has_backup);
	}
	check_gaps(v, wal, holes);
}

bool
verify_wal(Verify *v, Error *err)
{
	Holes holes = {0};
	bool ok = true;

	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		VerifyBackup *b = &v->backups[i];

		if (b->selected && !b->backup->wal_ok)
			report_needed(v, b, &holes);
	}
	for (size_t i = 0; v->options->label == NULL && i < v->catalog.wal_count;
		 i++)
		check_home(v, &v->catalog.wal[i], &holes);
	for (size_t i = 0; ok && i < holes.count; i++)
	{
		if (!holes.items[i].reported)
			ok = report_hole(v, &holes.items[i], err);
	}
	free(holes.items);
	return ok;
}
