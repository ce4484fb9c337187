/*-------------------------------------------------------------------------
 *
 * storage_test.c
 *	  The storage drivers: the suite that all must pass, and what is special
 *	  about each.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conformance.h"
#include "storage/memory.h"
#include "storage/storage.h"
#include "tap.h"
#include "tmpdir.h"

#define NOBODY 65534

static char *scratch;

static bool
fails_with(bool done, Error *err, ErrCode code, const char *name)
{
	bool expected = !done && err->code == code;

	ok(expected, "%s: %s", name, error_code_name(code));
	if (!expected)
		printf("# done: %d, got: %s: %s\n", done, error_code_name(err->code),
			   err->message ? err->message : "");
	error_clear(err);
	return expected;
}

static bool
fine(bool done, Error *err, const char *name)
{
	ok(done && !error_is_set(err), "%s", name);
	if (error_is_set(err))
		printf("# %s: %s\n", error_code_name(err->code), err->message);
	error_clear(err);
	return done;
}

static void
make_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT, mode);

	if (fd < 0 || close(fd) != 0)
		perror(path);
}

static void
must_mkdir(const char *path)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		perror(path);
}

/* What a killed writer leaves; see posix_temp_name(). */
static void
leave_posix_leftover(void *arg, const char *name)
{
	char *path = file_join(arg, name);
	char *slash = strrchr(path, '/');
	char *temp;
	Error err = ERROR_INIT;

	*slash = '\0';
	file_mkdir_p(path, 0700, &err);
	temp = mem_printf("%s/.%s.4242.0123456789abcdef.tmp", path, slash + 1);
	make_file(temp, 0600);
	error_clear(&err);
	free(temp);
	free(path);
}

static void
run_posix_suite(void)
{
	char *path = file_join(scratch, "suite/store");
	char *missing = file_join(scratch, "not/there");
	ConformanceTarget target = {
		.label = "posix",
		.options = {.repo = "p", .type = "posix", .path = path, .create = true},
		.missing = {.repo = "p", .type = "posix", .path = missing},
		.directories = true,
		.leave_leftover = leave_posix_leftover,
		.arg = path,
		.ok = ok};

	conformance_run(&target);
	free(path);
	free(missing);
}

static void
run_memory_suite(void)
{
	ConformanceTarget target = {
		.label = "memory",
		.options = {.repo = "m", .type = "memory", .path = "suite"},
		.missing = {.repo = "m",
					.type = "memory",
					.path = "missing",
					.create = true},
		.ok = ok};

	memory_create("suite");
	conformance_run(&target);
	is_int((int64_t) memory_used("suite"), 0, "memory: nothing is left");
	memory_drop("suite");
}

/*
 * posix
 */

static Storage *
open_posix(const char *path)
{
	StorageOptions options = {
		.repo = "p", .type = "posix", .path = path, .create = true};
	Storage *st = NULL;
	Error err = ERROR_INIT;

	if (!fine(storage_open(&options, &st, &err), &err, "a store opens"))
		exit(1);
	return st;
}

static bool
count_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	++*(int *) arg;
	return true;
}

static int
count_objects(Storage *st)
{
	Error err = ERROR_INIT;
	int count = 0;

	if (!storage_list(st, "", true, count_entry, &count, &err))
		count = -1;
	error_clear(&err);
	return count;
}

static void
test_posix_open(void)
{
	char *missing = file_join(scratch, "unmounted");
	char *file = file_join(scratch, "file");
	StorageOptions options = {
		.repo = "local", .type = "posix", .path = missing};
	Storage *st = NULL;
	Error err = ERROR_INIT;
	bool exists = true;
	char *text;

	ok(!storage_open(&options, &st, &err), "a missing root does not open");
	text = mem_printf("could not open repository \"local\": could not open "
					  "directory \"%s\": No such file or directory",
					  missing);
	is_str(err.message, text, "and the message says what and where");
	ok(err.hint && strstr(err.hint, "mounted"), "the hint speaks of disks");
	fails_with(false, &err, ERR_IO, "it is no answer about objects");
	ok(file_exists(missing, &exists, &err) && !exists, "it was not made");
	free(text);

	options.path = "relative/path";
	fails_with(storage_open(&options, &st, &err), &err, ERR_CONFIG,
			   "a relative path");
	options.path = NULL;
	fails_with(storage_open(&options, &st, &err), &err, ERR_CONFIG, "no path");
	make_file(file, 0600);
	options.path = file;
	fails_with(storage_open(&options, &st, &err), &err, ERR_CONFIG,
			   "a file as root");
	free(missing);
	free(file);
}

static void
test_posix_modes(void)
{
	char *root = file_join(scratch, "modes/new/root");
	Storage *st;
	Error err = ERROR_INIT;
	struct stat sb;
	char *path;
	mode_t old = umask(0);

	st = open_posix(root);
	fine(storage_put(st, "dir/object", "x", 1, &err), &err, "with umask 0");
	ok(stat(root, &sb) == 0 && (sb.st_mode & 07777) == 0700, "root is 0700");
	path = file_join(root, "dir");
	ok(stat(path, &sb) == 0 && (sb.st_mode & 07777) == 0700,
	   "a directory is 0700");
	free(path);
	path = file_join(root, "dir/object");
	ok(stat(path, &sb) == 0 && (sb.st_mode & 07777) == 0600,
	   "an object is 0600");
	ok(sb.st_nlink == 1, "and has one link");
	free(path);
	umask(old);
	storage_close(st);
	free(root);
}

static void
test_posix_messages(void)
{
	char *root = file_join(scratch, "messages");
	Storage *st = open_posix(root);
	Error err = ERROR_INIT;
	char *text;

	storage_stat(st, "a/b", NULL, NULL, &err);
	text = mem_printf("object \"a/b\" does not exist in directory %s", root);
	is_str(err.message, text, "message of a missing object");
	storage_put(st, "a/..", "x", 1, &err);
	is_str(err.message, text, "a later error changes nothing");
	error_clear(&err);
	free(text);

	storage_put(st, "a/b", "x", 1, &err);
	storage_put(st, "a/b", "y", 1, &err);
	text = mem_printf("object \"a/b\" already exists in directory %s", root);
	is_str(err.message, text, "message of an object in the way");
	error_clear(&err);
	free(text);

	storage_put(st, "a/b/c", "y", 1, &err);
	text = mem_printf("could not write \"a/b/c\" in directory %s: could not "
					  "open directory: Not a directory",
					  root);
	is_str(err.message, text, "message of a failure");
	error_clear(&err);
	free(text);
	storage_close(st);
	free(root);
}

static void
test_posix_links(void)
{
	char *root = file_join(scratch, "links");
	char *outside = file_join(scratch, "outside");
	char *inside = file_join(scratch, "links/sub");
	char *object = file_join(scratch, "links/object");
	char *target = file_join(scratch, "outside/target");
	char *alias = file_join(scratch, "alias");
	Storage *st = open_posix(root);
	Storage *through;
	StorageReader *r;
	Error err = ERROR_INIT;
	bool empty = false;

	must_mkdir(outside);
	ok(symlink(outside, inside) == 0, "a symbolic link to a directory");
	fails_with(storage_put(st, "sub/object", "x", 1, &err), &err, ERR_IO,
			   "write through it");
	ok(file_dir_is_empty(outside, &empty, &err) && empty,
	   "nothing was written outside");
	make_file(target, 0600);
	ok(!storage_stat(st, "sub/target", NULL, NULL, &err) && err.hint != NULL,
	   "what is behind it is not seen, with a hint");
	fails_with(false, &err, ERR_IO, "and not denied either");
	ok(symlink(target, object) == 0, "a symbolic link to a file");
	fails_with(storage_read_open(st, "object", 0, 1, &r, &err), &err, ERR_IO,
			   "read through it");
	fails_with(storage_remove(st, "object", &err), &err, ERR_IO, "remove");
	fails_with(storage_put(st, "object", "x", 1, &err), &err, ERR_EXISTS,
			   "write onto it");
	is_int(count_objects(st), -1, "a listing does not pass over links");
	ok(unlink(inside) == 0 && unlink(object) == 0, "the links go");
	is_int(count_objects(st), 0, "then it is empty");

	ok(symlink(root, alias) == 0, "the root may be a link");
	through = open_posix(alias);
	fine(storage_put(through, "x", "x", 1, &err), &err, "and written to");
	is_int(count_objects(st), 1, "it is the same store");
	storage_close(through);
	storage_close(st);
	free(root);
	free(outside);
	free(inside);
	free(object);
	free(target);
	free(alias);
}

static void
test_posix_foreign_files(void)
{
	static const char *const foreign[] = {
		".nfs0000012345", ".a.tmp",
		"lost+found",     "a~",
		".a.1.123.tmp",   ".snapshot",
		"with blank",     ".a.x.0123456789abcdef.tmp"};
	size_t count = sizeof(foreign) / sizeof(foreign[0]);
	char *root = file_join(scratch, "foreign");
	char *fifo = file_join(scratch, "foreign/fifo");
	Storage *st = open_posix(root);
	StorageReader *r;
	Error err = ERROR_INIT;
	uint64_t removed = 99;
	size_t there = 0;

	for (size_t i = 0; i < count; i++)
	{
		char *path = file_join(root, foreign[i]);

		make_file(path, 0600);
		free(path);
	}
	is_int(count_objects(st), 0, "files of others are no objects");
	fine(storage_sweep(st, 0, &removed, &err), &err, "a sweep");
	is_int((int64_t) removed, 0, "takes none of them");
	for (size_t i = 0; i < count; i++)
	{
		char *path = file_join(root, foreign[i]);

		there += access(path, F_OK) == 0;
		free(path);
	}
	is_int((int64_t) there, (int64_t) count, "all are still there");

	ok(mkfifo(fifo, 0600) == 0, "a pipe with the name of an object");
	fails_with(storage_read_open(st, "fifo", 0, 1, &r, &err), &err, ERR_IO,
			   "read does not wait for it");
	storage_close(st);
	free(root);
	free(fifo);
}

/* The disk goes away while the store is open. */
static void
lost_root(Storage *st, const char *how)
{
	Error err = ERROR_INIT;
	StorageReader *r;
	StorageWriter *w;
	uint64_t removed;
	bool exists;
	int count = 0;

	printf("# root directory %s\n", how);
	ok(!storage_stat(st, "dir/none", NULL, NULL, &err) && err.hint != NULL,
	   "stat gives a hint");
	fails_with(false, &err, ERR_IO, "stat");
	fails_with(storage_exists(st, "none", &exists, &err), &err, ERR_IO,
			   "exists");
	fails_with(storage_read_open(st, "none", 0, 1, &r, &err), &err, ERR_IO,
			   "read");
	fails_with(storage_list(st, "", true, count_entry, &count, &err), &err,
			   ERR_IO, "list");
	fails_with(storage_list(st, "none", true, count_entry, &count, &err), &err,
			   ERR_IO, "list of a prefix");
	fails_with(storage_remove(st, "none", &err), &err, ERR_IO, "remove");
	fails_with(storage_settle(st, "none", &err), &err, ERR_IO, "settle");
	fails_with(storage_sweep(st, 0, &removed, &err), &err, ERR_IO, "sweep");
	if (storage_write_open(st, "new/object", 0, &w, &err))
		storage_commit(w, NULL, &err);
	fails_with(!error_is_set(&err), &err, ERR_IO, "write");
}

static void
test_posix_lost_root(void)
{
	char *root = file_join(scratch, "lost");
	char *away = file_join(scratch, "lost.away");
	Storage *st = open_posix(root);

	ok(rmdir(root) == 0, "the root directory goes");
	lost_root(st, "removed");
	storage_close(st);

	st = open_posix(root);
	ok(rename(root, away) == 0, "the root directory is renamed");
	lost_root(st, "renamed");
	must_mkdir(root);
	lost_root(st, "replaced");
	storage_close(st);
	free(root);
	free(away);
}

/* Exit status of a child that tries to write without permission. */
static int
write_denied(const char *root)
{
	StorageOptions options = {.repo = "p", .type = "posix", .path = root};
	Storage *st;
	Error err = ERROR_INIT;
	bool done;
	int code;

	if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
		return 99;
	done = storage_open(&options, &st, &err);
	if (done)
	{
		done = storage_put(st, "a", "x", 1, &err);
		storage_close(st);
	}
	code = done ? 0 : (int) err.code;
	error_clear(&err);
	return code;
}

static void
test_posix_denied(void)
{
	char *root = file_join(scratch, "denied");
	int status = 0;
	pid_t pid;

	must_mkdir(root);
	ok(chmod(scratch, 0755) == 0 && chmod(root, 0555) == 0,
	   "a directory that one may only read");
	pid = fork();
	if (pid == 0)
		_exit(write_denied(root));
	waitpid(pid, &status, 0);
	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, ERR_DENIED,
		   "write is denied");
	chmod(root, 0700);
	chmod(scratch, 0700);
	free(root);
}

/*
 * memory
 */

static const Error broken = {
	.code = ERR_IO, .transient = true, .message = "the line is down"};

static Storage *
open_memory(const char *path)
{
	StorageOptions options = {.repo = "m", .type = "memory", .path = path};
	Storage *st = NULL;
	Error err = ERROR_INIT;

	memory_create(path);
	if (!fine(storage_open(&options, &st, &err), &err, "a store opens"))
		exit(1);
	return st;
}

static void
close_memory(Storage *st, const char *path)
{
	storage_close(st);
	memory_drop(path);
}

/* Uses every operation once; true if all of them worked. */
static bool
use_all(const char *path, Error *err)
{
	StorageOptions options = {.repo = "m", .type = "memory", .path = path};
	Storage *st;
	uint64_t removed;
	int count = 0;
	char *data = NULL;
	size_t len;
	bool done;

	if (!storage_open(&options, &st, err))
		return false;
	done = storage_put(st, "a/b", "text", 4, err) &&
		   storage_list(st, "", true, count_entry, &count, err) &&
		   storage_stat(st, "a/b", NULL, NULL, err) &&
		   storage_settle(st, "a/b", err) &&
		   storage_get(st, "a/b", 10, &data, &len, err) &&
		   storage_remove(st, "a/b", err) &&
		   storage_sweep(st, 0, &removed, err);
	free(data);
	storage_close(st);
	return done;
}

static void
test_memory_each_fails(void)
{
	Error err = ERROR_INIT;

	for (MemoryOp op = 0; op < MEMORY_OPS; op++)
	{
		uint64_t before;

		memory_create("each");
		fine(use_all("each", &err), &err, "all operations work");
		before = memory_calls("each", op);
		ok(before > 0, "operation %d was used", op);
		memory_fail_at("each", op, 1, &broken);
		ok(!use_all("each", &err), "then it fails");
		ok(err.transient && strstr(err.message, broken.message) != NULL,
		   "with transience and message: %s", err.message);
		fails_with(false, &err, ERR_IO, "and code");
		is_int((int64_t) memory_calls("each", op), (int64_t) before + 1,
			   "the failed call was the last of its kind");
		memory_drop("each");
	}
}

static void
test_memory_when(void)
{
	Storage *st = open_memory("when");
	Error err = ERROR_INIT;

	memory_fail_at("when", MEMORY_STAT, 2, &broken);
	fine(storage_put(st, "a", "1", 1, &err), &err, "an object");
	fine(storage_stat(st, "a", NULL, NULL, &err), &err, "first stat");
	fails_with(storage_stat(st, "a", NULL, NULL, &err), &err, ERR_IO,
			   "second stat");
	fine(storage_stat(st, "a", NULL, NULL, &err), &err, "third stat");

	memory_fail("when", MEMORY_STAT, 2, MEMORY_SINCE, &broken);
	fine(storage_stat(st, "a", NULL, NULL, &err), &err, "first stat");
	for (int i = 0; i < 3; i++)
		fails_with(storage_stat(st, "a", NULL, NULL, &err), &err, ERR_IO,
				   "all later ones");
	memory_heal("when");
	fine(storage_stat(st, "a", NULL, NULL, &err), &err, "healed");

	memory_fail("when", MEMORY_COMMIT, 1, MEMORY_AFTER, &broken);
	fails_with(storage_put(st, "b", "2", 1, &err), &err, ERR_IO,
			   "commit whose answer is lost");
	fine(storage_stat(st, "b", NULL, NULL, &err), &err, "took place");
	memory_fail("when", MEMORY_REMOVE, 1, MEMORY_AFTER, &broken);
	fails_with(storage_remove(st, "b", &err), &err, ERR_IO,
			   "remove whose answer is lost");
	fails_with(storage_remove(st, "b", &err), &err, ERR_NOT_FOUND,
			   "took place");
	memory_fail_at("when", MEMORY_COMMIT, 1, &broken);
	fails_with(storage_put(st, "c", "3", 1, &err), &err, ERR_IO,
			   "commit that fails");
	fails_with(storage_stat(st, "c", NULL, NULL, &err), &err, ERR_NOT_FOUND,
			   "leaves nothing");
	is_int((int64_t) memory_used("when"), 1, "and no bytes");
	close_memory(st, "when");
}

/* What the common layer does about drivers and callers that err. */
static void
test_common_layer(void)
{
	Error missing = {.code = ERR_NOT_FOUND, .message = "404"};
	Error taken = {.code = ERR_EXISTS, .message = "409"};
	Storage *st = open_memory("common");
	StorageWriter *w = NULL;
	Error err = ERROR_INIT;
	int count = 0;

	memory_fail_at("common", MEMORY_LIST, 1, &missing);
	fails_with(storage_list(st, "", true, count_entry, &count, &err), &err,
			   ERR_IO, "a listing is never \"not found\"");
	memory_fail_at("common", MEMORY_WRITE_OPEN, 1, &missing);
	fails_with(storage_put(st, "a", "1", 1, &err), &err, ERR_IO,
			   "nor is a write");
	memory_fail_at("common", MEMORY_WRITE, 1, &taken);
	fails_with(storage_put(st, "a", "1", 1, &err), &err, ERR_IO,
			   "a write is not \"exists\" before the commit");
	memory_fail_at("common", MEMORY_OPEN, 1, &missing);
	fails_with(use_all("common", &err), &err, ERR_IO, "nor an open");

	fine(storage_write_open(st, "a", 0, &w, &err), &err, "a writer");
	fine(storage_write(w, "12", 2, &err), &err, "writes");
	memory_fail_at("common", MEMORY_WRITE, 1, &broken);
	fails_with(storage_write(w, "34", 2, &err), &err, ERR_IO, "then fails");
	fails_with(storage_write(w, "56", 2, &err), &err, ERR_IO,
			   "and does not go on");
	fails_with(storage_commit(w, NULL, &err), &err, ERR_IO,
			   "and is not committed");
	fails_with(storage_stat(st, "a", NULL, NULL, &err), &err, ERR_NOT_FOUND,
			   "nothing is there");
	is_int((int64_t) memory_used("common"), 0, "no bytes are left");
	close_memory(st, "common");
}

static void
test_memory_reads(void)
{
	Storage *st = open_memory("reads");
	Error err = ERROR_INIT;
	char *data = NULL;
	size_t len = 0;

	storage_put(st, "a", "0123456789", 10, &err);
	memory_short_reads("reads", 3);
	fine(storage_get(st, "a", 10, &data, &len, &err), &err, "short reads");
	is_str(data, "0123456789", "give the same");
	is_int((int64_t) memory_calls("reads", MEMORY_READ), 5, "in five calls");
	free(data);
	memory_heal("reads");

	memory_tear_read("reads", 1);
	fine(storage_get(st, "a", 10, &data, &len, &err), &err, "a torn read");
	ok(len == 10 && memcmp(data, "01234", 5) == 0 &&
		   memcmp(data + 5, "56789", 5) != 0,
	   "gives a wrong second half");
	free(data);
	fine(storage_get(st, "a", 10, &data, &len, &err), &err, "once more");
	is_str(data, "0123456789", "gives the right bytes");
	free(data);

	ok(memory_damage("reads", "a", "x23", 3), "damage");
	fine(storage_get(st, "a", 10, &data, &len, &err), &err, "is read");
	is_str(data, "x23", "as it is");
	free(data);
	ok(!memory_damage("reads", "b", "", 0), "no damage to what is not there");
	close_memory(st, "reads");
}

static void
test_memory_full(void)
{
	Storage *st = open_memory("full");
	StorageWriter *w = NULL;
	Error err = ERROR_INIT;

	memory_limit("full", 10);
	fine(storage_put(st, "a", "123456", 6, &err), &err, "6 of 10 bytes");
	fails_with(storage_put(st, "b", "12345", 5, &err), &err, ERR_FULL,
			   "5 more");
	fine(storage_write_open(st, "b", 3, &w, &err), &err, "3 of head");
	fails_with(storage_write(w, "12", 2, &err), &err, ERR_FULL, "2 more");
	storage_abort(w);
	fails_with(storage_write_open(st, "b", 5, &w, &err), &err, ERR_FULL,
			   "5 of head");
	fine(storage_remove(st, "a", &err), &err, "room is made");
	fine(storage_put(st, "b", "0123456789", 10, &err), &err, "10 of 10");
	is_int((int64_t) memory_used("full"), 10, "all is used");
	close_memory(st, "full");
}

int
main(void)
{
	scratch = tmpdir_make("storage_test");
	run_posix_suite();
	run_memory_suite();
	test_posix_open();
	test_posix_modes();
	test_posix_messages();
	test_posix_links();
	test_posix_foreign_files();
	test_posix_lost_root();
	test_posix_denied();
	test_memory_each_fails();
	test_memory_when();
	test_common_layer();
	test_memory_reads();
	test_memory_full();
	tmpdir_remove(scratch);
	free(scratch);
	return done_testing();
}
