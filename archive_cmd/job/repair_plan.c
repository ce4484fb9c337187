/*-------------------------------------------------------------------------
 *
 * repair_plan.c
 *	  What is to be brought to one repository.
 *
 *-------------------------------------------------------------------------
 */
#include "job/repair_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/mark.h"
#include "repo/object.h"
#include "repo/wal_catalog.h"

/* ---- is it the same backup? ---- */

static bool
same_backup(Repair *r, size_t member, size_t other, const char *label,
			bool *same, Error *err)
{
	const CatalogBackup *here = catalog_find(&r->catalogs[member], label);
	const CatalogBackup *there = catalog_find(&r->catalogs[other], label);

	*same = false;
	if (there == NULL || there->state != BACKUP_COMPLETE)
		return true;
	if (here == NULL || here->state != BACKUP_COMPLETE)
		return inventory_packs_agree(
			r->set->members[member].repo, &r->inventories[member],
			r->set->members[other].repo, label, same, err);
	*same = memcmp(here->info.packs_sha256, there->info.packs_sha256,
				   SHA256_LEN) == 0;
	return true;
}

/* The backup in the plan, with those that have the very same. */
static TransferBackup *
plan_backup(Repair *r, size_t member, const char *label, Error *err)
{
	size_t before = r->plan.backup_count;
	TransferBackup *b = transfer_backup(&r->plan, label, member);
	const CatalogBackup *known = catalog_find(&r->all, label);

	if (known != NULL && known->state == BACKUP_COMPLETE)
		b->info = &known->info;
	if (r->plan.backup_count == before)
		return b;
	for (size_t i = 0; i < r->set->count; i++)
	{
		if (i == member || !r->looked_at[i])
			continue;
		if (!same_backup(r, member, i, label, &b->sources[i], err))
			return NULL;
	}
	return b;
}

/* ---- what is damaged ---- */

static bool
is_in(const char *name, const char *label, const char *dir)
{
	size_t len = strlen("backup/") + strlen(label) + 1;

	return strncmp(name + len, dir, strlen(dir)) == 0;
}

/* One that was put away would not hold any more; damaged, it still does. */
static bool
is_retention_mark(const char *name)
{
	const char *kind = strrchr(name, '-');

	return kind != NULL && (strcmp(kind + 1, MARK_PIN) == 0 ||
							strcmp(kind + 1, MARK_HOLD) == 0);
}

/*
 * Leases and marks are about one repository and about a time that has passed:
 * what is damaged of them is only put away.
 */
static TransferKind
kind_for(const char *name, const char *label)
{
	if (label != NULL &&
		(is_in(name, label, "lease/") ||
		 (is_in(name, label, "mark/") && !is_retention_mark(name))))
		return TRANSFER_QUARANTINE;
	return TRANSFER_REPLACE;
}

/* What belongs to no backup that is to be kept, expiry collects. */
static bool
is_leftover(const Repair *r, size_t member, const char *label)
{
	const CatalogBackup *b = catalog_find(&r->catalogs[member], label);

	return b == NULL || b->state == BACKUP_INTERRUPTED ||
		   b->state == BACKUP_RUNNING;
}

static bool
is_missed(const Missing *missing, const char *label)
{
	for (size_t i = 0; i < missing->backup_count; i++)
	{
		if (strcmp(missing->backups[i]->info.label, label) == 0)
			return true;
	}
	return false;
}

static void
unreadable(Repair *r, size_t member, const InventoryItem *item)
{
	Error why = ERROR_INIT;

	error_copy(&why, &item->why);
	error_hint(&why, "What cannot even be read cannot be put aside: remove it "
					 "by hand, then repair again.");
	repair_problem(r, member, "unreadable", item->name, &why);
}

/*
 * Of a backup that is gone packs may be left that others need.  Then it is
 * one of those that must be brought in order; caller frees.
 */
static char *
owner_of(const Repair *r, size_t member, const char *name)
{
	char *label = inventory_label(name);
	uint32_t pack = inventory_pack(name);
	const CatalogBackup *other = NULL;

	if (label != NULL && pack > 0 && is_leftover(r, member, label))
		other = catalog_who_needs(&r->catalogs[member], label, pack);
	if (other == NULL)
		return label;
	free(label);
	return mem_strdup(other->info.label);
}

static bool
plan_damaged(Repair *r, size_t member, const Missing *missing,
			 const InventoryItem *item, Error *err)
{
	char *label = inventory_label(item->name);
	char *owner = owner_of(r, member, item->name);
	TransferBackup *backup = NULL;
	Transfer *t;
	bool done = true;

	if (item->state == ITEM_UNREADABLE)
		unreadable(r, member, item);
	else if (label == NULL || is_missed(missing, owner) ||
			 !is_leftover(r, member, owner))
	{
		if (label != NULL)
			backup = plan_backup(r, member, owner, err);
		done = label == NULL || backup != NULL;
		if (done)
		{
			t = transfer_add(&r->plan, kind_for(item->name, label), member,
							 item->name);
			t->size = item->size;
			t->backup = backup;
			t->last = label != NULL && is_in(item->name, label, "manifest");
			t->optional = label != NULL && is_in(item->name, label, "map/");
			if (t->last)
				backup->unfinished = true;
		}
	}
	free(owner);
	free(label);
	return done;
}

/*
 * Which of the two it is another repository knows: if its own opens, ours is
 * damaged.
 */
static bool
opens_elsewhere(const Repair *r, size_t member, const char *name)
{
	for (size_t i = 0; i < r->set->count; i++)
	{
		const InventoryItem *item = NULL;
		Error ignored = ERROR_INIT;
		bool opens = false;

		if (i != member && r->looked_at[i])
			item = inventory_find(&r->inventories[i], name);
		if (item == NULL || item->state == ITEM_CLOSED ||
			item->state == ITEM_DAMAGED || item->state == ITEM_UNREADABLE)
			continue;
		opens = item->state == ITEM_SOUND;
		if (!opens)
			object_check_opens(r->set->members[i].repo, name, &opens, &ignored);
		error_clear(&ignored);
		if (opens)
			return true;
	}
	return false;
}

/*
 * A lease or a mark may be in this repository alone.  It is for the same
 * recipients as the manifest of its backup: if that one opens, it should.
 */
static bool
fellow_opens(const Repair *r, size_t member, const char *name)
{
	char *label = inventory_label(name);
	char *manifest;
	Error ignored = ERROR_INIT;
	bool opens = false;

	if (label != NULL && kind_for(name, label) == TRANSFER_QUARANTINE)
	{
		manifest = repo_manifest_name(label);
		if (!object_check_opens(r->set->members[member].repo, manifest, &opens,
								&ignored))
			opens = false;
		free(manifest);
	}
	error_clear(&ignored);
	free(label);
	return opens;
}

static bool
is_damaged(const Repair *r, size_t member, const InventoryItem *item)
{
	return item->state == ITEM_DAMAGED || item->state == ITEM_UNREADABLE ||
		   (item->state == ITEM_CLOSED &&
			(opens_elsewhere(r, member, item->name) ||
			 fellow_opens(r, member, item->name)));
}

static bool
plan_all_damaged(Repair *r, size_t member, const Missing *missing, Error *err)
{
	const Inventory *own = &r->inventories[member];

	for (size_t i = 0; i < own->count; i++)
	{
		const InventoryItem *item = &own->items[i];

		if (is_damaged(r, member, item) &&
			!plan_damaged(r, member, missing, item, err))
			return false;
	}
	return true;
}

/* ---- what is missing ---- */

static Transfer *
plan_copy(Repair *r, size_t member, const InventoryItem *item)
{
	Transfer *t = transfer_add(&r->plan, TRANSFER_COPY, member, item->name);

	t->size = item->size;
	return t;
}

/* Is it there already, or planned because another one has it, too? */
static bool
is_known(const Repair *r, size_t member, size_t other, const char *name)
{
	if (inventory_find(&r->inventories[member], name) != NULL)
		return true;
	for (size_t i = 0; i < other; i++)
	{
		if (r->looked_at[i] && inventory_find(&r->inventories[i], name) != NULL)
			return true;
	}
	return false;
}

static void
plan_wal(Repair *r, size_t member, const Missing *missing)
{
	for (size_t i = 0; i < r->set->count; i++)
	{
		const Inventory *theirs = &r->inventories[i];

		for (size_t k = 0; i != member && r->looked_at[i] && k < theirs->count;
			 k++)
		{
			const InventoryItem *item = &theirs->items[k];
			const WalCatalog *wal = NULL;
			WalName name;

			for (size_t h = 0; wal == NULL && h < r->all.wal_count; h++)
			{
				if (wal_object_parse(&r->all.wal[h].home, item->name, &name))
					wal = &r->all.wal[h];
			}
			if (wal != NULL && !is_known(r, member, i, item->name) &&
				missing_wants_wal(missing, &wal->home, &name,
								  wal->segment_size))
				plan_copy(r, member, item);
		}
	}
}

/*
 * A map is made anew by nobody, but no restore needs it: it comes if another
 * repository has it intact.
 */
static void
plan_map(Repair *r, size_t member, TransferBackup *b, const char *name)
{
	const InventoryItem *item = NULL;
	Transfer *t;

	if (inventory_find(&r->inventories[member], name) != NULL)
		return;
	for (size_t i = 0; item == NULL && i < r->set->count; i++)
	{
		if (b->sources[i])
			item = inventory_find(&r->inventories[i], name);
		if (item != NULL &&
			(item->state == ITEM_DAMAGED || item->state == ITEM_UNREADABLE))
			item = NULL;
	}
	if (item == NULL)
		return;
	t = plan_copy(r, member, item);
	t->backup = b;
	t->optional = true;
}

static void
plan_maps(Repair *r, size_t member, TransferBackup *b, const BackupInfo *info)
{
	for (uint32_t n = 1; n <= info->pack_count; n++)
	{
		char *name = repo_map_name(info->label, n);

		plan_map(r, member, b, name);
		free(name);
	}
}

/* Where ranges were joined, not all that they span need be there. */
static void
plan_foreign_pack(Repair *r, size_t member, TransferBackup *b, const char *name,
				  bool joined)
{
	const InventoryItem *item = NULL;
	Transfer *t;

	if (inventory_find(&r->inventories[member], name) != NULL)
		return;
	for (size_t i = 0; item == NULL && i < r->set->count; i++)
	{
		if (b->sources[i])
			item = inventory_find(&r->inventories[i], name);
	}
	if (item == NULL && joined)
		return;
	t = transfer_add(&r->plan, TRANSFER_COPY, member, name);
	t->size = item != NULL ? item->size : 0;
	t->backup = b;
}

static void
plan_references(Repair *r, size_t member, TransferBackup *b,
				const BackupInfo *info)
{
	for (size_t i = 0; i < info->reference_count; i++)
	{
		const BackupReference *ref = &info->references[i];

		for (uint64_t n = ref->first; n <= ref->last; n++)
		{
			char *name = repo_pack_name(ref->label, (uint32_t) n);
			char *map = repo_map_name(ref->label, (uint32_t) n);

			plan_foreign_pack(r, member, b, name, info->references_joined);
			plan_map(r, member, b, map);
			free(name);
			free(map);
		}
	}
}

/* Packs, maps and manifest of a backup that should be here. */
static bool
plan_parts(Repair *r, size_t member, const BackupInfo *info, Error *err)
{
	TransferBackup *b = plan_backup(r, member, info->label, err);
	size_t source = 0;

	if (b == NULL)
		return false;
	while (source < r->set->count && !b->sources[source])
		source++;
	for (uint32_t n = 0; n <= info->pack_count; n++)
	{
		char *name = n < info->pack_count ? repo_pack_name(info->label, n + 1)
										  : repo_manifest_name(info->label);
		const InventoryItem *item = NULL;

		if (inventory_find(&r->inventories[member], name) == NULL)
		{
			if (source < r->set->count)
				item = inventory_find(&r->inventories[source], name);
			Transfer *t = transfer_add(&r->plan, TRANSFER_COPY, member, name);

			t->size = item != NULL ? item->size : 0;
			t->backup = b;
			t->last = n == info->pack_count;
			b->unfinished |= t->last;
		}
		free(name);
	}
	plan_maps(r, member, b, info);
	plan_references(r, member, b, info);
	return true;
}

static bool
plan_backups(Repair *r, size_t member, const Missing *missing, Error *err)
{
	const Catalog *own = &r->catalogs[member];

	for (size_t i = 0; i < missing->backup_count; i++)
	{
		if (!plan_parts(r, member, &missing->backups[i]->info, err))
			return false;
	}
	for (size_t i = 0; i < own->backup_count; i++)
	{
		if (own->backups[i].state == BACKUP_COMPLETE &&
			!plan_parts(r, member, &own->backups[i].info, err))
			return false;
	}
	return true;
}

bool
repair_plan(Repair *r, size_t member, Error *err)
{
	Missing missing;
	bool done;

	missing_find(&r->catalogs[member], &r->all, &r->options->policies[member],
				 clock_now(), &missing);
	done = plan_all_damaged(r, member, &missing, err) &&
		   plan_backups(r, member, &missing, err);
	if (done)
		plan_wal(r, member, &missing);
	missing_free(&missing);
	return done;
}
