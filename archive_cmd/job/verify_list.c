/*-------------------------------------------------------------------------
 *
 * verify_list.c
 *	  What is in the repository, told by its name.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/inventory.h"
#include "repo/quarantine.h"
#include "repo/stamp.h"
#include "repo/verified.h"
#include "repo/wal_catalog.h"

/* ---- names ---- */

/* wal/<sysid>-<major>/...; wal_object_parse() checks the whole of it. */
static bool
name_wal(const char *name, VerifyItem *item)
{
	char *end;

	item->home.sysid = strtoull(name + strlen("wal/"), &end, 10);
	if (*end != '-')
		return false;
	item->home.major = (int) strtol(end + 1, &end, 10);
	item->kind = ITEM_WAL;
	return wal_object_parse(&item->home, name, &item->wal);
}

static VerifyBackup *
find_backup(Verify *v, const char *label)
{
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		if (strcmp(v->backups[i].backup->info.label, label) == 0)
			return &v->backups[i];
	}
	return NULL;
}

/* A pack, or its map. */
static bool
name_pack(const char *label, const char *name, VerifyItem *item)
{
	const char *digits = strrchr(name, '/') + 1;
	char *canonical;
	bool same;

	item->pack = (uint32_t) strtoul(digits, NULL, 10);
	canonical = item->kind == ITEM_PACK ? repo_pack_name(label, item->pack)
										: repo_map_name(label, item->pack);
	same = item->pack > 0 && strcmp(canonical, name) == 0;
	free(canonical);
	return same;
}

static bool
name_mark(const char *base, VerifyItem *item)
{
	const char *dash = strchr(base, '-');
	int64_t t;

	item->kind = ITEM_MARK;
	return dash != NULL && dash[1] != '\0' &&
		   stamp_parse(base, (size_t) (dash - base), &t);
}

static bool
name_lease(const char *base, VerifyItem *item)
{
	int64_t t;

	item->kind = ITEM_LEASE;
	return stamp_parse(base, strlen(base), &t);
}

/* backup/<label>/... */
static bool
name_backup(Verify *v, const char *name, VerifyItem *item)
{
	const char *start = name + strlen("backup/");
	const char *rest = strchr(start, '/');
	char *label;
	bool ok = false;

	if (rest == NULL)
		return false;
	label = mem_strndup(start, (size_t) (rest - start));
	if (repo_label_ok(label))
	{
		item->backup = find_backup(v, label);
		item->kind = ITEM_MANIFEST;
		if (strcmp(rest, "/manifest") == 0)
			ok = true;
		else if (strncmp(rest, "/data/", 6) == 0 ||
				 strncmp(rest, "/map/", 5) == 0)
		{
			item->kind = rest[1] == 'd' ? ITEM_PACK : ITEM_MAP;
			ok = name_pack(label, name, item);
		}
		else if (strncmp(rest, "/lease/", 7) == 0)
			ok = name_lease(rest + 7, item);
		else if (strncmp(rest, "/mark/", 6) == 0)
			ok = name_mark(rest + 6, item);
	}
	free(label);
	return ok;
}

static void
name_item(Verify *v, const char *name, VerifyItem *item)
{
	bool known = false;
	int64_t t;

	if (strncmp(name, STORAGE_STAGE_DIR "/", strlen(STORAGE_STAGE_DIR "/")) ==
		0)
	{
		item->kind = ITEM_STAGED;
		return;
	}
	if (verified_parse(name, &t))
	{
		item->kind = ITEM_NOTE;
		return;
	}
	if (quarantine_parse(name, &t))
	{
		item->kind = ITEM_QUARANTINED;
		return;
	}
	if (strncmp(name, "wal/", 4) == 0)
		known = name_wal(name, item);
	else if (strncmp(name, "backup/", 7) == 0)
		known = name_backup(v, name, item);
	if (!known)
		item->kind = ITEM_STRAY;
}

/* ---- what is looked at ---- */

/* A name that no server of this cluster can have made. */
static bool
is_odd_segment(const Verify *v, const VerifyItem *item)
{
	const WalCatalog *wal = catalog_wal(&v->catalog, &item->home);

	return wal != NULL && wal->segment_size > 0 &&
		   !wal_name_fits(&item->wal, wal->segment_size);
}

static void
report_stray(Verify *v, const VerifyItem *item, const char *message)
{
	Problem problem = {.warning = true,
					   .check = "stray",
					   .object = item->name,
					   .message = message,
					   .hint = "If nobody knows it, remove it by hand."};

	verify_report(v, &problem, NULL);
}

static void
report_quarantined(Verify *v, const VerifyItem *item)
{
	Problem problem = {.warning = true,
					   .check = "quarantined",
					   .object = item->name,
					   .message = "a damaged object was put aside here",
					   .hint = "\"pgdr expire\" removes it after 30 days."};

	verify_report(v, &problem, NULL);
}

static void
report_staged(Verify *v, const VerifyItem *item)
{
	Problem problem = {.warning = true,
					   .check = "leftover",
					   .object = item->name,
					   .message = "a key is being rewrapped, or that was "
								  "interrupted",
					   .hint = "\"pgdr key rewrap\" completes it."};

	verify_report(v, &problem, NULL);
}

static bool
is_needed_by_selected(Verify *v, const VerifyItem *item)
{
	const WalCatalog *wal = catalog_wal(&v->catalog, &item->home);

	for (size_t i = 0; wal != NULL && i < v->catalog.backup_count; i++)
	{
		if (v->backups[i].selected &&
			verify_backup_needs(&v->backups[i], item, wal->segment_size))
			return true;
	}
	return false;
}

/* False: the item is not to be looked at (any further). */
static bool
select_item(Verify *v, const VerifyItem *item)
{
	VerifyBackup *b = item->backup;

	if (item->kind == ITEM_NOTE)
		return false;
	if (item->kind == ITEM_STRAY)
	{
		report_stray(v, item, "this name is not one of a repository");
		return false;
	}
	if (item->kind == ITEM_QUARANTINED)
	{
		report_quarantined(v, item);
		return false;
	}
	if (item->kind == ITEM_STAGED)
	{
		report_staged(v, item);
		return false;
	}
	if (item->kind == ITEM_WAL)
	{
		if (is_odd_segment(v, item))
		{
			report_stray(v, item,
						 "this name does not fit the segment size of the "
						 "cluster");
			return false;
		}
		return v->options->label == NULL || is_needed_by_selected(v, item);
	}
	/* running, interrupted, unreadable, or newer than the catalog */
	if (b == NULL || !b->selected)
		return verify_is_referenced(v, item);
	if ((item->kind == ITEM_PACK || item->kind == ITEM_MAP) &&
		item->pack > b->backup->info.pack_count)
	{
		report_stray(v, item, "the manifest does not know this pack");
		return false;
	}
	return true;
}

bool
verify_is_referenced(const Verify *v, const VerifyItem *item)
{
	char *label;
	bool found = false;

	if (item->kind != ITEM_PACK && item->kind != ITEM_MAP)
		return false;
	label = inventory_label(item->name);
	for (size_t i = 0; !found && i < v->catalog.backup_count; i++)
		found = v->backups[i].selected &&
				backup_info_references(&v->catalog.backups[i].info, label,
									   item->pack);
	free(label);
	return found;
}

/* That nothing needs: it could go, and nobody would miss it. */
static bool
is_orphan(const Verify *v, const VerifyItem *item)
{
	const CatalogBackup *b = item->backup != NULL ? item->backup->backup : NULL;

	if (item->kind == ITEM_STRAY || item->kind == ITEM_STAGED)
		return true;
	if (verify_is_referenced(v, item))
		return false;
	if (item->kind == ITEM_PACK && b != NULL && b->state == BACKUP_COMPLETE)
		return item->pack > b->info.pack_count;
	return b != NULL && b->state == BACKUP_INTERRUPTED;
}

static bool
add_item(void *arg, const StorageEntry *entry, Error *err)
{
	Verify *v = arg;
	VerifyItem item = {.size = entry->size};

	(void) err;
	if (entry->is_dir || strcmp(entry->name, REPO_JSON) == 0)
		return true;
	item.name = mem_strdup(entry->name);
	name_item(v, item.name, &item);
	if (is_orphan(v, &item))
	{
		v->out->orphans++;
		v->out->orphan_bytes += item.size;
	}
	if (!select_item(v, &item))
	{
		free(item.name);
		return true;
	}
	v->items = mem_grow(v->items, v->item_count, &v->item_cap,
						sizeof(VerifyItem));
	v->items[v->item_count++] = item;
	return true;
}

static int
compare_items(const void *a, const void *b)
{
	return strcmp(((const VerifyItem *) a)->name,
				  ((const VerifyItem *) b)->name);
}

static bool
list_backup(Verify *v, const char *label, Error *err)
{
	char *dir = repo_backup_dir(label);
	bool ok = storage_list(v->repo->storage, dir, true, add_item, v, err);

	free(dir);
	return ok;
}

static bool
list_one(Verify *v, Error *err)
{
	const CatalogBackup *b = catalog_find(&v->catalog, v->options->label);
	bool ok = list_backup(v, v->options->label, err);

	for (size_t i = 0; ok && i < b->info.reference_count; i++)
	{
		const BackupReference *r = &b->info.references[i];

		if (i == 0 || strcmp(r[-1].label, r->label) != 0)
			ok = list_backup(v, r->label, err);
	}
	return ok && storage_list(v->repo->storage, "wal", true, add_item, v, err);
}

bool
verify_list(Verify *v, Error *err)
{
	bool ok = v->options->label != NULL
				  ? list_one(v, err)
				  : storage_list(v->repo->storage, "", true, add_item, v, err);

	if (v->item_count > 1)
		qsort(v->items, v->item_count, sizeof(VerifyItem), compare_items);
	return ok;
}

bool
verify_backup_needs(const VerifyBackup *backup, const VerifyItem *item,
					uint32_t segment_size)
{
	const BackupInfo *info = &backup->backup->info;
	uint64_t n;

	if (item->kind != ITEM_WAL || info->sysid != item->home.sysid ||
		info->major != item->home.major ||
		(item->wal.timeline != info->start_timeline &&
		 item->wal.timeline != info->timeline))
		return false;
	if (item->wal.kind == WAL_TIMELINE_HISTORY)
		return true;
	if (item->wal.kind != WAL_SEGMENT || segment_size == 0)
		return false;
	n = wal_segment_number(&item->wal, segment_size);
	return n >= info->start_lsn / segment_size &&
		   n <= (info->stop_lsn - 1) / segment_size;
}
