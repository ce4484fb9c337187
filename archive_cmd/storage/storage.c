/*-------------------------------------------------------------------------
 *
 * storage.c
 *	  What all drivers have in common: the table of drivers, the check of
 *	  names, error texts that name object and store, small objects at once.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/storage.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/fanout.h"
#include "storage/limit.h"

#define GET_CHUNK ((size_t) 64 * 1024)

static const StorageDriver *const drivers[] = {&storage_posix, &storage_s3,
											   &storage_sftp, &storage_azure,
											   &storage_memory};

/*
 * One call of a driver.  The cause is kept apart from the caller's Error until
 * it is complete: that one may hold an older error, which must not get our
 * prefix.
 */
typedef struct Call
{
	const Storage *st;
	const char *action; /* "read", "write" */
	const char *name;   /* "" is the store itself */
	bool may_miss;      /* ERR_NOT_FOUND is an answer */
	bool may_exist;     /* ERR_EXISTS is an answer */
	Error cause;
} Call;

static void
replace_message(Error *err, char *message)
{
	free(err->message);
	err->message = message;
}

/*
 * Says what was being done to which object where.  "Does not exist" leads to
 * decisions as grave as the end of a recovery: from an operation that cannot
 * give it as its answer it is a fault of the store.
 */
static bool
finish(Call *c, bool done, Error *err)
{
	Error *cause = &c->cause;

	if (done)
	{
		error_clear(cause);
		return true;
	}
	if (!error_is_set(cause))
		error_set(cause, ERR_INTERNAL, "driver \"%s\" gave no reason",
				  c->st->driver->type);

	if (cause->code == ERR_NOT_FOUND && c->may_miss)
		replace_message(cause, mem_printf("object \"%s\" does not exist in %s",
										  c->name, c->st->where));
	else if (cause->code == ERR_EXISTS && c->may_exist)
		replace_message(cause, mem_printf("object \"%s\" already exists in %s",
										  c->name, c->st->where));
	else
	{
		if (cause->code == ERR_NOT_FOUND || cause->code == ERR_EXISTS)
			cause->code = ERR_IO;
		if (c->name[0] != '\0')
			error_prefix(cause, "could not %s \"%s\" in %s", c->action, c->name,
						 c->st->where);
		else
			error_prefix(cause, "could not %s %s", c->action, c->st->where);
	}
	error_move(err, cause);
	return false;
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* The reason why name breaks the rules, or NULL. */
static const char *
name_fault(const char *name)
{
	size_t in_component = 0;
	size_t len;

	if (name == NULL || name[0] == '\0')
		return "The name is empty.";
	len = strlen(name);
	if (len > STORAGE_NAME_MAX)
		return "The name is too long.";
	for (size_t i = 0; i <= len; i++)
	{
		if (name[i] == '/' || name[i] == '\0')
		{
			if (in_component == 0)
				return "A component of the path is empty.";
			in_component = 0;
		}
		else if (!is_name_char(name[i]))
			return "Only ASCII letters, digits, \".\", \"_\" and \"-\" are "
				   "allowed between slashes.";
		else if (name[i] == '.' && in_component == 0)
			return "A component of the path starts with a period.";
		else if (++in_component > STORAGE_COMPONENT_MAX)
			return "A component of the path is too long.";
	}
	return NULL;
}

bool
storage_check_name(const char *name, Error *err)
{
	const char *fault = name_fault(name);
	Error cause = ERROR_INIT;

	if (fault == NULL)
		return true;
	error_set(&cause, ERR_USAGE, "invalid object name \"%.100s\"",
			  name ? name : "");
	error_detail(&cause, "%s", fault);
	error_move(err, &cause);
	return false;
}

const StorageDriver *
storage_driver(const char *type)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
	{
		if (strcmp(drivers[i]->type, type) == 0)
			return drivers[i];
	}
	return NULL;
}

const char *
storage_type(size_t i)
{
	return i < sizeof(drivers) / sizeof(drivers[0]) ? drivers[i]->type : NULL;
}

bool
storage_open(const StorageOptions *options, Storage **out, Error *err)
{
	const char *type = options->type ? options->type : "";
	const StorageDriver *driver = storage_driver(type);
	Error cause = ERROR_INIT;

	if (options->group != NULL)
		driver = &storage_fanout;
	if (driver != NULL)
	{
		if (driver->open(options, out, &cause))
			return true;
		if (cause.code == ERR_NOT_FOUND)
			cause.code = ERR_IO;
		error_prefix(&cause, "could not open repository \"%s\"",
					 options->repo ? options->repo : "");
		error_move(err, &cause);
		return false;
	}
	error_set(&cause, ERR_CONFIG, "unknown type \"%s\" of repository \"%s\"",
			  type, options->repo ? options->repo : "");
	error_hint(&cause, "The known type is \"%s\".", storage_posix.type);
	error_move(err, &cause);
	return false;
}

void
storage_close(Storage *st)
{
	if (st != NULL)
		st->driver->close(st);
}

/* Stands between driver and callback, to know whose error ended a listing. */
typedef struct ListCall
{
	StorageListFn fn;
	void *arg;
	bool refused;
} ListCall;

static bool
list_entry(void *arg, const StorageEntry *entry, Error *err)
{
	ListCall *call = arg;

	if (call->fn(call->arg, entry, err))
		return true;
	call->refused = true;
	return false;
}

bool
storage_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
			 void *arg, Error *err)
{
	ListCall call = {.fn = fn, .arg = arg};
	Call c = {.st = st, .action = "list", .name = prefix};
	bool done;

	if (prefix[0] != '\0' && !storage_check_name(prefix, err))
		return false;
	done = st->driver->list(st, prefix, recursive, list_entry, &call, &c.cause);
	if (!done && call.refused && error_is_set(&c.cause))
	{
		error_move(err, &c.cause);
		return false;
	}
	return finish(&c, done, err);
}

/*
 * While an object is replaced in a store that cannot do that in one step, it
 * stands under another name for a moment, or until the next run after a crash:
 * that it is absent must not be believed before that place was looked at, and
 * the name once more, for it may have come back meanwhile.  Another name, which
 * the caller frees, for try 1 and 2; NULL: the answer holds.
 */
static char *
name_for_try(const Storage *st, const char *name, int try)
{
	if (!st->driver->puts_aside || strncmp(name, STORAGE_STAGE_DIR "/",
										   strlen(STORAGE_STAGE_DIR "/")) == 0)
		return NULL;
	if (try == 1)
		return mem_printf(STORAGE_STAGE_DIR "/%s" STORAGE_ASIDE, name);
	return try == 2 ? mem_strdup(name) : NULL;
}

static bool
stat_under(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
		   Error *err)
{
	Call c = {.st = st, .action = "look up", .name = name, .may_miss = true};
	uint64_t some_size;
	int64_t some_time;

	return finish(&c,
				  st->driver->stat(st, name, size ? size : &some_size,
								   mtime ? mtime : &some_time, &c.cause),
				  err);
}

bool
storage_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
			 Error *err)
{
	Error absent = ERROR_INIT;
	char *other;

	if (!storage_check_name(name, err))
		return false;
	if (stat_under(st, name, size, mtime, &absent))
		return true;
	for (int try = 1; absent.code == ERR_NOT_FOUND &&
					  (other = name_for_try(st, name, try)) != NULL;
		 try++)
	{
		Error why = ERROR_INIT;
		bool found = stat_under(st, other, size, mtime, &why);

		free(other);
		if (found)
		{
			error_clear(&absent);
			return true;
		}
		if (why.code != ERR_NOT_FOUND)
			error_clear(&absent);
		error_move(&absent, &why);
	}
	error_move(err, &absent);
	return false;
}

typedef struct Lookup
{
	const char *name;
	bool found;
} Lookup;

static bool
look_for_name(void *arg, const StorageEntry *entry, Error *err)
{
	Lookup *lookup = arg;

	(void) err;
	lookup->found |= !entry->is_dir && strcmp(entry->name, lookup->name) == 0;
	return true;
}

/* Whoever may only write and list can still learn which names there are. */
static bool
exists_by_list(Storage *st, const char *name, bool *exists)
{
	Lookup lookup = {.name = name};
	const char *slash = strrchr(name, '/');
	char *dir = mem_strndup(name, slash != NULL ? (size_t) (slash - name) : 0);
	Error ignored = ERROR_INIT;
	bool done = storage_list(st, dir, false, look_for_name, &lookup, &ignored);

	*exists = lookup.found;
	error_clear(&ignored);
	free(dir);
	return done;
}

bool
storage_exists(Storage *st, const char *name, bool *exists, Error *err)
{
	Error cause = ERROR_INIT;

	*exists = storage_stat(st, name, NULL, NULL, &cause);
	if (*exists)
		return true;
	if (cause.code == ERR_NOT_FOUND ||
		(cause.code == ERR_DENIED && exists_by_list(st, name, exists)))
	{
		error_clear(&cause);
		return true;
	}
	error_move(err, &cause);
	return false;
}

static bool
read_open_under(Storage *st, const char *name, uint64_t offset, uint64_t length,
				StorageReader **out, Error *err)
{
	Call c = {.st = st, .action = "read", .name = name, .may_miss = true};
	StorageReader *r = NULL;

	if (length > UINT64_MAX - offset)
		length = STORAGE_TO_END;
	if (!finish(&c,
				st->driver->read_open(st, name, offset, length, &r, &c.cause),
				err))
		return false;
	r->storage = st;
	r->name = mem_strdup(name);
	*out = r;
	return true;
}

bool
storage_read_open(Storage *st, const char *name, uint64_t offset,
				  uint64_t length, StorageReader **out, Error *err)
{
	Error absent = ERROR_INIT;
	char *other;

	if (!storage_check_name(name, err))
		return false;
	if (read_open_under(st, name, offset, length, out, &absent))
		return true;
	for (int try = 1; absent.code == ERR_NOT_FOUND &&
					  (other = name_for_try(st, name, try)) != NULL;
		 try++)
	{
		Error why = ERROR_INIT;
		bool found = read_open_under(st, other, offset, length, out, &why);

		free(other);
		if (found)
		{
			error_clear(&absent);
			return true;
		}
		if (why.code != ERR_NOT_FOUND)
			error_clear(&absent);
		error_move(&absent, &why);
	}
	error_move(err, &absent);
	return false;
}

bool
storage_read(StorageReader *r, void *buf, size_t cap, size_t *got, Error *err)
{
	Call c = {
		.st = r->storage, .action = "read", .name = r->name, .may_miss = true};

	*got = 0;
	if (cap == 0)
		return true;
	if (!finish(&c, r->driver->read(r, buf, cap, got, &c.cause), err))
		return false;
	if (r->storage->reading != NULL)
		limit_download(r->storage->reading, *got);
	return true;
}

void
storage_read_close(StorageReader *r)
{
	char *name;

	if (r == NULL)
		return;
	name = r->name;
	r->driver->read_close(r);
	free(name);
}

bool
storage_write_open(Storage *st, const char *name, size_t head_len,
				   StorageWriter **out, Error *err)
{
	Call c = {.st = st, .action = "write", .name = name};
	StorageWriter *w = NULL;

	if (!storage_check_name(name, err))
		return false;
	if (!finish(&c, st->driver->write_open(st, name, head_len, &w, &c.cause),
				err))
		return false;
	w->storage = st;
	w->name = mem_strdup(name);
	w->failed = false;
	w->replaces = false;
	*out = w;
	return true;
}

bool
storage_write(StorageWriter *w, const void *data, size_t len, Error *err)
{
	Call c = {.st = w->storage, .action = "write", .name = w->name};
	bool done = false;

	if (w->failed)
		error_set(&c.cause, ERR_IO, "an earlier write failed");
	else
		done = len == 0 || w->driver->write(w, data, len, &c.cause);
	if (!done)
		w->failed = true;
	return finish(&c, done, err);
}

/*
 * A caller that overlooked a failed write must not get an object with a hole
 * in it, whatever the driver.
 */
bool
storage_commit(StorageWriter *w, const void *head, Error *err)
{
	Call c = {.st = w->storage, .action = "write", .may_exist = true};
	char *name = w->name;
	bool done = false;

	c.name = name;
	if (w->failed)
	{
		error_set(&c.cause, ERR_IO, "an earlier write failed");
		w->driver->abort(w);
	}
	else
		done = w->driver->commit(w, head, &c.cause);
	done = finish(&c, done, err);
	free(name);
	return done;
}

void
storage_abort(StorageWriter *w)
{
	char *name;

	if (w == NULL)
		return;
	name = w->name;
	w->driver->abort(w);
	free(name);
}

bool
storage_remove(Storage *st, const char *name, Error *err)
{
	Call c = {.st = st, .action = "remove", .name = name, .may_miss = true};

	if (!storage_check_name(name, err))
		return false;
	return finish(&c, st->driver->remove(st, name, &c.cause), err);
}

bool
storage_lock(Storage *st, const char *name, int64_t until, Error *err)
{
	Call c = {.st = st, .action = "lock", .name = name, .may_miss = true};

	if (!storage_check_name(name, err))
		return false;
	if (st->driver->lock == NULL)
		return error_set(err, ERR_UNSUPPORTED, "%s knows no locks", st->where);
	return finish(&c, st->driver->lock(st, name, until, &c.cause), err);
}

bool
storage_hold(Storage *st, const char *name, bool held, Error *err)
{
	Call c = {.st = st, .action = "hold", .name = name, .may_miss = true};

	if (!storage_check_name(name, err))
		return false;
	if (st->driver->hold == NULL)
		return error_set(err, ERR_UNSUPPORTED, "%s knows no locks", st->where);
	return finish(&c, st->driver->hold(st, name, held, &c.cause), err);
}

bool
storage_settle(Storage *st, const char *name, Error *err)
{
	Call c = {.st = st, .action = "settle", .name = name, .may_miss = true};

	if (!storage_check_name(name, err))
		return false;
	if (st->driver->settle == NULL)
		return true;
	return finish(&c, st->driver->settle(st, name, &c.cause), err);
}

bool
storage_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
			  Error *err)
{
	Call c = {.st = st, .action = "sweep", .name = ""};

	*removed = 0;
	return finish(
		&c, st->driver->sweep(st, older_than_usecs, removed, &c.cause), err);
}

bool
storage_put(Storage *st, const char *name, const void *data, size_t len,
			Error *err)
{
	StorageWriter *w;

	if (!storage_write_open(st, name, 0, &w, err))
		return false;
	if (!storage_write(w, data, len, err))
	{
		storage_abort(w);
		return false;
	}
	return storage_commit(w, NULL, err);
}

static bool
get_all(StorageReader *r, size_t max, StrBuf *sb, Error *err)
{
	char *chunk = mem_alloc(GET_CHUNK);
	size_t got = 0;
	bool done;

	while ((done = storage_read(r, chunk, GET_CHUNK, &got, err)) && got > 0)
	{
		if (got > max - sb->len)
		{
			done = error_set(err, ERR_DAMAGED,
							 "object \"%s\" in %s is larger than %zu bytes",
							 r->name, r->storage->where, max);
			break;
		}
		strbuf_add(sb, chunk, got);
	}
	free(chunk);
	return done;
}

/* One byte more than max is asked for, to see that there is more. */
bool
storage_get(Storage *st, const char *name, size_t max, char **data, size_t *len,
			Error *err)
{
	uint64_t length = max < SIZE_MAX ? (uint64_t) max + 1 : STORAGE_TO_END;
	StrBuf sb = STRBUF_INIT;
	StorageReader *r;
	bool done;

	if (!storage_read_open(st, name, 0, length, &r, err))
		return false;
	done = get_all(r, max, &sb, err);
	storage_read_close(r);
	if (!done)
	{
		strbuf_free(&sb);
		return false;
	}
	*len = sb.len;
	*data = sb.data ? strbuf_steal(&sb) : mem_zalloc(1);
	return true;
}
