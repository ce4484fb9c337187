/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  The backups of a repository with their states and marks, and the WAL of
 *	  each cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/target.h"

const char *
backup_state_name(BackupState state)
{
	switch (state)
	{
		case BACKUP_COMPLETE:
			return "complete";
		case BACKUP_RUNNING:
			return "running";
		case BACKUP_INTERRUPTED:
			return "interrupted";
		case BACKUP_UNREADABLE:
			return "unreadable";
	}
	return "unknown";
}

/* Says something about the object, not about the store. */
static bool
is_about_object(const Error *problem)
{
	return problem->code == ERR_DAMAGED || problem->code == ERR_MISMATCH ||
		   problem->code == ERR_UNSUPPORTED || problem->code == ERR_KEY;
}

/* ---- labels ---- */

typedef struct Labels
{
	char **items;
	size_t count;
	size_t cap;
} Labels;

static bool
add_label(void *arg, const StorageEntry *entry, Error *err)
{
	Labels *labels = arg;
	const char *base = strrchr(entry->name, '/');

	(void) err;
	if (!entry->is_dir || base == NULL || !repo_label_ok(base + 1))
		return true;
	labels->items = mem_grow(labels->items, labels->count, &labels->cap,
							 sizeof(char *));
	labels->items[labels->count++] = mem_strdup(base + 1);
	return true;
}

static void
labels_free(Labels *labels)
{
	for (size_t i = 0; i < labels->count; i++)
		free(labels->items[i]);
	free(labels->items);
}

/* ---- one backup ---- */

static bool
note_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) err;
	if (!entry->is_dir)
		*(bool *) arg = true;
	return true;
}

/* A lease that cannot be read says nothing of a base. */
static bool
load_base(Repo *repo, const char *label, char **base, Error *err)
{
	Error why = ERROR_INIT;

	if (lease_base(repo, label, base, &why))
		return true;
	if (!is_about_object(&why) && why.code != ERR_NOT_FOUND)
	{
		error_move(err, &why);
		return false;
	}
	log_error_object(LOG_WARNING, &why);
	error_clear(&why);
	return true;
}

/* Without a manifest: being written, or left behind. */
static bool
load_unfinished(Repo *repo, const char *label, int64_t now, CatalogBackup *out,
				bool *present, Error *err)
{
	char *dir = repo_backup_dir(label);
	bool alive;
	bool ok;

	*present = false;
	/* a store may show a directory from which all has been removed */
	ok = storage_list(repo->storage, dir, true, note_entry, present, err);
	free(dir);
	if (!ok || !lease_is_alive(repo, label, now, &alive, err))
		return false;
	out->state = alive ? BACKUP_RUNNING : BACKUP_INTERRUPTED;
	out->info.label = mem_strdup(label);
	return !alive || load_base(repo, label, &out->info.parent, err);
}

enum
{
	FOUND_VERIFIED,
	FOUND_PIN,
	FOUND_HOLD,
	FOUND_STANDALONE,
	FOUND_COUNT
};

/* Without an end if the end cannot be read. */
static int64_t
pinned_until(const Json *content)
{
	const char *until = json_get_str(content, "until", NULL);
	Error ignored = ERROR_INIT;
	int64_t t = INT64_MAX;

	if (!json_get_bool(content, "pinned", true))
		return 0;
	if (until != NULL && !clock_parse(until, &t, &ignored))
		t = INT64_MAX;
	error_clear(&ignored);
	return t;
}

static void
take_marks(CatalogBackup *b, const MarkFound *marks)
{
	const Json *verified = marks[FOUND_VERIFIED].content;

	if (verified != NULL)
	{
		b->verified_at = marks[FOUND_VERIFIED].time;
		b->verified_ok = json_get_bool(verified, "ok", false);
		b->verified_deep = json_get_bool(verified, "deep", false);
	}
	if (marks[FOUND_PIN].content != NULL)
		b->pinned_until = pinned_until(marks[FOUND_PIN].content);
	if (marks[FOUND_HOLD].content != NULL)
		b->held = json_get_bool(marks[FOUND_HOLD].content, "held", true);
	b->standalone = marks[FOUND_STANDALONE].name != NULL;
}

/*
 * A mark that cannot be read says nothing of a verification, neither good nor
 * bad; but a pin or a hold may be one.
 */
static bool
load_marks(Repo *repo, CatalogBackup *b, Error *err)
{
	MarkFound marks[FOUND_COUNT] = {
		[FOUND_VERIFIED] = {.kind = MARK_VERIFIED},
		[FOUND_PIN] = {.kind = MARK_PIN},
		[FOUND_HOLD] = {.kind = MARK_HOLD},
		[FOUND_STANDALONE] = {.kind = MARK_STANDALONE}};
	bool ok = mark_find(repo, b->info.label, marks, FOUND_COUNT, err);

	for (size_t i = 0; ok && i < FOUND_COUNT; i++)
	{
		Error *problem = &marks[i].problem;

		if (!error_is_set(problem))
			continue;
		if (!is_about_object(problem) && problem->code != ERR_NOT_FOUND)
		{
			error_move(err, problem);
			ok = false;
			break;
		}
		log_error_object(LOG_WARNING, problem);
		b->marks_unreadable |= i == FOUND_PIN || i == FOUND_HOLD;
	}
	if (ok)
		take_marks(b, marks);
	mark_found_free(marks, FOUND_COUNT);
	return ok;
}

/* *present false: there is nothing under this label after all. */
static bool
load_backup(Repo *repo, const char *label, int64_t now, CatalogBackup *out,
			bool *present, Error *err)
{
	Error problem = ERROR_INIT;

	memset(out, 0, sizeof(*out));
	*present = true;
	if (manifest_stat(repo, label, &out->info, &problem))
	{
		out->state = BACKUP_COMPLETE;
		return load_marks(repo, out, err);
	}
	if (problem.code == ERR_NOT_FOUND)
	{
		error_clear(&problem);
		return load_unfinished(repo, label, now, out, present, err);
	}
	if (!is_about_object(&problem))
	{
		error_move(err, &problem);
		return false;
	}
	out->state = BACKUP_UNREADABLE;
	out->info.label = mem_strdup(label);
	error_move(&out->problem, &problem);
	return load_marks(repo, out, err);
}

void
catalog_backup_free(CatalogBackup *b)
{
	backup_info_free(&b->info);
	error_clear(&b->problem);
}

/* By time, system identifier and timeline; those without a time last. */
static int
compare_backups(const void *a, const void *b)
{
	const CatalogBackup *x = a;
	const CatalogBackup *y = b;
	bool x_done = x->state == BACKUP_COMPLETE;
	bool y_done = y->state == BACKUP_COMPLETE;

	if (x_done != y_done)
		return x_done ? -1 : 1;
	if (x_done && x->info.start_time != y->info.start_time)
		return x->info.start_time < y->info.start_time ? -1 : 1;
	if (x_done && x->info.sysid != y->info.sysid)
		return x->info.sysid < y->info.sysid ? -1 : 1;
	if (x_done && x->info.timeline != y->info.timeline)
		return x->info.timeline < y->info.timeline ? -1 : 1;
	return strcmp(x->info.label, y->info.label);
}

static bool
load_backups(Repo *repo, Catalog *out, Error *err)
{
	Labels labels = {0};
	int64_t now = clock_now();
	bool ok = storage_list(repo->storage, "backup", false, add_label, &labels,
						   err);

	out->backups = mem_zalloc((labels.count + 1) * sizeof(CatalogBackup));
	for (size_t i = 0; ok && i < labels.count; i++)
	{
		CatalogBackup *b = &out->backups[out->backup_count];
		bool present;

		ok = load_backup(repo, labels.items[i], now, b, &present, err);
		if (ok && present)
			out->backup_count++;
		else
			catalog_backup_free(b);
	}
	labels_free(&labels);
	catalog_sort_backups(out);
	return ok;
}

void
catalog_sort_backups(Catalog *catalog)
{
	if (catalog->backup_count > 1)
		qsort(catalog->backups, catalog->backup_count, sizeof(CatalogBackup),
			  compare_backups);
}

/* ---- the whole ---- */

static bool
load_wal(Repo *repo, bool with_times, Catalog *out, Error *err)
{
	WalHome *homes = NULL;
	size_t count = 0;
	bool ok = repo_list_homes(repo, &homes, &count, err);

	out->wal = mem_zalloc((count + 1) * sizeof(WalCatalog));
	for (size_t i = 0; ok && i < count; i++)
	{
		ok = wal_catalog_load(repo, &homes[i], with_times,
							  &out->wal[out->wal_count], err);
		if (ok)
			out->wal_count++;
	}
	free(homes);
	return ok;
}

/* Is all the WAL here without which the backup cannot become consistent? */
static bool
wal_is_here(const Catalog *catalog, const BackupInfo *info)
{
	WalHome home = {info->sysid, info->major};
	const WalCatalog *wal = catalog_wal(catalog, &home);
	WalReach reach;
	Error ignored = ERROR_INIT;
	bool ok;

	if (!backup_is_cluster(info))
		return true; /* it needs none */
	if (wal == NULL)
		return false;
	ok = wal_catalog_reach(wal, info->start_timeline, info->start_lsn,
						   info->timeline, &reach, &ignored) &&
		 reach.end_lsn >= info->stop_lsn;
	error_clear(&ignored);
	return ok;
}

void
catalog_find_wal_ok(Catalog *catalog)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		CatalogBackup *b = &catalog->backups[i];

		if (b->state == BACKUP_COMPLETE)
			b->wal_ok = wal_is_here(catalog, &b->info);
	}
}

bool
catalog_load_backups(Repo *repo, Catalog *out, Error *err)
{
	memset(out, 0, sizeof(*out));
	if (load_backups(repo, out, err))
		return true;
	catalog_free(out);
	return false;
}

bool
catalog_load(Repo *repo, bool with_times, Catalog *out, Error *err)
{
	memset(out, 0, sizeof(*out));

	/*
	 * Backups first: the WAL of a backup that is complete was archived
	 * before, so that it cannot seem to be missing only because it came
	 * between the two listings.
	 */
	if (!load_backups(repo, out, err) || !load_wal(repo, with_times, out, err))
	{
		catalog_free(out);
		return false;
	}
	catalog_find_wal_ok(out);
	return true;
}

void
catalog_free(Catalog *catalog)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
		catalog_backup_free(&catalog->backups[i]);
	for (size_t i = 0; i < catalog->wal_count; i++)
		wal_catalog_free(&catalog->wal[i]);
	free(catalog->backups);
	free(catalog->wal);
	memset(catalog, 0, sizeof(*catalog));
}

void
catalog_keep_cluster(Catalog *catalog)
{
	size_t kept = 0;

	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		if (backup_is_cluster(&catalog->backups[i].info))
			catalog->backups[kept++] = catalog->backups[i];
		else
			catalog_backup_free(&catalog->backups[i]);
	}
	catalog->backup_count = kept;
}

bool
catalog_stands_alone(const CatalogBackup *b)
{
	return b->info.archival || b->standalone;
}

const CatalogBackup *
catalog_find(const Catalog *catalog, const char *label)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		if (strcmp(catalog->backups[i].info.label, label) == 0)
			return &catalog->backups[i];
	}
	return NULL;
}

const CatalogBackup *
catalog_who_needs(const Catalog *catalog, const char *label, uint32_t pack)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *b = &catalog->backups[i];

		if (b->state == BACKUP_COMPLETE &&
			backup_info_references(&b->info, label, pack))
			return b;
	}
	return NULL;
}

const WalCatalog *
catalog_wal(const Catalog *catalog, const WalHome *home)
{
	for (size_t i = 0; i < catalog->wal_count; i++)
	{
		if (catalog->wal[i].home.sysid == home->sysid &&
			catalog->wal[i].home.major == home->major)
			return &catalog->wal[i];
	}
	return NULL;
}
