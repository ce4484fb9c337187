/*-------------------------------------------------------------------------
 *
 * fanout_write.c
 *	  One object, written to several stores at a time.
 *
 * What comes in small pieces is collected, so that the threads meet once for
 * each buffer and not for each piece.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/fanout_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BUFFER ((size_t) 256 * 1024)

typedef struct FanoutWriter
{
	StorageWriter base;
	Fanout *fanout;
	StorageWriter **members; /* NULL: not writing there (any more) */
	char *buffer;
	size_t used;

	/* of the job in hand */
	const char *name;
	size_t head_len;
	const void *data;
	size_t len;
	const void *head;
} FanoutWriter;

static void
drop(Lane *lane, FanoutWriter *w, Error *why)
{
	storage_abort(w->members[lane->member]);
	w->members[lane->member] = NULL;
	lane->result = FANOUT_FAILED;
	fanout_group_drop(lane->fanout->group, lane->member, why);
}

/* Is anybody left to whom this object goes? */
static bool
check_left(FanoutWriter *w, Error *err)
{
	for (size_t i = 0; i < w->fanout->count; i++)
	{
		if (w->members[i] != NULL)
			return true;
	}
	if (fanout_group_live(w->fanout->group) > 0)
		return error_set(err, ERR_IO,
						 "no repository that took the beginning is left");
	return fanout_group_error(w->fanout->group, err);
}

/* A member that another connection has dropped meanwhile gets no more. */
static void
let_go(FanoutWriter *w)
{
	for (size_t i = 0; i < w->fanout->count; i++)
	{
		if (w->members[i] == NULL || fanout_group_is_live(w->fanout->group, i))
			continue;
		storage_abort(w->members[i]);
		w->members[i] = NULL;
	}
}

static void
lane_open(Lane *lane, void *arg)
{
	FanoutWriter *w = arg;
	Error why = ERROR_INIT;

	if (!storage_write_open(lane->st, w->name, w->head_len,
							&w->members[lane->member], &why))
		drop(lane, w, &why);
}

bool
fanout_write_open(Storage *st, const char *name, size_t head_len,
				  StorageWriter **out, Error *err)
{
	Fanout *f = (Fanout *) st;
	FanoutWriter *w = mem_zalloc(sizeof(*w));

	w->base.driver = &storage_fanout;
	w->fanout = f;
	w->members = mem_zalloc((f->count + 1) * sizeof(StorageWriter *));
	w->name = name;
	w->head_len = head_len;
	fanout_run(f, lane_open, w);
	if (!check_left(w, err))
	{
		fanout_abort(&w->base);
		return false;
	}
	w->buffer = mem_alloc(BUFFER);
	*out = &w->base;
	return true;
}

static void
lane_write(Lane *lane, void *arg)
{
	FanoutWriter *w = arg;
	StorageWriter *member = w->members[lane->member];
	Error why = ERROR_INIT;

	if (member != NULL && !storage_write(member, w->data, w->len, &why))
		drop(lane, w, &why);
}

static bool
send(FanoutWriter *w, const void *data, size_t len, Error *err)
{
	w->data = data;
	w->len = len;
	let_go(w);
	fanout_run(w->fanout, lane_write, w);
	return check_left(w, err);
}

bool
fanout_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	FanoutWriter *w = (FanoutWriter *) sw;

	if (w->used + len > BUFFER && w->used > 0)
	{
		size_t used = w->used;

		w->used = 0;
		if (!send(w, w->buffer, used, err))
			return false;
	}
	if (len > BUFFER)
		return send(w, data, len, err);
	memcpy(w->buffer + w->used, data, len);
	w->used += len;
	return true;
}

static void
lane_commit(Lane *lane, void *arg)
{
	FanoutWriter *w = arg;
	StorageWriter *member = w->members[lane->member];
	Error why = ERROR_INIT;

	if (member == NULL)
		return;
	if (w->used > 0 && !storage_write(member, w->buffer, w->used, &why))
	{
		drop(lane, w, &why);
		return;
	}
	/* the member's writer is gone whatever comes of it */
	w->members[lane->member] = NULL;
	if (storage_commit(member, w->head, &why))
		lane->result = FANOUT_STORED;
	else if (why.code == ERR_EXISTS &&
			 !fanout_group_is_strict(lane->fanout->group))
	{
		lane->result = FANOUT_EXISTS;
		error_clear(&why);
	}
	else
		drop(lane, w, &why);
}

bool
fanout_commit(StorageWriter *sw, const void *head, Error *err)
{
	FanoutWriter *w = (FanoutWriter *) sw;
	Fanout *f = w->fanout;
	bool stored = false;
	bool exists = false;

	w->head = head;
	let_go(w);
	for (size_t i = 0; i < f->count; i++)
		f->lanes[i].result = FANOUT_ABSENT;
	fanout_run(f, lane_commit, w);
	for (size_t i = 0; i < f->count; i++)
	{
		stored |= f->lanes[i].result == FANOUT_STORED;
		exists |= f->lanes[i].result == FANOUT_EXISTS;
	}
	if (!stored && exists)
		error_set(err, ERR_EXISTS, "object already exists");
	else if (!stored)
		fanout_group_error(f->group, err);
	fanout_abort(sw);
	return stored;
}

static void
lane_abort(Lane *lane, void *arg)
{
	FanoutWriter *w = arg;

	storage_abort(w->members[lane->member]);
	w->members[lane->member] = NULL;
}

void
fanout_abort(StorageWriter *sw)
{
	FanoutWriter *w = (FanoutWriter *) sw;

	if (w == NULL)
		return;
	fanout_run(w->fanout, lane_abort, w);
	/* those whose member was dropped by another connection */
	let_go(w);
	free(w->members);
	free(w->buffer);
	free(w);
}
