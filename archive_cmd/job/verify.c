/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Proves that what a repository holds is intact and complete.
 *
 * Names are listed once, after the catalog was read, so that a backup which is
 * in the catalog has all its objects in the list.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/inventory.h"
#include "repo/mark.h"

/* ---- problems ---- */

void
verify_report(Verify *v, const Problem *problem, VerifyBackup *backup)
{
	pthread_mutex_lock(&v->lock);
	if (problem->warning)
		v->out->warnings++;
	else
		v->out->errors++;
	if (strcmp(problem->check, "missing") == 0 ||
		strcmp(problem->check, "hole") == 0)
		v->out->missing++;
	if (backup != NULL && !problem->warning)
		backup->errors++;
	if (v->options->problem != NULL)
		v->options->problem(v->options->problem_arg, problem);
	pthread_mutex_unlock(&v->lock);
}

/* NULL: the error is about the store, or about ourselves. */
static const char *
check_of(const Error *problem)
{
	switch (problem->code)
	{
		case ERR_DAMAGED:
			return "damaged";
		case ERR_MISMATCH:
			return "mismatch";
		case ERR_KEY:
			return "key";
		case ERR_UNSUPPORTED:
			return "unsupported";
		case ERR_NOT_FOUND:
			return "vanished";
		case ERR_IO:
		case ERR_DENIED:
			return problem->transient ? NULL : "unreadable";
		default:
			return NULL;
	}
}

/* One object that cannot be read, or a store that does not answer at all? */
static bool
store_answers(Repo *repo)
{
	Error ignored = ERROR_INIT;
	uint64_t size;
	int64_t mtime;
	bool ok = storage_stat(repo->storage, REPO_JSON, &size, &mtime, &ignored);

	error_clear(&ignored);
	return ok;
}

/* WAL concerns the backups that need it to become consistent. */
static void
blame_backups(Verify *v, const VerifyItem *item)
{
	const WalCatalog *wal = catalog_wal(&v->catalog, &item->home);

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; wal != NULL && i < v->catalog.backup_count; i++)
	{
		if (v->backups[i].selected && item->wal.kind == WAL_SEGMENT &&
			verify_backup_needs(&v->backups[i], item, wal->segment_size))
			v->backups[i].errors++;
	}
	pthread_mutex_unlock(&v->lock);
}

/* A pack concerns the other backups that refer to it, too. */
static void
blame_dependents(Verify *v, const VerifyItem *item)
{
	char *label = inventory_label(item->name);

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; label != NULL && i < v->catalog.backup_count; i++)
	{
		if (v->backups[i].selected && &v->backups[i] != item->backup &&
			backup_info_references(&v->catalog.backups[i].info, label,
								   item->pack))
			v->backups[i].errors++;
	}
	pthread_mutex_unlock(&v->lock);
	free(label);
}

bool
verify_take_error(Verify *v, Repo *repo, const VerifyItem *item, Error *problem,
				  Error *err)
{
	Problem p = {.check = check_of(problem),
				 .object = item->name,
				 .message = problem->message,
				 .detail = problem->detail,
				 .hint = problem->hint};

	if (p.check == NULL ||
		(strcmp(p.check, "unreadable") == 0 && !store_answers(repo)))
	{
		error_move(err, problem);
		return false;
	}
	/*
	 * Gone since it was listed: expired, or else its absence is noted.  And
	 * no restore needs a map: without it the next incremental stores more.
	 */
	p.warning = problem->code == ERR_NOT_FOUND || item->kind == ITEM_MAP;
	verify_report(v, &p, item->backup);
	if (!p.warning && item->kind == ITEM_WAL)
		blame_backups(v, item);
	if (!p.warning && item->kind == ITEM_PACK)
		blame_dependents(v, item);
	error_clear(problem);
	return true;
}

/* ---- which backups ---- */

/* Do complete backups have packs of it?  Then it is no mere leftover. */
static bool
is_depended_on(const Verify *v, const CatalogBackup *b)
{
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		const CatalogBackup *other = &v->catalog.backups[i];

		if (other->state == BACKUP_COMPLETE &&
			backup_info_depends(&other->info, b->info.label))
			return true;
	}
	return false;
}

static void
report_state(Verify *v, const CatalogBackup *b)
{
	char *dir = repo_backup_dir(b->info.label);
	char *name = repo_manifest_name(b->info.label);
	Problem p = {.object = dir};

	if (b->state == BACKUP_INTERRUPTED && v->options->label == NULL &&
		!is_depended_on(v, b))
	{
		p.warning = true;
		p.check = "leftover";
		p.message = "backup was interrupted";
		p.hint = "\"pgdr expire\" removes what it left.";
		verify_report(v, &p, NULL);
	}
	else if (b->state == BACKUP_UNREADABLE)
	{
		p.check = check_of(&b->problem);
		p.object = name;
		p.message = b->problem.message;
		p.detail = b->problem.detail;
		p.hint = b->problem.hint;
		v->out->backups++;
		verify_report(v, &p, NULL);
	}
	free(name);
	free(dir);
}

static bool
select_backups(Verify *v, Error *err)
{
	const char *label = v->options->label;
	const CatalogBackup *b = NULL;

	v->backups = mem_zalloc((v->catalog.backup_count + 1) *
							sizeof(VerifyBackup));
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		VerifyBackup *vb = &v->backups[i];

		vb->backup = &v->catalog.backups[i];
		if (label != NULL && strcmp(vb->backup->info.label, label) != 0)
			continue;
		b = vb->backup;
		vb->selected = b->state == BACKUP_COMPLETE;
		report_state(v, b);
	}
	if (label == NULL)
		return true;
	if (b == NULL || b->state == BACKUP_INTERRUPTED)
		return error_set(err, ERR_NOT_FOUND, "backup %s does not exist", label);
	return b->state != BACKUP_RUNNING ||
		   error_set(err, ERR_BUSY, "backup %s is being written", label);
}

/* ---- the whole ---- */

static void
count_items(Verify *v)
{
	for (size_t i = 0; i < v->item_count; i++)
	{
		const VerifyItem *item = &v->items[i];

		v->out->skipped += item->known;
		v->out->unsampled += item->unsampled && !item->known;
		if (!verify_wants(item))
			continue;
		v->out->objects++;
		v->out->bytes += item->size;
		v->out->segments += item->kind == ITEM_WAL &&
							item->wal.kind == WAL_SEGMENT;
	}
}

static void
start_progress(Verify *v)
{
	Progress *progress = v->options->progress;

	count_items(v);
	if (progress == NULL)
		return;
	atomic_store(&progress->total_bytes, v->out->bytes);
	atomic_store(&progress->total_items, v->out->objects);
	atomic_store(&progress->phase, "verifying");
}

bool
verify_open_again(const Verify *v, Repo **out, Error *err)
{
	if (!repo_open_again(v->repo, out, err))
		return false;
	(*out)->storage->reading = v->limit;
	return true;
}

/* A mark that cannot be written takes nothing from what was found. */
static void
mark_backup(Verify *v, const VerifyBackup *b)
{
	Json *content = json_new_object();
	Error problem = ERROR_INIT;

	json_put_bool(content, "ok", b->errors == 0);
	json_put_bool(content, "deep", v->options->deep);
	json_put_int(content, "problems", (int64_t) b->errors);
	if (!mark_add(v->repo, b->backup->info.label, MARK_VERIFIED, content,
				  &problem))
	{
		error_prefix(&problem, "could not mark backup %s as verified",
					 b->backup->info.label);
		log_error_object(LOG_WARNING, &problem);
		error_clear(&problem);
	}
	json_free(content);
}

static bool
check_keys(const Repo *repo, const VerifyOptions *options, Error *err)
{
	const AgeIdentities *ids = repo->options.keys->identities;

	if (!options->deep)
		return true;
	if (repo->encrypted && (ids == NULL || age_identities_count(ids) == 0))
	{
		error_set(err, ERR_KEY, "no identity to decrypt the repository with");
		return error_hint(err, "Set \"identity-file\", or verify without "
							   "--deep, which needs no key.");
	}
	return repo->has_content ||
		   error_set(err, ERR_KEY, "the content key is not known");
}

static bool
run(Verify *v, Error *err)
{
	bool done;

	if (!select_backups(v, err) || !verify_list(v, err) ||
		!verify_choose(v, err))
		return false;
	start_progress(v);
	done = verify_objects(v, err) && verify_backups(v, err) &&
		   verify_wal(v, err);
	/* also when it was stopped: the next run goes on from here */
	verify_note(v, v->repo, true);
	if (!done)
		return false;
	/* a sample proves no backup */
	for (size_t i = 0; v->options->mark && v->options->sample == 0 &&
					   i < v->catalog.backup_count;
		 i++)
	{
		if (v->backups[i].selected)
			mark_backup(v, &v->backups[i]);
	}
	return true;
}

bool
verify_run(Repo *repo, const VerifyOptions *options, VerifyResult *out,
		   Error *err)
{
	Verify v = {.repo = repo, .options = options, .out = out};
	bool ok;

	memset(out, 0, sizeof(*out));
	if (!check_keys(repo, options, err) ||
		!catalog_load(repo, false, &v.catalog, err))
		return false;
	pthread_mutex_init(&v.lock, NULL);
	if (options->rate > 0)
		v.limit = limit_new(options->rate);
	repo->storage->reading = v.limit;
	ok = run(&v, err);
	repo->storage->reading = NULL;
	limit_free(v.limit);
	pthread_mutex_destroy(&v.lock);
	for (size_t i = 0; i < v.item_count; i++)
		free(v.items[i].name);
	free(v.items);
	free(v.proofs.slots);
	free(v.backups);
	catalog_free(&v.catalog);
	return ok;
}
