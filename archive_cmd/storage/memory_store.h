/*-------------------------------------------------------------------------
 *
 * memory_store.h
 *	  What the files of the memory driver share; nobody else includes this.
 *
 * Objects are in an array sorted by name, flat as in an object store: there
 * are no directories, only names with slashes.  Bytes of an object never
 * change; readers hold a reference, so that removal and damage do not pull
 * them away.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MEMORY_STORE_H
#define PGDR_MEMORY_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/memory.h"

typedef struct Blob
{
	int refs;
	size_t len;
	char *data;
} Blob;

typedef struct Object
{
	char *name;
	Blob *blob;
	int64_t mtime;
} Object;

typedef struct Fault
{
	MemoryOp op;
	MemoryWhen when;
	uint64_t call; /* number of the call that fails */
	Error error;
} Fault;

typedef struct Store
{
	struct Store *next;
	char *path;
	pthread_mutex_t lock; /* of all that follows */
	Object *objects;
	size_t count;
	size_t cap;
	Fault *faults;
	size_t nfaults;
	size_t faults_cap;
	uint64_t calls[MEMORY_OPS];
	uint64_t torn_read; /* number of that call; 0 for none */
	size_t max_read;    /* 0 for no limit */
	uint64_t limit;
	uint64_t used;
} Store;

/* NULL if there is none. */
extern Store *memory_find_store(const char *path);

/* All of these are called with the store's lock held. */
extern Blob *memory_blob_new(const void *data, size_t len);
extern void memory_blob_release(Blob *blob);

/* Place of name in the array, or where it belongs. */
extern bool memory_find(const Store *store, const char *name, size_t *place);

/*
 * Counts the call and says whether it fails.  *lost: it is to be done and then
 * to fail; *err is set already.
 */
extern bool memory_begin(Store *store, MemoryOp op, bool *lost, Error *err);
/* For operations that change nothing: a lost answer is a failure. */
extern bool memory_begin_plain(Store *store, MemoryOp op, Error *err);

#endif
