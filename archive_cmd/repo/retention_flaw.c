/*-------------------------------------------------------------------------
 *
 * retention_flaw.c
 *	  Which backups count as good.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <string.h>

#include "repo/target.h"
#include "repo/wal_catalog.h"

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

static bool
failed_verification(const CatalogBackup *b)
{
	return b->verified_at != 0 && !b->verified_ok;
}

/*
 * Its packs are in part those of its parent: what is wrong there is wrong
 * here, unless it was found right itself since.
 */
static bool
shares_damage(const Catalog *catalog, const CatalogBackup *b)
{
	const CatalogBackup *parent = b->info.parent != NULL
									  ? catalog_find(catalog, b->info.parent)
									  : NULL;

	for (size_t i = 0; parent != NULL && i < catalog->backup_count; i++)
	{
		if (failed_verification(parent) && b->verified_at < parent->verified_at)
			return true;
		parent = parent->info.parent != NULL
					 ? catalog_find(catalog, parent->info.parent)
					 : NULL;
	}
	return false;
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
	if (b->state != BACKUP_COMPLETE)
		return "is not complete";
	if (b->info.damaged_pages > 0)
		return "was taken of damaged pages";
	if (!b->wal_ok)
		return "lacks WAL that it needs";
	if (failed_verification(b))
		return "failed its last verification";
	if (shares_damage(catalog, b))
		return "is based on a backup that failed its last verification";
	if (backup_is_cluster(&b->info) && !leads_to_newest(catalog, &b->info))
		return "does not lead to the newest timeline";
	return member_flaw(catalog, &b->info);
}

bool
retention_is_last_good(const Catalog *catalog, const CatalogBackup *b)
{
	if (retention_flaw(catalog, b) != NULL)
		return false;
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *other = &catalog->backups[i];

		if (other != b && retention_in_series(other, &b->info) &&
			retention_flaw(catalog, other) == NULL)
			return false;
	}
	return true;
}
