/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  A store in memory that fails on demand: the driver.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "storage/memory_store.h"

typedef struct MemoryStorage
{
	Storage base;
	Store *store;
} MemoryStorage;

typedef struct MemoryReader
{
	StorageReader base;
	Store *store;
	Blob *blob;
	size_t at;
	size_t end;
} MemoryReader;

typedef struct MemoryWriter
{
	StorageWriter base;
	Store *store;
	char *name;
	size_t head_len;
	StrBuf data; /* with room for the head */
} MemoryWriter;

static void
unlock(Store *store)
{
	pthread_mutex_unlock(&store->lock);
}

static bool
memory_open(const StorageOptions *options, Storage **out, Error *err)
{
	Store *store = options->path ? memory_find_store(options->path) : NULL;
	MemoryStorage *ms;
	bool done;

	if (store == NULL)
	{
		error_set(err, ERR_IO, "there is no store in memory of that name");
		return error_hint(err, "The type \"memory\" is for tests, which make "
							   "the store first.");
	}
	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_OPEN, err);
	unlock(store);
	if (!done)
		return false;
	ms = mem_zalloc(sizeof(*ms));
	ms->base.driver = &storage_memory;
	ms->base.where = mem_printf("memory %s", options->path);
	ms->store = store;
	*out = &ms->base;
	return true;
}

static void
memory_close(Storage *st)
{
	free(st->where);
	free(st);
}

/* A copy of what is to be shown, because the callback may use the store. */
typedef struct Listing
{
	StorageEntry *entry;
	size_t count;
	size_t cap;
} Listing;

static void
listing_add(Listing *listing, char *name, const Object *object)
{
	StorageEntry *entry;

	listing->entry = mem_grow(listing->entry, listing->count, &listing->cap,
							  sizeof(StorageEntry));
	entry = &listing->entry[listing->count++];
	*entry = (StorageEntry){.name = name, .is_dir = object == NULL};
	if (object != NULL)
	{
		entry->size = object->blob->len;
		entry->mtime = object->mtime;
	}
}

/*
 * Names sharing a directory lie side by side, so a directory is new unless it
 * was the last one shown.
 */
static void
listing_take(Listing *listing, const Object *object, size_t skip,
			 bool recursive)
{
	const char *slash = strchr(object->name + skip, '/');
	const StorageEntry *last = listing->count > 0
								   ? &listing->entry[listing->count - 1]
								   : NULL;
	char *dir;

	if (recursive || slash == NULL)
	{
		listing_add(listing, mem_strdup(object->name), object);
		return;
	}
	dir = mem_strndup(object->name, (size_t) (slash - object->name));
	if (last != NULL && last->is_dir && strcmp(last->name, dir) == 0)
		free(dir);
	else
		listing_add(listing, dir, NULL);
}

static bool
memory_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
			void *arg, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	char *below = prefix[0] ? mem_printf("%s/", prefix) : mem_strdup("");
	size_t skip = strlen(below);
	Listing listing = {0};
	size_t i;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_LIST, err);
	memory_find(store, below, &i);
	for (; done && i < store->count; i++)
	{
		if (strncmp(store->objects[i].name, below, skip) != 0)
			break;
		listing_take(&listing, &store->objects[i], skip, recursive);
	}
	unlock(store);
	for (i = 0; done && i < listing.count; i++)
		done = fn(arg, &listing.entry[i], err);
	for (i = 0; i < listing.count; i++)
		free((char *) listing.entry[i].name);
	free(listing.entry);
	free(below);
	return done;
}

static bool
no_object(Error *err)
{
	return error_set(err, ERR_NOT_FOUND, "object does not exist");
}

static bool
memory_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
			Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	size_t place;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_STAT, err) &&
		   (memory_find(store, name, &place) || no_object(err));
	if (done)
	{
		*size = store->objects[place].blob->len;
		*mtime = store->objects[place].mtime;
	}
	unlock(store);
	return done;
}

static bool
memory_read_open(Storage *st, const char *name, uint64_t offset,
				 uint64_t length, StorageReader **out, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	MemoryReader *r = NULL;
	size_t place;

	pthread_mutex_lock(&store->lock);
	if (memory_begin_plain(store, MEMORY_READ_OPEN, err) &&
		(memory_find(store, name, &place) || no_object(err)))
	{
		r = mem_zalloc(sizeof(*r));
		r->base.driver = &storage_memory;
		r->store = store;
		r->blob = store->objects[place].blob;
		r->blob->refs++;
		r->at = offset < r->blob->len ? (size_t) offset : r->blob->len;
		r->end = length < r->blob->len - r->at ? r->at + (size_t) length
											   : r->blob->len;
		*out = &r->base;
	}
	unlock(store);
	return r != NULL;
}

static bool
memory_read(StorageReader *sr, void *buf, size_t cap, size_t *got, Error *err)
{
	MemoryReader *r = (MemoryReader *) sr;
	Store *store = r->store;
	size_t n = r->end - r->at;
	bool torn;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_READ, err);
	torn = store->calls[MEMORY_READ] == store->torn_read;
	if (store->max_read > 0 && n > store->max_read)
		n = store->max_read;
	unlock(store);
	if (!done)
		return false;
	if (n > cap)
		n = cap;
	memcpy(buf, r->blob->data + r->at, n);
	for (size_t i = n / 2; torn && i < n; i++)
		((unsigned char *) buf)[i] ^= 0xFF;
	r->at += n;
	*got = n;
	return true;
}

static void
memory_read_close(StorageReader *sr)
{
	MemoryReader *r = (MemoryReader *) sr;

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->store->lock);
	memory_blob_release(r->blob);
	unlock(r->store);
	free(r);
}

static bool
take_room(Store *store, size_t len, Error *err)
{
	if (store->used > store->limit || len > store->limit - store->used)
		return error_set(err, ERR_FULL, "no space left in memory");
	store->used += len;
	return true;
}

static bool
memory_write_open(Storage *st, const char *name, size_t head_len,
				  StorageWriter **out, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	MemoryWriter *w;
	char *zeroes;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_WRITE_OPEN, err) &&
		   take_room(store, head_len, err);
	unlock(store);
	if (!done)
		return false;
	w = mem_zalloc(sizeof(*w));
	w->base.driver = &storage_memory;
	w->store = store;
	w->name = mem_strdup(name);
	w->head_len = head_len;
	zeroes = mem_zalloc(head_len + 1);
	strbuf_add(&w->data, zeroes, head_len);
	free(zeroes);
	*out = &w->base;
	return true;
}

static bool
memory_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	MemoryWriter *w = (MemoryWriter *) sw;
	bool done;

	pthread_mutex_lock(&w->store->lock);
	done = memory_begin_plain(w->store, MEMORY_WRITE, err) &&
		   take_room(w->store, len, err);
	unlock(w->store);
	if (done)
		strbuf_add(&w->data, data, len);
	return done;
}

/* With the lock held; room was taken by the writer and goes to the object. */
static void
insert_object(Store *store, size_t place, const char *name, const StrBuf *data)
{
	Object *object;

	store->objects = mem_grow(store->objects, store->count, &store->cap,
							  sizeof(Object));
	object = &store->objects[place];
	memmove(object + 1, object, (store->count - place) * sizeof(Object));
	store->count++;
	object->name = mem_strdup(name);
	object->blob = memory_blob_new(data->data, data->len);
	object->mtime = clock_now();
}

static bool
memory_commit(StorageWriter *sw, const void *head, Error *err)
{
	MemoryWriter *w = (MemoryWriter *) sw;
	Store *store = w->store;
	size_t place;
	bool lost;
	bool done;

	if (w->head_len > 0)
		memcpy(w->data.data, head, w->head_len);
	pthread_mutex_lock(&store->lock);
	done = memory_begin(store, MEMORY_COMMIT, &lost, err);
	if (done || lost)
	{
		if (memory_find(store, w->name, &place))
			done = error_set(err, ERR_EXISTS, "object already exists");
		else
		{
			insert_object(store, place, w->name, &w->data);
			store->used += w->data.len; /* memory_abort() gives it back */
		}
	}
	unlock(store);
	storage_memory.abort(sw);
	return done;
}

static void
memory_abort(StorageWriter *sw)
{
	MemoryWriter *w = (MemoryWriter *) sw;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->store->lock);
	w->store->used -= w->data.len;
	unlock(w->store);
	strbuf_free(&w->data);
	free(w->name);
	free(w);
}

static bool
memory_remove(Storage *st, const char *name, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	size_t place;
	bool lost;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin(store, MEMORY_REMOVE, &lost, err);
	if (done || lost)
	{
		Object *object = store->objects;

		if (!memory_find(store, name, &place))
			done = no_object(err);
		else
		{
			object += place;
			store->used -= object->blob->len;
			memory_blob_release(object->blob);
			free(object->name);
			store->count--;
			memmove(object, object + 1,
					(store->count - place) * sizeof(Object));
		}
	}
	unlock(store);
	return done;
}

static bool
memory_replace(Storage *st, const char *from, const char *to, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	size_t place;
	size_t other;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_COMMIT, err) &&
		   ((memory_find(store, from, &place) &&
			 memory_find(store, to, &other)) ||
			no_object(err));
	if (done)
	{
		Blob *old = store->objects[other].blob;

		store->objects[other].blob = store->objects[place].blob;
		store->objects[place].blob = old;
	}
	unlock(store);
	return done && memory_remove(st, from, err);
}

static bool
memory_settle(Storage *st, const char *name, Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	size_t place;
	bool done;

	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_SETTLE, err) &&
		   (memory_find(store, name, &place) || no_object(err));
	unlock(store);
	return done;
}

/* Interrupted writers leave nothing here: they end with the process. */
static bool
memory_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
			 Error *err)
{
	Store *store = ((MemoryStorage *) st)->store;
	bool done;

	(void) older_than_usecs;
	pthread_mutex_lock(&store->lock);
	done = memory_begin_plain(store, MEMORY_SWEEP, err);
	unlock(store);
	*removed = 0;
	return done;
}

const StorageDriver storage_memory = {
	.type = "memory",
	.open = memory_open,
	.close = memory_close,
	.list = memory_list,
	.stat = memory_stat,
	.read_open = memory_read_open,
	.read = memory_read,
	.read_close = memory_read_close,
	.write_open = memory_write_open,
	.write = memory_write,
	.commit = memory_commit,
	.abort = memory_abort,
	.replace = memory_replace,
	.remove = memory_remove,
	.settle = memory_settle,
	.sweep = memory_sweep,
};
