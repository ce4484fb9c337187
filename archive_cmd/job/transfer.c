/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  Copies objects between the repositories of a set.
 *
 * Manifests come in a second round, when all else of their backup is there.
 * Meanwhile a lease keeps expiry away from what has no manifest yet.
 *
 *-------------------------------------------------------------------------
 */
#include "job/transfer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/lease.h"
#include "repo/object.h"
#include "repo/quarantine.h"

typedef struct Running
{
	/* fixed */
	TransferPlan *plan;
	bool last; /* the round of the manifests */

	/* mutable, under lock */
	pthread_mutex_t lock;
	pthread_cond_t over;
	size_t next;
	int working; /* workers that have not ended */
	bool *down;  /* by member: it takes nothing any more */
	const Transfer **failed;
	size_t failed_count;
	size_t failed_cap;
} Running;

typedef struct TransferWorker
{
	Running *running;
	Repo **repos; /* by member, opened when they are needed */
} TransferWorker;

/* ---- the plan ---- */

Transfer *
transfer_add(TransferPlan *plan, TransferKind kind, size_t target,
			 const char *name)
{
	Transfer *t = mem_zalloc(sizeof(*t));

	t->kind = kind;
	t->name = mem_strdup(name);
	t->target = target;
	plan->items = mem_grow(plan->items, plan->count, &plan->cap,
						   sizeof(Transfer *));
	plan->items[plan->count++] = t;
	return t;
}

TransferBackup *
transfer_backup(TransferPlan *plan, const char *label, size_t target)
{
	TransferBackup *b;

	for (size_t i = 0; i < plan->backup_count; i++)
	{
		b = plan->backups[i];
		if (b->target == target && strcmp(b->label, label) == 0)
			return b;
	}
	b = mem_zalloc(sizeof(*b));
	b->label = mem_strdup(label);
	b->target = target;
	b->sources = mem_zalloc((plan->set->count + 1) * sizeof(bool));
	plan->backups = mem_grow(plan->backups, plan->backup_count,
							 &plan->backup_cap, sizeof(TransferBackup *));
	plan->backups[plan->backup_count++] = b;
	return b;
}

void
transfer_plan_free(TransferPlan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		free(plan->items[i]->name);
		free(plan->items[i]);
	}
	for (size_t i = 0; i < plan->backup_count; i++)
	{
		free(plan->backups[i]->label);
		free(plan->backups[i]->sources);
		free(plan->backups[i]);
	}
	free(plan->items);
	free(plan->backups);
	*plan = (TransferPlan){0};
}

/* ---- one object ---- */

static Repo *
repo_of(TransferWorker *w, size_t member, Error *err)
{
	const RepoMember *m = &w->running->plan->set->members[member];

	if (m->repo == NULL)
		error_copy(err, &m->why);
	else if (w->repos[member] == NULL)
		repo_open_again(m->repo, &w->repos[member], err);
	return w->repos[member];
}

/* May this member have it, and intact? */
static bool
is_source(const TransferPlan *plan, const Transfer *t, size_t member)
{
	const InventoryItem *item;

	if (member == t->target || plan->set->members[member].repo == NULL ||
		(t->backup != NULL && !t->backup->sources[member]))
		return false;
	item = inventory_find(&plan->inventories[member], t->name);
	return item != NULL && item->state != ITEM_DAMAGED &&
		   item->state != ITEM_UNREADABLE &&
		   (item->state != ITEM_CLOSED || t->kind == TRANSFER_COPY);
}

static bool
no_source(const Transfer *t, Error *err)
{
	return error_set(err, ERR_NOT_FOUND,
					 "no other repository has \"%s\" intact", t->name);
}

/*
 * A damaged object is put aside only when another one is known to be sound:
 * else we would have even less than before.
 */
static bool
find_sound(TransferWorker *w, const Transfer *t, Error *err)
{
	const TransferPlan *plan = w->running->plan;

	for (size_t n = 0; n < plan->set->count; n++)
	{
		size_t i = repo_set_nth(plan->set, n);
		Error why = ERROR_INIT;
		bool opens;
		Repo *from;

		if (!is_source(plan, t, i))
			continue;
		if (inventory_find(&plan->inventories[i], t->name)->state == ITEM_SOUND)
			return true;
		from = repo_of(w, i, &why);
		if (from != NULL && object_check_opens(from, t->name, &opens, &why) &&
			opens)
			return true;
		error_move(err, &why);
	}
	return error_is_set(err) ? false : no_source(t, err);
}

/*
 * *at_target: the error is that of the repository that is written to.  That
 * somebody else has brought the object meanwhile is as good.
 */
static bool
copy_from_any(TransferWorker *w, const Transfer *t, Repo *to,
			  const char **source, bool *at_target, Error *err)
{
	const RepoSet *set = w->running->plan->set;

	*at_target = false;
	for (size_t n = 0; n < set->count && !*at_target; n++)
	{
		size_t i = repo_set_nth(set, n);
		Error why = ERROR_INIT;
		bool from_source = true;
		Repo *from;

		if (!thread_check_stop(err))
			return false;
		if (!is_source(w->running->plan, t, i))
			continue;
		from = repo_of(w, i, &why);
		*source = repo_set_name(set, i);
		if (from != NULL &&
			(object_copy(from, to, t->name, &from_source, &why) ||
			 why.code == ERR_EXISTS))
		{
			error_clear(&why);
			error_clear(err);
			return true;
		}
		*at_target = !from_source;
		error_move(err, &why);
	}
	*source = NULL;
	return error_is_set(err) ? false : no_source(t, err);
}

/*
 * Between the look at all objects and now another repair may have healed it;
 * or it was only misread, on its way to us.  Then it is not to be touched.
 */
static bool
is_sound_after_all(Repo *to, const Transfer *t, bool *sound, Error *err)
{
	Error why = ERROR_INIT;

	*sound = object_check_opens(to, t->name, sound, &why) && *sound;
	if (why.code == ERR_DAMAGED || why.code == ERR_MISMATCH)
		error_clear(&why);
	error_move(err, &why);
	return !error_is_set(err);
}

static bool
put_aside(Repo *to, const Transfer *t, bool *sound, Error *err)
{
	if (!is_sound_after_all(to, t, sound, err))
		return false;
	return *sound || quarantine_object(to, t->name, err);
}

static bool
transfer(TransferWorker *w, const Transfer *t, const char **source,
		 bool *at_target, Error *err)
{
	Repo *to = repo_of(w, t->target, err);
	bool sound = false;

	*source = NULL;
	*at_target = true;
	if (to == NULL)
		return false;
	if (t->kind == TRANSFER_REPLACE && !find_sound(w, t, err))
	{
		*at_target = false;
		return false;
	}
	if (t->kind != TRANSFER_COPY && !put_aside(to, t, &sound, err))
		return false;
	return sound || t->kind == TRANSFER_QUARANTINE ||
		   copy_from_any(w, t, to, source, at_target, err);
}

/* ---- all of them ---- */

static bool
is_fatal(const Error *why)
{
	return why->code == ERR_FULL || why->code == ERR_DENIED ||
		   why->code == ERR_TIMEOUT || why->code == ERR_IO;
}

static void
finish(Running *r, Transfer *t, const char *source, bool at_target, Error *why)
{
	TransferPlan *plan = r->plan;
	TransferReport report = {
		.transfer = t, .source = source, .why = error_is_set(why) ? why : NULL};

	pthread_mutex_lock(&r->lock);
	t->done = report.why == NULL;
	if (!t->done && t->backup != NULL && !t->optional)
		t->backup->failed++;
	if (!t->done && !t->optional && !t->last)
	{
		r->failed = mem_grow(r->failed, r->failed_count, &r->failed_cap,
							 sizeof(*r->failed));
		r->failed[r->failed_count++] = t;
	}
	if (!t->done && at_target && is_fatal(why))
		r->down[t->target] = true;
	plan->report(plan->arg, &report);
	pthread_mutex_unlock(&r->lock);
	if (plan->progress != NULL)
	{
		atomic_fetch_add(&plan->progress->done_bytes, t->size);
		atomic_fetch_add(&plan->progress->done_items, 1);
	}
}

/* Packs of another backup that did not get there, and that this one needs. */
static size_t
count_missed(const Running *r, const TransferBackup *b)
{
	size_t count = 0;

	for (size_t i = 0; b->info != NULL && i < r->failed_count; i++)
	{
		const Transfer *t = r->failed[i];
		uint32_t pack = inventory_pack(t->name);
		char *label = pack > 0 ? inventory_label(t->name) : NULL;

		count += label != NULL && t->target == b->target &&
				 backup_info_references(b->info, label, pack);
		free(label);
	}
	return count;
}

/*
 * The next of this round.  What has become pointless fails without being
 * tried: *why is set.
 */
static Transfer *
take(Running *r, Error *why)
{
	TransferPlan *plan = r->plan;
	Transfer *t = NULL;

	pthread_mutex_lock(&r->lock);
	while (t == NULL && r->next < plan->count)
	{
		t = plan->items[r->next++];
		if (t->last != r->last)
			t = NULL;
	}
	if (t != NULL && r->down[t->target])
		error_set(why, ERR_IO, "repository \"%s\" takes nothing any more",
				  repo_set_name(plan->set, t->target));
	else if (t != NULL && t->last)
	{
		size_t missed = t->backup->failed + count_missed(r, t->backup);

		if (missed > 0)
			error_set(why, ERR_INCOMPLETE,
					  "%zu objects of backup %s could not be brought there",
					  missed, t->backup->label);
	}
	pthread_mutex_unlock(&r->lock);
	return t;
}

/* Once it has run out, what was copied may have been collected. */
static bool
renew_before_last(TransferWorker *w, const Transfer *t, Error *err)
{
	Repo *to;

	if (!t->last || !t->backup->unfinished)
		return true;
	to = repo_of(w, t->target, err);
	return to != NULL && lease_renew(to, t->backup->label, NULL, err);
}

/* The same afterwards: this process may have been suspended in between. */
static bool
confirm_last(TransferWorker *w, const Transfer *t, Error *err)
{
	Repo *to;

	if (!t->last || !t->backup->unfinished)
		return true;
	to = repo_of(w, t->target, err);
	return to != NULL && lease_confirm(to, t->backup->label, err);
}

static bool
work_off(TransferWorker *w, Error *err)
{
	for (;;)
	{
		Error why = ERROR_INIT;
		Transfer *t = take(w->running, &why);
		const char *source = NULL;
		bool at_target = false;

		if (t == NULL)
			return true;
		if (!error_is_set(&why) && renew_before_last(w, t, &why) &&
			transfer(w, t, &source, &at_target, &why))
			confirm_last(w, t, &why);
		if (why.code == ERR_CANCELED)
		{
			error_move(err, &why);
			return false;
		}
		finish(w->running, t, source, at_target, &why);
		error_clear(&why);
		if (!thread_check_stop(err))
			return false;
	}
}

/* ---- leases ---- */

static void
renew(Running *r, TransferWorker *w)
{
	for (size_t i = 0; i < r->plan->backup_count; i++)
	{
		const TransferBackup *b = r->plan->backups[i];
		Error why = ERROR_INIT;
		Repo *to;

		if (!b->unfinished)
			continue;
		to = repo_of(w, b->target, &why);
		if (to == NULL || !lease_renew(to, b->label, NULL, &why))
			log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
}

/* Until the last worker has ended, or some could not even be started. */
static void
keep_leases(TransferWorker *w)
{
	Running *r = w->running;
	int64_t renewed = clock_monotonic();

	pthread_mutex_lock(&r->lock);
	while (r->working > 0 && !thread_should_stop())
	{
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		pthread_cond_timedwait(&r->over, &r->lock, &until);
		if (clock_monotonic() - renewed < LEASE_RENEW_USECS)
			continue;
		pthread_mutex_unlock(&r->lock);
		renew(r, w);
		renewed = clock_monotonic();
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
}

/*
 * What interrupted runs left there may be as old as it likes: from now on it
 * is in work.
 */
static void
begin_leases(TransferPlan *plan)
{
	for (size_t i = 0; i < plan->backup_count; i++)
	{
		TransferBackup *b = plan->backups[i];
		Error why = ERROR_INIT;

		if (!b->unfinished ||
			lease_begin(plan->set->members[b->target].repo, b->label, &why))
			continue;
		error_prefix(&why, "could not begin with backup %s", b->label);
		log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
}

/* ---- the whole ---- */

static int
compare_transfers(const void *a, const void *b)
{
	const Transfer *x = *(Transfer *const *) a;
	const Transfer *y = *(Transfer *const *) b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A pack that several backups need comes once. */
static void
drop_twins(TransferPlan *plan)
{
	size_t kept = 0;

	if (plan->count > 1)
		qsort(plan->items, plan->count, sizeof(*plan->items),
			  compare_transfers);
	for (size_t i = 0; i < plan->count; i++)
	{
		Transfer *t = plan->items[i];

		if (kept > 0 && compare_transfers(&plan->items[kept - 1], &t) == 0)
		{
			free(t->name);
			free(t);
			continue;
		}
		plan->items[kept++] = t;
	}
	plan->count = kept;
}

static bool
run_worker(void *arg, int worker_no, Error *err)
{
	Running *r = arg;
	TransferWorker w = {.running = r};
	bool done = true;

	w.repos = mem_zalloc(r->plan->set->count * sizeof(Repo *));
	if (worker_no == 0)
		keep_leases(&w);
	else
	{
		done = work_off(&w, err);
		pthread_mutex_lock(&r->lock);
		r->working--;
		pthread_cond_signal(&r->over);
		pthread_mutex_unlock(&r->lock);
	}
	for (size_t i = 0; i < r->plan->set->count; i++)
		repo_close(w.repos[i]);
	free(w.repos);
	return done;
}

static bool
run_round(Running *r, bool last, Error *err)
{
	int workers = r->plan->workers;

	r->last = last;
	r->next = 0;
	r->working = workers;
	return thread_run(workers + 1, run_worker, r, err);
}

bool
transfer_run(TransferPlan *plan, Error *err)
{
	Running r = {.plan = plan,
				 .lock = PTHREAD_MUTEX_INITIALIZER,
				 .over = PTHREAD_COND_INITIALIZER};
	bool done;

	if (plan->count == 0)
		return true;
	drop_twins(plan);
	r.down = mem_zalloc(plan->set->count * sizeof(bool));
	if (plan->progress != NULL)
	{
		for (size_t i = 0; i < plan->count; i++)
			atomic_fetch_add(&plan->progress->total_bytes,
							 plan->items[i]->size);
		atomic_fetch_add(&plan->progress->total_items, plan->count);
	}
	begin_leases(plan);
	done = run_round(&r, false, err) && run_round(&r, true, err);
	pthread_cond_destroy(&r.over);
	pthread_mutex_destroy(&r.lock);
	free(r.failed);
	free(r.down);
	return done;
}
