/*-------------------------------------------------------------------------
 *
 * conformance.c
 *	  What every storage driver must do, as one suite of tests.
 *
 *-------------------------------------------------------------------------
 */
#include "conformance.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BIG_OBJECT ((size_t) 20 * 1000 * 1000)
#define MANY_OBJECTS 3000
#define WRITERS 8
#define ROUNDS 10

typedef struct Suite
{
	const ConformanceTarget *t;
	Storage *st;
} Suite;

/* What a listing showed, sorted; directories have a slash at the end. */
typedef struct Seen
{
	char **item;
	uint64_t *size;
	size_t count;
	size_t cap;
	size_t size_cap;
	size_t stop_after; /* 0: never */
} Seen;

static bool __attribute__((format(printf, 3, 4)))
check(const Suite *s, bool condition, const char *fmt, ...)
{
	va_list ap;
	char *what;

	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	s->t->ok(condition, "%s: %s", s->t->label, what);
	free(what);
	return condition;
}

/* It worked; shows the error if not. */
static bool __attribute__((format(printf, 4, 5)))
works(const Suite *s, bool done, Error *err, const char *fmt, ...)
{
	va_list ap;
	char *what;

	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	check(s, done && !error_is_set(err), "%s", what);
	if (error_is_set(err))
		printf("# %s: %s\n", error_code_name(err->code), err->message);
	error_clear(err);
	free(what);
	return done;
}

/* It failed with that code and a message. */
static bool __attribute__((format(printf, 5, 6)))
fails(const Suite *s, bool done, Error *err, ErrCode code, const char *fmt, ...)
{
	bool expected = !done && err->code == code && err->message != NULL;
	va_list ap;
	char *what;

	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	check(s, expected, "%s: %s", what, error_code_name(code));
	if (!expected)
		printf("# done: %d, got: %s: %s\n", done, error_code_name(err->code),
			   err->message ? err->message : "");
	error_clear(err);
	free(what);
	return expected;
}

/* Bytes that tell their place and the object they belong to. */
static void
fill(unsigned char *buf, size_t len, uint64_t offset, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
	{
		uint64_t x = (offset + i) * UINT64_C(0x9E3779B97F4A7C15) + seed;

		buf[i] = (unsigned char) ((x ^ (x >> 29)) >> 24);
	}
}

static bool
put(const Suite *s, const char *name, const char *text, Error *err)
{
	return storage_put(s->st, name, text, strlen(text), err);
}

/* Does the object hold exactly that text? */
static bool
holds(const Suite *s, const char *name, const char *text)
{
	Error err = ERROR_INIT;
	char *data;
	size_t len;
	bool same;

	if (!storage_get(s->st, name, 1000000, &data, &len, &err))
	{
		printf("# %s: %s\n", error_code_name(err.code), err.message);
		error_clear(&err);
		return false;
	}
	same = len == strlen(text) && memcmp(data, text, len) == 0;
	free(data);
	return same;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
see(void *arg, const StorageEntry *entry, Error *err)
{
	Seen *seen = arg;

	if (seen->stop_after > 0 && seen->count >= seen->stop_after)
		return error_set(err, ERR_CANCELED, "seen enough");
	seen->item = mem_grow(seen->item, seen->count, &seen->cap, sizeof(char *));
	seen->size = mem_grow(seen->size, seen->count, &seen->size_cap,
						  sizeof(uint64_t));
	seen->size[seen->count] = entry->size;
	seen->item[seen->count++] = mem_printf("%s%s", entry->name,
										   entry->is_dir ? "/" : "");
	return true;
}

static void
seen_free(Seen *seen)
{
	for (size_t i = 0; i < seen->count; i++)
		free(seen->item[i]);
	free(seen->item);
	free(seen->size);
	*seen = (Seen){0};
}

/* The listing as one string "a b/ c", sorted; caller frees. */
static char *
list_text(const Suite *s, const char *prefix, bool recursive)
{
	Error err = ERROR_INIT;
	StrBuf sb = STRBUF_INIT;
	Seen seen = {0};

	if (!storage_list(s->st, prefix, recursive, see, &seen, &err))
	{
		strbuf_printf(&sb, "error: %s", err.message);
		error_clear(&err);
	}
	else if (seen.count > 0)
		qsort(seen.item, seen.count, sizeof(char *), compare_names);
	for (size_t i = 0; i < seen.count; i++)
		strbuf_printf(&sb, "%s%s", i > 0 ? " " : "", seen.item[i]);
	seen_free(&seen);
	return sb.data ? strbuf_steal(&sb) : mem_strdup("");
}

static void
lists(const Suite *s, const char *prefix, bool recursive, const char *expected)
{
	char *got = list_text(s, prefix, recursive);

	if (!check(s, strcmp(got, expected) == 0, "list%s of \"%s\" is \"%s\"",
			   recursive ? " of all" : "", prefix, expected))
		printf("# got: %.300s\n", got);
	free(got);
}

static bool
remove_one(void *arg, const StorageEntry *entry, Error *err)
{
	return storage_remove(arg, entry->name, err);
}

/* Removes all objects, from inside the listing, as expiry may. */
static void
empty_store(const Suite *s)
{
	Error err = ERROR_INIT;

	works(s, storage_list(s->st, "", true, remove_one, s->st, &err), &err,
		  "objects can be removed from inside a listing");
	lists(s, "", true, "");
}

/*
 * Names
 */

static void
refuses_name(const Suite *s, const char *name)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	StorageWriter *w;
	bool exists;

	fails(s, storage_check_name(name, &err), &err, ERR_USAGE,
		  "check of name \"%.20s\"", name);
	fails(s, storage_stat(s->st, name, NULL, NULL, &err), &err, ERR_USAGE,
		  "stat of \"%.20s\"", name);
	fails(s, storage_exists(s->st, name, &exists, &err), &err, ERR_USAGE,
		  "exists of \"%.20s\"", name);
	fails(s, storage_read_open(s->st, name, 0, 1, &r, &err), &err, ERR_USAGE,
		  "read of \"%.20s\"", name);
	fails(s, storage_write_open(s->st, name, 0, &w, &err), &err, ERR_USAGE,
		  "write of \"%.20s\"", name);
	fails(s, storage_remove(s->st, name, &err), &err, ERR_USAGE,
		  "remove of \"%.20s\"", name);
	fails(s, storage_settle(s->st, name, &err), &err, ERR_USAGE,
		  "settle of \"%.20s\"", name);
	if (name[0] != '\0')
		fails(s, storage_list(s->st, name, true, see, NULL, &err), &err,
			  ERR_USAGE, "list of \"%.20s\"", name);
}

/* A name of len bytes in components of at most width bytes. */
static char *
long_name(size_t len, size_t width)
{
	char *name = mem_alloc(len + 1);

	for (size_t i = 0; i < len; i++)
		name[i] = (i + 1) % (width + 1) == 0 && i + 1 < len ? '/' : 'n';
	name[len] = '\0';
	return name;
}

static void
takes_name(const Suite *s, const char *name)
{
	Error err = ERROR_INIT;

	works(s, put(s, name, name, &err), &err, "name \"%.20s\" of %zu bytes",
		  name, strlen(name));
	check(s, holds(s, name, name), "and its object holds what was written");
	lists(s, "", true, name);
	works(s, storage_remove(s->st, name, &err), &err, "and it can go");
}

static void
test_names(const Suite *s)
{
	static const char *const bad[] = {
		"",     "/",      "/a",   "a/",    "a//b",    ".",         "..",
		"../a", "a/../b", "a/..", "a/./b", ".hidden", "a/.hidden", "a b",
		"a\\b", "a+b",    "a%2e", "a\nb",  "a:b",     "\xc3\xa9",  "a*"};
	static const char *const good[] = {
		"a", "A-Z_0.9", "a..b", "a.", "-", "_", "x.tmp", "a/b/c/d/e/f/g"};
	char *name;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuses_name(s, bad[i]);
	refuses_name(s, name = long_name(STORAGE_NAME_MAX + 1, 100));
	free(name);
	refuses_name(s, name = long_name(STORAGE_COMPONENT_MAX + 1, 900));
	free(name);

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		takes_name(s, good[i]);
	takes_name(s, name = long_name(STORAGE_NAME_MAX, 100));
	free(name);
	takes_name(s, name = long_name(STORAGE_NAME_MAX, 1));
	free(name);
	takes_name(s, name = long_name(STORAGE_COMPONENT_MAX, 900));
	free(name);
}

/*
 * Writing and reading
 */

static void
test_empty_object(const Suite *s)
{
	Error err = ERROR_INIT;
	uint64_t size = 1;
	int64_t mtime = 0;
	char *data;
	size_t len = 1;

	works(s, storage_put(s->st, "empty", "", 0, &err), &err,
		  "an empty object can be written");
	works(s, storage_stat(s->st, "empty", &size, &mtime, &err), &err,
		  "and looked up");
	check(s, size == 0, "its size is 0");
	check(s, mtime > INT64_C(1500000000000000), "its time is after 2017");
	if (works(s, storage_get(s->st, "empty", 10, &data, &len, &err), &err,
			  "and read"))
	{
		check(s, len == 0 && data[0] == '\0', "nothing is in it");
		free(data);
	}
	works(s, storage_settle(s->st, "empty", &err), &err, "it can be settled");
	works(s, storage_remove(s->st, "empty", &err), &err, "it can be removed");
	lists(s, "", false, "");
}

/* Sizes of the pieces in which bytes are written and read. */
static const size_t odd_sizes[] = {1,     65536, 7, 100003,  4096,
								   65537, 333,   1, 1048576, 13};

static bool
write_pattern(StorageWriter *w, size_t total, uint64_t seed, Error *err)
{
	unsigned char *buf = mem_alloc(1048576);
	size_t done = 0;
	bool good = true;

	for (size_t i = 0; good && done < total; i++)
	{
		size_t n = odd_sizes[i % (sizeof(odd_sizes) / sizeof(size_t))];

		if (n > total - done)
			n = total - done;
		fill(buf, n, done, seed);
		good = storage_write(w, buf, n, err);
		done += n;
	}
	free(buf);
	return good;
}

static bool
put_pattern(const Suite *s, const char *name, size_t total, uint64_t seed,
			Error *err)
{
	StorageWriter *w;

	if (!storage_write_open(s->st, name, 0, &w, err))
		return false;
	if (!write_pattern(w, total, seed, err))
	{
		storage_abort(w);
		return false;
	}
	return storage_commit(w, NULL, err);
}

/*
 * Reads in odd sizes until the end; counts the bytes up to the first one that
 * is not of the pattern from offset on.
 */
static uint64_t
read_pattern(StorageReader *r, uint64_t offset, uint64_t seed, Error *err)
{
	unsigned char *buf = mem_alloc(1048576);
	unsigned char *good = mem_alloc(1048576);
	uint64_t count = 0;
	size_t got = 0;

	for (size_t i = 0;; i++)
	{
		size_t n = odd_sizes[i % (sizeof(odd_sizes) / sizeof(size_t))];

		if (!storage_read(r, buf, n, &got, err) || got == 0)
			break;
		fill(good, got, offset + count, seed);
		if (got > n || memcmp(buf, good, got) != 0)
		{
			error_set(err, ERR_DAMAGED, "wrong bytes after %" PRIu64, count);
			break;
		}
		count += got;
	}
	free(buf);
	free(good);
	return count;
}

static void
reads(const Suite *s, const char *name, uint64_t offset, uint64_t length,
	  uint64_t expected)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	uint64_t got;

	if (!works(s, storage_read_open(s->st, name, offset, length, &r, &err),
			   &err, "range %" PRIu64 "+%" PRIu64 " opens", offset, length))
		return;
	got = read_pattern(r, offset, 42, &err);
	storage_read_close(r);
	works(s, got == expected && !error_is_set(&err), &err,
		  "and gives %" PRIu64 " bytes (%" PRIu64 ")", expected, got);
}

static void
test_big_object(const Suite *s)
{
	size_t total = s->t->big_object ? s->t->big_object : BIG_OBJECT;
	Error err = ERROR_INIT;
	uint64_t size = 0;
	char *data = NULL;
	size_t len;

	works(s, put_pattern(s, "big/object", total, 42, &err), &err,
		  "an object of %zu bytes in odd pieces", total);
	works(s, storage_stat(s->st, "big/object", &size, NULL, &err), &err,
		  "is found");
	check(s, size == total, "its size is right");
	reads(s, "big/object", 0, STORAGE_TO_END, total);
	reads(s, "big/object", total - 100000, STORAGE_TO_END, 100000);
	reads(s, "big/object", total / 3, 3000000, 3000000);
	fails(s, storage_get(s->st, "big/object", 1000, &data, &len, &err), &err,
		  ERR_DAMAGED, "get of an object larger than allowed");
	works(s, storage_remove(s->st, "big/object", &err), &err, "it can go");
}

static void
test_ranges(const Suite *s)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	char *data;
	size_t len;
	size_t got = 1;

	if (!works(s, put_pattern(s, "r", 1000, 42, &err), &err,
			   "an object of 1000 bytes"))
		return;
	reads(s, "r", 0, 1000, 1000);
	reads(s, "r", 0, 1, 1);
	reads(s, "r", 999, 1, 1);
	reads(s, "r", 100, 800, 800);
	reads(s, "r", 900, 200, 100);
	reads(s, "r", 900, STORAGE_TO_END, 100);
	reads(s, "r", 1000, 1, 0);
	reads(s, "r", 1000, STORAGE_TO_END, 0);
	reads(s, "r", 1001, 10, 0);
	reads(s, "r", UINT64_C(1) << 40, 10, 0);
	reads(s, "r", UINT64_MAX, 10, 0);
	reads(s, "r", 10, UINT64_MAX - 1, 990);
	reads(s, "r", 0, 0, 0);
	reads(s, "r", 500, 0, 0);
	reads(s, "r", 2000, 0, 0);

	if (works(s, storage_read_open(s->st, "r", 0, 10, &r, &err), &err,
			  "it opens again"))
	{
		works(s, storage_read(r, &got, 0, &len, &err), &err, "a read of 0");
		check(s, len == 0, "gives nothing");
		storage_read_close(r);
	}
	if (works(s, storage_get(s->st, "r", 1000, &data, &len, &err), &err,
			  "get takes just as much as allowed"))
	{
		check(s, len == 1000, "and all of it");
		free(data);
	}
	fails(s, storage_get(s->st, "r", 999, &data, &len, &err), &err, ERR_DAMAGED,
		  "get of one byte more than allowed");
	works(s, storage_remove(s->st, "r", &err), &err, "it can go");
}

/*
 * The head, and what is visible when
 */

static void
head_of(const Suite *s, size_t head_len, size_t body_len)
{
	Error err = ERROR_INIT;
	unsigned char *all = mem_alloc(head_len + body_len + 1);
	StorageWriter *w;
	char *data;
	size_t len;

	fill(all, head_len + body_len, 0, 7);
	if (works(s, storage_write_open(s->st, "head", head_len, &w, &err), &err,
			  "a writer with %zu bytes of head", head_len))
	{
		bool done = storage_write(w, all + head_len, body_len / 2, &err) &&
					storage_write(w, all + head_len + body_len / 2,
								  body_len - body_len / 2, &err);

		works(s, done, &err, "takes %zu bytes", body_len);
		lists(s, "", true, "");
		works(s, storage_commit(w, head_len ? all : NULL, &err), &err,
			  "and commits");
	}
	if (works(s, storage_get(s->st, "head", 1000000, &data, &len, &err), &err,
			  "the object can be read"))
	{
		check(s, len == head_len + body_len && memcmp(data, all, len) == 0,
			  "head and the rest are in their places");
		free(data);
	}
	works(s, storage_remove(s->st, "head", &err), &err, "and removed");
	free(all);
}

static void
test_head(const Suite *s)
{
	static const size_t heads[] = {0, 1, 700};
	static const size_t bodies[] = {0, 1, 100000};

	for (size_t h = 0; h < 3; h++)
	{
		for (size_t b = 0; b < 3; b++)
			head_of(s, heads[h], bodies[b]);
	}
}

/* Nobody sees it: not by name, not in a listing, not to remove. */
static void
invisible(const Suite *s, const char *name, const char *when)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	bool exists = true;

	fails(s, storage_stat(s->st, name, NULL, NULL, &err), &err, ERR_NOT_FOUND,
		  "stat %s", when);
	works(s, storage_exists(s->st, name, &exists, &err), &err, "exists %s",
		  when);
	check(s, !exists, "says no");
	fails(s, storage_read_open(s->st, name, 0, STORAGE_TO_END, &r, &err), &err,
		  ERR_NOT_FOUND, "read %s", when);
	fails(s, storage_read_open(s->st, name, 0, 0, &r, &err), &err,
		  ERR_NOT_FOUND, "read of nothing %s", when);
	fails(s, storage_remove(s->st, name, &err), &err, ERR_NOT_FOUND,
		  "remove %s", when);
	/* where all that is visible is durable, nobody looks */
	if (s->st->driver->settle != NULL)
		fails(s, storage_settle(s->st, name, &err), &err, ERR_NOT_FOUND,
			  "settle %s", when);
	lists(s, "", true, "");
}

static void
test_visibility(const Suite *s)
{
	Error err = ERROR_INIT;
	StorageWriter *w;
	bool exists = false;

	invisible(s, "v/object", "before it is begun");
	storage_write_open(s->st, "v/object", 10, &w, &err);
	storage_write(w, "0123456789", 10, &err);
	works(s, !error_is_set(&err), &err, "a writer is under way");
	invisible(s, "v/object", "before the commit");
	storage_abort(w);
	invisible(s, "v/object", "after the abort");
	storage_abort(NULL);
	storage_read_close(NULL);

	works(s, storage_write_open(s->st, "v/object", 0, &w, &err), &err,
		  "a new writer after the abort");
	works(s, storage_commit(w, NULL, &err), &err, "commits");
	works(s, storage_exists(s->st, "v/object", &exists, &err), &err, "exists");
	check(s, exists, "says yes");
	works(s, storage_remove(s->st, "v/object", &err), &err, "and it goes");
	invisible(s, "v/object", "after its removal");
	lists(s, "", false, "");
}

/*
 * One name, several writers
 */

static void
test_existing(const Suite *s)
{
	Error err = ERROR_INIT;
	StorageWriter *w;

	works(s, put(s, "e/object", "old bytes", &err), &err, "an object");
	fails(s, put(s, "e/object", "new", &err), &err, ERR_EXISTS,
		  "another one of that name");
	fails(s, put(s, "e/object", "old bytes", &err), &err, ERR_EXISTS,
		  "even with the same bytes");
	if (works(s, storage_write_open(s->st, "e/object", 3, &w, &err), &err,
			  "a writer with a head"))
	{
		storage_write(w, "456789", 6, &err);
		fails(s, storage_commit(w, "123", &err), &err, ERR_EXISTS,
			  "its commit");
	}
	check(s, holds(s, "e/object", "old bytes"), "the old bytes are there");
	lists(s, "", true, "e/object");
	works(s, storage_remove(s->st, "e/object", &err), &err, "it can go");
	works(s, put(s, "e/object", "new", &err), &err,
		  "then the name is free again");
	check(s, holds(s, "e/object", "new"), "for other bytes");
	works(s, storage_remove(s->st, "e/object", &err), &err, "it can go");
}

/*
 * A new object in the place of one that is there, staged first; and after a
 * kill, wherever it was.
 */

static void
replaces(const Suite *s, const char *name, const char *text)
{
	char *staged = storage_stage_name(name);
	Error err = ERROR_INIT;
	bool renamed = false;

	works(s, put(s, staged, text, &err), &err, "an object is staged");
	works(s, storage_replace(s->st, name, &renamed, &err), &err,
		  "it takes the place of the one that is there");
	check(s, holds(s, name, text), "which has its bytes then");
	if (!renamed)
		works(s, storage_remove(s->st, staged, &err), &err,
			  "what was staged can go");
	lists(s, "", true, name);
	free(staged);
}

/* Only where an object may be put aside is there a moment without its name. */
static void
test_interrupted_replace(const Suite *s)
{
	Error err = ERROR_INIT;
	bool exists = false;

	works(s, put(s, "rewrap/p/object" STORAGE_ASIDE, "old", &err), &err,
		  "an object is put aside, and the machine dies");
	check(s, holds(s, "p/object", "old"), "it is found by its name");
	works(s, storage_exists(s->st, "p/object", &exists, &err), &err,
		  "it is looked up");
	check(s, exists, "and found");
	works(s, put(s, "rewrap/p/object", "new", &err), &err,
		  "the new one is staged");
	works(s, storage_settle_replaced(s->st, false, &err), &err,
		  "somebody settles it");
	check(s, holds(s, "p/object", "new"), "the new one has the name");
	lists(s, "", true, "p/object");
	works(s, storage_remove(s->st, "p/object", &err), &err, "it can go");
	works(s, put(s, "rewrap/p/object" STORAGE_ASIDE, "old", &err), &err,
		  "an object is put aside, and the new one is lost");
	works(s, storage_settle_replaced(s->st, false, &err), &err,
		  "somebody settles it");
	check(s, holds(s, "p/object", "old"), "the old one has its name again");
	works(s, storage_remove(s->st, "p/object", &err), &err, "it can go");
}

static void
test_replace(const Suite *s)
{
	Error err = ERROR_INIT;

	works(s, put(s, "p/q/object", "old bytes", &err), &err, "an object");
	replaces(s, "p/q/object", "new");
	replaces(s, "p/q/object", "newer, and longer than what was there");
	works(s, put(s, "rewrap/p/q/object", "staged", &err), &err,
		  "another is staged, and no more");
	works(s, storage_settle_replaced(s->st, false, &err), &err,
		  "what is left is settled");
	lists(s, "", true, "p/q/object rewrap/p/q/object");
	works(s, storage_settle_replaced(s->st, true, &err), &err, "all of it is");
	lists(s, "", true, "p/q/object");
	check(s, holds(s, "p/q/object", "newer, and longer than what was there"),
		  "the object is as it was");
	works(s, storage_remove(s->st, "p/q/object", &err), &err, "it can go");
	if (s->st->driver->puts_aside)
		test_interrupted_replace(s);
}

typedef struct Racer
{
	const Suite *suite;
	int number;
	pthread_barrier_t *start;
	ErrCode code; /* ERR_NONE: won */
} Racer;

static void *
race(void *arg)
{
	Racer *racer = arg;
	Suite own = *racer->suite;
	Error err = ERROR_INIT;
	char *text = mem_printf("writer %d %0*d", racer->number,
							1000 * racer->number, racer->number);
	bool open = storage_open(&own.t->options, &own.st, &err);

	pthread_barrier_wait(racer->start);
	if (open)
		put(&own, "race/deep/object", text, &err);
	racer->code = err.code;
	if (open)
		storage_close(own.st);
	error_clear(&err);
	free(text);
	return NULL;
}

static void
race_round(const Suite *s, int round)
{
	pthread_barrier_t start;
	pthread_t thread[WRITERS];
	Racer racer[WRITERS];
	Error err = ERROR_INIT;
	int winners = 0;
	int losers = 0;
	int winner = 0;
	char *text;

	pthread_barrier_init(&start, NULL, WRITERS);
	for (int i = 0; i < WRITERS; i++)
	{
		racer[i] = (Racer){.suite = s, .number = i + 1, .start = &start};
		if (pthread_create(&thread[i], NULL, race, &racer[i]) != 0)
			abort();
	}
	for (int i = 0; i < WRITERS; i++)
	{
		pthread_join(thread[i], NULL);
		if (racer[i].code == ERR_NONE)
		{
			winners++;
			winner = racer[i].number;
		}
		losers += racer[i].code == ERR_EXISTS;
	}
	pthread_barrier_destroy(&start);
	check(s, winners == 1 && losers == WRITERS - 1,
		  "round %d: one of %d writers wins (%d), all others meet it (%d)",
		  round, WRITERS, winners, losers);
	text = mem_printf("writer %d %0*d", winner, 1000 * winner, winner);
	check(s, holds(s, "race/deep/object", text), "the winner's bytes count");
	free(text);
	lists(s, "", true, "race/deep/object");
	works(s, storage_remove(s->st, "race/deep/object", &err), &err,
		  "ready for another round");
}

/*
 * Listing
 */

static void
test_lists(const Suite *s)
{
	static const char *const names[] = {"a",     "b/c",      "b/d",   "b/e/f",
										"b/e/g", "b-b/h",    "b.b/i", "bb/j",
										"k/l/m", "k/l-n/op", "q"};
	size_t count = sizeof(names) / sizeof(names[0]);
	Error err = ERROR_INIT;
	Seen seen = {.stop_after = 3};

	lists(s, "", false, "");
	lists(s, "", true, "");
	lists(s, "none", false, "");
	lists(s, "none/at/all", true, "");
	for (size_t i = 0; i < count; i++)
		works(s, put(s, names[i], names[i], &err), &err, "object \"%s\"",
			  names[i]);
	lists(s, "", false, "a b-b/ b.b/ b/ bb/ k/ q");
	lists(s, "", true,
		  "a b-b/h b.b/i b/c b/d b/e/f b/e/g bb/j k/l-n/op k/l/m q");
	lists(s, "b", false, "b/c b/d b/e/");
	lists(s, "b", true, "b/c b/d b/e/f b/e/g");
	lists(s, "b/e", false, "b/e/f b/e/g");
	lists(s, "k/l", true, "k/l/m");
	lists(s, "k", false, "k/l-n/ k/l/");
	lists(s, "a", false, "");
	lists(s, "a/b", true, "");
	lists(s, "b/e/f", true, "");

	fails(s, storage_list(s->st, "", true, see, &seen, &err), &err,
		  ERR_CANCELED, "the error of the callback ends the listing");
	check(s, seen.count == 3, "at once");
	seen_free(&seen);
	seen.stop_after = 1;
	storage_list(s->st, "b", false, see, &seen, &err);
	check(s, err.message && strcmp(err.message, "seen enough") == 0,
		  "and comes back as it was");
	error_clear(&err);
	seen_free(&seen);
	storage_list(s->st, "bb", true, see, &seen, &err);
	check(s, seen.count == 1 && seen.size[0] == 4, "a listing gives sizes");
	works(s, !error_is_set(&err), &err, "without an error");
	seen_free(&seen);
	empty_store(s);
	lists(s, "", false, "");
}

static void
test_many(const Suite *s)
{
	size_t many = s->t->many_objects ? s->t->many_objects : MANY_OBJECTS;
	Error err = ERROR_INIT;
	Seen seen = {0};
	bool right = true;
	bool done = true;

	for (size_t i = 0; done && i < many; i++)
	{
		char *name = mem_printf("many/%06zu", i);

		done = put(s, name, "x", &err);
		free(name);
	}
	works(s, done, &err, "%zu objects", many);
	works(s, storage_list(s->st, "many", false, see, &seen, &err), &err,
		  "can be listed");
	check(s, seen.count == many, "all of them (%zu)", seen.count);
	if (seen.count > 0)
		qsort(seen.item, seen.count, sizeof(char *), compare_names);
	for (size_t i = 0; i < seen.count; i++)
	{
		char *name = mem_printf("many/%06zu", i);

		right = right && strcmp(seen.item[i], name) == 0;
		free(name);
	}
	check(s, right, "each of them once");
	seen_free(&seen);
	lists(s, "", false, "many/");
	empty_store(s);
}

/*
 * Things in each other's way, missing things, leftovers
 */

static void
test_directory_name(const Suite *s)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	bool exists = true;
	bool done;

	works(s, put(s, "d/sub/object", "text", &err), &err, "an object in d/sub");
	fails(s, storage_stat(s->st, "d/sub", NULL, NULL, &err), &err,
		  ERR_NOT_FOUND, "stat of a directory");
	works(s, storage_exists(s->st, "d", &exists, &err), &err, "exists");
	check(s, !exists, "says that a directory is no object");
	fails(s, storage_read_open(s->st, "d/sub", 0, 1, &r, &err), &err,
		  ERR_NOT_FOUND, "read of a directory");
	fails(s, storage_remove(s->st, "d/sub", &err), &err, ERR_NOT_FOUND,
		  "remove of a directory");
	fails(s, storage_stat(s->st, "d/sub/object/below", NULL, NULL, &err), &err,
		  ERR_NOT_FOUND, "stat below an object");
	fails(s, storage_remove(s->st, "d/sub/object/below", &err), &err,
		  ERR_NOT_FOUND, "remove below an object");

	done = put(s, "d/sub", "other", &err);
	check(s, s->t->directories ? !done && err.code == ERR_EXISTS : done,
		  "write to the name of a directory");
	error_clear(&err);
	done = put(s, "d/sub/object/below", "other", &err);
	check(s, s->t->directories ? !done && err.code == ERR_IO : done,
		  "write below an object");
	error_clear(&err);
	check(s, holds(s, "d/sub/object", "text"), "the object is untouched");
	empty_store(s);
}

static bool
answers_missing(const Error *err)
{
	return (err->code == ERR_IO || err->code == ERR_CONFIG) &&
		   err->hint != NULL;
}

/* A store may be found missing when it is opened, or at the first use. */
static void
test_missing_store(const Suite *s)
{
	Error err = ERROR_INIT;
	Storage *st = NULL;
	Seen seen = {0};

	if (!storage_open(&s->t->missing, &st, &err))
	{
		check(s, answers_missing(&err),
			  "a store that does not exist cannot be opened: %s",
			  error_code_name(err.code));
		check(s, st == NULL, "and gives none");
		error_clear(&err);
		return;
	}
	check(s, !storage_stat(st, "a", NULL, NULL, &err) && answers_missing(&err),
		  "stat in a store that does not exist: %s", error_code_name(err.code));
	error_clear(&err);
	check(s,
		  !storage_list(st, "", true, see, &seen, &err) &&
			  answers_missing(&err),
		  "list of a store that does not exist: %s", error_code_name(err.code));
	error_clear(&err);
	check(s, !storage_put(st, "a", "b", 1, &err) && answers_missing(&err),
		  "write to a store that does not exist: %s",
		  error_code_name(err.code));
	error_clear(&err);
	storage_close(st);
}

static void
test_unknown_type(const Suite *s)
{
	StorageOptions options = {.repo = "r", .type = "tape", .path = "/"};
	Error err = ERROR_INIT;
	Storage *st;

	fails(s, storage_open(&options, &st, &err), &err, ERR_CONFIG,
		  "a type that nobody knows");
	options.type = NULL;
	fails(s, storage_open(&options, &st, &err), &err, ERR_CONFIG, "no type");
}

static void
test_sweep(const Suite *s)
{
	Error err = ERROR_INIT;
	uint64_t removed = 99;
	StorageWriter *w;

	works(s, put(s, "s/kept", "kept", &err), &err, "an object");
	works(s, storage_sweep(s->st, 0, &removed, &err), &err,
		  "a sweep without leftovers");
	check(s, removed == 0, "removes nothing");
	if (s->t->leave_leftover != NULL)
	{
		s->t->leave_leftover(s->t->arg, "s/killed");
		s->t->leave_leftover(s->t->arg, "s/t/killed");
		lists(s, "", true, "s/kept");
		works(s, storage_sweep(s->st, INT64_C(3600000000), &removed, &err),
			  &err, "a sweep of what is older than an hour");
		check(s, removed == 0, "leaves young leftovers alone");
		works(s, storage_sweep(s->st, 0, &removed, &err), &err,
			  "a sweep of all leftovers");
		check(s, removed == 2, "removes both");
		works(s, storage_sweep(s->st, 0, &removed, &err), &err,
			  "another sweep");
		check(s, removed == 0, "finds nothing more");
		lists(s, "s", false, "s/kept");
	}
	check(s, holds(s, "s/kept", "kept"), "objects stay");
	if (works(s, storage_write_open(s->st, "s/u/going", 4, &w, &err), &err,
			  "a writer is under way"))
	{
		storage_write(w, "data", 4, &err);
		works(s, storage_sweep(s->st, INT64_C(3600000000), &removed, &err),
			  &err, "a sweep meanwhile");
		works(s, storage_commit(w, "head", &err), &err, "leaves it alone");
		check(s, holds(s, "s/u/going", "headdata"), "and its object is whole");
	}
	empty_store(s);
}

/* Two connections see the same store; a reader outlives the removal or not. */
static void
test_second_connection(const Suite *s)
{
	Suite other = *s;
	Error err = ERROR_INIT;

	if (!works(s, storage_open(&s->t->options, &other.st, &err), &err,
			   "a second connection"))
		return;
	works(s, put(s, "shared/object", "text", &err), &err,
		  "what the first one writes");
	check(s, holds(&other, "shared/object", "text"), "the second one reads");
	works(s, storage_remove(other.st, "shared/object", &err), &err,
		  "what the second one removes");
	fails(s, storage_stat(s->st, "shared/object", NULL, NULL, &err), &err,
		  ERR_NOT_FOUND, "the first one does not find");
	storage_close(other.st);
}

/* While one writes into a directory, another empties it again and again. */
static void *
write_and_remove(void *arg)
{
	Racer *racer = arg;
	Suite own = *racer->suite;
	Error err = ERROR_INIT;
	char *name = mem_printf("churn/x/y/%d", racer->number);

	if (!storage_open(&own.t->options, &own.st, &err))
	{
		racer->code = err.code;
		error_clear(&err);
		free(name);
		return NULL;
	}
	for (int i = 0; i < 50 && !error_is_set(&err); i++)
	{
		if (put(&own, name, name, &err) && storage_settle(own.st, name, &err))
			storage_remove(own.st, name, &err);
	}
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	racer->code = err.code;
	storage_close(own.st);
	error_clear(&err);
	free(name);
	return NULL;
}

static void
test_churn(const Suite *s)
{
	pthread_t thread[4];
	Racer racer[4];
	int good = 0;

	for (int i = 0; i < 4; i++)
	{
		racer[i] = (Racer){.suite = s, .number = i};
		if (pthread_create(&thread[i], NULL, write_and_remove, &racer[i]) != 0)
			abort();
	}
	for (int i = 0; i < 4; i++)
	{
		pthread_join(thread[i], NULL);
		good += racer[i].code == ERR_NONE;
	}
	check(s, good == 4, "writing and emptying one directory at a time (%d)",
		  good);
	lists(s, "", false, "");
}

void
conformance_run(const ConformanceTarget *target)
{
	Suite s = {.t = target};
	Error err = ERROR_INIT;

	if (!works(&s, storage_open(&target->options, &s.st, &err), &err,
			   "the store opens"))
		return;
	check(&s, s.st->where != NULL && s.st->where[0] != '\0',
		  "and says where it is");
	test_names(&s);
	test_empty_object(&s);
	test_big_object(&s);
	test_ranges(&s);
	test_head(&s);
	test_visibility(&s);
	test_existing(&s);
	test_replace(&s);
	for (int round = 1; round <= ROUNDS; round++)
		race_round(&s, round);
	test_lists(&s);
	test_many(&s);
	test_directory_name(&s);
	test_missing_store(&s);
	test_unknown_type(&s);
	test_sweep(&s);
	test_second_connection(&s);
	test_churn(&s);
	storage_close(s.st);
	storage_close(NULL);
}
