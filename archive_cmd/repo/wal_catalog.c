/*-------------------------------------------------------------------------
 *
 * wal_catalog.c
 *	  The WAL of one cluster: its segments as ranges without a gap, and its
 *	  timelines.
 *
 * Names come from one listing; of the metadata only what lies at the ends of
 * ranges is read, so that a hundred thousand segments cost one listing.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/wal_catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/history.h"
#include "repo/object.h"

/* How far from the end of a range a commit is looked for. */
#define TIME_SEGMENTS 64
/* How many segments are asked for their size until one can be read. */
#define SIZE_TRIES 64

typedef struct Segment
{
	uint32_t timeline;
	uint32_t log;
	uint32_t seg;
	uint64_t bytes;
} Segment;

typedef struct Listing
{
	const WalHome *home;
	Segment *segments;
	size_t segment_count;
	size_t segment_cap;
	uint32_t *histories; /* timelines that have a history file */
	size_t history_count;
	size_t history_cap;
} Listing;

bool
wal_object_parse(const WalHome *home, const char *object, WalName *out)
{
	const char *base = strrchr(object, '/');
	char *name;
	bool ok;

	if (!wal_name_parse(base != NULL ? base + 1 : object, out))
		return false;
	name = repo_wal_name(home, out);
	ok = strcmp(name, object) == 0;
	free(name);
	return ok;
}

static bool
add_entry(void *arg, const StorageEntry *entry, Error *err)
{
	Listing *l = arg;
	WalName name;

	(void) err;
	if (entry->is_dir || !wal_object_parse(l->home, entry->name, &name))
		return true;
	if (name.kind == WAL_SEGMENT)
	{
		l->segments = mem_grow(l->segments, l->segment_count, &l->segment_cap,
							   sizeof(Segment));
		l->segments[l->segment_count++] = (Segment){name.timeline, name.log,
													name.seg, entry->size};
	}
	else if (name.kind == WAL_TIMELINE_HISTORY)
	{
		l->histories = mem_grow(l->histories, l->history_count, &l->history_cap,
								sizeof(uint32_t));
		l->histories[l->history_count++] = name.timeline;
	}
	return true;
}

static int
compare_segments(const void *a, const void *b)
{
	const Segment *x = a;
	const Segment *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->log != y->log)
		return x->log < y->log ? -1 : 1;
	return (x->seg > y->seg) - (x->seg < y->seg);
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

static bool
list_wal(Repo *repo, const WalHome *home, Listing *out, Error *err)
{
	char *dir = repo_wal_dir(home);
	bool ok;

	*out = (Listing){.home = home};
	ok = storage_list(repo->storage, dir, true, add_entry, out, err);
	free(dir);
	if (out->segment_count > 1)
		qsort(out->segments, out->segment_count, sizeof(Segment),
			  compare_segments);
	if (out->history_count > 1)
		qsort(out->histories, out->history_count, sizeof(uint32_t),
			  compare_u32);
	return ok;
}

static void
listing_free(Listing *l)
{
	free(l->segments);
	free(l->histories);
}

/* ---- the size of a segment ---- */

/*
 * Metadata of a WAL object.  *found is false when it is damaged, gone, or not
 * what its name says: another one may do.
 */
static bool
stat_wal(Repo *repo, const WalHome *home, const WalName *wal, ObjectMeta *out,
		 bool *found, Error *err)
{
	char *name = repo_wal_name(home, wal);
	Error problem = ERROR_INIT;

	*found = object_stat(repo, name, out, &problem);
	free(name);
	if (*found)
		return true;
	if (problem.code == ERR_DAMAGED || problem.code == ERR_MISMATCH ||
		problem.code == ERR_NOT_FOUND || problem.code == ERR_UNSUPPORTED)
	{
		error_clear(&problem);
		return true;
	}
	error_move(err, &problem);
	return false;
}

/* Not one can be read: the largest size that the names allow, up to 16 MB. */
static uint32_t
guess_size(const Listing *l)
{
	uint32_t size = 16 * 1024 * 1024;

	for (size_t i = 0; i < l->segment_count; i++)
	{
		while (size > 1024 * 1024 &&
			   l->segments[i].seg >= UINT64_C(0x100000000) / size)
			size /= 2;
	}
	return size;
}

static bool
find_size(Repo *repo, const Listing *l, uint32_t *size, Error *err)
{
	size_t tries = 0;

	*size = 0;
	for (size_t i = l->segment_count; i > 0 && tries < SIZE_TRIES; i--, tries++)
	{
		const Segment *s = &l->segments[i - 1];
		WalName wal = {WAL_SEGMENT, s->timeline, s->log, s->seg, 0};
		ObjectMeta meta;
		bool found;
		uint64_t plain;

		if (!stat_wal(repo, l->home, &wal, &meta, &found, err))
			return false;
		if (!found)
			continue;
		plain = meta.plain_size;
		object_meta_free(&meta);
		if (wal_segment_size_ok(plain) && wal_name_fits(&wal, plain))
		{
			*size = (uint32_t) plain;
			return true;
		}
	}
	if (l->segment_count > 0)
		*size = guess_size(l);
	return true;
}

/* ---- ranges ---- */

static void
build_ranges(WalCatalog *wal, const Listing *l)
{
	size_t cap = 0;
	WalRange *r = NULL;

	for (size_t i = 0; i < l->segment_count; i++)
	{
		const Segment *s = &l->segments[i];
		WalName name = {WAL_SEGMENT, s->timeline, s->log, s->seg, 0};
		uint64_t n;

		/* a name that no server of this segment size can have made */
		if (!wal_name_fits(&name, wal->segment_size))
			continue;
		n = wal_segment_number(&name, wal->segment_size);
		wal->segment_count++;
		if (r == NULL || r->timeline != s->timeline || n != r->last + 1)
		{
			wal->ranges = mem_grow(wal->ranges, wal->range_count, &cap,
								   sizeof(WalRange));
			r = &wal->ranges[wal->range_count++];
			*r = (WalRange){.home = wal->home,
							.timeline = s->timeline,
							.segment_size = wal->segment_size,
							.first = n,
							.start_lsn = n * wal->segment_size};
		}
		r->last = n;
		r->end_lsn = (n + 1) * wal->segment_size;
		r->bytes += s->bytes;
	}
}

bool
wal_segment_time(Repo *repo, const WalCatalog *wal, uint32_t timeline,
				 uint64_t number, bool last, int64_t *t, Error *err)
{
	WalName name;
	ObjectMeta meta;
	const char *text;
	bool found;
	Error ignored = ERROR_INIT;

	*t = 0;
	wal_segment_name(timeline, number, wal->segment_size, &name);
	if (!stat_wal(repo, &wal->home, &name, &meta, &found, err))
		return false;
	if (!found)
		return true;
	text = json_get_str(meta.extra, last ? "last_commit" : "first_commit",
						NULL);
	if (text != NULL && !clock_parse(text, t, &ignored))
		*t = 0;
	error_clear(&ignored);
	object_meta_free(&meta);
	return true;
}

bool
wal_last_commit(Repo *repo, const WalCatalog *wal, uint32_t timeline,
				uint64_t first, uint64_t last, int64_t *t, Error *err)
{
	*t = 0;
	for (uint64_t i = 0; i < TIME_SEGMENTS && *t == 0 && last - i >= first; i++)
	{
		if (!wal_segment_time(repo, wal, timeline, last - i, true, t, err))
			return false;
		if (last - i == 0)
			break;
	}
	return true;
}

/* The commit times at both ends of a range. */
static bool
range_times(Repo *repo, const WalCatalog *wal, WalRange *r, Error *err)
{
	for (uint64_t i = 0;
		 i < TIME_SEGMENTS && r->first_commit == 0 && r->first + i <= r->last;
		 i++)
	{
		if (!wal_segment_time(repo, wal, r->timeline, r->first + i, false,
							  &r->first_commit, err))
			return false;
	}
	return wal_last_commit(repo, wal, r->timeline, r->first, r->last,
						   &r->last_commit, err);
}

/* ---- timelines ---- */

/*
 * A history that cannot be read is as if it were not there, for catalogs must
 * be had of damaged repositories too; what depends on it is then "not known".
 */
static bool
load_history(Repo *repo, CatalogTimeline *t, Error *err)
{
	Error problem = ERROR_INIT;

	t->has_history = repo_read_history(repo, &t->home, t->timeline, &t->history,
									   &problem);
	if (t->has_history)
		return true;
	if (!history_is_lost(&problem))
	{
		error_move(err, &problem);
		return false;
	}
	log_error_object(LOG_WARNING, &problem);
	error_clear(&problem);
	t->history = (TimelineHistory){.timeline = t->timeline};
	return true;
}

static bool
add_timeline(Repo *repo, WalCatalog *wal, uint32_t timeline, bool has_history,
			 Error *err)
{
	CatalogTimeline *t = &wal->timelines[wal->timeline_count++];

	*t = (CatalogTimeline){.home = wal->home,
						   .timeline = timeline,
						   .history = {.timeline = timeline}};
	return !has_history || load_history(repo, t, err);
}

/* Those with WAL and those with a history file, merged in order. */
static bool
build_timelines(Repo *repo, WalCatalog *wal, const Listing *l, Error *err)
{
	size_t r = 0;
	size_t h = 0;

	wal->timelines = mem_zalloc((wal->range_count + l->history_count + 1) *
								sizeof(CatalogTimeline));
	while (r < wal->range_count || h < l->history_count)
	{
		uint32_t from_range = r < wal->range_count ? wal->ranges[r].timeline
												   : UINT32_MAX;
		uint32_t from_history = h < l->history_count ? l->histories[h]
													 : UINT32_MAX;
		uint32_t next = from_range < from_history ? from_range : from_history;
		bool has_history = h < l->history_count && from_history == next;

		if (!add_timeline(repo, wal, next, has_history, err))
			return false;
		while (r < wal->range_count && wal->ranges[r].timeline == next)
			r++;
		if (has_history)
			h++;
	}
	return true;
}

/* ---- the whole ---- */

void
wal_catalog_free(WalCatalog *wal)
{
	for (size_t i = 0; i < wal->timeline_count; i++)
		timeline_history_free(&wal->timelines[i].history);
	free(wal->timelines);
	free(wal->ranges);
	memset(wal, 0, sizeof(*wal));
}

static bool
build(Repo *repo, const Listing *l, bool with_times, WalCatalog *out,
	  Error *err)
{
	if (!find_size(repo, l, &out->segment_size, err))
		return false;
	build_ranges(out, l);
	if (!build_timelines(repo, out, l, err))
		return false;
	for (size_t i = 0; with_times && i < out->range_count; i++)
	{
		if (!range_times(repo, out, &out->ranges[i], err))
			return false;
	}
	return true;
}

bool
wal_catalog_load(Repo *repo, const WalHome *home, bool with_times,
				 WalCatalog *out, Error *err)
{
	Listing l;
	bool ok;

	*out = (WalCatalog){.home = *home};
	ok = list_wal(repo, home, &l, err) && build(repo, &l, with_times, out, err);
	listing_free(&l);
	if (!ok)
		wal_catalog_free(out);
	return ok;
}
