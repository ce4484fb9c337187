/*-------------------------------------------------------------------------
 *
 * repo_copy.c
 *	  Fills one repository with what another one holds.
 *
 *-------------------------------------------------------------------------
 */
#include "job/repo_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/catalog.h"

#define FROM 0
#define TO 1

typedef struct RepoCopy
{
	RepoSet *set;
	const RepoCopyOptions *options;
	RepoCopyResult *out;
	Inventory inventories[2];
	Catalog catalogs[2];
	TransferPlan plan;
} RepoCopy;

/* ---- the target ---- */

static bool
create_target(const RepoCopy *c, Error *err)
{
	const Repo *from = c->set->members[FROM].repo;
	RepoOptions options = c->set->members[TO].options;
	RepoKeys keys = *options.keys;

	if (!from->has_content)
	{
		error_set(err, ERR_KEY, "the content key is not known");
		return error_hint(err, "Set content-key-file or identity-file in the "
							   "configuration.");
	}
	/* recipients and identities stay the caller's */
	memcpy(keys.content_key, from->content_key, CONTENT_KEY_LEN);
	keys.has_content_key = true;
	options.keys = &keys;
	return repo_create(&options, err);
}

/* Only where there is none: repo_create() sees to it that it is empty. */
static bool
open_target(RepoCopy *c, Error *err)
{
	Error why = ERROR_INIT;

	if (repo_set_open(c->set, TO, &why) != NULL)
		return true;
	if (why.code != ERR_CONFIG && why.code != ERR_IO)
	{
		error_move(err, &why);
		return false;
	}
	error_clear(&why);
	if (!create_target(c, err))
		return false;
	c->out->created = true;
	repo_set_forget(c->set);
	return repo_set_open(c->set, TO, err) != NULL;
}

/* ---- what is to be copied ---- */

static bool
is_last(const char *name, const char *label)
{
	char *manifest = repo_manifest_name(label);
	bool last = strcmp(manifest, name) == 0;

	free(manifest);
	return last;
}

/* Packs and maps are numbered objects in directories of their own. */
static bool
is_in(const char *name, const char *label, const char *part)
{
	char *dir = mem_printf("backup/%s/%s/", label, part);
	bool in = strncmp(name, dir, strlen(dir)) == 0;

	free(dir);
	return in;
}

/* NULL with *err unset: this backup is not to be copied. */
static TransferBackup *
plan_backup(RepoCopy *c, const char *label, Error *err)
{
	const CatalogBackup *from = catalog_find(&c->catalogs[FROM], label);
	const CatalogBackup *to = catalog_find(&c->catalogs[TO], label);
	size_t before = c->plan.backup_count;
	TransferBackup *b;

	if (from == NULL || from->state != BACKUP_COMPLETE)
		return NULL;
	b = transfer_backup(&c->plan, label, TO);
	b->info = &from->info;
	if (c->plan.backup_count == before)
		return b;
	b->unfinished = to == NULL || to->state != BACKUP_COMPLETE;
	if (!b->unfinished)
		b->sources[FROM] = memcmp(from->info.packs_sha256,
								  to->info.packs_sha256, SHA256_LEN) == 0;
	else if (!inventory_packs_agree(
				 c->set->members[TO].repo, &c->inventories[TO],
				 c->set->members[FROM].repo, label, &b->sources[FROM], err))
		return NULL;
	return b;
}

/* Of a backup that is gone packs may be left that others need. */
static TransferBackup *
plan_owner(RepoCopy *c, const InventoryItem *item, const char *label,
		   Error *err)
{
	TransferBackup *b = plan_backup(c, label, err);
	const CatalogBackup *other = NULL;
	uint32_t pack = inventory_pack(item->name);

	if (b == NULL && !error_is_set(err) && pack > 0)
		other = catalog_who_needs(&c->catalogs[FROM], label, pack);
	return other != NULL ? plan_backup(c, other->info.label, err) : b;
}

static bool
plan_item(RepoCopy *c, const InventoryItem *item, Error *err)
{
	char *label = inventory_label(item->name);
	TransferBackup *backup = NULL;
	bool last = label != NULL && is_last(item->name, label);
	bool map = label != NULL && is_in(item->name, label, "map");
	bool wanted = strncmp(item->name, "wal/", 4) == 0;
	Transfer *t;

	if (label != NULL && (last || map || is_in(item->name, label, "data")))
	{
		backup = plan_owner(c, item, label, err);
		wanted = backup != NULL;
	}
	free(label);
	if (error_is_set(err) || !wanted)
		return !error_is_set(err);
	if (inventory_find(&c->inventories[TO], item->name) != NULL)
	{
		c->out->there++;
		return true;
	}
	t = transfer_add(&c->plan, TRANSFER_COPY, TO, item->name);
	t->backup = backup;
	t->last = last;
	t->optional = map;
	t->size = item->size;
	return true;
}

static bool
make_plan(RepoCopy *c, Error *err)
{
	for (size_t i = 0; i < 2; i++)
	{
		Repo *repo = c->set->members[i].repo;

		if (!inventory_load(repo, &c->inventories[i], err) ||
			!catalog_load(repo, false, &c->catalogs[i], err))
			return false;
	}
	for (size_t i = 0; i < c->inventories[FROM].count; i++)
	{
		if (!plan_item(c, &c->inventories[FROM].items[i], err))
			return false;
	}
	return true;
}

/* ---- doing it ---- */

static void
on_transfer(void *arg, const TransferReport *report)
{
	RepoCopy *c = arg;
	const Error *why = report->why;
	Problem problem = {.check = "copy", .object = report->transfer->name};

	if (why == NULL)
	{
		c->out->copied++;
		c->out->bytes += report->transfer->size;
		return;
	}
	c->out->failed++;
	problem.message = why->message;
	problem.detail = why->detail;
	problem.hint = why->hint;
	c->options->problem(c->options->arg, &problem);
}

static bool
run(RepoCopy *c, Error *err)
{
	Progress *progress = c->options->progress;

	if (repo_set_open(c->set, FROM, err) == NULL || !open_target(c, err))
		return false;
	if (progress != NULL)
		atomic_store(&progress->phase, "listing");
	if (!make_plan(c, err))
		return false;
	if (progress != NULL)
		atomic_store(&progress->phase, "copying");
	return transfer_run(&c->plan, err);
}

bool
repo_copy_run(RepoSet *set, const RepoCopyOptions *options, RepoCopyResult *out,
			  Error *err)
{
	RepoCopy c = {.set = set, .options = options, .out = out};
	bool done;

	*out = (RepoCopyResult){.created = false};
	c.plan = (TransferPlan){.set = set,
							.inventories = c.inventories,
							.workers = options->workers,
							.progress = options->progress,
							.report = on_transfer,
							.arg = &c};
	done = run(&c, err);
	for (size_t i = 0; i < 2; i++)
	{
		inventory_free(&c.inventories[i]);
		catalog_free(&c.catalogs[i]);
	}
	transfer_plan_free(&c.plan);
	return done;
}
