/*-------------------------------------------------------------------------
 *
 * file_test.c
 *	  Tests of archive_cmd/base/file.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"

static char dir[200];

static char *
in_dir(const char *name)
{
	return file_join(dir, name);
}

static bool
nothing_there(void)
{
	bool empty = false;
	Error err = ERROR_INIT;

	file_dir_is_empty(dir, &empty, &err);
	error_clear(&err);
	return empty;
}

static void
test_write_durable(void)
{
	char *path = in_dir("a");
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	struct stat st;

	ok(nothing_there(), "nothing there");
	ok(file_write_durable(path, "one", 3, 0600, false, &err), "a new file");
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "its mode");
	is_int((int64_t) st.st_nlink, 1, "one name");
	ok(!file_write_durable(path, "two", 3, 0600, false, &err), "again");
	is_int(err.code, ERR_EXISTS, "... says that it exists");
	error_clear(&err);
	ok(file_slurp(path, 100, &sb, &err), "read");
	is_str(sb.data, "one", "... is untouched");
	ok(file_write_durable(path, "", 0, 0600, true, &err), "replaced");
	ok(file_slurp(path, 100, &sb, &err), "read");
	is_str(sb.data, "", "... has the new content");
	unlink(path);
	ok(nothing_there(), "no temporary file is left");

	free(path);
	path = in_dir("no/such");
	ok(!file_write_durable(path, "x", 1, 0600, true, &err), "no directory");
	is_int(err.code, ERR_NOT_FOUND, "... is not found");
	error_clear(&err);
	free(path);
	strbuf_free(&sb);
}

typedef struct Race
{
	char *path;
	_Atomic int winners;
	_Atomic int existing;
} Race;

static bool
race(void *arg, int worker_no, Error *err)
{
	Race *r = arg;
	char text[2] = {(char) ('a' + worker_no), '\0'};
	Error mine = ERROR_INIT;

	(void) err;
	if (file_write_durable(r->path, text, 1, 0600, false, &mine))
		r->winners++;
	else if (mine.code == ERR_EXISTS)
		r->existing++;
	error_clear(&mine);
	return true;
}

static void
test_race(void)
{
	Race r = {.path = in_dir("race")};
	Error err = ERROR_INIT;

	ok(thread_run(8, race, &r, &err), "eight write one name");
	is_int(r.winners, 1, "... one wins");
	is_int(r.existing, 7, "... the others are told");
	unlink(r.path);
	ok(nothing_there(), "... nothing else is left");
	free(r.path);
}

static void
test_slurp(void)
{
	char *path = in_dir("s");
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	char big[10000];

	memset(big, 'x', sizeof(big));
	ok(file_write_durable(path, big, sizeof(big), 0600, true, &err), "write");
	ok(file_slurp(path, sizeof(big), &sb, &err), "as large as allowed");
	is_int((int64_t) sb.len, sizeof(big), "... all of it");
	ok(!file_slurp(path, sizeof(big) - 1, &sb, &err), "larger than allowed");
	is_int(err.code, ERR_DAMAGED, "... is damage");
	error_clear(&err);
	ok(!file_slurp("/proc/self/no-such", 10, &sb, &err), "absent");
	is_int(err.code, ERR_NOT_FOUND, "... is not found");
	error_clear(&err);
	ok(file_slurp("/proc/self/status", 100000, &sb, &err) && sb.len > 0,
	   "a file of unknown size");
	ok(!file_slurp(dir, 100, &sb, &err), "a directory");
	error_clear(&err);
	unlink(path);
	free(path);
	strbuf_free(&sb);
}

static void
test_secret(void)
{
	char *path = in_dir("k");
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;

	ok(!file_slurp_secret(path, 100, &sb, &err), "a secret that is absent");
	is_int(err.code, ERR_KEY, "... is a missing key, not an absence");
	error_clear(&err);
	ok(file_write_durable(path, "secret", 6, 0600, true, &err), "write");
	ok(file_slurp_secret(path, 100, &sb, &err), "private");
	is_str(sb.data, "secret", "... is read");
	for (int bit = 1; bit <= 040; bit *= 2)
	{
		chmod(path, (mode_t) (0600 | bit));
		ok(!file_slurp_secret(path, 100, &sb, &err), "mode %o", 0600 | bit);
		ok(err.code == ERR_KEY && err.hint != NULL, "... with a hint");
		error_clear(&err);
	}
	unlink(path);
	free(path);
	strbuf_free(&sb);
}

static void
test_offsets(void)
{
	char *path = in_dir("o");
	Error err = ERROR_INIT;
	char buf[20];
	size_t got;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ok(file_pwrite_all(fd, "world", 5, 6, path, &err), "at an offset");
	ok(file_pwrite_all(fd, "hello ", 6, 0, path, &err), "before it");
	ok(file_pread_full(fd, buf, 20, 0, &got, path, &err), "read past the end");
	is_int((int64_t) got, 11, "... gives what there is");
	ok(memcmp(buf, "hello world", 11) == 0, "... in place");
	ok(file_pread_full(fd, buf, 5, 6, &got, path, &err), "read a part");
	ok(got == 5 && memcmp(buf, "world", 5) == 0, "... of it");
	ok(file_read_full(fd, buf, 5, &got, path, &err) && got == 5,
	   "the file position has not moved");
	ok(file_fsync(fd, path, &err), "fsync");
	close(fd);
	ok(!file_write_all(fd, "x", 1, path, &err), "a closed descriptor");
	is_int(err.code, ERR_IO, "... is an error");
	error_clear(&err);
	unlink(path);
	free(path);
}

static void
test_full(void)
{
	Error err = ERROR_INIT;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ok(!file_write_all(fd, "x", 1, "/dev/full", &err), "a full device");
	is_int(err.code, ERR_FULL, "... is told apart");
	error_clear(&err);
	close(fd);
}

static void
test_mkdir(void)
{
	char *deep = in_dir("x//y/z/");
	char *file = in_dir("x/f");
	char *below = in_dir("x/f/g");
	Error err = ERROR_INIT;
	bool yes;

	ok(file_mkdir_p(deep, 0700, &err), "a path of directories");
	ok(file_exists(deep, &yes, &err) && yes, "... is there");
	ok(file_mkdir_p(deep, 0700, &err), "again");
	ok(file_dir_is_empty(deep, &yes, &err) && yes, "it is empty");
	ok(file_mkdir_p("/", 0700, &err), "the root");
	ok(file_write_durable(file, "", 0, 0600, false, &err), "a file in it");
	ok(!file_mkdir_p(file, 0700, &err), "a file in the way");
	error_clear(&err);
	ok(!file_mkdir_p(below, 0700, &err), "below a file");
	error_clear(&err);
	ok(file_exists(below, &yes, &err) && !yes, "below a file is nothing");
	ok(!file_dir_is_empty(file, &yes, &err), "a file is no directory");
	error_clear(&err);
	free(deep);
	free(file);
	free(below);
	deep = in_dir("x");
	ok(file_dir_is_empty(deep, &yes, &err) && !yes, "not empty");
	free(deep);
	deep = in_dir("absent");
	ok(file_dir_is_empty(deep, &yes, &err) && yes, "absent counts as empty");
	ok(file_exists(deep, &yes, &err) && !yes, "absent");
	ok(!file_fsync_dir(deep, &err), "fsync of an absent directory");
	error_clear(&err);
	free(deep);
}

static void
test_paths(void)
{
	static const struct
	{
		const char *path;
		const char *absolute;
	} cases[] = {
		{"/", "/"},         {"//a//b/", "/a/b"},  {"/a/./b/..", "/a"},
		{"/../..", "/"},    {"/a/../../b", "/b"}, {"/a/..b", "/a/..b"},
		{"/a/b.", "/a/b."},
	};
	char *cwd = getcwd(NULL, 0);
	char *want = mem_printf("%s/q", cwd);
	char *got = file_absolute("./p/../q");

	is_str(got, want, "relative to the working directory");
	free(got);
	free(want);
	free(cwd);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		got = file_absolute(cases[i].path);
		is_str(got, cases[i].absolute, cases[i].path);
		free(got);
	}
	got = file_join("/a/", "b");
	is_str(got, "/a/b", "join");
	free(got);
	got = file_join("/", "b");
	is_str(got, "/b", "join to the root");
	free(got);
	got = file_join("", "b");
	is_str(got, "b", "join to nothing");
	free(got);
}

static void
test_parent(void)
{
	Error err = ERROR_INIT;
	char *path = in_dir("whatever");

	ok(file_fsync_parent(path, &err), "the directory that holds a path");
	ok(file_fsync_parent("name", &err), "... of a name alone");
	ok(file_fsync_parent("/", &err), "... of the root");
	free(path);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char *name;

	snprintf(dir, sizeof(dir), "%s/pgdr-file-XXXXXX", tmp ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return 1;
	test_write_durable();
	test_race();
	test_slurp();
	test_secret();
	test_offsets();
	test_full();
	test_parent();
	test_paths();
	test_mkdir();
	name = in_dir("x/y/z");
	rmdir(name);
	*strrchr(name, '/') = '\0';
	rmdir(name);
	free(name);
	name = in_dir("x/f");
	unlink(name);
	*strrchr(name, '/') = '\0';
	rmdir(name);
	free(name);
	is_int(rmdir(dir), 0, "nothing is left behind");
	return done_testing();
}
