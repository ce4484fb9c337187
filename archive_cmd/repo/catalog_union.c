/*-------------------------------------------------------------------------
 *
 * catalog_union.c
 *	  What several repositories of one cluster hold together.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/wal_catalog.h"

/* ---- backups ---- */

/* The best that can be said of a backup counts. */
static int
rank(const CatalogBackup *b)
{
	switch (b->state)
	{
		case BACKUP_COMPLETE:
			return b->verified_at != 0 && !b->verified_ok ? 3 : 4;
		case BACKUP_RUNNING:
			return 2;
		case BACKUP_UNREADABLE:
			return 1;
		case BACKUP_INTERRUPTED:
			break;
	}
	return 0;
}

static bool
copy_backup(const CatalogBackup *from, CatalogBackup *to, Error *err)
{
	*to = *from;
	to->problem = (Error) ERROR_INIT;
	error_copy(&to->problem, &from->problem);
	if (from->state == BACKUP_COMPLETE)
		return backup_info_copy(&from->info, &to->info, err);
	to->info = (BackupInfo){.label = mem_strdup(from->info.label)};
	if (from->info.parent != NULL)
		to->info.parent = mem_strdup(from->info.parent);
	return true;
}

static bool
offer_backup(Catalog *out, const CatalogBackup *b, Error *err)
{
	for (size_t i = 0; i < out->backup_count; i++)
	{
		CatalogBackup *known = &out->backups[i];

		if (strcmp(known->info.label, b->info.label) != 0)
			continue;
		if (rank(known) >= rank(b))
			return true;
		catalog_backup_free(known);
		return copy_backup(b, known, err);
	}
	out->backup_count++;
	return copy_backup(b, &out->backups[out->backup_count - 1], err);
}

static bool
unite_backups(const Catalog *const *parts, size_t count, Catalog *out,
			  Error *err)
{
	size_t most = 0;

	for (size_t i = 0; i < count; i++)
		most += parts[i]->backup_count;
	out->backups = mem_zalloc((most + 1) * sizeof(CatalogBackup));
	for (size_t i = 0; i < count; i++)
	{
		for (size_t k = 0; k < parts[i]->backup_count; k++)
		{
			if (!offer_backup(out, &parts[i]->backups[k], err))
				return false;
		}
	}
	catalog_sort_backups(out);
	return true;
}

/* ---- WAL ---- */

static int
compare_ranges(const void *a, const void *b)
{
	const WalRange *x = a;
	const WalRange *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return b != 0 && (a == 0 || b < a) ? b : a;
}

/* Sorted ranges, of which those that touch become one. */
static void
join_ranges(WalCatalog *wal)
{
	size_t kept = 0;

	wal->segment_count = 0;
	if (wal->range_count > 1)
		qsort(wal->ranges, wal->range_count, sizeof(WalRange), compare_ranges);
	for (size_t i = 0; i < wal->range_count; i++)
	{
		const WalRange *r = &wal->ranges[i];
		WalRange *last = kept > 0 ? &wal->ranges[kept - 1] : NULL;

		if (last == NULL || last->timeline != r->timeline ||
			r->first > last->last + 1)
		{
			wal->ranges[kept] = *r;
			wal->ranges[kept++].bytes = 0; /* it lies there more than once */
			continue;
		}
		if (r->last > last->last)
		{
			last->last = r->last;
			last->end_lsn = r->end_lsn;
		}
		last->first_commit = earlier(last->first_commit, r->first_commit);
		if (r->last_commit > last->last_commit)
			last->last_commit = r->last_commit;
	}
	wal->range_count = kept;
	for (size_t i = 0; i < kept; i++)
		wal->segment_count += wal->ranges[i].last - wal->ranges[i].first + 1;
}

static int
compare_timelines(const void *a, const void *b)
{
	uint32_t x = ((const CatalogTimeline *) a)->timeline;
	uint32_t y = ((const CatalogTimeline *) b)->timeline;

	return (x > y) - (x < y);
}

static void
copy_history(const CatalogTimeline *from, CatalogTimeline *to)
{
	size_t size = from->history.count * sizeof(TimelineSwitch);

	to->has_history = from->has_history;
	to->history = from->history;
	to->history.items = mem_alloc(size + 1);
	if (size > 0)
		memcpy(to->history.items, from->history.items, size);
}

static void
offer_timeline(WalCatalog *wal, const CatalogTimeline *t)
{
	for (size_t i = 0; i < wal->timeline_count; i++)
	{
		CatalogTimeline *known = &wal->timelines[i];

		if (known->timeline != t->timeline)
			continue;
		if (known->has_history || !t->has_history)
			return;
		timeline_history_free(&known->history);
		copy_history(t, known);
		return;
	}
	wal->timelines[wal->timeline_count] = *t;
	copy_history(t, &wal->timelines[wal->timeline_count++]);
}

/* Sizes of segments that differ cannot be of one cluster: the first counts. */
static void
add_wal(WalCatalog *wal, const WalCatalog *part)
{
	if (wal->segment_size == 0)
		wal->segment_size = part->segment_size;
	wal->ranges = mem_realloc(wal->ranges,
							  (wal->range_count + part->range_count + 1) *
								  sizeof(WalRange));
	for (size_t i = 0; i < part->range_count; i++)
	{
		if (part->segment_size == wal->segment_size)
			wal->ranges[wal->range_count++] = part->ranges[i];
	}
	wal->timelines = mem_realloc(
		wal->timelines, (wal->timeline_count + part->timeline_count + 1) *
							sizeof(CatalogTimeline));
	for (size_t i = 0; i < part->timeline_count; i++)
		offer_timeline(wal, &part->timelines[i]);
}

static WalCatalog *
home_of(Catalog *out, const WalHome *home)
{
	for (size_t i = 0; i < out->wal_count; i++)
	{
		if (out->wal[i].home.sysid == home->sysid &&
			out->wal[i].home.major == home->major)
			return &out->wal[i];
	}
	out->wal = mem_realloc(out->wal, (out->wal_count + 1) * sizeof(WalCatalog));
	out->wal[out->wal_count] = (WalCatalog){.home = *home};
	return &out->wal[out->wal_count++];
}

static void
unite_wal(const Catalog *const *parts, size_t count, Catalog *out)
{
	for (size_t i = 0; i < count; i++)
	{
		for (size_t k = 0; k < parts[i]->wal_count; k++)
			add_wal(home_of(out, &parts[i]->wal[k].home), &parts[i]->wal[k]);
	}
	for (size_t i = 0; i < out->wal_count; i++)
	{
		WalCatalog *wal = &out->wal[i];

		join_ranges(wal);
		if (wal->timeline_count > 1)
			qsort(wal->timelines, wal->timeline_count, sizeof(CatalogTimeline),
				  compare_timelines);
	}
}

bool
catalog_unite(const Catalog *const *parts, size_t count, Catalog *out,
			  Error *err)
{
	memset(out, 0, sizeof(*out));
	if (!unite_backups(parts, count, out, err))
	{
		catalog_free(out);
		return false;
	}
	unite_wal(parts, count, out);
	catalog_find_wal_ok(out);
	return true;
}
