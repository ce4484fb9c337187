/*-------------------------------------------------------------------------
 *
 * missing.c
 *	  What a repository lacks of what the others hold.
 *
 *-------------------------------------------------------------------------
 */
#include "job/missing.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/target.h"
#include "repo/wal_catalog.h"

/* ---- what is given up ---- */

static bool
is_kept(const Missing *m, const char *label)
{
	for (size_t i = 0; i < m->plan.decision_count; i++)
	{
		const Decision *d = &m->plan.decisions[i];

		if (d->label != NULL && strcmp(d->label, label) == 0)
			return d->keep;
	}
	return true;
}

static bool
is_cut_off(const Missing *m, const WalHome *home, uint32_t timeline,
		   uint64_t segment)
{
	for (size_t i = 0; i < m->plan.cutoff_count; i++)
	{
		const WalCutoff *c = &m->plan.cutoffs[i];

		if (c->home.sysid == home->sysid && c->home.major == home->major &&
			c->timeline == timeline && segment >= c->from_segment &&
			segment < c->before_segment)
			return true;
	}
	return false;
}

static bool
is_of(const BackupInfo *b, const WalHome *home)
{
	return backup_is_cluster(b) && b->sysid == home->sysid &&
		   b->major == home->major;
}

/* 0 if the repository has nothing of this cluster. */
static uint64_t
floor_of(const Catalog *own, const WalHome *home)
{
	const WalCatalog *wal = catalog_wal(own, home);
	uint64_t lsn = UINT64_MAX;

	for (size_t i = 0; i < own->backup_count; i++)
	{
		const CatalogBackup *b = &own->backups[i];

		if (b->state == BACKUP_COMPLETE && is_of(&b->info, home) &&
			b->info.start_lsn < lsn)
			lsn = b->info.start_lsn;
	}
	for (size_t i = 0; wal != NULL && i < wal->range_count; i++)
	{
		if (wal->ranges[i].start_lsn < lsn)
			lsn = wal->ranges[i].start_lsn;
	}
	return lsn == UINT64_MAX ? 0 : lsn;
}

static uint64_t
known_floor(const Missing *m, const WalHome *home)
{
	for (size_t i = 0; i < m->floor_count; i++)
	{
		if (m->floors[i].home.sysid == home->sysid &&
			m->floors[i].home.major == home->major)
			return m->floors[i].lsn;
	}
	return 0;
}

bool
missing_wants_wal(const Missing *m, const WalHome *home, const WalName *name,
				  uint32_t segment_size)
{
	uint64_t segment;

	if (name->kind == WAL_TIMELINE_HISTORY)
		return true;
	if (segment_size == 0 || !wal_name_fits(name, segment_size))
		return false;
	segment = wal_segment_number(name, segment_size);
	return (segment + 1) * segment_size > known_floor(m, home) &&
		   !is_cut_off(m, home, name->timeline, segment);
}

/* ---- backups ---- */

static bool
is_oldest(const Catalog *own, const CatalogBackup *b)
{
	for (size_t i = 0; i < own->backup_count; i++)
	{
		const CatalogBackup *other = &own->backups[i];

		if (other->state == BACKUP_COMPLETE &&
			backup_same_series(&other->info, &b->info) &&
			other->info.start_time <= b->info.start_time)
			return false;
	}
	return true;
}

static bool
has_backups(const Catalog *own, const BackupInfo *of)
{
	for (size_t i = 0; i < own->backup_count; i++)
	{
		if (own->backups[i].state == BACKUP_COMPLETE &&
			backup_same_series(&own->backups[i].info, of))
			return true;
	}
	return false;
}

static bool
is_missed(const Catalog *own, const CatalogBackup *b, const Missing *m)
{
	const CatalogBackup *here = catalog_find(own, b->info.label);

	/*
	 * What is complete elsewhere is not in work here any more, though a lease
	 * may say so: manifests are written to all at the same time.
	 */
	if (b->state != BACKUP_COMPLETE ||
		(here != NULL && here->state == BACKUP_COMPLETE))
		return false;
	if (here != NULL && here->state == BACKUP_UNREADABLE)
		return true;
	if (here == NULL && has_backups(own, &b->info) && is_oldest(own, b))
		return false;
	return is_kept(m, b->info.label);
}

/* ---- WAL ---- */

static void
note_segment(Missing *m, const WalHome *home, const WalName *name)
{
	if (m->segments++ == 0)
	{
		m->home = *home;
		m->first = *name;
	}
}

static void
find_segments(const Catalog *own, const WalCatalog *all, Missing *m)
{
	const WalCatalog *wal = catalog_wal(own, &all->home);

	for (size_t i = 0; i < all->range_count; i++)
	{
		const WalRange *r = &all->ranges[i];

		for (uint64_t n = r->first; n <= r->last; n++)
		{
			const WalRange *here = wal != NULL
									   ? wal_catalog_range(wal, r->timeline, n)
									   : NULL;
			WalName name;

			if (here != NULL)
			{
				n = here->last;
				continue;
			}
			wal_segment_name(r->timeline, n, all->segment_size, &name);
			if (missing_wants_wal(m, &all->home, &name, all->segment_size))
				note_segment(m, &all->home, &name);
		}
	}
}

/* ---- the whole ---- */

/* WAL that a backup needs which is yet to come is wanted with it. */
static void
find_floors(const Catalog *own, const Catalog *all, Missing *m)
{
	m->floors = mem_zalloc((all->wal_count + 1) * sizeof(MissingFloor));
	for (size_t i = 0; i < all->wal_count; i++)
	{
		const WalHome *home = &all->wal[i].home;
		MissingFloor *floor = &m->floors[m->floor_count++];

		*floor = (MissingFloor){*home, floor_of(own, home)};
		for (size_t k = 0; k < m->backup_count; k++)
		{
			const BackupInfo *b = &m->backups[k]->info;

			if (is_of(b, home) && b->start_lsn < floor->lsn)
				floor->lsn = b->start_lsn;
		}
	}
}

void
missing_find(const Catalog *own, const Catalog *all,
			 const RetentionPolicy *policy, int64_t now, Missing *out)
{
	memset(out, 0, sizeof(*out));
	retention_decide(all, policy, now, &out->plan);
	out->backups = mem_zalloc((all->backup_count + 1) * sizeof(*out->backups));
	for (size_t i = 0; i < all->backup_count; i++)
	{
		if (is_missed(own, &all->backups[i], out))
			out->backups[out->backup_count++] = &all->backups[i];
	}
	find_floors(own, all, out);
	for (size_t i = 0; i < all->wal_count; i++)
		find_segments(own, &all->wal[i], out);
}

void
missing_free(Missing *missing)
{
	retention_plan_free(&missing->plan);
	free(missing->backups);
	free(missing->floors);
	memset(missing, 0, sizeof(*missing));
}
