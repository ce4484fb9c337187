/*-------------------------------------------------------------------------
 *
 * repair_root.c
 *	  A repository whose repo.json is missing or damaged.
 *
 * Without it nothing can be opened, so it comes first.  It is made anew only
 * where objects lie that our own content key authenticates: an empty place is
 * a disk that is not mounted, and other objects are another cluster's.
 *
 *-------------------------------------------------------------------------
 */
#include "job/repair_internal.h"

#include <stdlib.h>
#include <string.h>

#include "repo/object.h"
#include "repo/quarantine.h"

/* How many objects are tried until one is found to be ours. */
#define PROBES 50

typedef struct Probe
{
	Repo repo; /* as another member, but with this store */
	size_t seen;
	bool ours;
} Probe;

static bool
probe_object(void *arg, const StorageEntry *entry, Error *err)
{
	Probe *p = arg;
	ObjectMeta meta = {0};
	Error ignored = ERROR_INIT;

	(void) err;
	if (entry->is_dir || p->ours || p->seen >= PROBES)
		return true;
	p->seen++;
	p->ours = object_stat(&p->repo, entry->name, &meta, &ignored);
	object_meta_free(&meta);
	error_clear(&ignored);
	return true;
}

static bool
holds_our_objects(Probe *p, Error *err)
{
	Storage *st = p->repo.storage;

	if (!storage_list(st, "backup", true, probe_object, p, err))
		return false;
	p->seen = 0;
	if (!p->ours && !storage_list(st, "wal", true, probe_object, p, err))
		return false;
	if (p->ours)
		return true;
	error_set(err, ERR_MISMATCH, "there is no repository in %s", st->where);
	error_detail(err,
				 "It has no intact \"%s\", and no object that the content "
				 "key of this cluster authenticates.",
				 REPO_JSON);
	return error_hint(err, "Check that the store is mounted and that the "
						   "configuration is right; a new repository is "
						   "filled with \"pgdr repo-copy\".");
}

/*
 * What is damaged is put aside.  One that is intact is never touched, whatever
 * keeps the repository from being opened.
 */
static bool
make_root(Repair *r, const RepoMember *m, const Repo *like, Repo *probe,
		  Error *err)
{
	RepoKeys keys = *m->options.keys;
	RepoOptions options = m->options;
	bool exists;

	if (!storage_exists(probe->storage, REPO_JSON, &exists, err))
		return false;
	if (exists && m->why.code != ERR_DAMAGED)
	{
		error_copy(err, &m->why);
		return false;
	}
	if (r->options->dry_run)
		return true;
	if (exists && !quarantine_object(probe, REPO_JSON, err))
		return false;
	/* recipients and identities stay the caller's */
	memcpy(keys.content_key, like->content_key, CONTENT_KEY_LEN);
	keys.has_content_key = true;
	options.keys = &keys;
	return repo_create_again(&options, err);
}

static bool
heal_root(Repair *r, RepoMember *m, Error *err)
{
	const Repo *like = repo_set_any(r->set);
	Probe p = {.seen = 0};
	bool done;

	if (like == NULL || !like->has_content)
	{
		error_copy(err, &m->why);
		return false;
	}
	p.repo = *like;
	p.repo.options = m->options;
	p.repo.storage = NULL;
	done = storage_open(&m->options.storage, &p.repo.storage, err) &&
		   holds_our_objects(&p, err) && make_root(r, m, like, &p.repo, err);
	storage_close(p.repo.storage);
	return done;
}

static bool
may_heal(const Repair *r, size_t member)
{
	const RepoMember *m = &r->set->members[member];

	return m->repo == NULL && repair_is_target(r, member) &&
		   (m->why.code == ERR_CONFIG || m->why.code == ERR_DAMAGED);
}

static void
heal_member(Repair *r, size_t member)
{
	RepoMember *m = &r->set->members[member];
	RepairAction action = {.repository = repo_set_name(r->set, member),
						   .action = "create",
						   .object = REPO_JSON};
	Error why = ERROR_INIT;

	if (!heal_root(r, m, &why))
	{
		repair_problem(r, member, "repository", REPO_JSON, &why);
		return;
	}
	repair_action(r, &action);
	r->out->replaced++;
	if (r->options->dry_run)
		return;
	error_clear(&m->why);
	repo_set_open(r->set, member, &why);
	error_clear(&why);
}

void
repair_roots(Repair *r)
{
	for (size_t i = 0; i < r->set->count; i++)
	{
		RepoMember *m = &r->set->members[i];
		Error why = ERROR_INIT;

		if (may_heal(r, i))
			heal_member(r, i);
		else if (m->repo == NULL && repair_is_target(r, i))
		{
			error_copy(&why, &m->why);
			repair_problem(r, i, "repository", repo_set_name(r->set, i), &why);
		}
	}
}
