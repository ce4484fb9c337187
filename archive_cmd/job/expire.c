/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Carries out what retention decided, and collects leftovers.
 *
 * The plan is a little old when it is carried out.  What may have changed for
 * the worse since is looked at again: an interrupted backup that is not, and
 * a backup that was begun meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "job/expire.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/expire_claim.h"
#include "job/expire_objects.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/quarantine.h"
#include "repo/verified.h"
#include "repo/target.h"

/* Temporary files of writers that may still be at work are younger. */
#define SWEEP_AGE (INT64_C(24) * 3600 * USECS_PER_SEC)

/* ---- backups ---- */

static bool
has_manifest(Repo *repo, const char *label, bool *out, Error *err)
{
	char *name = repo_manifest_name(label);
	bool ok = storage_exists(repo->storage, name, out, err);

	free(name);
	return ok;
}

/*
 * The lease first: once it has run out the writer gives up, so that a manifest
 * that is not there afterwards does not come any more.
 */
static bool
is_leftover(Repo *repo, const char *label, bool *out, Error *err)
{
	bool finished;
	bool alive;

	if (!lease_is_alive(repo, label, clock_now(), &alive, err) ||
		!has_manifest(repo, label, &finished, err))
		return false;
	*out = !alive && !finished;
	return true;
}

/*
 * Unless the writer was suspended while it wrote it: then its packs are gone
 * now, and it may not be able to take the manifest back itself.
 */
static bool
remove_late_manifest(Repo *repo, const char *label, ExpireResult *out,
					 Error *err)
{
	bool finished;
	bool alive;

	if (!has_manifest(repo, label, &finished, err))
		return false;
	if (!finished)
		return true;
	if (!lease_is_alive(repo, label, clock_now(), &alive, err))
		return false;
	return alive ||
		   expire_remove_manifest(repo, label, &out->leftovers, out, err);
}

static bool
remove_leftover(Repo *repo, const char *label, const Catalog *left,
				ExpireResult *out, Error *err)
{
	bool leftover;

	if (!is_leftover(repo, label, &leftover, err))
		return false;
	if (!leftover)
	{
		log_info("backup %s is not interrupted after all and stays", label);
		return true;
	}
	return expire_remove_parts(repo, label, left, &out->leftovers, out, err) &&
		   remove_late_manifest(repo, label, out, err);
}

/* What of it others need, as far as it is known when its manifest is gone. */
static bool
remove_complete(Repo *repo, const char *label, const Catalog *left,
				ExpireResult *out, Error *err)
{
	uint64_t objects = 0;
	bool there;

	if (!has_manifest(repo, label, &there, err))
		return false;
	/* it came back, or could not be removed: that was said */
	return there || expire_remove_parts(repo, label, left, &objects, out, err);
}

static bool
remove_manifest(Repo *repo, const char *label, ExpireResult *out, Error *err)
{
	uint64_t objects = 0;

	if (!expire_remove_manifest(repo, label, &objects, out, err))
		return false;
	out->backups += objects;
	return true;
}

static const Decision *
find_decision(const RetentionPlan *plan, const char *label)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];

		if (d->label != NULL && strcmp(d->label, label) == 0)
			return d;
	}
	return NULL;
}

/*
 * Whoever pins a backup, or bases a new one on it, looks for our claim when he
 * has said so; and we look now, when the claims are made, for what he said.
 */
static void
spare_some(Repo *repo, const RetentionPlan *again, RetentionPlan *plan,
		   ExpireClaims *claims, bool *changed)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		Decision *d = &plan->decisions[i];
		const Decision *now = d->label != NULL && !d->keep && !d->leftover
								  ? find_decision(again, d->label)
								  : NULL;

		if (now == NULL || !now->keep)
			continue;
		log_info("backup %s stays after all: %s", d->label, now->reason);
		expire_claim_withdraw(repo, claims, d->label);
		free(d->reason);
		d->reason = mem_strdup(now->reason);
		d->rules = now->rules;
		d->keep = true;
		*changed = true;
	}
}

static bool
look_again(Repo *repo, const RetentionPolicy *policy, RetentionPlan *plan,
		   ExpireClaims *claims, bool *changed, Error *err)
{
	RetentionPlan again;
	Catalog catalog;
	bool done;

	if (!catalog_load(repo, false, &catalog, err))
		return false;
	retention_decide(&catalog, policy, clock_now(), &again);
	spare_some(repo, &again, plan, claims, changed);
	done = expire_claims_check(repo, &catalog, claims, err);
	retention_plan_free(&again);
	catalog_free(&catalog);
	return done;
}

/* What is complete is removed only when enough is left of which nobody does. */
static bool
claim_backups(Repo *repo, const RetentionPolicy *policy, RetentionPlan *plan,
			  bool *changed, Error *err)
{
	ExpireClaims claims = {0};
	bool done = true;

	for (size_t i = 0; done && i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];

		if (!d->keep && d->label != NULL && !d->leftover)
			done = expire_claim(repo, d->label, &claims, err);
	}
	if (done && claims.count > 0)
		done = look_again(repo, policy, plan, &claims, changed, err);
	if (!done)
		expire_claims_withdraw(repo, &claims);
	expire_claims_free(&claims);
	return done;
}

/* Says so; false when nothing more is to be tried. */
static bool
note_failure(const char *label, Error *problem, bool *ok, Error *err)
{
	bool stop = problem->code == ERR_CANCELED;

	*ok = false;
	error_prefix(problem, "could not remove backup %s", label);
	if (!stop)
		log_error_object(LOG_WARNING, problem);
	error_move(err, problem);
	return !stop;
}

static void
note_lock(Decision *d)
{
	log_info("backup %s is locked in the store, and stays for now", d->label);
	free(d->reason);
	d->reason = mem_strdup("The store does not let it go yet.");
	d->rules = UINT32_C(1) << RULE_LOCK;
	d->keep = true;
}

/* One backup that cannot be removed does not keep the others. */
static bool
remove_manifests(Repo *repo, RetentionPlan *plan, ExpireResult *out, Error *err)
{
	bool ok = true;

	for (size_t i = 0; i < plan->decision_count; i++)
	{
		Decision *d = &plan->decisions[i];
		Error problem = ERROR_INIT;
		uint64_t locked = out->locked;

		if (d->keep || d->leftover || d->label == NULL)
			continue;
		if (!remove_manifest(repo, d->label, out, &problem) &&
			!note_failure(d->label, &problem, &ok, err))
			break;
		if (out->locked > locked)
			note_lock(d);
	}
	return ok;
}

/* Also of those that are long gone, when others needed some of their packs. */
static bool
remove_parts(Repo *repo, const RetentionPlan *plan, const Catalog *left,
			 ExpireResult *out, Error *err)
{
	bool ok = true;

	for (size_t i = 0; i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];
		Error problem = ERROR_INIT;

		if (d->label == NULL || (d->keep && !d->leftover))
			continue;
		if (d->leftover ? remove_leftover(repo, d->label, left, out, &problem)
						: remove_complete(repo, d->label, left, out, &problem))
			continue;
		if (!note_failure(d->label, &problem, &ok, err))
			break;
	}
	return ok;
}

/*
 * All manifests first: only then it is known which packs nobody needs any
 * more.  A backup that is begun now can only need what those need that are
 * left, for it looks whether the one that it is based on is.
 */
static bool
remove_backups(Repo *repo, RetentionPlan *plan, ExpireResult *out, Error *err)
{
	bool ok = remove_manifests(repo, plan, out, err);
	Error why = ERROR_INIT;
	Catalog left;

	if (!thread_check_stop(ok ? err : &why))
	{
		error_clear(&why);
		return false;
	}
	if (!catalog_load_backups(repo, &left, ok ? err : &why))
		ok = false;
	else
		ok = remove_parts(repo, plan, &left, out, ok ? err : &why) && ok;
	catalog_free(&left);
	error_clear(&why);
	return ok;
}

/* ---- WAL ---- */

typedef struct NewLabels
{
	Repo *repo;
	const RetentionPlan *plan;
	bool found;
} NewLabels;

static bool
note_object(void *arg, const StorageEntry *entry, Error *err)
{
	bool *found = arg;

	(void) err;
	*found |= !entry->is_dir;
	return true;
}

/* A directory alone is no backup: an unfinished file may hold it. */
static bool
note_new_label(void *arg, const StorageEntry *entry, Error *err)
{
	NewLabels *n = arg;
	const char *base = strrchr(entry->name, '/');

	if (!entry->is_dir || base == NULL || !repo_label_ok(base + 1))
		return true;
	for (size_t i = 0; i < n->plan->decision_count; i++)
	{
		const char *label = n->plan->decisions[i].label;

		if (label != NULL && strcmp(label, base + 1) == 0)
			return true;
	}
	return storage_list(n->repo->storage, entry->name, true, note_object,
						&n->found, err);
}

static bool
gives_up_wal(const RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		if (plan->decisions[i].label == NULL && !plan->decisions[i].keep)
			return true;
	}
	return false;
}

/* Before WAL goes: what is missing behind a backup is missed by nobody then. */
static bool
mark_standalone(Repo *repo, const RetentionPlan *plan, Error *err)
{
	for (size_t i = 0; gives_up_wal(plan) && i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];
		Json *content;
		bool done;

		if (!d->standalone)
			continue;
		content = json_new_object();
		json_put_bool(content, "standalone", true);
		done = mark_add(repo, d->label, MARK_STANDALONE, content, err);
		json_free(content);
		if (!done)
			return error_prefix(err,
								"could not note that backup %s is without the "
								"WAL behind it",
								d->label);
	}
	return true;
}

/* A backup that the plan does not know may need WAL that the plan gives up. */
static bool
remove_wal(Repo *repo, const RetentionPlan *plan, ExpireResult *out, Error *err)
{
	NewLabels n = {.repo = repo, .plan = plan};

	if (plan->cutoff_count == 0)
		return true;
	if (!storage_list(repo->storage, "backup", false, note_new_label, &n, err))
		return false;
	if (n.found)
	{
		log_info("a backup was begun meanwhile; WAL stays until the next run");
		return true;
	}
	if (!mark_standalone(repo, plan, err))
		return false;
	for (size_t i = 0, count; i < plan->cutoff_count; i += count)
	{
		count = expire_cutoffs_of_timeline(plan, i);
		if (!expire_remove_wal(repo, &plan->cutoffs[i], count, out, err))
			return false;
	}
	return true;
}

static bool
is_locked(const RetentionPlan *plan, const char *label)
{
	const Decision *d = find_decision(plan, label);

	return d != NULL && (d->rules & (UINT32_C(1) << RULE_LOCK)) != 0;
}

/* Is all gone, or a leftover, that the plan gives up? */
static bool
is_carried_out(const RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		const Decision *d = &plan->decisions[i];

		if (d->label != NULL && !d->keep && !d->leftover)
			return false;
	}
	return true;
}

/* What is locked is still a backup, and still needs its WAL. */
static bool
remove_wal_beside_locks(Repo *repo, const RetentionPolicy *policy,
						const RetentionPlan *plan, ExpireResult *out,
						Error *err)
{
	RetentionPlan again = {0};
	Catalog catalog;
	bool done = catalog_load(repo, false, &catalog, err);

	for (size_t i = 0; done && i < catalog.backup_count; i++)
	{
		if (is_locked(plan, catalog.backups[i].info.label))
			catalog.backups[i].pinned_until = INT64_MAX;
	}
	done = done && expire_decide(repo, policy, &catalog, &again, err);
	if (done && is_carried_out(&again))
		done = remove_wal(repo, &again, out, err);
	retention_plan_free(&again);
	catalog_free(&catalog);
	return done;
}

static bool
has_locks(const RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		if ((plan->decisions[i].rules & (UINT32_C(1) << RULE_LOCK)) != 0)
			return true;
	}
	return false;
}

static bool
remove_wal_of(Repo *repo, const RetentionPolicy *policy,
			  const RetentionPlan *plan, ExpireResult *out, Error *err)
{
	if (has_locks(plan))
		return remove_wal_beside_locks(repo, policy, plan, out, err);
	return remove_wal(repo, plan, out, err);
}

bool
expire_run(Repo *repo, const RetentionPolicy *policy, RetentionPlan *plan,
		   ExpireResult *out, Error *err)
{
	uint64_t swept = 0;
	bool changed = false;

	memset(out, 0, sizeof(*out));

	/*
	 * A backup that could not be removed is still one, and still needs its
	 * WAL: then that stays too.
	 */
	if (!storage_settle_replaced(repo->storage, false, err) ||
		!claim_backups(repo, policy, plan, &changed, err) ||
		!remove_backups(repo, plan, out, err) ||
		(!changed && !remove_wal_of(repo, policy, plan, out, err)) ||
		!expire_remove_quarantine(repo, clock_now() - QUARANTINE_AGE,
								  &out->leftovers, out, err) ||
		!expire_remove_notes(repo, clock_now() - VERIFIED_AGE, err) ||
		!storage_sweep(repo->storage, SWEEP_AGE, &swept, err))
		return false;
	out->leftovers += swept;
	return true;
}

/* ---- one backup ---- */

static const char *
group_of(const Catalog *catalog, const char *label)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const BackupInfo *info = &catalog->backups[i].info;

		if (backup_has_member(info, label))
			return info->label;
	}
	return NULL;
}

/* The backup that is being written and based on it, or NULL. */
static const char *
writer_of(const Catalog *catalog, const char *label)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *b = &catalog->backups[i];

		if (b->state == BACKUP_RUNNING && b->info.parent != NULL &&
			strcmp(b->info.parent, label) == 0)
			return b->info.label;
	}
	return NULL;
}

/* A legal hold is lifted by its own command only, whatever is forced. */
static bool
may_lift_marks(const CatalogBackup *b, bool force, Error *err)
{
	const char *label = b->info.label;

	if (b->held || b->marks_unreadable)
	{
		error_set(err, ERR_MISMATCH,
				  b->held ? "a legal hold is on backup %s"
						  : "a mark of backup %s cannot be read, and may be a "
							"legal hold",
				  label);
		return error_hint(err, "Lift it with \"pgdr release %s\".", label);
	}
	if (b->pinned_until <= clock_now() || force)
		return true;
	error_set(err, ERR_MISMATCH, "backup %s is pinned", label);
	return error_hint(err, "Use \"pgdr unpin %s\", or --force.", label);
}

static bool
may_remove(const Catalog *catalog, const CatalogBackup *b, bool force,
		   Error *err)
{
	const char *label = b->info.label;
	const char *child = group_of(catalog, label);
	const char *writer = writer_of(catalog, label);

	if (b->state == BACKUP_RUNNING)
		return error_set(err, ERR_BUSY, "backup %s is being written", label);
	if (writer != NULL)
		return error_set(err, ERR_BUSY,
						 "backup %s, which is being written, is based on "
						 "backup %s",
						 writer, label);
	if (!may_lift_marks(b, force, err))
		return false;
	if (child != NULL)
	{
		error_set(err, ERR_MISMATCH, "backup %s depends on backup %s", child,
				  label);
		return error_hint(err, "Remove backup %s first.", child);
	}
	if (!force && b->state == BACKUP_COMPLETE &&
		retention_is_last_good(catalog, b))
	{
		error_set(err, ERR_MISMATCH, "backup %s is the last good one", label);
		if (backup_is_cluster(&b->info))
			error_detail(err, "Without it this cluster cannot be recovered.");
		else
			error_detail(err, "Without it there is no backup of %s.",
						 b->info.target);
		return error_hint(err, "Take a new backup first, or use --force.");
	}
	return true;
}

/* When it is claimed, so that a mark or a lease since then is seen. */
static bool
still_may_remove(Repo *repo, const char *label, bool force, Error *err)
{
	Catalog catalog;
	const CatalogBackup *b;
	bool may;

	if (!catalog_load(repo, false, &catalog, err))
		return false;
	b = catalog_find(&catalog, label);
	may = b == NULL || may_remove(&catalog, b, force, err);
	catalog_free(&catalog);
	return may;
}

typedef bool (*RemoveRest)(Repo *repo, const char *label, const Catalog *left,
						   ExpireResult *out, Error *err);

static bool
remove_rest(Repo *repo, const char *label, RemoveRest rest, ExpireResult *out,
			Error *err)
{
	Catalog left;
	bool done = catalog_load_backups(repo, &left, err) &&
				rest(repo, label, &left, out, err);

	catalog_free(&left);
	return done;
}

static bool
remove_claimed(Repo *repo, const Catalog *catalog, const char *label,
			   bool force, ExpireResult *out, Error *err)
{
	ExpireClaims claims = {0};
	bool done = expire_claim(repo, label, &claims, err) &&
				still_may_remove(repo, label, force, err) &&
				(force || expire_claims_check(repo, catalog, &claims, err));

	if (!done)
		expire_claims_withdraw(repo, &claims);
	expire_claims_free(&claims);
	if (!done || !remove_manifest(repo, label, out, err))
		return false;
	if (out->locked > 0)
		return error_set(err, ERR_LOCKED,
						 "backup %s is locked in the store, and cannot be "
						 "removed yet",
						 label);
	return remove_rest(repo, label, remove_complete, out, err);
}

static bool
remove_found(Repo *repo, const Catalog *catalog, const char *label, bool force,
			 ExpireResult *out, Error *err)
{
	const CatalogBackup *b = catalog_find(catalog, label);

	if (b == NULL)
	{
		error_set(err, ERR_NOT_FOUND, "backup %s does not exist", label);
		return error_hint(err, "\"pgdr info\" lists the backups.");
	}
	if (!may_remove(catalog, b, force, err))
		return false;
	if (b->state == BACKUP_INTERRUPTED)
		return remove_rest(repo, label, remove_leftover, out, err);
	return remove_claimed(repo, catalog, label, force, out, err);
}

bool
expire_backup(Repo *repo, const char *label, bool force, ExpireResult *out,
			  Error *err)
{
	Catalog catalog;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (!repo_label_ok(label))
		return error_set(err, ERR_USAGE, "\"%s\" is not the label of a backup",
						 label);
	if (!catalog_load(repo, false, &catalog, err))
		return false;
	ok = remove_found(repo, &catalog, label, force, out, err);
	catalog_free(&catalog);
	return ok;
}
