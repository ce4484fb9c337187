/*-------------------------------------------------------------------------
 *
 * retention_wal.c
 *	  Which WAL stays, and why.
 *
 * WAL of a timeline is needed from the start of the first backup taken on it
 * that stays; all of it is needed if the timeline descends from a point behind
 * the start of such a backup, or if its descent is not known.  A backup that
 * stands alone needs from its start to its stop.  History files always stay:
 * they are small, and explain what is there.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/stamp.h"
#include "repo/target.h"
#include "repo/wal_catalog.h"

/* Segments of a timeline that stay, and for what. */
typedef struct Keeper
{
	uint64_t first;
	uint64_t last; /* UINT64_MAX: no end */
	uint32_t rules;
	char *reason; /* owned */
} Keeper;

typedef struct Keepers
{
	Keeper *items;
	size_t count;
	size_t cap;
} Keepers;

/* A reason to let all WAL of a cluster stay; text NULL: there is none. */
typedef struct Hold
{
	char *text;
	RetentionRule rule;
} Hold;

/* ---- which backups stand alone ---- */

/*
 * With a time for WAL: the newest good backup that had stopped when it began.
 * A time that is to stay recoverable is one for WAL too.
 */
static const Fate *
find_wal_anchor(const Retention *r, const BackupInfo *of)
{
	int64_t keep = r->policy->wal_time > r->policy->keep_time
					   ? r->policy->wal_time
					   : r->policy->keep_time;

	if (r->policy->wal_time == 0)
		return NULL;
	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		const Fate *fate = &r->fates[i - 1];

		if (fate->keep && retention_counts(fate, of) &&
			!fate->backup->standalone &&
			fate->backup->info.stop_time <= r->now - keep)
			return fate;
	}
	return NULL;
}

void
retention_find_standalone(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];
		const CatalogBackup *b = fate->backup;

		if (!fate->keep || b->state != BACKUP_COMPLETE ||
			!backup_is_cluster(&b->info))
			continue;
		fate->standalone = catalog_stands_alone(b) ||
						   fate < find_wal_anchor(r, &b->info);
	}
}

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

		if (fate->keep && !fate->standalone && fate->flaw == NULL &&
			retention_same_home(fate->backup, home))
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

static Hold
find_hold(const Retention *r, const WalCatalog *wal)
{
	const WalHome *home = &wal->home;
	const CatalogBackup *other = other_segment_size(r, wal);

	if (!retention_has_rules(r->policy) && r->policy->wal_time == 0)
		return (Hold){mem_strdup("No rule says that backups expire."),
					  RULE_NONE};
	if (oldest_kept(r, home) == NULL)
		return (Hold){mem_strdup("This cluster has no backup."), RULE_MINIMUM};
	if (!keeps_good(r, home))
		return (Hold){mem_strdup("This cluster has no good backup from which "
								 "WAL goes on."),
					  RULE_MINIMUM};
	if (other != NULL)
		return (Hold){mem_printf("Backup %s was taken with another size of WAL "
								 "segments, so which it needs is not known.",
								 other->info.label),
					  RULE_DOUBT};
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const CatalogBackup *b = r->fates[i].backup;

		if (b->state == BACKUP_RUNNING)
			return (Hold){mem_printf("Backup %s is being written, and which "
									 "WAL it will need is not known yet.",
									 b->info.label),
						  RULE_RUNNING};
		if (is_in_doubt(r, home, &r->fates[i]))
			return (Hold){mem_printf("The manifest of backup %s cannot be "
									 "read, so which WAL it needs is not "
									 "known.",
									 b->info.label),
						  RULE_DOUBT};
	}
	return (Hold){.text = NULL};
}

/* ---- what is needed ---- */

static void
add_keeper(Keepers *k, Keeper keeper)
{
	k->items = mem_grow(k->items, k->count, &k->cap, sizeof(Keeper));
	k->items[k->count++] = keeper;
}

static void
keepers_free(Keepers *k)
{
	for (size_t i = 0; i < k->count; i++)
		free(k->items[i].reason);
	free(k->items);
}

/* What is needed to get from backups to the end of the timeline. */
static void
add_way(const Retention *r, const WalCatalog *wal, const CatalogTimeline *t,
		Keepers *k)
{
	bool known = t->timeline == 1 || t->has_history;
	const Fate *of = NULL;
	uint64_t from = UINT64_MAX;

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const Fate *fate = &r->fates[i];
		const BackupInfo *info = &fate->backup->info;
		uint64_t lsn = UINT64_MAX;

		if (!fate->keep || !retention_same_home(fate->backup, &wal->home))
			continue;
		known |= info->start_timeline == t->timeline;
		if (fate->standalone)
			continue;
		if (info->start_timeline == t->timeline)
			lsn = info->start_lsn;
		else if (wal_catalog_on_path(wal, info->start_timeline, info->start_lsn,
									 t->timeline))
			lsn = 0;
		if (lsn < from)
		{
			from = lsn;
			of = fate;
		}
	}
	if (!known)
		add_keeper(k, (Keeper){.last = UINT64_MAX,
							   .rules = UINT32_C(1) << RULE_DOUBT,
							   .reason = mem_strdup("From where its timeline "
													"descends is not known.")});
	else if (of != NULL)
		add_keeper(k, (Keeper){.first = from / wal->segment_size,
							   .last = UINT64_MAX,
							   .rules = of->rules,
							   .reason = mem_printf("Backup %s needs it.",
													of->backup->info.label)});
}

/*
 * What makes those consistent that stand alone; if the timeline changed under
 * one, on all the timelines that may have been on its way.
 */
static void
add_standalone(const Retention *r, const WalCatalog *wal,
			   const CatalogTimeline *t, Keepers *k)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const Fate *fate = &r->fates[i];
		const BackupInfo *info = &fate->backup->info;

		if (fate->standalone && retention_same_home(fate->backup, &wal->home) &&
			info->start_timeline <= t->timeline &&
			t->timeline <= info->timeline)
			add_keeper(
				k, (Keeper){.first = info->start_lsn / wal->segment_size,
							.last = (info->stop_lsn - 1) / wal->segment_size,
							.rules = fate->rules,
							.reason = mem_printf("Backup %s needs it to be "
												 "consistent.",
												 info->label)});
	}
}

static void
add_young(const Retention *r, const CatalogTimeline *t, Keepers *k)
{
	char *text;

	if (r->policy->wal_time == 0 || t->young_from == 0)
		return;
	text = retention_duration(r->policy->wal_time);
	add_keeper(k, (Keeper){.first = t->young_from,
						   .last = UINT64_MAX,
						   .rules = UINT32_C(1) << RULE_WAL,
						   .reason = mem_printf("WAL of the last %s is to "
												"stay.",
												text)});
	free(text);
}

/*
 * Who keeps a segment; NULL: nobody.  *last is up to where that is so.
 */
static const Keeper *
keeper_of(const Keepers *k, uint64_t segment, uint64_t *last)
{
	*last = UINT64_MAX;
	for (size_t i = 0; i < k->count; i++)
	{
		const Keeper *keeper = &k->items[i];

		if (keeper->first <= segment && segment <= keeper->last)
		{
			*last = keeper->last;
			return keeper;
		}
		if (keeper->first > segment && keeper->first - 1 < *last)
			*last = keeper->first - 1;
	}
	return NULL;
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

static void
decide_range(const Retention *r, const WalRange *range, const Keepers *k)
{
	uint64_t last;

	for (uint64_t at = range->first; at <= range->last; at = last + 1)
	{
		const Keeper *keeper = keeper_of(k, at, &last);

		if (last > range->last)
			last = range->last;
		retention_add(
			r->plan,
			(Decision){.object = range_text(r, range, at, last),
					   .keep = keeper != NULL,
					   .rules = keeper != NULL ? keeper->rules : 0,
					   .reason = mem_strdup(
						   keeper != NULL ? keeper->reason
										  : "No backup that stays needs it.")});
	}
}

static void
add_cutoff(RetentionPlan *plan, WalCutoff cutoff)
{
	plan->cutoffs = mem_realloc(plan->cutoffs,
								(plan->cutoff_count + 1) * sizeof(WalCutoff));
	plan->cutoffs[plan->cutoff_count++] = cutoff;
}

/* All that nobody keeps. */
static void
add_cutoffs(RetentionPlan *plan, const WalCatalog *wal, uint32_t timeline,
			const Keepers *k)
{
	uint64_t last;

	for (uint64_t at = 0;; at = last + 1)
	{
		if (keeper_of(k, at, &last) == NULL)
			add_cutoff(plan, (WalCutoff){.home = wal->home,
										 .timeline = timeline,
										 .segment_size = wal->segment_size,
										 .from_segment = at,
										 .before_segment = last == UINT64_MAX
															   ? UINT64_MAX
															   : last + 1});
		if (last == UINT64_MAX)
			break;
	}
}

static void
decide_timeline(const Retention *r, const WalCatalog *wal,
				const CatalogTimeline *t)
{
	Keepers k = {0};

	add_way(r, wal, t, &k);
	add_standalone(r, wal, t, &k);
	add_young(r, t, &k);
	for (size_t i = 0; i < wal->range_count; i++)
	{
		if (wal->ranges[i].timeline == t->timeline)
			decide_range(r, &wal->ranges[i], &k);
	}
	add_cutoffs(r->plan, wal, t->timeline, &k);
	keepers_free(&k);
}

static void
hold_all(const Retention *r, const WalCatalog *wal, const Hold *hold)
{
	for (size_t i = 0; i < wal->range_count; i++)
		retention_add(r->plan,
					  (Decision){.object = range_text(r, &wal->ranges[i],
													  wal->ranges[i].first,
													  wal->ranges[i].last),
								 .keep = true,
								 .rules = UINT32_C(1) << hold->rule,
								 .reason = mem_strdup(hold->text)});
}

void
retention_decide_wal(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->wal_count; i++)
	{
		const WalCatalog *wal = &r->catalog->wal[i];
		Hold hold = find_hold(r, wal);

		if (hold.text != NULL)
			hold_all(r, wal, &hold);
		for (size_t j = 0; hold.text == NULL && j < wal->timeline_count; j++)
		{
			if (wal->segment_size > 0)
				decide_timeline(r, wal, &wal->timelines[j]);
		}
		free(hold.text);
	}
}
