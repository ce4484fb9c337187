/*-------------------------------------------------------------------------
 *
 * restore_delta_test.c
 *	  Restores over what is there, into other places, and of some databases
 *	  only.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "restore_fixture.h"
#include "tap.h"
#include "tmpdir.h"

#define LABEL "20261121T000030Z"
#define CONTROL "global/pg_control"

static Fixture fix;
static char *target;
static char *space;
static atomic_uint_fast64_t kept;

static char *
below(const char *path)
{
	static char buf[4][1024];
	static int next;

	next = (next + 1) % 4;
	snprintf(buf[next], sizeof(buf[next]), "%s/%s", target, path);
	return buf[next];
}

static bool
there(const char *path)
{
	struct stat st;

	return lstat(below(path), &st) == 0;
}

static RestoreOptions
delta(void)
{
	return (RestoreOptions){.target_dir = target,
							.target_inclusive = true,
							.restore_command = "pgdr archive-get %f %p",
							.delta = true,
							.kept = &kept,
							.workers = 3};
}

static bool
restore(const RestoreOptions *o, Error *err)
{
	RestorePlan plan;
	bool done;

	error_clear(err);
	atomic_store(&kept, 0);
	if (!restore_plan(&fix.set, o, &plan, err))
		return false;
	done = restore_run(&fix.set, o, &plan, err);
	restore_plan_free(&plan);
	return done;
}

static void
restores(const RestoreOptions *o, const char *name)
{
	Error err = ERROR_INIT;
	bool done = restore(o, &err);

	ok(done, "%s%s%s", name, done ? "" : ": ", done ? "" : err.message);
	error_clear(&err);
}

static void
refuses(const RestoreOptions *o, ErrCode code, const char *name)
{
	Error err = ERROR_INIT;
	bool done = restore(o, &err);

	ok(!done && err.code == code, "%s: %s", name, done ? "done" : err.message);
	error_clear(&err);
}

static void
start_over(void)
{
	if (access(target, F_OK) == 0)
		tmpdir_remove(target);
	if (access(space, F_OK) == 0)
		tmpdir_remove(space);
}

static bool
same_file(const FixFile *file)
{
	StrBuf got = STRBUF_INIT;
	Error err = ERROR_INIT;
	struct stat st;
	size_t len;
	char *want = fixture_content(file->path, &len);
	bool same = file_slurp(below(file->path), 16 * 1024 * 1024, &got, &err) &&
				got.len == len && memcmp(got.data, want, len) == 0 &&
				stat(below(file->path), &st) == 0 &&
				(st.st_mode & 0777) == file->mode && st.st_nlink == 1 &&
				st.st_mtim.tv_sec == FIX_TIME(12) / 1000000 &&
				st.st_mtim.tv_nsec == 345678000;

	free(want);
	strbuf_free(&got);
	error_clear(&err);
	return same;
}

/* All but those of one database, if it is named. */
static bool
is_complete(const char *without)
{
	bool good = true;

	for (size_t i = 0; i < fixture_file_count; i++)
	{
		const char *path = fixture_files[i].path;

		if (strcmp(path, "postgresql.auto.conf") == 0 ||
			(without != NULL && strcmp(path, without) == 0) ||
			same_file(&fixture_files[i]))
			continue;
		good = false;
		printf("# \"%s\" is not as it was\n", path);
	}
	return good && !there(RESTORE_MARKER) &&
		   !there("global/" FILE_TMP_PREFIX "pg_control");
}

/* Writes something at a place of a file, which may be beyond its end. */
static void
change(const char *path, off_t at, const char *text)
{
	int fd = open(below(path), O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || pwrite(fd, text, strlen(text), at) < 0)
		printf("Bail out! could not change \"%s\"\n", path);
	close(fd);
}

static uint64_t
size_of(const char *path)
{
	size_t len;

	free(fixture_content(path, &len));
	return len;
}

static uint64_t
size_of_all(void)
{
	uint64_t all = 0;

	for (size_t i = 0; i < fixture_file_count; i++)
		all += size_of(fixture_files[i].path);
	return all;
}

/* All that can have become of a data directory. */
static void
spoil(void)
{
	Error err = ERROR_INIT;
	char *outside = file_join(fix.dir, "outside");

	change("base/5/1259", 8192 * 3, "other");
	change("global/1262", 100000, "longer");
	change("base/5/stray", 0, "x");
	change("pg_tblspc/16400/" FIX_VERSION_DIR "/5/stray", 0, "x");
	change("recovery.signal", 0, "");
	if (truncate(below("base/5/2619_fsm"), 8192) != 0 ||
		chmod(below("base/16500/112"), 0640) != 0 ||
		link(below("postgresql.conf"), outside) != 0 ||
		!file_mkdir_p(below("base/16600/x"), 0700, &err) ||
		unlink(below("PG_VERSION")) != 0 ||
		symlink(outside, below("base/5/link")) != 0)
		printf("Bail out! could not spoil\n");
	change("PG_VERSION", 0, "15\n");
	change("base/16600/x/1", 0, "x");
	free(outside);
}

static void
test_delta(void)
{
	RestoreOptions o = delta();
	struct stat before;
	struct stat after;
	char *outside = file_join(fix.dir, "outside");
	uint64_t all = size_of_all();

	start_over();
	restores(&o, "delta into nothing");
	ok(is_complete(NULL) && atomic_load(&kept) == 0, "  restores all");
	restores(&o, "delta over the same");
	ok(is_complete(NULL), "  all is as it was");
	is_int((int64_t) atomic_load(&kept),
		   (int64_t) (all - size_of(CONTROL) - size_of("postgresql.auto.conf")),
		   "  and was left alone");
	spoil();
	stat(below("base/16500/112"), &before);
	restores(&o, "delta over what was changed");
	ok(is_complete(NULL), "  all is as it was");
	ok(!there("base/5/stray") && !there("base/16600") &&
		   !there("base/5/link") &&
		   !there("pg_tblspc/16400/" FIX_VERSION_DIR "/5/stray"),
	   "  what is not in the backup is gone");
	ok(stat(outside, &after) == 0 && after.st_size == 12,
	   "  what was linked from elsewhere is not touched");
	ok(stat(below("base/16500/112"), &after) == 0 &&
		   before.st_ino == after.st_ino &&
		   atomic_load(&kept) > size_of("base/16500/112"),
	   "  what was the same was left alone");
	unlink(outside);
	free(outside);
}

static void
test_refusals(void)
{
	RestoreOptions o = delta();
	Error err = ERROR_INIT;

	start_over();
	ok(file_mkdir_p(target, 0700, &err), "a directory");
	change("letter.txt", 0, "dear");
	refuses(&o, ERR_EXISTS, "no data directory");
	ok(there("letter.txt"), "  which stays as it is");
	start_over();
	restores(&o, "a cluster");
	change(CONTROL, 0, "other sysid");
	refuses(&o, ERR_DAMAGED, "whose control file is damaged");
	ok(there(CONTROL), "  which stays as it is");
	start_over();
	o.delta = false;
	restores(&o, "a cluster");
	o.delta = true;
	change("postmaster.pid", 0, "");
	refuses(&o, ERR_BUSY, "not under a running server");
	ok(there(CONTROL), "  which is left alone");
	unlink(below("postmaster.pid"));
}

/* ---- interruptions ---- */

static void
restore_and_kill(int usecs)
{
	pid_t pid = fork();

	if (pid == 0)
	{
		RestoreOptions o = delta();
		Error err = ERROR_INIT;

		_exit(restore(&o, &err) ? 0 : 1);
	}
	usleep((useconds_t) usecs);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
test_kill(void)
{
	RestoreOptions o = delta();
	unsigned state = 11;
	int complete = 0;
	int kills = getenv("PGDR_SOAK") != NULL ? 200 : 25;
	bool good = true;

	start_over();
	restores(&o, "a cluster");
	for (int i = 0; good && i < kills; i++)
	{
		if (there(CONTROL))
			change("base/5/1259", 8192 * (i % 300), "other");
		state = state * 1103515245 + 12345;
		restore_and_kill((int) (state >> 16) % 120000);
		if (there(CONTROL) && !there(RESTORE_MARKER))
			complete++;
		/* without pg_control nothing starts; with it, all is there, unless
		 * nothing had been touched yet */
		else if (there(CONTROL))
			good = is_complete("base/5/1259") || there(RESTORE_MARKER);
	}
	ok(good, "killed at %d moments, pg_control was there only with all else",
	   kills);
	printf("# %d whole\n", complete);
	restores(&o, "and the next run succeeds");
	ok(is_complete(NULL), "  all is as it was");
}

/* ---- other places ---- */

static void
test_links(void)
{
	RestoreOptions o = delta();
	char *wal = file_join(fix.dir, "wal");
	char *status = file_join(wal, "archive_status");
	char *stray = file_join(wal, "stray");
	LinkMap link = {"pg_wal", wal};
	char to[1024] = "";
	Error err = ERROR_INIT;

	o.delta = false;
	o.links = &link;
	o.link_count = 1;
	start_over();
	restores(&o, "pg_wal elsewhere");
	ok(is_complete(NULL) && readlink(below("pg_wal"), to, sizeof(to) - 1) > 0 &&
		   strcmp(to, wal) == 0 && access(status, F_OK) == 0,
	   "  is linked there");
	ok(file_write_durable(stray, "x", 1, 0600, false, &err), "a file there");
	o.delta = true;
	restores(&o, "delta with the same link");
	ok(is_complete(NULL) && access(stray, F_OK) != 0, "  the file is gone");
	file_write_durable(stray, "x", 1, 0600, false, &err);
	start_over();
	o.delta = false;
	o.force = true;
	refuses(&o, ERR_EXISTS, "not into what was not linked, not even by force");
	ok(access(stray, F_OK) == 0, "  which is left alone");
	tmpdir_remove(wal);
	link.from = "base";
	refuses(&o, ERR_USAGE, "base is no link");
	link.from = "nothing";
	refuses(&o, ERR_USAGE, "nor is what is not there");
	link = (LinkMap){"pg_wal", "x"};
	refuses(&o, ERR_USAGE, "nor to a relative path");
	link.to = below("pg_xact");
	refuses(&o, ERR_USAGE, "nor into the data directory");
	link.to = space;
	refuses(&o, ERR_USAGE, "nor where a tablespace goes");
	free(wal);
	free(status);
	free(stray);
}

static void
test_all_spaces(void)
{
	RestoreOptions o = delta();
	char *spaces = file_join(fix.dir, "spaces");
	char *file = mem_printf("%s/16400/" FIX_VERSION_DIR "/5/100", spaces);

	o.delta = false;
	o.tablespace_dir = spaces;
	start_over();
	restores(&o, "all tablespaces elsewhere");
	ok(is_complete(NULL) && access(file, F_OK) == 0 && access(space, F_OK) != 0,
	   "  by their OID");
	tmpdir_remove(spaces);
	free(spaces);
	free(file);
}

/* ---- some databases ---- */

static void
test_databases(void)
{
	RestoreOptions o = delta();
	const char *names[] = {"postgres"};
	StrBuf got = STRBUF_INIT;
	Error err = ERROR_INIT;
	struct stat st;
	bool zero = true;

	o.delta = false;
	o.databases = names;
	o.database_count = 1;
	start_over();
	restores(&o, "without database shop");
	ok(is_complete("base/16500/112"), "  the others are there");
	ok(file_slurp(below("base/16500/112"), 16 * 1024 * 1024, &got, &err) &&
		   got.len == size_of("base/16500/112"),
	   "  its file has the right size");
	for (size_t i = 0; i < got.len; i++)
		zero &= got.data[i] == 0;
	ok(zero && stat(below("base/16500/112"), &st) == 0 && st.st_blocks < 100,
	   "  but no contents, and takes no space");
	strbuf_free(&got);
	names[0] = "nowhere";
	start_over();
	refuses(&o, ERR_USAGE, "a database that is not there");
	ok(!there("."), "  nothing was made");
	names[0] = "shop";
	restores(&o, "with it");
	ok(is_complete(NULL), "  all is there");
	names[0] = "16500";
	o.delta = true;
	restores(&o, "by OID");
	ok(is_complete(NULL), "  all is there");
}

static void
test_all(bool encrypted)
{
	FixBackup b = {.label = LABEL,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(2, 40),
				   .stop_lsn = FIX_LSN(2, 400),
				   .stop_time = FIX_TIME(24)};

	fixture_begin(&fix, encrypted);
	target = file_join(fix.dir, "data");
	space = file_join(fix.dir, "space");
	b.tablespace = space;
	fixture_wal(&fix, 1, 2, NULL, NULL);
	fixture_backup(&fix, &b);
	test_delta();
	test_refusals();
	test_kill();
	test_links();
	test_all_spaces();
	test_databases();
	fixture_end(&fix);
	free(target);
	free(space);
}

int
main(void)
{
	test_all(true);
	test_all(false);
	return done_testing();
}
