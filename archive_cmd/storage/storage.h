/*-------------------------------------------------------------------------
 *
 * storage.h
 *	  What a store is: named objects, written once, read in ranges, listed,
 *	  removed by expiry only.  One driver is one const table of functions.
 *
 * Names are relative paths of 1 to 900 bytes: components of [A-Za-z0-9._-]
 * joined by single '/', each of 1 to 255 bytes, none starting with '.'.
 *
 * A Storage is one connection and is used by one thread at a time.
 *
 * Errors mean the same in every driver:
 *	ERR_NOT_FOUND	the store *answered* that the object does not exist; a
 *					store that is not there itself (root directory missing,
 *					wrong bucket, unreachable) is never ERR_NOT_FOUND
 *	ERR_EXISTS		commit found the name taken; what lies there is as it was
 *					and durable (a driver that cannot tell says ERR_IO)
 *	ERR_FULL, ERR_DENIED, ERR_TIMEOUT, ERR_IO
 * and Error.transient says whether trying again may help.
 *
 * Drivers report the bare reason ("could not fsync file: ..."); the functions
 * storage_*() below check names and put object and store in front of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_STORAGE_H
#define PGDR_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct Storage Storage;
typedef struct StorageReader StorageReader;
typedef struct StorageWriter StorageWriter;

#define STORAGE_NAME_MAX 900
#define STORAGE_COMPONENT_MAX 255
#define STORAGE_TO_END UINT64_MAX

/* A key of the configuration that belongs to a driver, with its value. */
typedef struct StorageParam
{
	const char *key;   /* "endpoint" */
	const char *value; /* as written */
} StorageParam;

/* What keys a driver knows: the configuration is checked against them. */
typedef enum StorageKeyKind
{
	STORAGE_KEY_TEXT,
	STORAGE_KEY_PATH,     /* absolute, of a file or directory on this host */
	STORAGE_KEY_INT,      /* 0 .. 2^31-1 */
	STORAGE_KEY_SIZE,     /* bytes, with kB, MB, GB (1024) */
	STORAGE_KEY_DURATION, /* "30s" */
	STORAGE_KEY_BOOL,     /* "yes", "no" */
	STORAGE_KEY_CHOICE
} StorageKeyKind;

typedef struct StorageKey
{
	const char *key; /* NULL ends a table */
	StorageKeyKind kind;
	bool required;
	const char *choices; /* "path|host" */
	const char *help;    /* for pgdr help and messages */
} StorageKey;

/* Everything a driver may want to know; each takes what is its own. */
typedef struct StorageOptions
{
	const char *repo; /* the repository's name, for messages */
	const char *type; /* "posix", "s3", "sftp"; "memory" in tests */
	const char *path; /* posix: absolute root directory; others: prefix of
					   * all names, or "" */
	bool create;      /* make the root if it does not exist */
	const StorageParam *params; /* the driver's own keys, checked */
	size_t param_count;
	struct FanoutGroup *group; /* of type "fanout" alone: storage/fanout.h */
} StorageOptions;

/* The last value of a key, or NULL. */
extern const char *storage_param(const StorageOptions *options,
								 const char *key);
extern int64_t storage_param_int(const StorageOptions *options, const char *key,
								 int64_t fallback);
extern uint64_t storage_param_size(const StorageOptions *options,
								   const char *key, uint64_t fallback);
/* Microseconds. */
extern int64_t storage_param_duration(const StorageOptions *options,
									  const char *key, int64_t fallback);
extern bool storage_param_bool(const StorageOptions *options, const char *key,
							   bool fallback);
/* "64MB": units count in 1024, as PostgreSQL's memory settings do. */
extern bool storage_parse_size(const char *text, uint64_t *out);
/* Is the text a value that a key of this kind can take? */
extern bool storage_key_accepts(const StorageKey *key, const char *value);

typedef struct StorageEntry
{
	const char *name; /* full name from the root; for a directory
								 * without a trailing slash */
	bool is_dir;      /* only when not recursive */
	uint64_t size;    /* bytes stored; 0 for a directory */
	int64_t mtime;    /* microseconds since 1970; only for people
								 * and for collecting leftovers */
} StorageEntry;

/* Return false with *err set to end the listing with that error. */
typedef bool (*StorageListFn)(void *arg, const StorageEntry *entry, Error *err);

typedef struct StorageDriver
{
	const char *type;
	const StorageKey *keys; /* beside path; NULL: none */

	/* *out is set only on success. */
	bool (*open)(const StorageOptions *options, Storage **out, Error *err);
	void (*close)(Storage *st);

	/*
	 * Entries directly under the directory prefix ("" is the root), or all
	 * objects below it when recursive.  Order is not defined.  A prefix that
	 * does not exist is an empty listing.  Unfinished writes never show; a
	 * directory may, though it is empty.  fn may use the same Storage and
	 * remove what it is shown.
	 */
	bool (*list)(Storage *st, const char *prefix, bool recursive,
				 StorageListFn fn, void *arg, Error *err);

	bool (*stat)(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
				 Error *err);

	/*
	 * Bytes offset .. offset+length-1, or less if the object ends before
	 * (length STORAGE_TO_END: to the end; an offset at or past the end gives
	 * no bytes).  read gives 1..cap bytes, or *got = 0 at the end.
	 */
	bool (*read_open)(Storage *st, const char *name, uint64_t offset,
					  uint64_t length, StorageReader **out, Error *err);
	bool (*read)(StorageReader *r, void *buf, size_t cap, size_t *got,
				 Error *err);
	void (*read_close)(StorageReader *r); /* NULL is fine */

	/*
	 * Writes a new object.  The first head_len bytes of the object are left
	 * out of write() and given at the commit, because what they say (hashes,
	 * sizes) is known only then.  Nothing is visible under the name before
	 * commit; commit returns true only when the object is durable with
	 * exactly those bytes.  commit and abort both free the writer, also when
	 * commit fails.  A driver may take an object that is in the way of a
	 * directory, or a directory of that name, for ERR_IO or ERR_EXISTS.
	 */
	bool (*write_open)(Storage *st, const char *name, size_t head_len,
					   StorageWriter **out, Error *err);
	bool (*write)(StorageWriter *w, const void *data, size_t len, Error *err);
	bool (*commit)(StorageWriter *w, const void *head, Error *err);
	void (*abort)(StorageWriter *w); /* NULL is fine */

	/*
	 * The object from takes the place of to, which is there, in one step.
	 * Where the store has no such step (puts_aside), to is renamed to
	 * "<from>.old" first, and that is removed last; then to may also be
	 * missing.  NULL: to is written anew, with StorageWriter.replaces set.
	 */
	bool (*replace)(Storage *st, const char *from, const char *to, Error *err);
	bool puts_aside;

	/* ERR_NOT_FOUND if it is not there; ERR_LOCKED: not before a time. */
	bool (*remove)(Storage *st, const char *name, Error *err);

	/*
	 * Locks the object, which is there, so that nobody removes it before that
	 * time; lifts no lock.  Puts a legal hold on it, or lifts that.  NULL: the
	 * store knows no locks.  ERR_UNSUPPORTED: they are not configured.
	 */
	bool (*lock)(Storage *st, const char *name, int64_t until, Error *err);
	bool (*hold)(Storage *st, const char *name, bool held, Error *err);

	/*
	 * Makes sure that an object which is there is also durable: its writer
	 * may have been killed between naming it and the last fsync.  NULL where
	 * what is visible is durable by nature.
	 */
	bool (*settle)(Storage *st, const char *name, Error *err);

	/*
	 * Removes what interrupted writers left, if older than the given age;
	 * *removed counts them.
	 */
	bool (*sweep)(Storage *st, int64_t older_than_usecs, uint64_t *removed,
				  Error *err);
} StorageDriver;

/*
 * First member of every driver's Storage, StorageReader, StorageWriter.  The
 * driver sets driver and where; storage_read_open() and storage_write_open()
 * set the rest and free it.
 */
struct Storage
{
	const StorageDriver *driver;
	char *where;           /* "directory /var/lib/pgdr", for messages */
	struct Limit *reading; /* of all who read through it, or NULL; the
							* caller's (storage/limit.h) */
};
struct StorageReader
{
	const StorageDriver *driver;
	Storage *storage;
	char *name;
};
struct StorageWriter
{
	const StorageDriver *driver;
	Storage *storage;
	char *name;
	bool failed;   /* a write failed: commit will refuse */
	bool replaces; /* commit takes the place of what has the name, in one
					* step; only where there is no replace() */
};

extern const StorageDriver storage_posix;
extern const StorageDriver storage_sftp;
extern const StorageDriver storage_memory;
extern const StorageDriver storage_s3;
extern const StorageDriver storage_azure;

/* The driver of options->type, opened; ERR_CONFIG for an unknown type. */
extern const StorageDriver *storage_driver(const char *type); /* or NULL */
/* The types there are; NULL behind the last. */
extern const char *storage_type(size_t i);
extern bool storage_open(const StorageOptions *options, Storage **out,
						 Error *err);
extern void storage_close(Storage *st); /* NULL is fine */

extern bool storage_list(Storage *st, const char *prefix, bool recursive,
						 StorageListFn fn, void *arg, Error *err);
extern bool storage_stat(Storage *st, const char *name, uint64_t *size,
						 int64_t *mtime, Error *err);
/*
 * ERR_NOT_FOUND becomes *exists = false.  A store that does not let us look at
 * objects (ERR_DENIED) is asked for a listing instead.
 */
extern bool storage_exists(Storage *st, const char *name, bool *exists,
						   Error *err);
extern bool storage_read_open(Storage *st, const char *name, uint64_t offset,
							  uint64_t length, StorageReader **out, Error *err);
extern bool storage_read(StorageReader *r, void *buf, size_t cap, size_t *got,
						 Error *err);
extern void storage_read_close(StorageReader *r);
extern bool storage_write_open(Storage *st, const char *name, size_t head_len,
							   StorageWriter **out, Error *err);
extern bool storage_write(StorageWriter *w, const void *data, size_t len,
						  Error *err);
extern bool storage_commit(StorageWriter *w, const void *head, Error *err);
extern void storage_abort(StorageWriter *w);
extern bool storage_remove(Storage *st, const char *name, Error *err);
/* ERR_UNSUPPORTED where there are no locks. */
extern bool storage_lock(Storage *st, const char *name, int64_t until,
						 Error *err);
extern bool storage_hold(Storage *st, const char *name, bool held, Error *err);

/*
 * An object is written once, but for the header around its key (key rewrap):
 * then a new one is made below this directory, verified, and takes the place
 * of the one that is there.
 */
#define STORAGE_STAGE_DIR "rewrap"
#define STORAGE_ASIDE ".old" /* behind the name there: see replace() above */
extern char *storage_stage_name(const char *name); /* caller frees */

/*
 * What is staged for name takes its place.  A store that takes writes in one
 * step (an object store) is sent the bytes again, and what was staged stays;
 * elsewhere it is renamed, and *renamed is set.
 */
extern bool storage_replace(Storage *st, const char *name, bool *renamed,
							Error *err);

/*
 * Completes the replacements that were killed on their way, so that each name
 * has its object; with all also removes what was only staged, even by a run
 * that is at work: that one then fails with the object, and loses nothing.
 */
extern bool storage_settle_replaced(Storage *st, bool all, Error *err);
/*
 * To be called before relying on an object that somebody else wrote and that
 * was found by stat, read or list instead of by ERR_EXISTS from commit.
 */
extern bool storage_settle(Storage *st, const char *name, Error *err);
extern bool storage_sweep(Storage *st, int64_t older_than_usecs,
						  uint64_t *removed, Error *err);

/*
 * A small object at once, and the whole of one: larger than max is
 * ERR_DAMAGED; *data has a NUL after its *len bytes and is the caller's.
 */
extern bool storage_put(Storage *st, const char *name, const void *data,
						size_t len, Error *err);
extern bool storage_get(Storage *st, const char *name, size_t max, char **data,
						size_t *len, Error *err);

/* ERR_USAGE unless name follows the rules above. */
extern bool storage_check_name(const char *name, Error *err);

#endif
