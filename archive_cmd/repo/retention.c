/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Which backups stay, and why.
 *
 * A rule names the oldest backup that it needs (its anchor); that one stays
 * and whatever is newer.  So a doubt about a backup, or a rule that cannot be met
 * yet, always keeps more, never less.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/target.h"
#include "repo/wal_catalog.h"

bool
retention_same_home(const CatalogBackup *b, const WalHome *home)
{
	return b->state == BACKUP_COMPLETE && backup_is_cluster(&b->info) &&
		   b->info.sysid == home->sysid && b->info.major == home->major;
}

/* The rules count within a series. */
static bool
is_in_series(const CatalogBackup *b, const BackupInfo *of)
{
	return b->state == BACKUP_COMPLETE && backup_same_series(&b->info, of);
}

void
retention_add(RetentionPlan *plan, Decision decision)
{
	/* room doubles whenever the count reaches a power of two */
	if ((plan->decision_count & (plan->decision_count - 1)) == 0)
		plan->decisions = mem_realloc(
			plan->decisions,
			(plan->decision_count == 0 ? 1 : 2 * plan->decision_count) *
				sizeof(Decision));
	plan->decisions[plan->decision_count++] = decision;
}

void
retention_plan_free(RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		free(plan->decisions[i].object);
		free(plan->decisions[i].reason);
	}
	free(plan->decisions);
	free(plan->cutoffs);
	memset(plan, 0, sizeof(*plan));
}

/* ---- good backups ---- */

/*
 * After a recovery to a point in the past, backups of the abandoned branch
 * are of no use to the cluster that lives on.
 */
static bool
leads_to_newest(const Catalog *catalog, const BackupInfo *info)
{
	WalHome home = {info->sysid, info->major};
	const WalCatalog *wal = catalog_wal(catalog, &home);
	uint32_t newest;

	if (wal == NULL || wal->timeline_count == 0)
		return false;
	newest = wal->timelines[wal->timeline_count - 1].timeline;
	return wal_catalog_on_path(wal, info->start_timeline, info->start_lsn,
							   newest) &&
		   wal_catalog_on_path(wal, info->timeline, info->stop_lsn - 1, newest);
}

static const char *
own_flaw(const Catalog *catalog, const CatalogBackup *b)
{
	if (b->state != BACKUP_COMPLETE)
		return "is not complete";
	if (b->info.damaged_pages > 0)
		return "was taken of damaged pages";
	if (!b->wal_ok)
		return "lacks WAL that it needs";
	if (b->verified_at != 0 && !b->verified_ok)
		return "failed its last verification";
	if (backup_is_cluster(&b->info) && !leads_to_newest(catalog, &b->info))
		return "does not lead to the newest timeline";
	return NULL;
}

/* A group is as good as the worst of what it is made of. */
static const char *
member_flaw(const Catalog *catalog, const BackupInfo *group)
{
	for (size_t i = 0; i < group->member_count; i++)
	{
		const CatalogBackup *b = catalog_find(catalog, group->members[i]);

		if (b == NULL || b->info.member_count > 0 ||
			retention_flaw(catalog, b) != NULL)
			return "consists of backups of which one is missing or flawed";
	}
	return NULL;
}

const char *
retention_flaw(const Catalog *catalog, const CatalogBackup *b)
{
	const char *flaw = own_flaw(catalog, b);
	const char *parent = b->info.parent;

	/* a chain of parents is no longer than there are backups */
	for (size_t i = 0; flaw == NULL && parent != NULL; i++)
	{
		const CatalogBackup *p = catalog_find(catalog, parent);

		if (p == NULL || i > catalog->backup_count ||
			own_flaw(catalog, p) != NULL)
			return "depends on a backup that is missing or flawed";
		parent = p->info.parent;
	}
	return flaw != NULL ? flaw : member_flaw(catalog, &b->info);
}

bool
retention_is_last_good(const Catalog *catalog, const CatalogBackup *b)
{
	if (retention_flaw(catalog, b) != NULL)
		return false;
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *other = &catalog->backups[i];

		if (other != b && is_in_series(other, &b->info) &&
			retention_flaw(catalog, other) == NULL)
			return false;
	}
	return true;
}

/* ---- rules ---- */

static void __attribute__((format(printf, 3, 4)))
decide(Fate *fate, bool keep, const char *fmt, ...)
{
	va_list ap;

	if (fate->decided)
		return;
	fate->decided = true;
	fate->keep = keep;
	va_start(ap, fmt);
	fate->reason = mem_vprintf(fmt, ap);
	va_end(ap);
}

static bool
is_good_full(const Retention *r, const BackupInfo *of, size_t i)
{
	const CatalogBackup *b = r->fates[i].backup;

	return is_in_series(b, of) && b->info.type == BACKUP_FULL &&
		   retention_flaw(r->catalog, b) == NULL;
}

/* The anchor of a rule is the index of a fate, or this. */
#define NO_ANCHOR SIZE_MAX

/* The N-th newest good full backup. */
static size_t
anchor_full(const Retention *r, const BackupInfo *of)
{
	uint32_t found = 0;

	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		if (is_good_full(r, of, i - 1) && ++found == r->policy->keep_full)
			return i - 1;
	}
	return NO_ANCHOR;
}

/* The newest good full backup that had stopped when the time began. */
static size_t
anchor_time(const Retention *r, const BackupInfo *of)
{
	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		if (is_good_full(r, of, i - 1) &&
			r->fates[i - 1].backup->info.stop_time <=
				r->now - r->policy->keep_time)
			return i - 1;
	}
	return NO_ANCHOR;
}

static char *
duration_text(int64_t usecs)
{
	static const struct
	{
		int64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	int64_t seconds = usecs / USECS_PER_SEC;
	size_t i = 0;

	while (i < 3 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	seconds /= units[i].seconds;
	return mem_printf("%" PRId64 " %s%s", seconds, units[i].name,
					  seconds == 1 ? "" : "s");
}

/* The rule cannot be met with what is there: nothing goes. */
static void
keep_all(const Retention *r, const BackupInfo *of, const char *reason)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];
		const char *flaw = retention_flaw(r->catalog, fate->backup);

		if (!is_in_series(fate->backup, of))
			continue;
		if (flaw == NULL)
			decide(fate, true, "%s.", reason);
		else
			decide(fate, true,
				   "%s; this one does not count as good, because it %s.",
				   reason, flaw);
	}
}

static void
decide_anchor(Fate *fate, const RetentionPolicy *policy, bool full, bool time)
{
	if (full && policy->keep_full == 1)
		decide(fate, true, "It is the newest good full backup.");
	else if (full)
		decide(fate, true,
			   "It is the oldest of the %" PRIu32
			   " newest good full backups that are to stay.",
			   policy->keep_full);
	else if (time)
	{
		char *text = duration_text(policy->keep_time);

		decide(fate, true,
			   "Every moment of the last %s is to stay recoverable, and it is "
			   "the newest good full backup from before that.",
			   text);
		free(text);
	}
}

static void
decide_newer(const Retention *r, Fate *fate, const Fate *anchor)
{
	const char *flaw = retention_flaw(r->catalog, fate->backup);

	if (flaw == NULL)
		decide(fate, true, "It is newer than backup %s, which is to stay.",
			   anchor->backup->info.label);
	else
		decide(fate, true,
			   "It is newer than backup %s, which is to stay; it does not "
			   "count as good, because it %s.",
			   anchor->backup->info.label, flaw);
}

static void
decide_by_anchors(const Retention *r, const BackupInfo *of, size_t full,
				  size_t time)
{
	size_t oldest = full < time ? full : time;

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];

		if (!is_in_series(fate->backup, of))
			continue;
		decide_anchor(fate, r->policy, i == full, i == time);
		if (i > oldest)
			decide_newer(r, fate, &r->fates[oldest]);
		else
			decide(fate, false,
				   "It is older than backup %s, the oldest that is to stay.",
				   r->fates[oldest].backup->info.label);
	}
}

static void
decide_series(const Retention *r, const BackupInfo *of)
{
	size_t full = NO_ANCHOR;
	size_t time = NO_ANCHOR;

	if (r->policy->keep_full == 0 && r->policy->keep_time == 0)
	{
		keep_all(r, of, "No rule says that backups expire");
		return;
	}
	if (r->policy->keep_full > 0)
	{
		full = anchor_full(r, of);
		if (full == NO_ANCHOR)
		{
			keep_all(r, of,
					 "There are no more good full backups than are to stay");
			return;
		}
	}
	if (r->policy->keep_time > 0)
	{
		time = anchor_time(r, of);
		if (time == NO_ANCHOR)
		{
			keep_all(r, of,
					 "No good full backup is old enough to make every moment "
					 "recoverable that is to stay so");
			return;
		}
	}
	decide_by_anchors(r, of, full, time);
}

/* Those without a manifest, or without a readable one. */
static void
decide_unfinished(Fate *fate)
{
	switch (fate->backup->state)
	{
		case BACKUP_COMPLETE:
			break;
		case BACKUP_RUNNING:
			decide(fate, true, "It is being written.");
			break;
		case BACKUP_INTERRUPTED:
			decide(fate, false,
				   "It was interrupted: it has no manifest, and its lease has "
				   "run out.");
			break;
		case BACKUP_UNREADABLE:
			decide(fate, true,
				   "Its manifest cannot be read; only \"pgdr delete\" removes "
				   "such a backup.");
			break;
	}
}

static bool
depends_on(const BackupInfo *info, const char *label)
{
	return (info->parent != NULL && strcmp(info->parent, label) == 0) ||
		   backup_has_member(info, label);
}

/* What a backup that stays depends on stays. */
static bool
keep_what_it_needs(const Retention *r, const BackupInfo *info)
{
	bool changed = false;

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];

		if (fate->keep || !depends_on(info, fate->backup->info.label))
			continue;
		free(fate->reason);
		fate->decided = false;
		decide(fate, true, "Backup %s depends on it.", info->label);
		changed = true;
	}
	return changed;
}

static void
keep_parents(const Retention *r)
{
	bool changed = true;

	while (changed)
	{
		changed = false;
		for (size_t i = 0; i < r->catalog->backup_count; i++)
		{
			if (r->fates[i].keep &&
				keep_what_it_needs(r, &r->fates[i].backup->info))
				changed = true;
		}
	}
}

static void
report_fates(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const Fate *fate = &r->fates[i];
		const CatalogBackup *b = fate->backup;

		retention_add(
			r->plan,
			(Decision){.object = mem_printf("backup %s", b->info.label),
					   .label = b->info.label,
					   .keep = fate->keep,
					   .leftover = b->state == BACKUP_INTERRUPTED,
					   .reason = fate->reason});
	}
}

void
retention_decide(const Catalog *catalog, const RetentionPolicy *policy,
				 int64_t now, RetentionPlan *out)
{
	Retention r = {
		.catalog = catalog,
		.policy = policy,
		.now = now,
		.fates = mem_zalloc((catalog->backup_count + 1) * sizeof(Fate)),
		.plan = out};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		r.fates[i].backup = &catalog->backups[i];
		decide_unfinished(&r.fates[i]);
	}
	/* each series when its first backup comes up */
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		if (!r.fates[i].decided)
			decide_series(&r, &catalog->backups[i].info);
	}
	keep_parents(&r);
	report_fates(&r);
	retention_decide_wal(&r);
	free(r.fates);
}
