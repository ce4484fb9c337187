/*-------------------------------------------------------------------------
 *
 * repo_set.c
 *	  The repositories of one cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/repo_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

void
repo_set_add(RepoSet *set, const RepoOptions *options, bool required)
{
	set->members = mem_grow(set->members, set->count, &set->cap,
							sizeof(RepoMember));
	set->members[set->count++] = (RepoMember){.options = *options,
											  .required = required};
}

void
repo_set_borrow(RepoSet *set, Repo *repo)
{
	repo_set_add(set, &repo->options, true);
	set->members[set->count - 1].repo = repo;
	set->members[set->count - 1].borrowed = true;
}

void
repo_set_free(RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (!set->members[i].borrowed)
			repo_close(set->members[i].repo);
		error_clear(&set->members[i].why);
	}
	free(set->members);
	*set = (RepoSet){0};
}

const char *
repo_set_name(const RepoSet *set, size_t member)
{
	return set->members[member].options.storage.repo;
}

/* ---- opening ---- */

/*
 * What two repositories of one cluster must have in common, and what must
 * differ: under two names one repository would count twice for a quorum.
 */
static bool
fits(const RepoSet *set, const RepoMember *m, Error *err)
{
	for (size_t i = 0; i < set->count; i++)
	{
		const RepoMember *other = &set->members[i];

		if (other == m || other->repo == NULL)
			continue;
		if (m->repo->id[0] != '\0' && strcmp(other->repo->id, m->repo->id) == 0)
		{
			error_set(err, ERR_CONFIG,
					  "\"%s\" and \"%s\" are one and the same repository",
					  other->options.storage.repo, m->options.storage.repo);
			return error_hint(err, "Each repository must be in a place of "
								   "its own.");
		}
		if (m->repo->has_content && other->repo->has_content &&
			memcmp(m->repo->content_key, other->repo->content_key,
				   CONTENT_KEY_LEN) != 0)
		{
			error_set(err, ERR_MISMATCH,
					  "repositories \"%s\" and \"%s\" have different content "
					  "keys",
					  other->options.storage.repo, m->options.storage.repo);
			return error_hint(err, "Make one of them anew, with \"pgdr "
								   "repo-init\" or \"pgdr repo-copy\".");
		}
	}
	return true;
}

static void
check_fit(RepoSet *set, RepoMember *m)
{
	if (m->repo == NULL || m->borrowed || fits(set, m, &m->why))
		return;
	repo_close(m->repo);
	m->repo = NULL;
}

Repo *
repo_set_open(RepoSet *set, size_t member, Error *err)
{
	RepoMember *m = &set->members[member];

	if (m->repo == NULL && !error_is_set(&m->why) &&
		repo_open(&m->options, &m->repo, &m->why))
		check_fit(set, m);
	if (m->repo == NULL)
		error_copy(err, &m->why);
	return m->repo;
}

static bool
open_one(void *arg, int worker_no, Error *err)
{
	RepoSet *set = arg;
	RepoMember *m = &set->members[worker_no];

	(void) err;
	if (m->repo == NULL && !error_is_set(&m->why))
		repo_open(&m->options, &m->repo, &m->why);
	return true;
}

void
repo_set_open_all(RepoSet *set)
{
	Error err = ERROR_INIT;
	bool *opened = mem_zalloc((set->count + 1) * sizeof(bool));

	for (size_t i = 0; i < set->count; i++)
		opened[i] = set->members[i].repo != NULL;
	/* no thread could be started: one after the other then */
	if (!thread_run((int) set->count, open_one, set, &err))
		error_clear(&err);
	for (size_t i = 0; i < set->count; i++)
	{
		if (!opened[i] && set->members[i].repo != NULL)
			check_fit(set, &set->members[i]);
		else if (!opened[i])
			repo_set_open(set, i, &err);
		error_clear(&err);
	}
	free(opened);
}

const Repo *
repo_set_any(const RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (set->members[i].repo != NULL)
			return set->members[i].repo;
	}
	return NULL;
}

void
repo_set_forget(RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (set->members[i].repo == NULL)
			error_clear(&set->members[i].why);
	}
}

void
repo_set_close(RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
	{
		RepoMember *m = &set->members[i];

		if (m->borrowed)
			continue;
		repo_close(m->repo);
		m->repo = NULL;
		error_clear(&m->why);
	}
}

/* Directories are near, and cost nothing to read. */
static bool
is_near(const RepoSet *set, size_t member)
{
	return strcmp(set->members[member].options.storage.type, "posix") == 0;
}

size_t
repo_set_nth(const RepoSet *set, size_t n)
{
	for (int near = 1; near >= 0; near--)
	{
		for (size_t i = 0; i < set->count; i++)
		{
			if (is_near(set, i) == (near == 1) && n-- == 0)
				return i;
		}
	}
	return 0;
}

/* ---- the verdict ---- */

size_t
repo_set_needed(const RepoSet *set)
{
	return set->quorum > 0 ? set->quorum : 1;
}

static void
name_cause(const RepoSet *set, size_t member, Error *err)
{
	const Error *why = &set->members[member].why;

	error_detail(err, "Repository \"%s\": %s.", repo_set_name(set, member),
				 why->message);
	if (why->detail != NULL)
		error_detail(err, "%s", why->detail);
}

/* The first cause that counts leads, the others are named behind it. */
static bool
explain(const RepoSet *set, size_t first, size_t done, Error *err)
{
	const RepoMember *lead = &set->members[first];
	Error all = ERROR_INIT;

	if (lead->required)
		error_set(&all, lead->why.code, "repository \"%s\": %s",
				  repo_set_name(set, first), lead->why.message);
	else
		error_set(&all, lead->why.code,
				  "%zu of %zu repositories have it, at least %zu must", done,
				  set->count, repo_set_needed(set));
	if (lead->required && lead->why.detail != NULL)
		error_detail(&all, "%s", lead->why.detail);
	all.transient = lead->why.transient;
	for (size_t i = 0; i < set->count; i++)
	{
		if (error_is_set(&set->members[i].why) &&
			!(lead->required && i == first))
			name_cause(set, i, &all);
	}
	if (lead->why.hint != NULL)
		error_hint(&all, "%s", lead->why.hint);
	error_move(err, &all);
	return false;
}

bool
repo_set_verdict(const RepoSet *set, Error *err)
{
	size_t done = 0;
	size_t first = set->count; /* that failed, a required one if any */

	for (size_t i = 0; i < set->count; i++)
	{
		const RepoMember *m = &set->members[i];

		if (!error_is_set(&m->why))
			done++;
		else if (first == set->count ||
				 (m->required && !set->members[first].required))
			first = i;
	}
	if (first == set->count ||
		(!set->members[first].required && done >= repo_set_needed(set)))
		return true;
	if (set->count > 1)
		return explain(set, first, done, err);
	error_copy(err, &set->members[0].why);
	return false;
}

void
repo_set_warn(const RepoSet *set, const char *what)
{
	for (size_t i = 0; i < set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!error_is_set(&set->members[i].why))
			continue;
		error_copy(&why, &set->members[i].why);
		error_prefix(&why, "repository \"%s\" has not got %s",
					 repo_set_name(set, i), what);
		if (set->count > 1)
			error_hint(&why, "\"pgdr repair\" brings what it missed.");
		log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
}

/* ---- writing to all ---- */

static bool
takes_part(const RepoSet *set, const bool *take, size_t member)
{
	const RepoMember *m = &set->members[member];

	return m->repo != NULL && !error_is_set(&m->why) &&
		   (take == NULL || take[member]);
}

static FanoutGroup *
make_group(RepoSet *set, const bool *take, bool strict)
{
	FanoutGroup *group = fanout_group_new(strict);
	Error none = ERROR_INIT;

	for (size_t i = 0; i < set->count; i++)
	{
		fanout_group_add(group, &set->members[i].options.storage);
		if (!takes_part(set, take, i))
			fanout_group_drop(group, i, &none);
	}
	return group;
}

/* The first member's repository, but with a Storage that leads to all. */
static Repo *
make_repo(RepoSet *set, const Repo *first, FanoutGroup *group)
{
	Storage **opened = mem_zalloc(set->count * sizeof(*opened));
	Repo *repo = mem_alloc(sizeof(*repo));

	for (size_t i = 0; i < set->count; i++)
	{
		if (fanout_group_is_live(group, i))
			opened[i] = set->members[i].repo->storage;
	}
	*repo = *first;
	repo->options.storage = (StorageOptions){
		.repo = "all", .type = storage_fanout.type, .path = "", .group = group};
	fanout_wrap(group, opened, &repo->storage);
	free(opened);
	return repo;
}

void
repo_set_fan_out(RepoSet *set, const bool *take, bool strict,
				 FanoutGroup **group, Repo **out)
{
	size_t count = 0;

	*group = NULL;
	*out = NULL;
	for (size_t i = 0; i < set->count; i++)
	{
		if (!takes_part(set, take, i))
			continue;
		count++;
		if (*out == NULL)
			*out = set->members[i].repo;
	}
	if (count <= 1)
		return;
	*group = make_group(set, take, strict);
	*out = make_repo(set, *out, *group);
}

void
repo_set_fan_in(RepoSet *set, FanoutGroup *group, Repo *out)
{
	if (group == NULL)
		return;
	repo_close(out);
	for (size_t i = 0; i < set->count; i++)
	{
		Error why = ERROR_INIT;

		fanout_group_take_why(group, i, &why);
		error_move(&set->members[i].why, &why);
	}
	fanout_group_free(group);
}
