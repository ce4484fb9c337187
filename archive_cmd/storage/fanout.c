/*-------------------------------------------------------------------------
 *
 * fanout.c
 *	  Writes once, to several stores at a time: the driver.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/fanout_internal.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- connections ---- */

static char *
names_of(const FanoutGroup *group)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "repositories ");
	for (size_t i = 0; i < fanout_group_count(group); i++)
		strbuf_printf(&sb, "%s\"%s\"", i > 0 ? ", " : "",
					  fanout_group_options(group, i)->repo);
	return strbuf_steal(&sb);
}

static Fanout *
fanout_new(FanoutGroup *group)
{
	Fanout *f = mem_zalloc(sizeof(*f));

	f->base.driver = &storage_fanout;
	f->base.where = names_of(group);
	f->group = group;
	f->count = fanout_group_count(group);
	f->lanes = mem_zalloc((f->count + 1) * sizeof(Lane));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->work, NULL);
	pthread_cond_init(&f->idle, NULL);
	for (size_t i = 0; i < f->count; i++)
	{
		f->lanes[i].fanout = f;
		f->lanes[i].member = i;
	}
	return f;
}

void
fanout_wrap(FanoutGroup *group, Storage *const *opened, Storage **out)
{
	Fanout *f = fanout_new(group);

	for (size_t i = 0; i < f->count; i++)
	{
		f->lanes[i].st = opened[i];
		f->lanes[i].borrowed = true;
	}
	*out = &f->base;
}

static void
fanout_close(Storage *st)
{
	Fanout *f = (Fanout *) st;

	fanout_end(f);
	for (size_t i = 0; i < f->count; i++)
	{
		if (!f->lanes[i].borrowed)
			storage_close(f->lanes[i].st);
	}
	pthread_cond_destroy(&f->idle);
	pthread_cond_destroy(&f->work);
	pthread_mutex_destroy(&f->lock);
	free(f->lanes);
	free(f->base.where);
	free(f);
}

static bool
fanout_open(const StorageOptions *options, Storage **out, Error *err)
{
	Fanout *f = fanout_new(options->group);

	for (size_t i = 0; i < f->count; i++)
	{
		Error why = ERROR_INIT;

		if (fanout_group_is_live(f->group, i) &&
			!storage_open(fanout_group_options(f->group, i), &f->lanes[i].st,
						  &why))
			fanout_group_drop(f->group, i, &why);
	}
	if (fanout_group_live(f->group) == 0)
	{
		fanout_group_error(f->group, err);
		fanout_close(&f->base);
		return false;
	}
	*out = &f->base;
	return true;
}

FanoutResult
fanout_result(const Storage *st, size_t member)
{
	return ((const Fanout *) st)->lanes[member].result;
}

/* ---- what goes to one ---- */

static Storage *
first_of(Fanout *f, Error *err)
{
	for (size_t i = 0; i < f->count; i++)
	{
		if (f->lanes[i].st != NULL && fanout_group_is_live(f->group, i))
			return f->lanes[i].st;
	}
	fanout_group_error(f->group, err);
	return NULL;
}

static bool
fanout_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
			void *arg, Error *err)
{
	Storage *first = first_of((Fanout *) st, err);

	return first != NULL &&
		   first->driver->list(first, prefix, recursive, fn, arg, err);
}

static bool
fanout_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
			Error *err)
{
	Storage *first = first_of((Fanout *) st, err);

	return first != NULL && first->driver->stat(first, name, size, mtime, err);
}

/* The reader that this gives is the member's own: its driver reads it. */
static bool
fanout_read_open(Storage *st, const char *name, uint64_t offset,
				 uint64_t length, StorageReader **out, Error *err)
{
	Storage *first = first_of((Fanout *) st, err);

	return first != NULL &&
		   first->driver->read_open(first, name, offset, length, out, err);
}

static bool
fanout_read(StorageReader *r, void *buf, size_t cap, size_t *got, Error *err)
{
	return r->driver->read(r, buf, cap, got, err);
}

static void
fanout_read_close(StorageReader *r)
{
	if (r != NULL)
		r->driver->read_close(r);
}

/* ---- what goes to all ---- */

typedef struct AllCall
{
	const char *name;
	int64_t age;
	pthread_mutex_t lock; /* of what follows */
	uint64_t removed;
	size_t done;
	size_t missed; /* ERR_NOT_FOUND */
} AllCall;

static void
take_answer(Lane *lane, AllCall *call, bool done, Error *why)
{
	bool missed = !done && why->code == ERR_NOT_FOUND;

	pthread_mutex_lock(&call->lock);
	call->done += done;
	call->missed += missed;
	pthread_mutex_unlock(&call->lock);
	if (!done && !missed)
		fanout_group_drop(lane->fanout->group, lane->member, why);
	error_clear(why);
}

static void
lane_remove(Lane *lane, void *arg)
{
	AllCall *call = arg;
	Error why = ERROR_INIT;
	bool done = storage_remove(lane->st, call->name, &why);

	take_answer(lane, call, done, &why);
}

static void
lane_settle(Lane *lane, void *arg)
{
	AllCall *call = arg;
	Error why = ERROR_INIT;
	bool done = storage_settle(lane->st, call->name, &why);

	take_answer(lane, call, done, &why);
}

static void
lane_sweep(Lane *lane, void *arg)
{
	AllCall *call = arg;
	Error why = ERROR_INIT;
	uint64_t removed = 0;
	bool done = storage_sweep(lane->st, call->age, &removed, &why);

	pthread_mutex_lock(&call->lock);
	call->removed += removed;
	pthread_mutex_unlock(&call->lock);
	take_answer(lane, call, done, &why);
}

static bool
call_all(Storage *st, LaneFn fn, AllCall *call, Error *err)
{
	Fanout *f = (Fanout *) st;

	pthread_mutex_init(&call->lock, NULL);
	fanout_run(f, fn, call);
	pthread_mutex_destroy(&call->lock);
	if (call->done > 0)
		return true;
	if (call->missed > 0)
		return error_set(err, ERR_NOT_FOUND, "object does not exist");
	return fanout_group_error(f->group, err);
}

static bool
fanout_remove(Storage *st, const char *name, Error *err)
{
	AllCall call = {.name = name};

	return call_all(st, lane_remove, &call, err);
}

static bool
fanout_settle(Storage *st, const char *name, Error *err)
{
	AllCall call = {.name = name};

	return call_all(st, lane_settle, &call, err);
}

static bool
fanout_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
			 Error *err)
{
	AllCall call = {.age = older_than_usecs};
	bool done = call_all(st, lane_sweep, &call, err);

	*removed = call.removed;
	return done;
}

const StorageDriver storage_fanout = {
	.type = "fanout",
	.open = fanout_open,
	.close = fanout_close,
	.list = fanout_list,
	.stat = fanout_stat,
	.read_open = fanout_read_open,
	.read = fanout_read,
	.read_close = fanout_read_close,
	.write_open = fanout_write_open,
	.write = fanout_write,
	.commit = fanout_commit,
	.abort = fanout_abort,
	.remove = fanout_remove,
	.settle = fanout_settle,
	.sweep = fanout_sweep,
};
