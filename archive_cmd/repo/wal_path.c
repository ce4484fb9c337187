/*-------------------------------------------------------------------------
 *
 * wal_path.c
 *	  Follows WAL along the history of a timeline, as recovery would.
 *
 * When a timeline begins within a segment, the server copies what comes before
 * into the segment of the new timeline.  So that segment serves for positions
 * before the switch as well, and the ancestor's own segment (if it was archived
 * at all: often there is only a .partial) serves up to the switch and no further.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/wal_catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const CatalogTimeline *
wal_catalog_timeline(const WalCatalog *wal, uint32_t timeline)
{
	size_t low = 0;
	size_t high = wal->timeline_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;

		if (wal->timelines[mid].timeline == timeline)
			return &wal->timelines[mid];
		if (wal->timelines[mid].timeline < timeline)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* The first range on this timeline or a later one that ends at or after number. */
static size_t
lower_range(const WalCatalog *wal, uint32_t timeline, uint64_t number)
{
	size_t low = 0;
	size_t high = wal->range_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;
		const WalRange *r = &wal->ranges[mid];

		if (r->timeline < timeline ||
			(r->timeline == timeline && r->last < number))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const WalRange *
wal_catalog_range(const WalCatalog *wal, uint32_t timeline, uint64_t number)
{
	size_t i = lower_range(wal, timeline, number);
	const WalRange *r = &wal->ranges[i];

	if (i < wal->range_count && r->timeline == timeline && r->first <= number)
		return r;
	return NULL;
}

bool
wal_catalog_has(const WalCatalog *wal, uint32_t timeline, uint64_t lsn)
{
	return wal->segment_size > 0 &&
		   wal_catalog_range(wal, timeline, lsn / wal->segment_size) != NULL;
}

/* ---- the way to a timeline ---- */

/* The timelines of a path, oldest first, the target as the last. */
static uint32_t
path_timeline(const TimelineHistory *h, size_t i)
{
	return i < h->count ? h->items[i].timeline : h->timeline;
}

static uint64_t
path_end(const TimelineHistory *h, size_t i)
{
	return timeline_end(h, path_timeline(h, i));
}

static uint64_t
path_begin(const TimelineHistory *h, size_t i)
{
	return i == 0 ? 0 : path_end(h, i - 1);
}

static bool
path_history(const WalCatalog *wal, uint32_t from, uint32_t target,
			 TimelineHistory *out, Error *err)
{
	const CatalogTimeline *t = wal_catalog_timeline(wal, target);

	*out = (TimelineHistory){.timeline = target};
	if (t != NULL && (t->has_history || target == 1))
	{
		*out = t->history; /* the items stay the catalog's */
		return true;
	}
	if (from == target)
		return true; /* its history plays no part from here on */
	return error_set(err, ERR_INCOMPLETE,
					 "history of timeline %" PRIu32 " is not in the repository",
					 target);
}

bool
wal_catalog_on_path(const WalCatalog *wal, uint32_t ancestor, uint64_t lsn,
					uint32_t timeline)
{
	TimelineHistory h;
	Error ignored = ERROR_INIT;

	if (!path_history(wal, ancestor, timeline, &h, &ignored))
	{
		error_clear(&ignored);
		return false;
	}
	return timeline_of_lsn(&h, lsn) == ancestor;
}

/*
 * Its end must lie on the way too: before it is reached, the backup is not
 * consistent.
 */
bool
wal_catalog_leads_to(const WalCatalog *wal, const BackupInfo *info,
					 uint32_t timeline)
{
	return wal_catalog_on_path(wal, info->start_timeline, info->start_lsn,
							   timeline) &&
		   wal_catalog_on_path(wal, info->timeline, info->stop_lsn - 1,
							   timeline);
}

/* How far one can get from pos with what is there; pos itself if nowhere. */
static uint64_t
step(const WalCatalog *wal, const TimelineHistory *h, uint64_t pos,
	 uint32_t *timeline)
{
	uint64_t n = pos / wal->segment_size;
	uint64_t segment_end = (n + 1) * wal->segment_size;
	uint32_t oldest = timeline_of_lsn(h, pos);

	/* the youngest that has this segment takes one the furthest */
	for (size_t i = h->count + 1; i > 0; i--)
	{
		uint32_t candidate = path_timeline(h, i - 1);
		const WalRange *r;
		uint64_t end;

		if (candidate < oldest)
			break;
		if (path_begin(h, i - 1) >= segment_end)
			continue;
		r = wal_catalog_range(wal, candidate, n);
		if (r == NULL)
			continue;
		end = path_end(h, i - 1);
		if (end > r->end_lsn)
			end = r->end_lsn;
		if (end <= pos)
			continue;
		*timeline = candidate;
		return end;
	}
	return pos;
}

/* Is there WAL of this path in a segment behind number? */
static bool
later_wal(const WalCatalog *wal, const TimelineHistory *h, uint64_t number)
{
	for (size_t i = 0; i <= h->count; i++)
	{
		uint64_t first = path_begin(h, i) / wal->segment_size;
		uint64_t end = path_end(h, i);
		size_t at;

		if (first <= number)
			first = number + 1;
		at = lower_range(wal, path_timeline(h, i), first);
		if (at < wal->range_count &&
			wal->ranges[at].timeline == path_timeline(h, i) &&
			(wal->ranges[at].first > first ? wal->ranges[at].first : first) *
					wal->segment_size <
				end)
			return true;
	}
	return false;
}

bool
wal_catalog_reach(const WalCatalog *wal, uint32_t from_timeline,
				  uint64_t from_lsn, uint32_t target_timeline, WalReach *out,
				  Error *err)
{
	TimelineHistory h;

	*out = (WalReach){.end_lsn = from_lsn, .end_timeline = from_timeline};
	if (!path_history(wal, from_timeline, target_timeline, &h, err))
		return false;
	if (timeline_of_lsn(&h, from_lsn) != from_timeline)
	{
		char lsn[LSN_TEXT_LEN];

		lsn_format(from_lsn, lsn);
		return error_set(err, ERR_MISMATCH,
						 "timeline %" PRIu32
						 " does not descend from timeline %" PRIu32 " at %s",
						 target_timeline, from_timeline, lsn);
	}
	if (wal->segment_size == 0)
		return true;
	for (;;)
	{
		uint64_t next = step(wal, &h, out->end_lsn, &out->end_timeline);

		if (next == out->end_lsn)
			break;
		out->end_lsn = next;
	}
	wal_segment_name(timeline_of_lsn(&h, out->end_lsn),
					 out->end_lsn / wal->segment_size, wal->segment_size,
					 &out->missing);
	out->hole = later_wal(wal, &h, out->end_lsn / wal->segment_size);
	return true;
}
