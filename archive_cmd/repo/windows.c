/*-------------------------------------------------------------------------
 *
 * windows.c
 *	  From when to when a repository can recover, for each timeline.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/wal_catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef struct Windows
{
	RecoveryWindow *items;
	size_t count;
	size_t cap;
} Windows;

/* Does a recovery from it stand a chance? */
static bool
is_usable(const CatalogBackup *b, const WalHome *home)
{
	return b->state == BACKUP_COMPLETE && b->info.sysid == home->sysid &&
		   b->info.major == home->major && b->wal_ok &&
		   (b->verified_at == 0 || b->verified_ok);
}

static bool
has_wal(const WalCatalog *wal, uint32_t timeline)
{
	for (size_t i = 0; i < wal->range_count; i++)
	{
		if (wal->ranges[i].timeline == timeline)
			return true;
	}
	return false;
}

/* The last commit that is sure to lie before the end of what was reached. */
static bool
reach_time(Repo *repo, const WalCatalog *wal, const WalReach *reach, int64_t *t,
		   Error *err)
{
	uint64_t end = reach->end_lsn / wal->segment_size;
	const WalRange *r;

	*t = 0;
	if (end == 0)
		return true;
	r = wal_catalog_range(wal, reach->end_timeline, end - 1);
	if (r == NULL)
		return true;
	if (r->end_lsn == reach->end_lsn && r->last_commit != 0)
	{
		*t = r->last_commit;
		return true;
	}
	/* ends within a segment, whose commits may lie behind that */
	return wal_last_commit(repo, wal, reach->end_timeline, r->first, end - 1, t,
						   err);
}

static bool
add_window(Repo *repo, const WalCatalog *wal, uint32_t timeline,
		   const CatalogBackup *b, Windows *w, Error *err)
{
	const BackupInfo *info = &b->info;
	WalReach reach;
	RecoveryWindow window = {.home = wal->home,
							 .timeline = timeline,
							 .label = info->label,
							 .from_lsn = info->stop_lsn,
							 .from_time = info->stop_time};
	RecoveryWindow *last = w->count > 0 ? &w->items[w->count - 1] : NULL;

	if (!wal_catalog_reach(wal, info->start_timeline, info->start_lsn, timeline,
						   &reach, err))
		return false;
	if (reach.end_lsn < info->stop_lsn)
		return true; /* a segment of that timeline is missing on the way */
	if (last != NULL && last->timeline == timeline &&
		last->to_lsn == reach.end_lsn)
	{
		/* connected; of overlapping backups the first that ended counts */
		if (info->stop_lsn < last->from_lsn)
		{
			last->label = info->label;
			last->from_lsn = info->stop_lsn;
			last->from_time = info->stop_time;
		}
		return true;
	}
	window.to_lsn = reach.end_lsn;
	window.hole = reach.hole && !catalog_stands_alone(b);
	window.missing = reach.missing;
	if (!reach_time(repo, wal, &reach, &window.to_time, err))
		return false;
	/* nothing committed since: the backup's own end can be had */
	if (window.to_time < window.from_time)
		window.to_time = window.from_time;
	w->items = mem_grow(w->items, w->count, &w->cap, sizeof(window));
	w->items[w->count++] = window;
	return true;
}

/* Backups come by time; by position they must come for windows to grow. */
static int
compare_start(const void *a, const void *b)
{
	const CatalogBackup *x = *(const CatalogBackup *const *) a;
	const CatalogBackup *y = *(const CatalogBackup *const *) b;

	if (x->info.start_lsn != y->info.start_lsn)
		return x->info.start_lsn < y->info.start_lsn ? -1 : 1;
	return strcmp(x->info.label, y->info.label);
}

static bool
timeline_windows(Repo *repo, const Catalog *catalog, const WalCatalog *wal,
				 uint32_t timeline, Windows *w, Error *err)
{
	const CatalogBackup **on_path = mem_alloc((catalog->backup_count + 1) *
											  sizeof(*on_path));
	size_t count = 0;
	bool ok = true;

	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *b = &catalog->backups[i];

		if (is_usable(b, &wal->home) &&
			wal_catalog_on_path(wal, b->info.start_timeline, b->info.start_lsn,
								timeline))
			on_path[count++] = b;
	}
	if (count > 1)
		qsort(on_path, count, sizeof(*on_path), compare_start);
	for (size_t i = 0; ok && i < count; i++)
		ok = add_window(repo, wal, timeline, on_path[i], w, err);
	free(on_path);
	return ok;
}

bool
catalog_windows(Repo *repo, const Catalog *catalog, RecoveryWindow **out,
				size_t *count, Error *err)
{
	Windows w = {0};
	bool ok = true;

	for (size_t i = 0; ok && i < catalog->wal_count; i++)
	{
		const WalCatalog *wal = &catalog->wal[i];

		for (size_t j = 0; ok && j < wal->timeline_count; j++)
		{
			uint32_t timeline = wal->timelines[j].timeline;

			if (has_wal(wal, timeline))
				ok = timeline_windows(repo, catalog, wal, timeline, &w, err);
		}
	}
	if (!ok)
	{
		free(w.items);
		return false;
	}
	*out = w.items;
	*count = w.count;
	return true;
}
