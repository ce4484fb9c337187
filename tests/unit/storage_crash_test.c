/*-------------------------------------------------------------------------
 *
 * storage_crash_test.c
 *	  The posix driver when system calls fail, when its process is killed, and
 *	  when the disk is full: an object is there whole, or not at all.
 *
 * System calls are made to fail by strace, which runs this program again with
 * arguments:
 *		put ROOT NAME		write that object; the exit status is the ErrCode
 *		idle ROOT NAME		do nothing
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/storage.h"
#include "tap.h"
#include "tmpdir.h"

#define HEAD_LEN 700
#define NAME "wal/sysid/tli/object"
/* So large that the disk begins before its end is written. */
#define LARGE "wal/sysid/tli/large"
#define LARGE_LEN 4000000
#define SEED 20261121
#define KILL_ROUNDS 30
#define EXIT_SKIP 99

static char *scratch;
static int temps_found;
static const char *object = NAME; /* that is written under strace */

static uint64_t
name_seed(const char *name)
{
	uint64_t seed = 14695981039346656037u;

	for (; *name != '\0'; name++)
		seed = (seed ^ (unsigned char) *name) * 1099511628211u;
	return seed;
}

/* All that is in an object follows from its name; caller frees. */
static unsigned char *
content_of(const char *name, size_t *len)
{
	uint64_t seed = name_seed(name);
	unsigned char *data;

	*len = HEAD_LEN + (size_t) (seed % 300000);
	if (strcmp(name, LARGE) == 0)
		*len += LARGE_LEN;
	data = mem_alloc(*len);
	for (size_t i = 0; i < *len; i++)
		data[i] = (unsigned char) ((seed + i * UINT64_C(0x9E3779B9)) >> 16);
	return data;
}

/* Head at the commit, the rest in three pieces. */
static bool
put_object(Storage *st, const char *name, Error *err)
{
	size_t len;
	unsigned char *data = content_of(name, &len);
	size_t piece = (len - HEAD_LEN) / 3;
	StorageWriter *w;
	bool done;

	if (!storage_write_open(st, name, HEAD_LEN, &w, err))
	{
		free(data);
		return false;
	}
	done = storage_write(w, data + HEAD_LEN, piece, err) &&
		   storage_write(w, data + HEAD_LEN + piece, piece, err) &&
		   storage_write(w, data + HEAD_LEN + 2 * piece,
						 len - HEAD_LEN - 2 * piece, err);
	if (done)
		done = storage_commit(w, data, err);
	else
		storage_abort(w);
	free(data);
	return done;
}

static bool
is_whole(Storage *st, const char *name, Error *err)
{
	size_t len;
	size_t got;
	unsigned char *data = content_of(name, &len);
	char *stored = NULL;
	bool same = false;

	if (storage_get(st, name, 2 * LARGE_LEN, &stored, &got, err))
	{
		same = got == len && memcmp(stored, data, len) == 0;
		free(stored);
	}
	free(data);
	return same;
}

static Storage *
open_root(const char *root, Error *err)
{
	StorageOptions options = {.repo = "p", .type = "posix", .path = root};
	Storage *st = NULL;

	return storage_open(&options, &st, err) ? st : NULL;
}

/* What strace runs. */
static int
put_main(const char *root, const char *name)
{
	Error err = ERROR_INIT;
	Storage *st = open_root(root, &err);
	int code;

	if (st != NULL)
	{
		put_object(st, name, &err);
		storage_close(st);
	}
	code = (int) err.code;
	error_clear(&err);
	return code;
}

static int
look_for_temp(const char *path, const struct stat *sb, int kind,
			  struct FTW *ftw)
{
	(void) sb;
	if (kind == FTW_F && path[ftw->base] == '.')
		temps_found++;
	return 0;
}

/* Temporary files below root. */
static int
count_temps(const char *root)
{
	temps_found = 0;
	nftw(root, look_for_temp, 16, FTW_PHYS);
	return temps_found;
}

/*
 * strace
 */

/*
 * Runs this program with "put" or "idle" under strace with these options
 * (NULL-terminated, at most four), its report going to a file; gives the wait
 * status.
 */
static int
run_strace(const char *verb, const char *root, const char *const *options,
		   const char *report)
{
	const char *argv[24] = {"strace", "-f", "-qq", "-o", report};
	int argc = 5;
	int status = -1;
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	pid_t pid;

	self[len > 0 ? len : 0] = '\0';
	for (; *options != NULL; options++)
	{
		argv[argc++] = "-e";
		argv[argc++] = *options;
	}
	argv[argc++] = self;
	argv[argc++] = verb;
	argv[argc++] = root;
	argv[argc++] = object;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		/* the leak check of a sanitizer does not work while traced */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		/* valgrind sets it: the loader would look through many places */
		unsetenv("LD_LIBRARY_PATH");
		execvp("strace", (char **) argv);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

static int
run_injected(const char *root, const char *const *injections)
{
	return run_strace("put", root, injections, "/dev/null");
}

/* How often the start of a program, before any work, makes a system call. */
static int
calls_at_start(const char *call)
{
	char *report = file_join(scratch, "report");
	char *trace = mem_printf("trace=%s", call);
	const char *options[] = {trace, NULL};
	StrBuf text = STRBUF_INIT;
	Error err = ERROR_INIT;
	int count = 0;

	run_strace("idle", scratch, options, report);
	ok(file_slurp(report, 1000000, &text, &err), "%s is traced", call);
	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == '\n';
	error_clear(&err);
	strbuf_free(&text);
	free(trace);
	free(report);
	return count;
}

static bool
strace_works(void)
{
	static const char *const nothing[] = {
		"trace=fsync", "inject=fsync:error=EIO:when=1", NULL};
	char *root = file_join(scratch, "probe");
	int status;

	if (mkdir(root, 0700) != 0)
		perror(root);
	status = run_injected(root, nothing);
	free(root);
	return WIFEXITED(status) && WEXITSTATUS(status) == ERR_IO;
}

/*
 * After whatever happened to one writer: does its object exist, is it whole
 * then, and can it be written else?
 */
static bool
check_after(const char *root, const char *what, bool *existed)
{
	Error err = ERROR_INIT;
	Storage *st = open_root(root, &err);
	bool good;

	if (st == NULL || !storage_exists(st, object, existed, &err))
	{
		ok(false, "%s: the store is usable: %s", what, err.message);
		error_clear(&err);
		return false;
	}
	if (*existed)
		good = is_whole(st, object, &err);
	else
		good = put_object(st, object, &err) && is_whole(st, object, &err);
	ok(good, "%s: the object %s", what,
	   *existed ? "is whole" : "can be written again");
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	storage_close(st);
	return good;
}

static char *
new_root(void)
{
	static int number;
	char *name = mem_printf("root%d", ++number);
	char *root = file_join(scratch, name);

	if (mkdir(root, 0700) != 0)
		perror(root);
	free(name);
	return root;
}

typedef struct Injection
{
	const char *what;
	const char *inject[4];
	ErrCode expected;
} Injection;

/*
 * The writer makes three directories, writes three pieces and the head, fsyncs
 * the file, four directories, and names the file in between.
 */
static const Injection injections[] = {
	{"a piece, disk full", {"inject=pwrite64:error=ENOSPC:when=2"}, ERR_FULL},
	{"a piece, quota", {"inject=pwrite64:error=EDQUOT:when=3"}, ERR_FULL},
	{"a piece, bad disk", {"inject=pwrite64:error=EIO:when=1"}, ERR_IO},
	{"a piece, interrupted", {"inject=pwrite64:error=EINTR:when=2"}, ERR_NONE},
	{"a piece, nothing written", {"inject=pwrite64:retval=0:when=2"}, ERR_FULL},
	{"the head, disk full", {"inject=pwrite64:error=ENOSPC:when=4"}, ERR_FULL},
	{"the head, bad disk", {"inject=pwrite64:error=EIO:when=4"}, ERR_IO},
	{"file lost pages", {"inject=fsync:error=EIO:when=1"}, ERR_IO},
	{"file, late disk full", {"inject=fsync:error=ENOSPC:when=1"}, ERR_FULL},
	{"1st directory, bad disk", {"inject=fsync:error=EIO:when=2"}, ERR_IO},
	{"2nd directory, full", {"inject=fsync:error=ENOSPC:when=3"}, ERR_FULL},
	{"3rd directory, bad disk", {"inject=fsync:error=EIO:when=4"}, ERR_IO},
	{"root directory, bad disk", {"inject=fsync:error=EIO:when=5"}, ERR_IO},
	{"directories without fsync",
	 {"inject=fsync:error=EINVAL:when=2+"},
	 ERR_NONE},
	{"rename, bad disk", {"inject=renameat2:error=EIO"}, ERR_IO},
	{"rename, disk full", {"inject=renameat2:error=ENOSPC"}, ERR_FULL},
	{"rename, read-only", {"inject=renameat2:error=EROFS"}, ERR_DENIED},
	{"rename, no NOREPLACE", {"inject=renameat2:error=EINVAL"}, ERR_NONE},
	{"rename, old kernel", {"inject=renameat2:error=ENOSYS"}, ERR_NONE},
	{"link, bad disk",
	 {"inject=renameat2:error=EINVAL", "inject=linkat:error=EIO"},
	 ERR_IO},
	{"link, neither works",
	 {"inject=renameat2:error=EINVAL", "inject=linkat:error=EPERM"},
	 ERR_UNSUPPORTED},
	{"mkdir, disk full", {"inject=mkdirat:error=ENOSPC:when=2"}, ERR_FULL},
	{"mkdir, denied", {"inject=mkdirat:error=EACCES:when=1"}, ERR_DENIED},
	{"mkdir, somebody else did",
	 {"inject=mkdirat:error=ENOENT:when=1..3"},
	 ERR_NONE},
};

/*
 * Of a large object, the beginning is brought to the disk meanwhile.  The
 * kernel tells of pages that were lost in that only once.
 */
#define EARLY "inject=pwrite64:delay_exit=100000" /* there is time for it */
static const Injection large_injections[] = {
	{"early, bad disk", {EARLY, "inject=fdatasync:error=EIO:when=1"}, ERR_IO},
	{"later, bad disk", {EARLY, "inject=fdatasync:error=EIO:when=2"}, ERR_IO},
	{"early, disk full",
	 {EARLY, "inject=fdatasync:error=ENOSPC:when=1"},
	 ERR_FULL},
	{"early, for long",
	 {EARLY, "inject=fdatasync:delay_enter=300000"},
	 ERR_NONE},
	{"a piece of many, disk full",
	 {"inject=pwrite64:error=ENOSPC:when=3"},
	 ERR_FULL},
	{"the rest, bad disk", {"inject=fsync:error=EIO:when=1"}, ERR_IO},
};

static void
test_injection(const Injection *injection)
{
	char *root = new_root();
	int status = run_injected(root, injection->inject);
	bool existed = false;

	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, injection->expected,
		   injection->what);
	is_int(count_temps(root), 0, "no temporary file is left");
	check_after(root, injection->what, &existed);
	ok(existed == (injection->expected == ERR_NONE),
	   "%s: it is visible only if the commit said so", injection->what);
	tmpdir_remove(root);
	free(root);
}

/*
 * Lets every single one of some system calls of the writer fail or be the
 * last.
 */
static void
test_each_call(const char *call, const char *how, int count)
{
	int start = calls_at_start(call);
	int failed = 0;

	for (int nth = 1; nth <= count; nth++)
	{
		char *root = new_root();
		char *inject = mem_printf("inject=%s:%s:when=%d", call, how,
								  start + nth);
		const char *list[] = {inject, NULL};
		int status = run_injected(root, list);
		bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
		bool existed = false;

		check_after(root, inject, &existed);
		if (strncmp(how, "signal", 6) != 0)
			ok(existed == done, "%s: visible if and only if committed", inject);
		else
			ok(existed || !done, "%s: committed means visible", inject);
		failed += !done;
		tmpdir_remove(root);
		free(inject);
		free(root);
	}
	ok(failed > 0, "%s with %s: %d of %d did not commit", call, how, failed,
	   count);
}

/* The name was given, but is it durable?  Another writer must find out. */
static void
test_exists_is_durable(void)
{
	static const char *const bad_dir[] = {"inject=fsync:error=EIO:when=2",
										  NULL};
	static const char *const bad_root[] = {"inject=fsync:error=EIO:when=5",
										   NULL};
	static const char *const nothing[] = {"trace=fsync", NULL};
	char *root = new_root();
	Error err = ERROR_INIT;
	Storage *st = open_root(root, &err);

	ok(put_object(st, NAME, &err), "an object is there");
	is_int(WEXITSTATUS(run_injected(root, nothing)), ERR_EXISTS,
		   "another writer meets it");
	is_int(WEXITSTATUS(run_injected(root, bad_dir)), ERR_IO,
		   "but not when its directory cannot be made durable");
	is_int(WEXITSTATUS(run_injected(root, bad_root)), ERR_IO,
		   "or a directory above");
	ok(is_whole(st, NAME, &err), "the object is untouched");
	is_int(count_temps(root), 0, "no temporary file is left");
	storage_close(st);
	error_clear(&err);
	tmpdir_remove(root);
	free(root);
}

static void
test_strace(void)
{
	size_t count = sizeof(injections) / sizeof(injections[0]);
	size_t large_count = sizeof(large_injections) / sizeof(large_injections[0]);

	if (!strace_works())
	{
		ok(true, "system calls that fail # SKIP strace cannot inject faults");
		return;
	}
	for (size_t i = 0; i < count; i++)
		test_injection(&injections[i]);
	test_exists_is_durable();
	test_each_call("close", "error=ENOSPC", 16);
	test_each_call("openat", "error=EIO", 16);
	test_each_call("openat", "error=EMFILE", 16);
	test_each_call("pwrite64", "signal=KILL", 4);
	test_each_call("fsync", "signal=KILL", 5);
	test_each_call("renameat2", "signal=KILL", 1);
	test_each_call("mkdirat", "signal=KILL", 3);
	object = LARGE;
	for (size_t i = 0; i < large_count; i++)
		test_injection(&large_injections[i]);
	object = NAME;
}

/*
 * kill -9
 */

/* Writes one object after the other until it is killed. */
static void
write_for_ever(const char *root, int round)
{
	Error err = ERROR_INIT;
	Storage *st = open_root(root, &err);

	for (int i = 0; st != NULL; i++)
	{
		char *name = mem_printf("kill/%d/%d/object-%d", round, i / 10, i);

		if (!put_object(st, name, &err))
			break;
		free(name);
	}
	_exit(1);
}

typedef struct Found
{
	Storage *st;
	int count;
	int whole;
	int last;
} Found;

static bool
inspect(void *arg, const StorageEntry *entry, Error *err)
{
	Found *found = arg;
	int number = (int) strtol(strrchr(entry->name, '-') + 1, NULL, 10);

	found->count++;
	found->whole += is_whole(found->st, entry->name, err);
	if (number > found->last)
		found->last = number;
	return !error_is_set(err);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* What was committed comes in order, so no object before the last may miss. */
static int
kill_round(const char *root, int round, uint64_t *random)
{
	Error err = ERROR_INIT;
	Found found = {.last = -1};
	char *prefix = mem_printf("kill/%d", round);
	char *name;
	int status;
	int temps;
	pid_t pid = fork();

	if (pid == 0)
		write_for_ever(root, round);
	usleep((useconds_t) (next_random(random) % 30000));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "round %d: the writer was killed", round);

	temps = count_temps(root);
	found.st = open_root(root, &err);
	ok(storage_list(found.st, prefix, true, inspect, &found, &err),
	   "round %d: the store can be listed", round);
	ok(found.whole == found.count && found.count == found.last + 1,
	   "round %d: all %d objects are whole, none is missing", round,
	   found.count);
	name = mem_printf("kill/%d/%d/object-%d", round, (found.last + 1) / 10,
					  found.last + 1);
	ok(put_object(found.st, name, &err) && is_whole(found.st, name, &err),
	   "round %d: the next write succeeds", round);
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	storage_close(found.st);
	free(name);
	free(prefix);
	return temps;
}

static void
test_kill(void)
{
	uint64_t random = SEED;
	Error err = ERROR_INIT;
	char *root = new_root();
	uint64_t removed = 0;
	int rounds = getenv("PGDR_SOAK") ? 10 * KILL_ROUNDS : KILL_ROUNDS;
	int temps = 0;
	Storage *st;

	printf("# seed %d\n", SEED);
	for (int round = 1; round <= rounds; round++)
		temps = kill_round(root, round, &random);
	printf("# %d rounds left %d temporary files\n", rounds, temps);
	st = open_root(root, &err);
	ok(storage_sweep(st, 0, &removed, &err), "a sweep");
	is_int((int64_t) removed, temps, "removes what was left");
	is_int(count_temps(root), 0, "all of it");
	error_clear(&err);
	storage_close(st);
	tmpdir_remove(root);
	free(root);
}

/*
 * A disk that is really full
 */

static bool
write_text(const char *path, const char *text)
{
	Error err = ERROR_INIT;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = file_write_all(fd, text, strlen(text), path, &err);
	error_clear(&err);
	return close(fd) == 0 && done;
}

/* Mounts that nobody else sees; as an ordinary user if the kernel allows. */
static bool
private_mounts(void)
{
	uid_t uid = geteuid();
	char *uid_map = mem_printf("0 %u 1", (unsigned) uid);
	char *gid_map = mem_printf("0 %u 1", (unsigned) getegid());
	bool done;

	if (uid == 0)
		done = unshare(CLONE_NEWNS) == 0;
	else
		done = unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
			   write_text("/proc/self/setgroups", "deny") &&
			   write_text("/proc/self/uid_map", uid_map) &&
			   write_text("/proc/self/gid_map", gid_map);
	free(uid_map);
	free(gid_map);
	return done && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* In a child; what it says is the exit status. */
static int
fill_disk(const char *root)
{
	Error err = ERROR_INIT;
	Storage *st;
	int written = 0;
	bool whole = true;

	if (!private_mounts() || mount("tmpfs", root, "tmpfs", 0, "size=2m") != 0)
		return EXIT_SKIP;
	st = open_root(root, &err);
	if (st == NULL)
		return 1;
	while (written < 1000 && !error_is_set(&err))
	{
		char *name = mem_printf("full/object-%d", written);

		if (put_object(st, name, &err))
			written++;
		free(name);
	}
	if (err.code != ERR_FULL || written == 0)
		return 2;
	error_clear(&err);
	if (count_temps(root) != 0)
		return 3;
	for (int i = 0; i <= written; i++)
	{
		char *name = mem_printf("full/object-%d", i);

		whole = whole && is_whole(st, name, &err) == (i < written);
		free(name);
	}
	if (!whole || err.code != ERR_NOT_FOUND)
		return 4;
	error_clear(&err);
	if (!storage_remove(st, "full/object-0", &err) ||
		!storage_put(st, "full/small", "x", 1, &err))
		return 5;
	storage_close(st);
	return 0;
}

static void
test_full_disk(void)
{
	char *root = new_root();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
	{
		status = fill_disk(root);
		free(root);
		_exit(status);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
		ok(true, "a full disk # SKIP cannot mount a small file system");
	else
		is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0,
			   "a full disk says so, keeps what is whole, and takes more "
			   "when there is room");
	free(root);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "idle") == 0)
		return 0;
	if (argc == 4 && strcmp(argv[1], "put") == 0)
		return put_main(argv[2], argv[3]);
	scratch = tmpdir_make("storage_crash_test");
	test_strace();
	test_kill();
	test_full_disk();
	tmpdir_remove(scratch);
	free(scratch);
	return done_testing();
}
