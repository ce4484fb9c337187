/*-------------------------------------------------------------------------
 *
 * replace.c
 *	  Puts a new object in the place of one that is there: what rewrapping a
 *	  key takes, and nothing else does.
 *
 *	rewrap/<name>		staged: the new object, written and verified like any
 *						other before it takes the place
 *	rewrap/<name>.old	only where the store cannot replace in one step: what
 *						had the name, until the new one has it durably
 *
 * A run that is killed leaves the name with the old or the new object; or, with
 * ".old" there, without any, and both of them beside it.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/storage.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

#define COPY_CHUNK ((size_t) 256 * 1024)

char *
storage_stage_name(const char *name)
{
	return mem_printf(STORAGE_STAGE_DIR "/%s", name);
}

/* ---- taking the place ---- */

static bool
copy_bytes(StorageReader *r, StorageWriter *w, Error *err)
{
	char *chunk = mem_alloc(COPY_CHUNK);
	size_t got = 0;
	bool done;

	do
	{
		done = thread_check_stop(err) &&
			   storage_read(r, chunk, COPY_CHUNK, &got, err) &&
			   storage_write(w, chunk, got, err);
	} while (done && got > 0);
	free(chunk);
	return done;
}

static bool
write_over(Storage *st, const char *from, const char *to, Error *err)
{
	StorageReader *r;
	StorageWriter *w = NULL;
	bool done;

	if (!storage_read_open(st, from, 0, STORAGE_TO_END, &r, err))
		return false;
	done = storage_write_open(st, to, 0, &w, err);
	if (done)
	{
		w->replaces = true;
		done = copy_bytes(r, w, err);
		if (done)
			done = storage_commit(w, NULL, err);
		else
			storage_abort(w);
	}
	storage_read_close(r);
	return done;
}

static bool
rename_over(Storage *st, const char *from, const char *to, Error *err)
{
	Error cause = ERROR_INIT;

	if (st->driver->replace(st, from, to, &cause))
		return true;
	error_prefix(&cause, "could not replace object \"%s\" in %s", to,
				 st->where);
	error_move(err, &cause);
	return false;
}

bool
storage_replace(Storage *st, const char *name, bool *renamed, Error *err)
{
	char *from = storage_stage_name(name);
	bool done;

	*renamed = st->driver->replace != NULL;
	done = storage_check_name(from, err) &&
		   (*renamed ? rename_over(st, from, name, err)
					 : write_over(st, from, name, err));
	free(from);
	return done;
}

/* ---- after a crash ---- */

typedef struct Staged
{
	char **names;
	size_t count;
	size_t cap;
} Staged;

static bool
add_staged(void *arg, const StorageEntry *entry, Error *err)
{
	Staged *s = arg;

	(void) err;
	if (entry->is_dir)
		return true;
	s->names = mem_grow(s->names, s->count, &s->cap, sizeof(char *));
	s->names[s->count++] = mem_strdup(entry->name);
	return true;
}

static bool
is_aside(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(STORAGE_ASIDE) &&
		   strcmp(name + len - strlen(STORAGE_ASIDE), STORAGE_ASIDE) == 0;
}

/* The driver itself is asked: the name, and not what stands in for it. */
static bool
is_there(Storage *st, const char *name, bool *there, Error *err)
{
	Error cause = ERROR_INIT;
	uint64_t size;
	int64_t mtime;

	*there = st->driver->stat(st, name, &size, &mtime, &cause);
	if (cause.code == ERR_NOT_FOUND)
		error_clear(&cause);
	error_move(err, &cause);
	return !error_is_set(err);
}

/*
 * Without the name, the switch was under way: the new object was verified
 * before.  If it has gone, the old one comes back.
 */
static bool
settle_aside(Storage *st, const char *aside, Error *err)
{
	const char *staged_end = aside + strlen(aside) - strlen(STORAGE_ASIDE);
	char *staged = mem_strndup(aside, (size_t) (staged_end - aside));
	const char *name = staged + strlen(STORAGE_STAGE_DIR "/");
	bool there;
	bool has_staged;
	bool done = is_there(st, name, &there, err) &&
				is_there(st, staged, &has_staged, err);

	if (done && !there)
		done = rename_over(st, has_staged ? staged : aside, name, err);
	free(staged);
	return done;
}

static bool
remove_staged(Storage *st, const char *name, Error *err)
{
	Error cause = ERROR_INIT;

	storage_remove(st, name, &cause);
	if (cause.code == ERR_NOT_FOUND)
		error_clear(&cause);
	error_move(err, &cause);
	return !error_is_set(err);
}

bool
storage_settle_replaced(Storage *st, bool all, Error *err)
{
	Staged s = {0};
	bool done = storage_list(st, STORAGE_STAGE_DIR, true, add_staged, &s, err);

	for (size_t i = 0; done && i < s.count; i++)
	{
		if (is_aside(s.names[i]))
			done = settle_aside(st, s.names[i], err);
	}
	/* only now: what is removed first must not be what a name lacks */
	for (size_t i = 0; done && i < s.count; i++)
		done = thread_check_stop(err) && (!(all || is_aside(s.names[i])) ||
										  remove_staged(st, s.names[i], err));
	for (size_t i = 0; i < s.count; i++)
		free(s.names[i]);
	free(s.names);
	return done;
}
