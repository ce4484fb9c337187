/*-------------------------------------------------------------------------
 *
 * verify_backup.c
 *	  Looks at each backup as a whole: are all its packs there, and are they
 *	  those that its manifest names?
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MISSING_MAX 100 /* a lying manifest does not flood the report */

static bool
still_exists(Repo *repo, const char *label, bool *exists, Error *err)
{
	char *name = repo_manifest_name(label);
	bool ok = storage_exists(repo->storage, name, exists, err);

	free(name);
	return ok;
}

static void
report_missing(Verify *v, VerifyBackup *b, const char *label, uint32_t pack)
{
	char *name = repo_pack_name(label, pack);
	Problem problem = {.check = "missing",
					   .object = name,
					   .message = "pack of the backup is missing",
					   .detail = "The backup cannot be restored completely."};

	verify_report(v, &problem, b);
	free(name);
}

/* The packs of a backup: items lie together, sorted by name. */
static VerifyItem *
find_packs(Verify *v, const VerifyBackup *b, size_t *count)
{
	VerifyItem *first = NULL;

	*count = 0;
	for (size_t i = 0; i < v->item_count; i++)
	{
		if (v->items[i].backup != b || v->items[i].kind != ITEM_PACK)
			continue;
		if (first == NULL)
			first = &v->items[i];
		*count += 1;
	}
	return first;
}

static int
compare_packs(const void *a, const void *b)
{
	const VerifyItem *x = a;
	const VerifyItem *y = b;

	return (x->pack > y->pack) - (x->pack < y->pack);
}

static bool
check_present(Verify *v, VerifyBackup *b, VerifyItem *packs, size_t count,
			  Error *err)
{
	uint32_t expected = b->backup->info.pack_count;
	uint32_t reported = 0;
	size_t at = 0;
	bool exists;

	if (count == expected)
		return true;
	/* was it removed under our eyes? */
	if (!still_exists(v->repo, b->backup->info.label, &exists, err))
		return false;
	for (uint32_t n = 1; exists && n <= expected && reported < MISSING_MAX; n++)
	{
		if (at < count && packs[at].pack == n)
		{
			at++;
			continue;
		}
		report_missing(v, b, b->backup->info.label, n);
		reported++;
	}
	return true;
}

/* ---- packs of other backups ---- */

static int
compare_name(const void *key, const void *item)
{
	return strcmp(key, ((const VerifyItem *) item)->name);
}

static bool
is_listed(const Verify *v, const char *label, uint32_t pack)
{
	char *name = repo_pack_name(label, pack);
	bool listed = v->item_count > 0 &&
				  bsearch(name, v->items, v->item_count, sizeof(VerifyItem),
						  compare_name) != NULL;

	free(name);
	return listed;
}

bool
verify_was_reported(const Verify *v, const char *name)
{
	const VerifyItem *item = v->item_count == 0
								 ? NULL
								 : bsearch(name, v->items, v->item_count,
										   sizeof(VerifyItem), compare_name);

	return item != NULL && item->looked_at && !item->sound;
}

/* Ranges that were joined hold some that are not needed. */
static bool
check_references(Verify *v, VerifyBackup *b, Error *err)
{
	const BackupInfo *info = &b->backup->info;
	uint32_t reported = 0;
	bool exists = true;

	for (size_t i = 0; !info->references_joined && i < info->reference_count;
		 i++)
	{
		const BackupReference *r = &info->references[i];

		for (uint64_t n = r->first; n <= r->last && reported < MISSING_MAX; n++)
		{
			if (is_listed(v, r->label, (uint32_t) n))
				continue;
			if (reported == 0 &&
				!still_exists(v->repo, info->label, &exists, err))
				return false;
			if (!exists)
				return true;
			report_missing(v, b, r->label, (uint32_t) n);
			reported++;
		}
	}
	return true;
}

/* Without the key: all payload checksums together are in the manifest's head. */
static void
check_sum(Verify *v, VerifyBackup *b, const VerifyItem *packs, size_t count)
{
	Sha256 *h = sha256_new();
	uint8_t sum[SHA256_LEN];
	bool sound = true;

	for (size_t i = 0; i < count; i++)
	{
		sound = sound && packs[i].sound;
		sha256_add(h, packs[i].sha256, SHA256_LEN);
	}
	sha256_final(h, sum);
	sha256_free(h);
	/* what is damaged was reported by itself */
	if (sound && memcmp(sum, b->backup->info.packs_sha256, SHA256_LEN) != 0)
	{
		char *dir = repo_backup_dir(b->backup->info.label);
		Problem problem = {
			.check = "mismatch",
			.object = dir,
			.message = "packs are not those that the manifest names",
			.detail = "Each is intact, but at least one belongs to another "
					  "backup or was replaced."};

		verify_report(v, &problem, b);
		free(dir);
	}
}

static VerifyItem *
find_manifest(Verify *v, const VerifyBackup *b)
{
	for (size_t i = 0; i < v->item_count; i++)
	{
		if (v->items[i].backup == b && v->items[i].kind == ITEM_MANIFEST)
			return &v->items[i];
	}
	return NULL;
}

/* Passed over as a whole, so that not even the manifest is read? */
static bool
is_all_known(const VerifyItem *manifest, const VerifyItem *packs, size_t count)
{
	bool all = manifest->known;

	for (size_t i = 0; all && i < count; i++)
		all = !verify_wants(&packs[i]);
	return all;
}

static bool
check_deep(Verify *v, VerifyBackup *b, VerifyItem *packs, size_t count,
		   Error *err)
{
	VerifyItem *item = find_manifest(v, b);
	Manifest manifest;
	VerifyPacks all = {b, &manifest, packs, count};
	uint64_t errors = b->errors;
	Error problem = ERROR_INIT;
	bool ok;

	if (item == NULL)
		return true; /* removed meanwhile */
	if (is_all_known(item, packs, count))
		return true;
	if (!manifest_read(v->repo, b->backup->info.label, &manifest, &problem))
		return verify_take_error(v, v->repo, item, &problem, err);
	/* a sample of the packs says nothing of what is made of all of them */
	ok = verify_packs(v, &all, err) &&
		 (!verify_wants(item) || v->options->sample > 0 ||
		  verify_files(v, b, &manifest, err));
	manifest_free(&manifest);
	/* of a manifest whose files are not right nothing may be noted */
	item->sound = ok && v->options->sample == 0 && b->errors == errors;
	return ok;
}

/* A group is restored from its members. */
static void
check_members(Verify *v, VerifyBackup *b)
{
	const BackupInfo *info = &b->backup->info;

	for (size_t i = 0; i < info->member_count; i++)
	{
		const CatalogBackup *m = catalog_find(&v->catalog, info->members[i]);
		char *name = repo_manifest_name(info->members[i]);
		Problem problem = {.check = "missing",
						   .object = name,
						   .message = "backup that belongs to a group is "
									  "missing",
						   .detail = "The group cannot be restored as a "
									 "whole."};

		if (m == NULL || m->state != BACKUP_COMPLETE)
			verify_report(v, &problem, b);
		free(name);
	}
}

static bool
check_backup(Verify *v, VerifyBackup *b, Error *err)
{
	size_t count;
	VerifyItem *packs = find_packs(v, b, &count);

	if (count > 1)
		qsort(packs, count, sizeof(VerifyItem), compare_packs);
	check_members(v, b);
	if (!check_present(v, b, packs, count, err) || !check_references(v, b, err))
		return false;
	if (v->options->deep)
		return check_deep(v, b, packs, count, err);
	if (count == b->backup->info.pack_count)
		check_sum(v, b, packs, count);
	return true;
}

bool
verify_backups(Verify *v, Error *err)
{
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		if (!v->backups[i].selected)
			continue;
		v->out->backups++;
		if (!check_backup(v, &v->backups[i], err))
			return false;
	}
	return true;
}
