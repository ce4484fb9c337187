/*-------------------------------------------------------------------------
 *
 * backup_base.c
 *	  Chooses the earlier backup that an incremental one is compared with.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_base.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/expire_claim.h"
#include "repo/mark.h"
#include "repo/retention.h"
#include "repo/target.h"

/* Of more backups the names alone would not fit into a manifest's head. */
#define LABELS_MAX 400

typedef struct Choosing
{
	/* fixed */
	RepoSet *set;
	const BaseChoice *choice;
	Catalog *catalogs; /* by member; empty if it is not open */

	const char *flaw; /* of the backup that was asked for */
	const char *where;
} Choosing;

static bool
is_open(const RepoSet *set, size_t member)
{
	return set->members[member].repo != NULL &&
		   !error_is_set(&set->members[member].why);
}

/* ---- one backup ---- */

static size_t
count_labels(const BackupInfo *info)
{
	size_t count = 1;

	for (size_t i = 0; i < info->reference_count; i++)
		count += i == 0 || strcmp(info->references[i].label,
								  info->references[i - 1].label) != 0;
	return count;
}

/* The rest of a sentence that begins with "it"; NULL if it will do. */
static const char *
flaw_in(const Choosing *c, size_t member, const BackupInfo *info)
{
	const CatalogBackup *b = catalog_find(&c->catalogs[member], info->label);

	if (b == NULL || b->state != BACKUP_COMPLETE ||
		memcmp(b->info.packs_sha256, info->packs_sha256, SHA256_LEN) != 0)
		return "is not complete";
	if (!backup_is_cluster(&b->info) ||
		b->info.sysid != c->choice->home.sysid ||
		b->info.major != c->choice->home.major)
		return "is not of this cluster";
	if (count_labels(&b->info) > LABELS_MAX)
		return "is made of too many backups";
	return retention_flaw(&c->catalogs[member], b);
}

static bool
will_do(Choosing *c, const BackupInfo *info)
{
	size_t count = 0;

	if (c->choice->wish == BASE_NEWEST_FULL && info->type != BACKUP_FULL)
	{
		c->flaw = "is not a full backup";
		return false;
	}
	for (size_t i = 0; i < c->set->count; i++)
	{
		const char *flaw;

		if (!is_open(c->set, i))
			continue;
		flaw = flaw_in(c, i, info);
		count += flaw == NULL;
		if (flaw == NULL || (!c->set->members[i].required && count > 0))
			continue;
		c->flaw = flaw;
		c->where = repo_set_name(c->set, i);
		if (c->set->members[i].required)
			return false;
	}
	return count >= repo_set_needed(c->set);
}

/* ---- all of them ---- */

static bool
load(Choosing *c, Error *err)
{
	bool any = false;

	c->catalogs = mem_zalloc((c->set->count + 1) * sizeof(Catalog));
	for (size_t i = 0; i < c->set->count; i++)
	{
		RepoMember *m = &c->set->members[i];

		if (is_open(c->set, i))
			any |= catalog_load(m->repo, false, &c->catalogs[i], &m->why);
	}
	return any || repo_set_verdict(c->set, err);
}

static const BackupInfo *
find_newest(Choosing *c)
{
	const BackupInfo *newest = NULL;

	for (size_t i = 0; i < c->set->count; i++)
	{
		const Catalog *catalog = &c->catalogs[i];

		for (size_t k = 0; k < catalog->backup_count; k++)
		{
			const CatalogBackup *b = &catalog->backups[k];

			if (b->state == BACKUP_COMPLETE &&
				(c->choice->label == NULL ||
				 strcmp(b->info.label, c->choice->label) == 0) &&
				(newest == NULL || b->info.start_time > newest->start_time) &&
				will_do(c, &b->info))
				newest = &b->info;
		}
	}
	return newest;
}

static bool
none(const Choosing *c, Error *err)
{
	const char *label = c->choice->label;

	if (label == NULL)
		return true;
	if (c->flaw == NULL)
	{
		error_set(err, ERR_NOT_FOUND, "backup %s does not exist", label);
		return error_hint(err, "\"pgdr info\" lists the backups.");
	}
	error_set(err, ERR_MISMATCH,
			  "backup %s cannot be the base of an incremental backup", label);
	if (c->where != NULL)
		return error_detail(err, "In repository \"%s\" it %s.", c->where,
							c->flaw);
	return error_detail(err, "It %s.", c->flaw);
}

/* An incremental backup is of no use where its base is not. */
static void
leave_out(Choosing *c, const BackupInfo *base)
{
	for (size_t i = 0; i < c->set->count; i++)
	{
		Error *why = &c->set->members[i].why;

		if (!is_open(c->set, i) || flaw_in(c, i, base) == NULL)
			continue;
		error_set(why, ERR_INCOMPLETE,
				  "backup %s, which this one is to be compared with, is not "
				  "good in repository \"%s\"",
				  base->label, repo_set_name(c->set, i));
		error_hint(why, "\"pgdr repair\" brings both there.");
	}
}

bool
backup_base_choose(RepoSet *set, const BaseChoice *choice, char **label,
				   Error *err)
{
	Choosing c = {.set = set, .choice = choice};
	bool done = load(&c, err);

	*label = NULL;
	if (done)
	{
		const BackupInfo *base = find_newest(&c);

		if (base == NULL)
			done = none(&c, err);
		else
		{
			*label = mem_strdup(base->label);
			leave_out(&c, base);
		}
	}
	for (size_t i = 0; i < set->count; i++)
		catalog_free(&c.catalogs[i]);
	free(c.catalogs);
	return done;
}

/* ---- the one that was chosen ---- */

bool
backup_base_confirm(Repo *repo, const char *label, Error *err)
{
	char *manifest = repo_manifest_name(label);
	Json *content = NULL;
	bool exists = false;
	bool marked = false;
	int64_t at = 0;
	bool done;

	/* the mark first: whoever removed it without one left no manifest */
	done = mark_latest(repo, label, MARK_REMOVING, &marked, &at, &content,
					   err) &&
		   storage_exists(repo->storage, manifest, &exists, err);
	json_free(content);
	free(manifest);
	if (!done)
		return false;
	if (exists && !(marked && at > clock_now() - CLAIM_VALID_USECS))
		return true;
	error_set(err, ERR_BUSY, "backup %s is being removed", label);
	return error_hint(err, "Try again: another backup will be the base.");
}

bool
backup_base_read(RepoSet *set, const char *label, Manifest *out, size_t *member,
				 Error *err)
{
	for (size_t n = 0; n < set->count; n++)
	{
		Error why = ERROR_INIT;

		*member = repo_set_nth(set, n);
		if (!is_open(set, *member))
			continue;
		if (manifest_read(set->members[*member].repo, label, out, &why))
		{
			error_clear(err);
			return true;
		}
		error_move(err, &why);
	}
	if (err->code == ERR_KEY)
		error_hint(err, "An incremental backup reads what is stored: it needs "
						"an identity that opens the repository.  A full "
						"backup does not.");
	return false;
}
