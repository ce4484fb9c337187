/*-------------------------------------------------------------------------
 *
 * expire_claim.c
 *	  Marks backups that are about to be removed.
 *
 *-------------------------------------------------------------------------
 */
#include "job/expire_claim.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/mark.h"
#include "repo/retention.h"
#include "repo/target.h"

bool
expire_claim(Repo *repo, const char *label, ExpireClaims *claims, Error *err)
{
	Json *content = json_new_object();
	Error why = ERROR_INIT;
	char *mark = NULL;
	bool done;

	if (claims->count == 0)
		claims->since = clock_now();
	json_put_str(content, "label", label);
	done = mark_put(repo, label, MARK_REMOVING, content, &mark, &why);
	json_free(content);
	if (!done && why.code != ERR_FULL)
	{
		error_prefix(&why, "could not mark backup %s for removal", label);
		error_move(err, &why);
		return false;
	}
	if (!done)
		log_warning("there is no room for a mark that backup %s is being "
					"removed; no other host should remove one now",
					label);
	error_clear(&why);
	claims->labels = mem_grow(claims->labels, claims->count, &claims->label_cap,
							  sizeof(char *));
	claims->marks = mem_grow(claims->marks, claims->count, &claims->mark_cap,
							 sizeof(char *));
	claims->labels[claims->count] = mem_strdup(label);
	claims->marks[claims->count++] = mark;
	return true;
}

static bool
is_claimed_here(const ExpireClaims *claims, const char *label)
{
	for (size_t i = 0; i < claims->count; i++)
	{
		if (strcmp(claims->labels[i], label) == 0)
			return true;
	}
	return false;
}

/*
 * The mark is looked for before the manifest: whoever marks it later finds our
 * own mark, and whoever has removed it already left no manifest.
 */
static bool
is_spare(Repo *repo, const char *label, bool *spare, Error *err)
{
	char *manifest = repo_manifest_name(label);
	Json *content = NULL;
	int64_t marked_at;
	bool marked;
	bool done = mark_latest(repo, label, MARK_REMOVING, &marked, &marked_at,
							&content, err) &&
				storage_exists(repo->storage, manifest, spare, err);

	if (done && marked && marked_at > clock_now() - CLAIM_VALID_USECS)
		*spare = false;
	json_free(content);
	free(manifest);
	return done;
}

static bool
find_spare(Repo *repo, const Catalog *catalog, const ExpireClaims *claims,
		   const CatalogBackup *b, Error *err)
{
	bool spare = false;

	for (size_t i = 0; !spare && i < catalog->backup_count; i++)
	{
		const CatalogBackup *other = &catalog->backups[i];

		if (other->state != BACKUP_COMPLETE ||
			!backup_same_series(&other->info, &b->info) ||
			retention_flaw(catalog, other) != NULL ||
			is_claimed_here(claims, other->info.label))
			continue;
		if (!is_spare(repo, other->info.label, &spare, err))
			return false;
	}
	if (spare)
		return true;
	error_set(err, ERR_BUSY,
			  "backup %s is the last good one that nobody is removing",
			  b->info.label);
	error_detail(err, "Another pgdr removes backups at the same time.");
	return error_hint(err,
					  "Try again when it has ended; the mark of one that "
					  "was killed counts for %d minutes.",
					  (int) (CLAIM_VALID_USECS / USECS_PER_SEC / 60));
}

bool
expire_claims_check(Repo *repo, const Catalog *catalog,
					const ExpireClaims *claims, Error *err)
{
	for (size_t i = 0; i < claims->count; i++)
	{
		const CatalogBackup *b = catalog_find(catalog, claims->labels[i]);

		if (b != NULL && b->state == BACKUP_COMPLETE &&
			retention_flaw(catalog, b) == NULL &&
			!find_spare(repo, catalog, claims, b, err))
			return false;
	}
	/* suspended meanwhile: the others do not count our marks any more */
	if (clock_now() - claims->since < CLAIM_VALID_USECS / 2)
		return true;
	return error_set(err, ERR_TIMEOUT,
					 "looking for the backups that stay took too long");
}

static void
remove_mark(Repo *repo, const char *mark)
{
	Error ignored = ERROR_INIT;

	if (mark != NULL)
		storage_remove(repo->storage, mark, &ignored);
	error_clear(&ignored);
}

void
expire_claim_withdraw(Repo *repo, ExpireClaims *claims, const char *label)
{
	for (size_t i = 0; i < claims->count; i++)
	{
		if (strcmp(claims->labels[i], label) != 0)
			continue;
		remove_mark(repo, claims->marks[i]);
		free(claims->labels[i]);
		free(claims->marks[i]);
		claims->count--;
		claims->labels[i] = claims->labels[claims->count];
		claims->marks[i] = claims->marks[claims->count];
		return;
	}
}

void
expire_claims_withdraw(Repo *repo, const ExpireClaims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		remove_mark(repo, claims->marks[i]);
}

void
expire_claims_free(ExpireClaims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
	{
		free(claims->labels[i]);
		free(claims->marks[i]);
	}
	free(claims->labels);
	free(claims->marks);
	*claims = (ExpireClaims){0};
}
