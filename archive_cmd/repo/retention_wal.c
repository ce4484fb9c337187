/*-------------------------------------------------------------------------
 *
 * retention_wal.c
 *	  Which WAL stays, and why.
 *
 * WAL of a timeline is needed from the start of the first backup taken on it
 * that stays; all of it is needed if the timeline descends from a point behind
 * the start of such a backup, or if its descent is not known.  History files
 * always stay: they are small, and explain what is there.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/stamp.h"
#include "repo/wal_catalog.h"

typedef struct Need
{
	uint64_t from;           /* position; UINT64_MAX: nothing is needed */
	const CatalogBackup *of; /* the backup that needs it, if one does */
} Need;

/* ---- reasons to let all WAL of a cluster stay ---- */

static const Fate *
oldest_kept(const Retention *r, const WalHome *home)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		if (r->fates[i].keep && retention_same_home(r->fates[i].backup, home))
			return &r->fates[i];
	}
	return NULL;
}

static bool
keeps_good(const Retention *r, const WalHome *home)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const Fate *fate = &r->fates[i];

		if (fate->keep && retention_same_home(fate->backup, home) &&
			retention_flaw(r->catalog, fate->backup) == NULL)
			return true;
	}
	return false;
}

static bool
something_expires(const Retention *r, const WalHome *home)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		if (!r->fates[i].keep && retention_same_home(r->fates[i].backup, home))
			return true;
	}
	return false;
}

/*
 * A backup whose manifest is damaged may be of this cluster.  It holds the WAL
 * back unless it is older than what the rules let stay, when it would have
 * expired with the others.
 */
static bool
is_in_doubt(const Retention *r, const WalHome *home, const Fate *fate)
{
	const Fate *oldest = oldest_kept(r, home);
	int64_t t;

	if (fate->backup->state != BACKUP_UNREADABLE)
		return false;
	return oldest == NULL || !something_expires(r, home) ||
		   !stamp_parse(fate->backup->info.label, STAMP_SECONDS_LEN, &t) ||
		   t >= oldest->backup->info.start_time;
}

/*
 * Names of segments mean positions by their size, which is guessed if no
 * segment can be read: by a wrong one, needed WAL would seem to be old.
 */
static const CatalogBackup *
other_segment_size(const Retention *r, const WalCatalog *wal)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const CatalogBackup *b = r->fates[i].backup;

		if (wal->segment_size != 0 && r->fates[i].keep &&
			retention_same_home(b, &wal->home) &&
			b->info.segment_size != wal->segment_size)
			return b;
	}
	return NULL;
}

/* NULL: WAL may go. */
static char *
hold_reason(const Retention *r, const WalCatalog *wal)
{
	const WalHome *home = &wal->home;
	const CatalogBackup *other = other_segment_size(r, wal);

	if (r->policy->keep_full == 0 && r->policy->keep_time == 0)
		return mem_strdup("No rule says that backups expire.");
	if (oldest_kept(r, home) == NULL)
		return mem_strdup("This cluster has no backup.");
	if (!keeps_good(r, home))
		return mem_strdup("This cluster has no good backup.");
	if (other != NULL)
		return mem_printf("Backup %s was taken with another size of WAL "
						  "segments, so which it needs is not known.",
						  other->info.label);
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const CatalogBackup *b = r->fates[i].backup;

		if (b->state == BACKUP_RUNNING)
			return mem_printf("Backup %s is being written, and which WAL it "
							  "will need is not known yet.",
							  b->info.label);
		if (is_in_doubt(r, home, &r->fates[i]))
			return mem_printf("The manifest of backup %s cannot be read, so "
							  "which WAL it needs is not known.",
							  b->info.label);
	}
	return NULL;
}

/* ---- what is needed ---- */

static Need
timeline_need(const Retention *r, const WalCatalog *wal,
			  const CatalogTimeline *t)
{
	Need need = {.from = UINT64_MAX};
	bool known = t->timeline == 1 || t->has_history;

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const CatalogBackup *b = r->fates[i].backup;
		uint64_t from = UINT64_MAX;

		if (!r->fates[i].keep || !retention_same_home(b, &wal->home))
			continue;
		if (b->info.start_timeline == t->timeline)
		{
			from = b->info.start_lsn;
			known = true;
		}
		else if (wal_catalog_on_path(wal, b->info.start_timeline,
									 b->info.start_lsn, t->timeline))
			from = 0;
		if (from < need.from)
			need = (Need){.from = from, .of = b};
	}
	if (!known)
		need.from = 0;
	return need;
}

/* ---- decisions ---- */

static char *
range_text(const Retention *r, const WalRange *range, uint64_t first,
		   uint64_t last)
{
	char from[LSN_TEXT_LEN];
	char to[LSN_TEXT_LEN];

	lsn_format(first * range->segment_size, from);
	lsn_format((last + 1) * range->segment_size, to);
	if (r->catalog->wal_count == 1)
		return mem_printf("WAL %" PRIu32 ": %s - %s", range->timeline, from,
						  to);
	return mem_printf("WAL %" PRIu64 "-%d %" PRIu32 ": %s - %s",
					  range->home.sysid, range->home.major, range->timeline,
					  from, to);
}

static char *
need_reason(const Need *need)
{
	if (need->of != NULL)
		return mem_printf("Backup %s needs it.", need->of->info.label);
	return mem_strdup("From where its timeline descends is not known.");
}

static void
decide_range(const Retention *r, const WalRange *range, const Need *need)
{
	uint64_t first_kept = need->from == UINT64_MAX
							  ? range->last + 1
							  : need->from / range->segment_size;

	if (first_kept > range->last + 1)
		first_kept = range->last + 1;
	if (first_kept > range->first)
		retention_add(
			r->plan,
			(Decision){
				.object = range_text(r, range, range->first, first_kept - 1),
				.reason = mem_strdup("No backup that stays needs it.")});
	else
		first_kept = range->first;
	if (first_kept <= range->last)
		retention_add(
			r->plan,
			(Decision){.object = range_text(r, range, first_kept, range->last),
					   .keep = true,
					   .reason = need_reason(need)});
}

static void
add_cutoff(RetentionPlan *plan, const WalCatalog *wal, uint32_t timeline,
		   const Need *need)
{
	plan->cutoffs = mem_realloc(plan->cutoffs,
								(plan->cutoff_count + 1) * sizeof(WalCutoff));
	plan->cutoffs[plan->cutoff_count++] = (WalCutoff){
		.home = wal->home,
		.timeline = timeline,
		.segment_size = wal->segment_size,
		.before_segment = need->from == UINT64_MAX
							  ? UINT64_MAX
							  : need->from / wal->segment_size};
}

static void
decide_timeline(const Retention *r, const WalCatalog *wal,
				const CatalogTimeline *t)
{
	Need need = timeline_need(r, wal, t);

	for (size_t i = 0; i < wal->range_count; i++)
	{
		if (wal->ranges[i].timeline == t->timeline)
			decide_range(r, &wal->ranges[i], &need);
	}
	if (need.from >= wal->segment_size)
		add_cutoff(r->plan, wal, t->timeline, &need);
}

void
retention_decide_wal(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->wal_count; i++)
	{
		const WalCatalog *wal = &r->catalog->wal[i];
		char *hold = hold_reason(r, wal);

		for (size_t j = 0; hold != NULL && j < wal->range_count; j++)
			retention_add(r->plan,
						  (Decision){.object = range_text(r, &wal->ranges[j],
														  wal->ranges[j].first,
														  wal->ranges[j].last),
									 .keep = true,
									 .reason = mem_strdup(hold)});
		for (size_t j = 0; hold == NULL && j < wal->timeline_count; j++)
		{
			if (wal->segment_size > 0)
				decide_timeline(r, wal, &wal->timelines[j]);
		}
		free(hold);
	}
}
