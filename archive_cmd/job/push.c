/*-------------------------------------------------------------------------
 *
 * push.c
 *	  Puts one WAL file into the repositories, as archive_command.
 *
 * First each repository is asked whether it has the file; then those that lack
 * it get it, all in one pass.  A repository that fails keeps the others from
 * nothing: whatever is stored needs not be stored again by the next attempt.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "job/push_existing.h"
#include "job/push_lineage.h"
#include "repo/object.h"

/* One member of the set, by the thread that looks at it. */
typedef struct Target
{
	bool lacks;
	bool already;
	bool secret; /* the store does not let us look at what it holds */
	bool superseded;
	PushStored found; /* if already */
} Target;

typedef struct Push
{
	/* fixed */
	RepoSet *set;
	PushSource *source;
	const PgControl *control;
	WalHome home;
	char *object;
	Target *targets;

	/* of the caller's thread */
	PushStored stored;
} Push;

static PushRecord
record_of(const Push *p, size_t member)
{
	return (PushRecord){.spool = p->set->spool,
						.repo = repo_set_name(p->set, member),
						.home = p->home,
						.name = p->source->name};
}

/* ---- what is there ---- */

static bool
accept(const Push *p, size_t member, Error *err)
{
	PushRecord record = record_of(p, member);
	Target *t = &p->targets[member];

	t->found.object = p->object;
	t->already = push_accept_existing(p->set->members[member].repo, p->source,
									  &record, &t->found, err);
	return t->already;
}

static bool
exists(Storage *st, const char *name, bool *out, bool *secret, Error *err)
{
	Error why = ERROR_INIT;

	*out = storage_stat(st, name, NULL, NULL, &why);
	*secret = why.code == ERR_DENIED;
	if (*out || why.code == ERR_NOT_FOUND)
	{
		error_clear(&why);
		return true;
	}
	error_clear(&why);
	return storage_exists(st, name, out, err);
}

static bool
look(Push *p, size_t member, Error *err)
{
	Repo *repo = p->set->members[member].repo;
	Target *t = &p->targets[member];
	bool there;

	if (push_source_is_wal(p->source) &&
		!push_check_lineage(repo, &p->home, p->source->name.timeline,
							push_segment_lsn(p->source), err))
	{
		t->superseded = err->code == ERR_MISMATCH;
		return false;
	}
	if (!exists(repo->storage, p->object, &there, &t->secret, err))
		return false;
	t->lacks = !there;
	return !there || accept(p, member, err);
}

static bool
look_at_one(void *arg, int worker_no, Error *err)
{
	Push *p = arg;
	RepoMember *m = &p->set->members[worker_no];

	(void) err;
	if (m->repo != NULL && !error_is_set(&m->why))
		look(p, (size_t) worker_no, &m->why);
	return true;
}

/*
 * What is wrong with the file itself, and not with a repository: whoever
 * knows that another server writes, too, no matter which of them, is right.
 * Of two files under one name a quorum would else take both.
 */
static bool
check_rivals(const Push *p, Error *err)
{
	for (size_t i = 0; i < p->set->count; i++)
	{
		if (!p->targets[i].superseded && !p->targets[i].found.other)
			continue;
		error_copy(err, &p->set->members[i].why);
		return false;
	}
	return true;
}

/* ---- storing it ---- */

/*
 * Is what was stored just now kept from us?  That it was absent before, a
 * store says also to those whom it would not let read it.
 */
static bool
is_secret(const Push *p, size_t member, const PushRecord *record)
{
	ObjectMeta meta = {0};
	Error why = ERROR_INIT;
	bool secret;

	if (p->targets[member].secret || !push_record_may_be_needed(record))
		return p->targets[member].secret;
	secret = !object_stat(p->set->members[member].repo, p->object, &meta, &why);
	if (!secret)
		push_record_not_needed(record);
	object_meta_free(&meta);
	error_clear(&why);
	return secret;
}

/* Only ERR_EXISTS from the commit is proof against another pusher. */
static void
judge_one(Push *p, size_t member, FanoutResult result)
{
	Error *why = &p->set->members[member].why;
	PushRecord record = record_of(p, member);

	if (result == FANOUT_EXISTS)
		accept(p, member, why);
	else if (result == FANOUT_STORED && is_secret(p, member, &record))
		push_record_write(&record, p->stored.plain_size, p->stored.content);
}

static void
judge(Push *p, const bool *take, const FanoutResult *results, const Error *why)
{
	for (size_t i = 0; i < p->set->count; i++)
	{
		if (!take[i])
			continue;
		if (results[i] == FANOUT_STORED || results[i] == FANOUT_EXISTS)
			judge_one(p, i, results[i]);
		else if (!error_is_set(&p->set->members[i].why))
			error_copy(&p->set->members[i].why, why);
		/* without a why a member counts as one that has the file */
		if (results[i] != FANOUT_STORED && results[i] != FANOUT_EXISTS &&
			!error_is_set(&p->set->members[i].why))
			error_set(&p->set->members[i].why, ERR_INTERNAL,
					  "it is not known why \"%s\" was not stored",
					  p->source->file);
	}
}

/* False if the file could not be read; all else is in the members' whys. */
static bool
store(Push *p, const bool *take, Error *err)
{
	size_t count = p->set->count;
	FanoutResult *results = mem_zalloc(count * sizeof(*results));
	FanoutGroup *group;
	Error why = ERROR_INIT;
	Repo *to;
	bool done;

	repo_set_fan_out(p->set, take, false, &group, &to);
	done = push_store(to, p->source, p->control, &p->stored, &why);
	for (size_t i = 0; i < count && !p->stored.unreadable; i++)
	{
		if (!take[i])
			continue;
		if (group != NULL)
			results[i] = done || why.code == ERR_EXISTS
							 ? fanout_result(to->storage, i)
							 : FANOUT_FAILED;
		else if (done)
			results[i] = FANOUT_STORED;
		else
			results[i] = why.code == ERR_EXISTS ? FANOUT_EXISTS : FANOUT_FAILED;
	}
	repo_set_fan_in(p->set, group, to);
	if (p->stored.unreadable)
		error_move(err, &why);
	else
		judge(p, take, results, &why);
	error_clear(&why);
	free(results);
	return !p->stored.unreadable;
}

static bool
store_where_lacking(Push *p, Error *err)
{
	bool *take = mem_zalloc(p->set->count * sizeof(bool));
	bool any = false;
	bool done = true;

	for (size_t i = 0; i < p->set->count; i++)
	{
		take[i] = p->targets[i].lacks && !error_is_set(&p->set->members[i].why);
		any |= take[i];
	}
	if (any)
		done = store(p, take, err);
	free(take);
	return done;
}

/* ---- the whole ---- */

static void
tell(const Push *p, PushResult *out)
{
	const PushStored *stored = &p->stored;

	out->already = true;
	for (size_t i = 0; i < p->set->count; i++)
	{
		const Target *t = &p->targets[i];

		if (t->already && stored->plain_size == 0)
			stored = &t->found;
		out->already &= t->already || error_is_set(&p->set->members[i].why);
	}
	out->plain_size = stored->plain_size;
	out->stored_size = stored->stored_size;
}

static bool
run(Push *p, PushResult *out, Error *err)
{
	RepoSet *set = p->set;

	repo_set_open_all(set);
	if (!thread_run((int) set->count, look_at_one, p, err) ||
		!check_rivals(p, err) || !store_where_lacking(p, err) ||
		!check_rivals(p, err) || !repo_set_verdict(set, err))
		return false;
	tell(p, out);
	repo_set_warn(set, p->source->file);
	return true;
}

bool
push_run(RepoSet *set, const PushJob *job, PushResult *out, Error *err)
{
	const PgControl *control = job->control;
	PushSource source;
	Push p = {.set = set,
			  .source = &source,
			  .control = control,
			  .home = {.sysid = control->sysid, .major = control->major}};
	bool done;

	*out = (PushResult){.already = false};
	p.targets = mem_zalloc((set->count + 1) * sizeof(Target));
	done = push_source_open(job->path, control, &source, err);
	if (done)
	{
		source.gate = job->gate;
		source.threads = job->threads;
		memcpy(out->name, source.file, sizeof(out->name));
		out->source = source.before;
		p.object = repo_wal_name(&p.home, &source.name);
		p.stored.object = p.object;
		done = run(&p, out, err);
	}
	push_source_close(&source);
	free(p.object);
	free(p.targets);
	if (!done)
		error_prefix(err, "could not archive \"%s\"", job->path);
	return done;
}

bool
push_file(RepoSet *set, const char *path, const PgControl *control,
		  PushResult *out, Error *err)
{
	const PushJob job = {.path = path, .control = control};

	return push_run(set, &job, out, err);
}
