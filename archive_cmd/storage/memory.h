/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  A store in memory that fails on demand, for tests.
 *
 * Stores are known by the path of StorageOptions; all connections opened with
 * one path share one store.  Only memory_create() makes a store, never
 * options->create: a configuration must not send WAL to where it is gone with
 * the process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MEMORY_H
#define PGDR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/storage.h"

typedef enum MemoryOp
{
	MEMORY_OPEN,
	MEMORY_LIST,
	MEMORY_STAT,
	MEMORY_READ_OPEN,
	MEMORY_READ,
	MEMORY_WRITE_OPEN,
	MEMORY_WRITE,
	MEMORY_COMMIT,
	MEMORY_REMOVE,
	MEMORY_SETTLE,
	MEMORY_SWEEP,
	MEMORY_OPS /* number of operations */
} MemoryOp;

typedef enum MemoryWhen
{
	MEMORY_ONCE,  /* the nth call from now fails and does nothing */
	MEMORY_SINCE, /* so do all later ones */
	MEMORY_AFTER  /* the nth call is done, but its answer is lost:
				   * commit and remove report the error all the same */
} MemoryWhen;

/* An empty store; one of that path must not exist. */
extern void memory_create(const char *path);
/* Forgets a store with its objects; nobody may have it open. */
extern void memory_drop(const char *path);

/*
 * The functions below are for an existing store; they may be called while
 * it is in use.  nth counts from 1; *error gives code, transient and message
 * and remains the caller's.
 */
extern void memory_fail_at(const char *path, MemoryOp op, uint64_t nth,
						   const Error *error);
extern void memory_fail(const char *path, MemoryOp op, uint64_t nth,
						MemoryWhen when, const Error *error);

/* Calls of an operation so far, to let each of them fail in turn. */
extern uint64_t memory_calls(const char *path, MemoryOp op);

/* From now on a read gives at most this many bytes (0: no limit). */
extern void memory_short_reads(const char *path, size_t max);

/*
 * The second half of what the nth read from now gives is wrong, once: reading
 * it again gives what is stored.
 */
extern void memory_tear_read(const char *path, uint64_t nth);

/*
 * The store is full (ERR_FULL) when objects and unfinished writes together
 * come to this many bytes; UINT64_MAX: no limit.
 */
extern void memory_limit(const char *path, uint64_t bytes);

/* No more faults, limits and short reads. */
extern void memory_heal(const char *path);

/*
 * Puts other bytes in the place of a stored object, as damage would.  False
 * if there is no such object.
 */
extern bool memory_damage(const char *path, const char *name, const void *data,
						  size_t len);

/* Bytes stored and being written; 0 means that nothing was left behind. */
extern uint64_t memory_used(const char *path);

#endif
