/*-------------------------------------------------------------------------
 *
 * fanout_test.c
 *	  Tests of storage/fanout: one write to several stores, each of which may
 *	  fail at each operation.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/fanout.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "storage/memory.h"
#include "tap.h"

#define MEMBERS 3
#define HEAD "0123456789abcdef"
#define HEAD_LEN 16
#define SIZE (1024 * 1024 + 17)

static const char *const paths[MEMBERS] = {"one", "two", "three"};
static const char *const ops[MEMORY_OPS] = {
	"open",  "list",   "stat",   "read_open", "read", "write_open",
	"write", "commit", "remove", "settle",    "sweep"};

static Error err;
static char *content;

static FanoutGroup *
begin(bool strict)
{
	FanoutGroup *group = fanout_group_new(strict);

	error_clear(&err);
	for (size_t i = 0; i < MEMBERS; i++)
	{
		StorageOptions options = {
			.repo = paths[i], .type = "memory", .path = paths[i]};

		memory_create(paths[i]);
		fanout_group_add(group, &options);
	}
	return group;
}

static void
end(FanoutGroup *group, Storage *st)
{
	storage_close(st);
	fanout_group_free(group);
	for (size_t i = 0; i < MEMBERS; i++)
		memory_drop(paths[i]);
}

static Storage *
connect_to(FanoutGroup *group)
{
	StorageOptions options = {.repo = "all", .type = "fanout", .group = group};
	Storage *st = NULL;

	return storage_open(&options, &st, &err) ? st : NULL;
}

/* Writes the content in pieces of changing size. */
static bool
put(Storage *st, const char *name)
{
	StorageWriter *w = NULL;
	size_t at = 0;
	size_t piece = 1;

	if (!storage_write_open(st, name, HEAD_LEN, &w, &err))
		return false;
	while (at < SIZE)
	{
		size_t n = piece < SIZE - at ? piece : SIZE - at;

		if (!storage_write(w, content + at, n, &err))
		{
			storage_abort(w);
			return false;
		}
		at += n;
		piece = piece * 3 % 400000 + 1;
	}
	return storage_commit(w, HEAD, &err);
}

/* Does this store hold the object, whole? */
static bool
has(size_t member, const char *name)
{
	StorageOptions options = {
		.repo = paths[member], .type = "memory", .path = paths[member]};
	Storage *st = NULL;
	Error why = ERROR_INIT;
	char *data = NULL;
	size_t len = 0;
	bool good;

	if (!storage_open(&options, &st, &why))
		return false;
	good = storage_get(st, name, 2 * SIZE, &data, &len, &why) &&
		   len == SIZE + HEAD_LEN && memcmp(data, HEAD, HEAD_LEN) == 0 &&
		   memcmp(data + HEAD_LEN, content, SIZE) == 0;
	free(data);
	error_clear(&why);
	storage_close(st);
	return good;
}

static void
test_all_well(void)
{
	FanoutGroup *group = begin(false);
	Storage *st = connect_to(group);

	ok(st != NULL, "a connection to three");
	ok(put(st, "a/b"), "a write");
	for (size_t i = 0; i < MEMBERS; i++)
	{
		ok(has(i, "a/b"), "\"%s\" has the object", paths[i]);
		is_int(fanout_result(st, i), FANOUT_STORED, "its result");
	}
	is_int((int64_t) fanout_group_live(group), MEMBERS, "all are left");
	ok(strstr(st->where, "\"two\"") != NULL, "all are named in messages");
	ok(storage_settle(st, "a/b", &err), "settle");
	ok(storage_remove(st, "a/b", &err), "remove");
	for (size_t i = 0; i < MEMBERS; i++)
		ok(!has(i, "a/b"), "\"%s\" has it no more", paths[i]);
	ok(!storage_remove(st, "a/b", &err), "nothing is left to remove");
	is_int(err.code, ERR_NOT_FOUND, "which is said");
	end(group, st);
}

/* One member fails at one call: the others have all of it. */
static void
fail_at(size_t member, MemoryOp op, uint64_t nth)
{
	FanoutGroup *group = begin(false);
	Error fault = ERROR_INIT;
	Error why = ERROR_INIT;
	Storage *st;
	bool whole = true;

	error_set(&fault, ERR_FULL, "no room");
	memory_fail_at(paths[member], op, nth, &fault);
	st = connect_to(group);
	ok(st != NULL && put(st, "x"), "\"%s\" fails at %s %d: goes on",
	   paths[member], ops[op], (int) nth);
	for (size_t i = 0; i < MEMBERS; i++)
		whole &= has(i, "x") == (i != member);
	ok(whole, "the others have the object, and that one has not");
	ok(!fanout_group_is_live(group, member), "it is dropped");
	is_int(fanout_result(st, member),
		   op == MEMORY_COMMIT ? FANOUT_FAILED : FANOUT_ABSENT, "its result");

	error_clear(&err);
	ok(put(st, "y"), "another object");
	ok(!has(member, "y"), "is not given to it any more");
	is_int((int64_t) memory_used(paths[member]), 0, "nothing is left there");
	fanout_group_take_why(group, member, &why);
	is_int(why.code, ERR_FULL, "the reason is kept");
	error_clear(&why);
	error_clear(&fault);
	end(group, st);
}

static void
test_each_fails(void)
{
	static const MemoryOp writing[] = {MEMORY_OPEN, MEMORY_WRITE_OPEN,
									   MEMORY_WRITE, MEMORY_COMMIT};

	for (size_t member = 0; member < MEMBERS; member++)
	{
		for (size_t i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
			fail_at(member, writing[i], 1);
		fail_at(member, MEMORY_WRITE, 3);
	}
}

static void
test_all_fail(void)
{
	FanoutGroup *group = begin(false);
	Storage *st = connect_to(group);
	Error full = ERROR_INIT;
	Error denied = ERROR_INIT;

	error_set(&full, ERR_FULL, "no room");
	error_set(&denied, ERR_DENIED, "not for you");
	memory_fail(paths[0], MEMORY_WRITE, 1, MEMORY_SINCE, &full);
	memory_fail(paths[1], MEMORY_WRITE_OPEN, 1, MEMORY_SINCE, &denied);
	memory_fail(paths[2], MEMORY_COMMIT, 1, MEMORY_SINCE, &denied);
	ok(!put(st, "x"), "all fail, each elsewhere: so does the write");
	is_int(err.code, ERR_FULL, "the code of the first");
	ok(err.message && strstr(err.message, "no room"), "its cause");
	ok(err.detail && strstr(err.detail, "\"two\"") &&
		   strstr(err.detail, "not for you"),
	   "the others are named");
	error_clear(&err);
	ok(!put(st, "y"), "nobody is left for another object");
	error_clear(&err);
	ok(connect_to(group) == NULL, "nor for another connection");
	for (size_t i = 0; i < MEMBERS; i++)
		is_int((int64_t) memory_used(paths[i]), 0, "nothing is left behind");
	error_clear(&full);
	error_clear(&denied);
	end(group, st);
}

/* The answer is lost: nobody knows, so it does not count. */
static void
test_lost_answer(void)
{
	FanoutGroup *group = begin(false);
	Storage *st = connect_to(group);
	Error fault = ERROR_INIT;

	error_set(&fault, ERR_IO, "no answer");
	memory_fail(paths[1], MEMORY_COMMIT, 1, MEMORY_AFTER, &fault);
	ok(put(st, "x"), "the answer to one commit is lost");
	is_int(fanout_result(st, 1), FANOUT_FAILED, "that one has failed");
	ok(has(0, "x") && has(2, "x"), "the others have it");
	error_clear(&fault);
	end(group, st);
}

static bool
put_direct(size_t member, const char *name)
{
	StorageOptions options = {
		.repo = paths[member], .type = "memory", .path = paths[member]};
	Storage *st = NULL;
	bool done = storage_open(&options, &st, &err) &&
				storage_put(st, name, "other", 5, &err);

	storage_close(st);
	return done;
}

static void
test_taken(bool strict)
{
	FanoutGroup *group = begin(strict);
	Storage *st = connect_to(group);

	ok(put_direct(1, "x"), "the name is taken in one store");
	ok(put(st, "x"), "the others take it, %s", strict ? "strict" : "lenient");
	is_int(fanout_result(st, 1), strict ? FANOUT_FAILED : FANOUT_EXISTS,
		   "the result says so");
	is_int(fanout_group_is_live(group, 1), !strict, "is it left?");
	ok(put_direct(0, "y") && put_direct(2, "y"), "taken in two stores");
	if (!strict)
		ok(put_direct(1, "y"), "and in the third");
	ok(!put(st, "y"), "then it fails");
	is_int(err.code, ERR_EXISTS, "with the code for that");
	end(group, st);
}

/* What another connection has dropped gets no more, in the middle of a write. */
static void
test_dropped_elsewhere(void)
{
	FanoutGroup *group = begin(false);
	Storage *st = connect_to(group);
	Storage *again = connect_to(group);
	StorageWriter *w = NULL;
	Error fault = ERROR_INIT;
	Error why = ERROR_INIT;

	ok(storage_write_open(st, "x", 0, &w, &err) &&
		   storage_write(w, content, SIZE, &err),
	   "a write begins");
	error_set(&fault, ERR_IO, "gone");
	memory_fail_at(paths[0], MEMORY_WRITE_OPEN, 1, &fault);
	ok(put(again, "y"), "another connection drops a member");
	ok(storage_commit(w, NULL, &err), "the write is ended");
	is_int(fanout_result(st, 0), FANOUT_ABSENT, "without that one");
	is_int((int64_t) memory_used(paths[0]), 0, "nothing of it is left there");

	error_clear(&err);
	ok(storage_write_open(st, "z", 0, &w, &err), "one more write");
	error_set(&why, ERR_IO, "by hand");
	fanout_group_drop(group, 1, &why);
	fanout_group_drop(group, 2, &why);
	ok(!storage_write(w, content, SIZE, &err), "all are dropped: it fails");
	ok(strstr(err.message, "gone") != NULL, "the cause is the first one's");
	storage_abort(w);
	error_clear(&fault);
	storage_close(again);
	end(group, st);
}

/* Over connections that somebody else has opened, one of them missing. */
static void
test_wrap(void)
{
	FanoutGroup *group = begin(false);
	Storage *opened[MEMBERS] = {NULL};
	Storage *st;
	Error none = ERROR_INIT;
	bool exists = true;

	for (size_t i = 1; i < MEMBERS; i++)
	{
		StorageOptions options = {
			.repo = paths[i], .type = "memory", .path = paths[i]};

		ok(storage_open(&options, &opened[i], &err), "open \"%s\"", paths[i]);
	}
	fanout_group_drop(group, 0, &none);
	fanout_wrap(group, opened, &st);
	ok(put(st, "x"), "a write");
	ok(!has(0, "x") && has(1, "x") && has(2, "x"), "to those that take part");
	ok(storage_exists(st, "x", &exists, &err) && exists, "it is seen");
	storage_close(st);
	for (size_t i = 1; i < MEMBERS; i++)
	{
		ok(storage_exists(opened[i], "x", &exists, &err) && exists,
		   "\"%s\" is still open", paths[i]);
		storage_close(opened[i]);
	}
	fanout_group_free(group);
	for (size_t i = 0; i < MEMBERS; i++)
		memory_drop(paths[i]);
}

static bool
put_many(void *arg, int worker_no, Error *why)
{
	StorageOptions options = {.repo = "all", .type = "fanout", .group = arg};
	Storage *st = NULL;
	bool done = storage_open(&options, &st, why);

	for (int i = 0; done && i < 50; i++)
	{
		char *name = mem_printf("w%d/%d", worker_no, i);

		done = storage_put(st, name, content, 1000, why);
		free(name);
	}
	storage_close(st);
	return done;
}

static void
test_workers(void)
{
	FanoutGroup *group = begin(true);
	Error fault = ERROR_INIT;

	error_set(&fault, ERR_TIMEOUT, "too slow");
	memory_fail(paths[2], MEMORY_COMMIT, 60, MEMORY_SINCE, &fault);
	ok(thread_run(4, put_many, group, &err), "four workers, and a fault");
	is_int((int64_t) fanout_group_live(group), 2, "one store is dropped");
	is_int((int64_t) memory_used(paths[0]), 200 * 1000, "the first has all");
	is_int((int64_t) memory_used(paths[1]), 200 * 1000, "so has the second");
	error_clear(&fault);
	end(group, NULL);
}

/* Reading and listing is left to the first that is left. */
static void
test_reading(void)
{
	FanoutGroup *group = begin(false);
	Storage *st = connect_to(group);
	Error fault = ERROR_INIT;
	uint64_t removed;
	char *data = NULL;
	size_t len = 0;

	ok(put(st, "x"), "a write");
	error_set(&fault, ERR_IO, "gone");
	fanout_group_drop(group, 0, &fault);
	ok(storage_get(st, "x", 2 * SIZE, &data, &len, &err) &&
		   len == SIZE + HEAD_LEN,
	   "read from the second");
	ok(memory_calls(paths[0], MEMORY_READ) == 0, "not from the first");
	free(data);
	error_set(&fault, ERR_IO, "no sweeping");
	memory_fail_at(paths[1], MEMORY_SWEEP, 1, &fault);
	ok(storage_sweep(st, 0, &removed, &err), "sweep, which fails in one");
	ok(!fanout_group_is_live(group, 1), "that one is dropped");
	error_clear(&fault);
	end(group, st);
}

int
main(void)
{
	content = mem_alloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (char) (i * 31 + i / 251);
	test_all_well();
	test_each_fails();
	test_all_fail();
	test_lost_answer();
	test_taken(false);
	test_taken(true);
	test_dropped_elsewhere();
	test_wrap();
	test_workers();
	test_reading();
	error_clear(&err);
	free(content);
	return done_testing();
}
