/*-------------------------------------------------------------------------
 *
 * retention_model_test.c
 *	  Random clusters and random policies, decided once more by a model.
 *
 * The model asks of each backup and each segment alone whether a rule says
 * that it stays, by counting; the program goes through lists.  They must agree
 * to the last one: nothing goes that is needed, and nothing stays without a
 * rule.  PGDR_SOAK takes a hundred times as many, PGDR_SEED another seed.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/retention.h"
#include "tap.h"

#define SEGMENT UINT64_C(1048576)
#define MAX_BACKUPS 40
#define MAX_SEGMENT 400
#define HOUR (INT64_C(3600) * 1000000)
#define DAY (24 * HOUR)
#define NOW INT64_C(1795219200000000)
#define POLICIES 200

typedef struct World
{
	Catalog catalog;
	CatalogBackup backups[MAX_BACKUPS + 2];
	char labels[MAX_BACKUPS + 2][40];
	WalCatalog wal;
	WalRange ranges[2];
	CatalogTimeline timelines[2];
	TimelineSwitch branch;
	bool branched;
	int n; /* complete backups; they come first */
	RetentionPolicy policy;
	RetentionPlan plan;
	bool keeps[MAX_BACKUPS]; /* as the model decides */
	bool alone[MAX_BACKUPS];
} World;

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 20) % below;
}

static bool
one_in(uint32_t n)
{
	return draw(n) == 0;
}

/* ---- a world ---- */

static void
add_backup(World *w, int64_t start, uint64_t segment, uint32_t timeline)
{
	CatalogBackup *b = &w->backups[w->n];
	char stamp[CLOCK_TEXT_LEN];

	snprintf(w->labels[w->n], sizeof(w->labels[0]), "%s-%d",
			 clock_format_label(start, stamp), w->n + 2);
	*b = (CatalogBackup){
		.state = BACKUP_COMPLETE,
		.wal_ok = !one_in(8),
		.verified_at = one_in(4) ? NOW - HOUR : 0,
		.verified_ok = !one_in(4),
		.held = one_in(20),
		.pinned_until = one_in(20)   ? INT64_MAX
						: one_in(20) ? NOW - DAY + (int64_t) draw(2) * 2 * DAY
									 : 0,
		.standalone = one_in(12),
		.marks_unreadable = one_in(30),
		.info = {.label = w->labels[w->n],
				 .sysid = 1,
				 .major = 15,
				 .segment_size = (uint32_t) SEGMENT,
				 .type = one_in(2) ? BACKUP_FULL : BACKUP_INCREMENTAL,
				 .archival = one_in(10),
				 .damaged_pages = one_in(15),
				 .timeline = timeline,
				 .start_timeline = timeline,
				 .start_lsn = segment * SEGMENT + 40,
				 .stop_lsn = (segment + draw(3)) * SEGMENT + 400,
				 .start_time = start,
				 .stop_time = start + HOUR / 6}};
	w->n++;
}

static void
add_unfinished(World *w, BackupState what)
{
	size_t i = w->catalog.backup_count++;
	char stamp[CLOCK_TEXT_LEN];

	snprintf(w->labels[i], sizeof(w->labels[0]), "%s",
			 clock_format_label(NOW - (int64_t) draw(500) * DAY, stamp));
	w->backups[i] = (CatalogBackup){.state = what,
									.info = {.label = w->labels[i]}};
	if (what == BACKUP_RUNNING && w->n > 0)
		w->backups[i].info.parent = w->labels[draw((uint32_t) w->n)];
}

static void
add_timeline(World *w, uint32_t number, uint64_t first, uint64_t last)
{
	w->timelines[w->wal.timeline_count++] = (CatalogTimeline){
		.home = {1, 15},
		.timeline = number,
		.has_history = number > 1,
		.history = {.timeline = number,
					.items = number > 1 ? &w->branch : NULL,
					.count = number > 1}};
	w->ranges[w->wal.range_count++] = (WalRange){
		.home = {1, 15},
		.timeline = number,
		.segment_size = (uint32_t) SEGMENT,
		.first = first,
		.last = last,
		.start_lsn = first * SEGMENT,
		.end_lsn = (last + 1) * SEGMENT};
}

/* Backups in a rhythm of hours, days or weeks; perhaps a recovery to a point
 * in the past among them. */
static void
make_world(World *w)
{
	static const int64_t rhythm[] = {HOUR, 6 * HOUR, DAY, 7 * DAY, 40 * DAY};
	int64_t step = rhythm[draw(5)];
	int count = (int) draw(MAX_BACKUPS + 1);
	int turn = one_in(3) ? (int) draw(MAX_BACKUPS) : MAX_BACKUPS + 1;
	int64_t t = NOW - (count + 1) * step - (int64_t) draw(100) * HOUR;
	uint64_t segment = 1;
	uint64_t end = 0;

	memset(w, 0, sizeof(*w));
	for (int i = 0; i < count; i++)
	{
		if (i == turn)
		{
			end = segment + 2;
			segment = 1 + draw((uint32_t) segment);
			w->branched = true;
			w->branch = (TimelineSwitch){1, segment * SEGMENT + SEGMENT / 2};
			segment++;
		}
		t += step / 4 + (int64_t) draw((uint32_t) (step / 1000000)) * 1000000;
		segment += 1 + draw(6);
		add_backup(w, t, segment, w->branched ? 2 : 1);
	}
	w->catalog.backup_count = (size_t) w->n;
	w->catalog.backups = w->backups;
	w->catalog.wal = &w->wal;
	w->catalog.wal_count = 1;
	w->wal = (WalCatalog){.home = {1, 15},
						  .segment_size = (uint32_t) SEGMENT,
						  .ranges = w->ranges,
						  .timelines = w->timelines};
	add_timeline(w, 1, 1, w->branched ? end : segment + 5);
	if (w->branched)
		add_timeline(w, 2, w->branch.lsn / SEGMENT, segment + 5);
	for (size_t i = 0; i < w->wal.timeline_count; i++)
		w->timelines[i].young_from = one_in(2) ? 1 + draw((uint32_t) segment)
											   : 0;
	if (one_in(10))
		add_unfinished(w, BACKUP_RUNNING);
	else if (one_in(10))
		add_unfinished(w, BACKUP_UNREADABLE);
	else if (one_in(10))
		add_unfinished(w, BACKUP_INTERRUPTED);
}

static void
make_policy(RetentionPolicy *p)
{
	static const int64_t spans[] = {HOUR, DAY, 7 * DAY, 30 * DAY, 400 * DAY};

	*p = (RetentionPolicy){.period_full = one_in(3)};
	if (one_in(3))
		p->keep_full = 1 + draw(6);
	if (one_in(3))
		p->keep_last = 1 + draw(10);
	if (one_in(3))
		p->keep_time = spans[draw(5)];
	if (one_in(4))
		p->keep_incremental = 1 + draw(5);
	if (one_in(4))
		p->minimum = draw(6);
	if (one_in(2))
		p->keep_archival = spans[draw(5)];
	if (one_in(3))
		p->wal_time = spans[draw(5)];
	for (int i = 0; i < PERIOD_COUNT; i++)
	{
		if (one_in(4))
			p->keep_period[i] = 1 + draw(8);
	}
}

/* ---- the model: backups ---- */

static bool
is_abandoned(const World *w, const CatalogBackup *b)
{
	return w->branched && b->info.timeline == 1 &&
		   b->info.stop_lsn - 1 >= w->branch.lsn;
}

static bool
is_good(const World *w, const CatalogBackup *b)
{
	return b->info.damaged_pages == 0 && b->wal_ok &&
		   (b->verified_at == 0 || b->verified_ok) && !is_abandoned(w, b);
}

static bool
is_ordinary(const World *w, const CatalogBackup *b)
{
	return !b->info.archival && is_good(w, b);
}

static bool
is_incremental(const CatalogBackup *b)
{
	return b->info.type == BACKUP_INCREMENTAL;
}

/* Good ones behind i that a rule counts. */
static uint32_t
good_behind(const World *w, int i, bool full, bool incremental)
{
	uint32_t count = 0;

	for (int k = i + 1; k < w->n; k++)
	{
		const CatalogBackup *b = &w->backups[k];

		count += is_ordinary(w, b) && (!full || !is_incremental(b)) &&
				 (!incremental || is_incremental(b));
	}
	return count;
}

static bool
is_too_many(const World *w, int i)
{
	return is_incremental(&w->backups[i]) && w->policy.keep_incremental > 0 &&
		   good_behind(w, i, false, true) >= w->policy.keep_incremental;
}

/* By "the newest N", of full ones or of all. */
static bool
model_count(const World *w, int i, uint32_t n, bool full)
{
	const CatalogBackup *b = &w->backups[i];
	uint32_t behind = good_behind(w, i, full, false);
	bool anchor = is_ordinary(w, b) && (!full || !is_incremental(b)) &&
				  behind == n - 1;

	return n > 0 && behind < n &&
		   (anchor || good_behind(w, -1, full, false) < n ||
			!is_too_many(w, i));
}

static bool
covers(const World *w, const CatalogBackup *b, int64_t since)
{
	return is_ordinary(w, b) && !b->standalone && b->info.stop_time <= since;
}

static bool
model_time(const World *w, int i)
{
	int64_t since = NOW - w->policy.keep_time;
	bool met = false;

	if (w->policy.keep_time == 0)
		return false;
	for (int k = i + 1; k < w->n; k++)
	{
		if (covers(w, &w->backups[k], since))
			return false;
	}
	for (int k = 0; k < i; k++)
		met |= covers(w, &w->backups[k], since);
	return covers(w, &w->backups[i], since) || !met || !is_too_many(w, i);
}

/* Year and month, by counting days. */
static void
civil(int64_t t, int *year, int *month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30,
								  31, 31, 30, 31, 30, 31};
	int64_t days = t / DAY;

	for (*year = 1970;; ++*year)
	{
		bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);

		for (*month = 0; *month < 12; ++*month)
		{
			int length = lengths[*month] + (*month == 1 && leap);

			if (days < length)
				return;
			days -= length;
		}
	}
}

static int64_t
model_period(int period, int64_t t)
{
	int year;
	int month;

	civil(t, &year, &month);
	switch (period)
	{
		case PERIOD_HOUR:
			return t / HOUR;
		case PERIOD_DAY:
			return t / DAY;
		case PERIOD_WEEK:
			return (t / DAY - 4 + 700) / 7; /* 1970-01-05 was a Monday */
		case PERIOD_MONTH:
			return 100 * year + month;
		default:
			return year;
	}
}

static bool
model_period_keeps(const World *w, int i, int period)
{
	const CatalogBackup *b = &w->backups[i];
	int64_t own = model_period(period, b->info.start_time);
	int64_t last = -1;
	uint32_t later = 0;
	bool good_here = false;
	bool newer = false;
	bool newer_good = false;

	if (b->info.archival || (w->policy.period_full && is_incremental(b)))
		return false;
	for (int k = 0; k < w->n; k++)
	{
		const CatalogBackup *other = &w->backups[k];
		int64_t there = model_period(period, other->info.start_time);

		if (other->info.archival ||
			(w->policy.period_full && is_incremental(other)))
			continue;
		newer |= there == own && k > i;
		if (!is_good(w, other))
			continue;
		good_here |= there == own;
		newer_good |= there == own && k > i;
		if (there > own && there != last)
		{
			later++;
			last = there;
		}
	}
	return later < w->policy.keep_period[period] &&
		   (is_good(w, b) ? !newer_good : !good_here && !newer);
}

static bool
has_rules(const RetentionPolicy *p)
{
	return p->keep_full + p->keep_last > 0 || p->keep_time > 0 ||
		   p->keep_period[0] + p->keep_period[1] + p->keep_period[2] +
				   p->keep_period[3] + p->keep_period[4] >
			   0;
}

static bool
model_archival(const World *w, int i)
{
	const CatalogBackup *b = &w->backups[i];
	bool last = is_good(w, b) && good_behind(w, -1, false, false) == 0;

	for (int k = i + 1; k < w->n; k++)
		last &= !(w->backups[k].info.archival && is_good(w, &w->backups[k]));
	return w->policy.keep_archival == 0 || last ||
		   b->info.stop_time > NOW - w->policy.keep_archival;
}

static bool
is_base(const World *w, int i)
{
	const CatalogBackup *last = &w->backups[w->n];

	return (int) w->catalog.backup_count > w->n && last->info.parent != NULL &&
		   last->info.parent == w->backups[i].info.label;
}

static bool
model_keeps(const World *w, int i)
{
	const CatalogBackup *b = &w->backups[i];
	const RetentionPolicy *p = &w->policy;
	uint32_t least = p->minimum < 1 ? 1 : p->minimum;

	if (b->held || b->pinned_until > NOW || b->marks_unreadable ||
		is_base(w, i))
		return true;
	if (b->info.archival)
		return model_archival(w, i);
	for (int period = 0; period < PERIOD_COUNT; period++)
	{
		if (model_period_keeps(w, i, period))
			return true;
	}
	return !has_rules(p) || good_behind(w, i, false, false) < least ||
		   model_count(w, i, p->keep_full, true) ||
		   model_count(w, i, p->keep_last, false) || model_time(w, i);
}

/* ---- the model: WAL ---- */

static bool
stands_alone(const World *w, int i)
{
	const CatalogBackup *b = &w->backups[i];
	int64_t span = w->policy.wal_time > w->policy.keep_time
					   ? w->policy.wal_time
					   : w->policy.keep_time;

	if (b->info.archival || b->standalone)
		return true;
	for (int k = i + 1; w->policy.wal_time > 0 && k < w->n; k++)
	{
		if (covers(w, &w->backups[k], NOW - span) && w->keeps[k])
			return true;
	}
	return false;
}

/* All WAL stays. */
static bool
model_holds(const World *w)
{
	const CatalogBackup *last = &w->backups[w->n];
	bool extra = (int) w->catalog.backup_count > w->n;
	bool good = false;
	bool expires = false;
	char oldest[CLOCK_TEXT_LEN] = "";

	for (int i = w->n - 1; i >= 0; i--)
	{
		bool keep = w->keeps[i];

		good |= keep && is_good(w, &w->backups[i]) && !w->alone[i];
		expires |= !keep;
		if (keep)
			clock_format_label(w->backups[i].info.start_time, oldest);
	}
	if ((!has_rules(&w->policy) && w->policy.wal_time == 0) || !good)
		return true;
	if (extra && last->state == BACKUP_UNREADABLE)
		return !expires || strcmp(last->info.label, oldest) >= 0;
	return extra && last->state == BACKUP_RUNNING;
}

static bool
needs(const World *w, int i, uint32_t timeline, uint64_t segment)
{
	const BackupInfo *info = &w->backups[i].info;

	if (w->alone[i])
		return timeline == info->timeline &&
			   segment >= info->start_lsn / SEGMENT &&
			   segment <= (info->stop_lsn - 1) / SEGMENT;
	if (timeline == info->timeline)
		return segment >= info->start_lsn / SEGMENT;
	return timeline == 2 && info->start_lsn < w->branch.lsn;
}

static bool
model_keeps_wal(const World *w, const CatalogTimeline *t, uint64_t segment)
{
	for (int i = 0; i < w->n; i++)
	{
		if (w->keeps[i] && needs(w, i, t->timeline, segment))
			return true;
	}
	return w->policy.wal_time > 0 && t->young_from > 0 &&
		   segment >= t->young_from;
}

static void
decide_by_model(World *w)
{
	for (int i = 0; i < w->n; i++)
		w->keeps[i] = model_keeps(w, i);
	for (int i = 0; i < w->n; i++)
		w->alone[i] = stands_alone(w, i);
}

/* ---- comparison ---- */

static bool
is_cut(const World *w, uint32_t timeline, uint64_t segment)
{
	for (size_t i = 0; i < w->plan.cutoff_count; i++)
	{
		const WalCutoff *c = &w->plan.cutoffs[i];

		if (c->timeline == timeline && segment >= c->from_segment &&
			segment < c->before_segment)
			return true;
	}
	return false;
}

static bool
compare_backups(const World *w)
{
	for (int i = 0; i < w->n; i++)
	{
		const Decision *d = &w->plan.decisions[i];

		if (d->keep == w->keeps[i] && d->keep == (d->rules != 0) &&
			d->reason != NULL)
			continue;
		printf("# backup %d (%s): %s\n", i, d->label, d->reason);
		return false;
	}
	return true;
}

static bool
compare_wal(const World *w)
{
	bool held = model_holds(w);

	for (size_t t = 0; t < w->wal.timeline_count; t++)
	{
		for (uint64_t segment = 1; segment < MAX_SEGMENT; segment++)
		{
			uint32_t timeline = w->timelines[t].timeline;

			if (is_cut(w, timeline, segment) !=
				(!held && !model_keeps_wal(w, &w->timelines[t], segment)))
			{
				printf("# timeline %u, segment %" PRIu64 ", held %d\n",
					   timeline, segment, held);
				return false;
			}
		}
	}
	return true;
}

/* What could be recovered of the time that is to stay so, still can. */
static bool
time_is_kept(const World *w)
{
	int64_t span = w->policy.keep_time;

	for (int trial = 0; span > 0 && trial < 20; trial++)
	{
		int64_t t = NOW - (int64_t) draw((uint32_t) (span / 1000000)) * 1000000;
		bool before = false;
		bool after = false;

		for (int i = 0; i < w->n; i++)
		{
			const CatalogBackup *b = &w->backups[i];
			bool cut = false;

			if (!covers(w, b, t))
				continue;
			before = true;
			for (uint64_t s = b->info.start_lsn / SEGMENT; s < MAX_SEGMENT; s++)
				cut |= is_cut(w, b->info.timeline, s);
			after |= !cut && w->plan.decisions[i].keep;
		}
		if (before && !after)
			return false;
	}
	return true;
}

int
main(void)
{
	const char *seed = getenv("PGDR_SEED");
	int rounds = getenv("PGDR_SOAK") ? 100 * POLICIES : POLICIES;
	int removed = 0;
	int cut = 0;
	World *w = mem_zalloc(sizeof(World));

	state = seed != NULL ? strtoull(seed, NULL, 10) : 20261129;
	printf("# seed %" PRIu64 "\n", state);
	for (int round = 0; round < rounds; round++)
	{
		bool same;

		make_world(w);
		make_policy(&w->policy);
		retention_decide(&w->catalog, &w->policy, NOW, &w->plan);
		decide_by_model(w);
		same = compare_backups(w) && compare_wal(w) && time_is_kept(w);
		for (int i = 0; i < w->n; i++)
			removed += !w->plan.decisions[i].keep;
		cut += w->plan.cutoff_count > 0;
		if (!same || rounds == POLICIES)
			ok(same, "policy %d decides as the model", round);
		retention_plan_free(&w->plan);
	}
	ok(removed > rounds && cut > rounds / 4,
	   "%d backups expired, and WAL in %d of %d worlds", removed, cut, rounds);
	free(w);
	return done_testing();
}
