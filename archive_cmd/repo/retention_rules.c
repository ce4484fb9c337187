/*-------------------------------------------------------------------------
 *
 * retention_rules.c
 *	  Which backups the rules keep that are no matter of the calendar.
 *
 * A rule of these names the oldest backup that it needs (its anchor); that one
 * stays and whatever is newer.  So a doubt about a backup, or a rule that
 * cannot be met yet, always keeps more, never less.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* The anchor of a rule is the index of a fate, or this. */
#define NO_ANCHOR SIZE_MAX

typedef enum Kind
{
	KIND_ANY,
	KIND_FULL,
	KIND_INCREMENTAL
} Kind;

typedef struct Range
{
	RetentionRule rule;
	size_t anchor;
	char *reason;      /* of the anchor; owned */
	const char *unmet; /* of all, if there is no anchor */
	size_t limit;      /* incremental ones between anchor and this go */
} Range;

static bool
is_kind(const Fate *fate, Kind kind)
{
	if (kind == KIND_ANY)
		return true;
	return (fate->backup->info.type == BACKUP_FULL) == (kind == KIND_FULL);
}

/* The N-th newest good one. */
static size_t
nth_newest(const Retention *r, const BackupInfo *of, Kind kind, uint32_t n)
{
	uint32_t found = 0;

	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		if (retention_counts(&r->fates[i - 1], of) &&
			is_kind(&r->fates[i - 1], kind) && ++found == n)
			return i - 1;
	}
	return NO_ANCHOR;
}

/* The newest good one that had stopped when the time began. */
static size_t
newest_before(const Retention *r, const BackupInfo *of, int64_t t)
{
	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		const Fate *fate = &r->fates[i - 1];

		/* behind one that stands alone WAL may be missing */
		if (retention_counts(fate, of) && !fate->backup->standalone &&
			fate->backup->info.stop_time <= t)
			return i - 1;
	}
	return NO_ANCHOR;
}

/* ---- what a rule keeps ---- */

static void
keep_newer(Fate *fate, RetentionRule rule, const Fate *anchor)
{
	const char *label = anchor->backup->info.label;

	if (fate->flaw == NULL)
		retention_keep(fate, rule,
					   "It is newer than backup %s, which is to stay.", label);
	else
		retention_keep(fate, rule,
					   "It is newer than backup %s, which is to stay; it does "
					   "not count as good, because it %s.",
					   label, fate->flaw);
}

static void
keep_unmet(Fate *fate, const Range *range)
{
	if (fate->flaw == NULL)
		retention_keep(fate, range->rule, "%s.", range->unmet);
	else
		retention_keep(fate, range->rule,
					   "%s; this one does not count as good, because it %s.",
					   range->unmet, fate->flaw);
}

/* Takes the reason over. */
static void
keep_range(const Retention *r, const BackupInfo *of, Range *range)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];

		if (!retention_in_series(fate->backup, of) ||
			fate->backup->info.archival)
			continue;
		if (i == range->anchor)
			retention_keep(fate, range->rule, "%s", range->reason);
		else if (range->anchor == NO_ANCHOR)
			keep_unmet(fate, range);
		else if (i > range->anchor &&
				 (i >= range->limit || !is_kind(fate, KIND_INCREMENTAL)))
			keep_newer(fate, range->rule, &r->fates[range->anchor]);
	}
	free(range->reason);
}

/* ---- counts and times ---- */

/* Of incremental ones that are only newer not all need to stay. */
static size_t
incremental_limit(const Retention *r, const BackupInfo *of)
{
	size_t limit = NO_ANCHOR;

	if (r->policy->keep_incremental > 0)
		limit = nth_newest(r, of, KIND_INCREMENTAL,
						   r->policy->keep_incremental);
	return limit == NO_ANCHOR ? 0 : limit;
}

static char *
count_reason(const char *what, uint32_t n)
{
	if (n == 1)
		return mem_printf("It is the newest good %s.", what);
	return mem_printf("It is the oldest of the %" PRIu32
					  " newest good %ss that are to stay.",
					  n, what);
}

static void
apply_counts(const Retention *r, const BackupInfo *of, size_t limit)
{
	const RetentionPolicy *p = r->policy;
	Range full = {.rule = RULE_FULL,
				  .unmet = "There are no more good full backups than are to "
						   "stay",
				  .limit = limit};
	Range last = {.rule = RULE_LAST,
				  .unmet = "There are no more good backups than are to stay",
				  .limit = limit};

	if (p->keep_full > 0)
	{
		full.anchor = nth_newest(r, of, KIND_FULL, p->keep_full);
		full.reason = count_reason("full backup", p->keep_full);
		keep_range(r, of, &full);
	}
	if (p->keep_last > 0)
	{
		last.anchor = nth_newest(r, of, KIND_ANY, p->keep_last);
		last.reason = count_reason("backup", p->keep_last);
		keep_range(r, of, &last);
	}
}

static void
apply_time(const Retention *r, const BackupInfo *of, size_t limit)
{
	int64_t keep = r->policy->keep_time;
	Range time = {.rule = RULE_TIME,
				  .unmet = "No good backup is old enough to make every moment "
						   "recoverable that is to stay so",
				  .limit = limit};
	char *text;

	if (keep == 0)
		return;
	text = retention_duration(keep);
	time.anchor = newest_before(r, of, r->now - keep);
	time.reason = mem_printf("Every moment of the last %s is to stay "
							 "recoverable, and it is the newest good backup "
							 "from before that.",
							 text);
	keep_range(r, of, &time);
	free(text);
}

/* Without any good one all stays. */
static void
apply_minimum(const Retention *r, const BackupInfo *of)
{
	uint32_t n = r->policy->minimum > 1 ? r->policy->minimum : 1;
	Range minimum = {.rule = RULE_MINIMUM,
					 .anchor = nth_newest(r, of, KIND_ANY, n),
					 .reason = count_reason("backup", n),
					 .unmet = "There are no more good backups than must stay"};

	keep_range(r, of, &minimum);
}

bool
retention_has_rules(const RetentionPolicy *policy)
{
	bool any = policy->keep_full > 0 || policy->keep_last > 0 ||
			   policy->keep_time > 0;

	for (int i = 0; i < PERIOD_COUNT; i++)
		any |= policy->keep_period[i] > 0;
	return any;
}

/* ---- archival ones ---- */

static void
decide_archival(const Retention *r, Fate *fate)
{
	int64_t keep = r->policy->keep_archival;
	char *text;

	if (keep == 0)
	{
		retention_keep(fate, RULE_ARCHIVAL,
					   "It is archival, and stays until it is deleted.");
		return;
	}
	text = retention_duration(keep);
	if (fate->backup->info.stop_time > r->now - keep)
		retention_keep(fate, RULE_ARCHIVAL, "It is archival, and stays for %s.",
					   text);
	else if (fate->rules == 0)
		retention_drop(fate, "It is archival, and older than %s.", text);
	free(text);
}

/* Where there is nothing else, the newest stays whatever its age. */
static void
apply_archival(const Retention *r, const BackupInfo *of)
{
	bool alone = nth_newest(r, of, KIND_ANY, 1) == NO_ANCHOR;

	for (size_t i = r->catalog->backup_count; i > 0; i--)
	{
		Fate *fate = &r->fates[i - 1];

		if (!retention_in_series(fate->backup, of) ||
			!fate->backup->info.archival)
			continue;
		if (alone && fate->flaw == NULL)
		{
			retention_keep(fate, RULE_MINIMUM,
						   "It is the newest good backup of its kind.");
			alone = false;
		}
		decide_archival(r, fate);
	}
}

/* ---- marks ---- */

static void
apply_marks(const Retention *r, Fate *fate)
{
	const CatalogBackup *b = fate->backup;
	char until[CLOCK_TEXT_LEN];

	if (b->held)
		retention_keep(fate, RULE_HOLD,
					   "A legal hold is on it, until \"pgdr release\" lifts "
					   "it.");
	if (b->pinned_until == INT64_MAX)
		retention_keep(fate, RULE_PIN, "It is pinned.");
	else if (b->pinned_until > r->now)
		retention_keep(fate, RULE_PIN, "It is pinned until %s.",
					   clock_format(b->pinned_until, until));
	if (b->marks_unreadable)
		retention_keep(fate, RULE_DOUBT,
					   "One of its marks cannot be read, and may be a pin or a "
					   "legal hold.");
}

static void
apply_base(const Retention *r, Fate *fate)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const CatalogBackup *b = r->fates[i].backup;

		if (b->state == BACKUP_RUNNING && b->info.parent != NULL &&
			strcmp(b->info.parent, fate->backup->info.label) == 0)
			retention_keep(fate, RULE_BASE,
						   "Backup %s, which is being written, is based on it.",
						   b->info.label);
	}
}

void
retention_apply_rules(const Retention *r, const BackupInfo *of)
{
	size_t limit = incremental_limit(r, of);

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		if (!retention_in_series(r->fates[i].backup, of))
			continue;
		apply_marks(r, &r->fates[i]);
		apply_base(r, &r->fates[i]);
	}
	apply_archival(r, of);
	apply_counts(r, of, limit);
	apply_time(r, of, limit);
}

void
retention_apply_floor(const Retention *r, const BackupInfo *of)
{
	if (retention_has_rules(r->policy))
		apply_minimum(r, of);
	for (size_t i = 0;
		 !retention_has_rules(r->policy) && i < r->catalog->backup_count; i++)
	{
		if (retention_in_series(r->fates[i].backup, of) &&
			!r->fates[i].backup->info.archival)
			retention_keep(&r->fates[i], RULE_NONE,
						   "No rule says that backups expire.");
	}
}
