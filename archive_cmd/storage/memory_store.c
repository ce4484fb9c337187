/*-------------------------------------------------------------------------
 *
 * memory_store.c
 *	  A store in memory that fails on demand: the stores, and their faults.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/memory_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static Store *stores;
static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;

Store *
memory_find_store(const char *path)
{
	Store *store;

	pthread_mutex_lock(&stores_lock);
	for (store = stores; store != NULL; store = store->next)
	{
		if (strcmp(store->path, path) == 0)
			break;
	}
	pthread_mutex_unlock(&stores_lock);
	return store;
}

/* A test that names a store which it did not make is wrong: stop it. */
static Store *
lock_store(const char *path)
{
	Store *store = memory_find_store(path);

	if (store == NULL)
		abort();
	pthread_mutex_lock(&store->lock);
	return store;
}

static void
unlock(Store *store)
{
	pthread_mutex_unlock(&store->lock);
}

Blob *
memory_blob_new(const void *data, size_t len)
{
	Blob *blob = mem_zalloc(sizeof(*blob));

	blob->refs = 1;
	blob->len = len;
	blob->data = mem_alloc(len + 1);
	if (len > 0)
		memcpy(blob->data, data, len);
	return blob;
}

void
memory_blob_release(Blob *blob)
{
	if (--blob->refs > 0)
		return;
	free(blob->data);
	free(blob);
}

bool
memory_find(const Store *store, const char *name, size_t *place)
{
	size_t low = 0;
	size_t high = store->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		int order = strcmp(store->objects[middle].name, name);

		if (order == 0)
		{
			*place = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return false;
}

void
memory_create(const char *path)
{
	Store *store = mem_zalloc(sizeof(*store));

	if (memory_find_store(path) != NULL)
		abort();
	store->path = mem_strdup(path);
	store->limit = UINT64_MAX;
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_lock(&stores_lock);
	store->next = stores;
	stores = store;
	pthread_mutex_unlock(&stores_lock);
}

void
memory_drop(const char *path)
{
	Store *store = memory_find_store(path);
	Store **link = &stores;

	if (store == NULL)
		abort();
	memory_heal(path);
	pthread_mutex_lock(&stores_lock);
	while (*link != store)
		link = &(*link)->next;
	*link = store->next;
	pthread_mutex_unlock(&stores_lock);

	for (size_t i = 0; i < store->count; i++)
	{
		memory_blob_release(store->objects[i].blob);
		free(store->objects[i].name);
	}
	pthread_mutex_destroy(&store->lock);
	free(store->objects);
	free(store->faults);
	free(store->path);
	free(store);
}

void
memory_fail(const char *path, MemoryOp op, uint64_t nth, MemoryWhen when,
			const Error *error)
{
	Store *store = lock_store(path);
	Fault *fault;

	store->faults = mem_grow(store->faults, store->nfaults, &store->faults_cap,
							 sizeof(Fault));
	fault = &store->faults[store->nfaults++];
	*fault = (Fault){.op = op, .when = when, .call = store->calls[op] + nth};
	error_set(&fault->error, error->code, "%s",
			  error->message ? error->message : "injected fault");
	fault->error.transient = error->transient;
	unlock(store);
}

void
memory_fail_at(const char *path, MemoryOp op, uint64_t nth, const Error *error)
{
	memory_fail(path, op, nth, MEMORY_ONCE, error);
}

uint64_t
memory_calls(const char *path, MemoryOp op)
{
	Store *store = lock_store(path);
	uint64_t calls = store->calls[op];

	unlock(store);
	return calls;
}

void
memory_short_reads(const char *path, size_t max)
{
	Store *store = lock_store(path);

	store->max_read = max;
	unlock(store);
}

void
memory_tear_read(const char *path, uint64_t nth)
{
	Store *store = lock_store(path);

	store->torn_read = store->calls[MEMORY_READ] + nth;
	unlock(store);
}

void
memory_limit(const char *path, uint64_t bytes)
{
	Store *store = lock_store(path);

	store->limit = bytes;
	unlock(store);
}

void
memory_heal(const char *path)
{
	Store *store = lock_store(path);

	for (size_t i = 0; i < store->nfaults; i++)
		error_clear(&store->faults[i].error);
	store->nfaults = 0;
	store->torn_read = 0;
	store->max_read = 0;
	store->limit = UINT64_MAX;
	unlock(store);
}

bool
memory_damage(const char *path, const char *name, const void *data, size_t len)
{
	Store *store = lock_store(path);
	size_t place;
	bool found = memory_find(store, name, &place);

	if (found)
	{
		Object *object = &store->objects[place];

		store->used = store->used - object->blob->len + len;
		memory_blob_release(object->blob);
		object->blob = memory_blob_new(data, len);
	}
	unlock(store);
	return found;
}

uint64_t
memory_used(const char *path)
{
	Store *store = lock_store(path);
	uint64_t used = store->used;

	unlock(store);
	return used;
}

bool
memory_begin(Store *store, MemoryOp op, bool *lost, Error *err)
{
	uint64_t call = ++store->calls[op];

	*lost = false;
	for (size_t i = 0; i < store->nfaults; i++)
	{
		const Fault *fault = &store->faults[i];
		Error cause = ERROR_INIT;

		if (fault->op != op ||
			(fault->when == MEMORY_SINCE ? call < fault->call
										 : call != fault->call))
			continue;
		error_set(&cause, fault->error.code, "%s", fault->error.message);
		cause.transient = fault->error.transient;
		error_move(err, &cause);
		*lost = fault->when == MEMORY_AFTER;
		return false;
	}
	return true;
}

bool
memory_begin_plain(Store *store, MemoryOp op, Error *err)
{
	bool lost;

	return memory_begin(store, op, &lost, err);
}
