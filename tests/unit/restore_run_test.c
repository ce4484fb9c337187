/*-------------------------------------------------------------------------
 *
 * restore_run_test.c
 *	  Restores: every byte back in its place, nothing else touched, and
 *	  nothing that could start while something is missing.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
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
static char *space; /* location of the tablespace in the backup */

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

static void
put(const char *path, const char *text)
{
	Error err = ERROR_INIT;

	ok(file_write_durable(path, text, strlen(text), 0600, true, &err),
	   "file \"%s\"", strrchr(path, '/') + 1);
	error_clear(&err);
}

static RestoreOptions
defaults(void)
{
	return (RestoreOptions){.target_dir = target,
							.target_inclusive = true,
							.restore_command = "pgdr archive-get %f %p",
							.workers = 3};
}

static bool
restore(const RestoreOptions *o, Error *err)
{
	RestorePlan plan;
	bool done;

	error_clear(err);
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

	ok(!done, "%s: %s", name, done ? "done" : err.message);
	is_str(error_code_name(err.code), error_code_name(code), "  code");
	error_clear(&err);
}

/* An empty place to start from. */
static void
start_over(void)
{
	if (access(target, F_OK) == 0)
		tmpdir_remove(target);
	if (access(space, F_OK) == 0)
		tmpdir_remove(space);
}

/* ---- what was restored ---- */

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
				(st.st_mode & 0777) == file->mode &&
				st.st_mtim.tv_sec == FIX_TIME(12) / 1000000 &&
				st.st_mtim.tv_nsec == 345678000;

	free(want);
	strbuf_free(&got);
	error_clear(&err);
	return same;
}

static void
is_complete(bool with_tablespace)
{
	struct stat st;
	bool good = true;

	for (size_t i = 0; i < fixture_file_count; i++)
	{
		const char *path = fixture_files[i].path;

		if (strcmp(path, "postgresql.auto.conf") == 0 ||
			(!with_tablespace && strncmp(path, "pg_tblspc", 9) == 0))
			continue;
		if (same_file(&fixture_files[i]))
			continue;
		good = false;
		printf("# \"%s\" is not as it was\n", path);
	}
	ok(good, "  files have content, mode and time of the backup");
	ok(stat(below("."), &st) == 0 && (st.st_mode & 0777) == 0700 &&
		   there("pg_wal/archive_status"),
	   "  directories are there");
	ok(!there(RESTORE_MARKER) && !there("global/" FILE_TMP_PREFIX "pg_control"),
	   "  nothing else is left");
}

/* Neither a server nor a person takes it for a restored cluster. */
static void
is_incomplete(void)
{
	ok(!there(CONTROL) && there(RESTORE_MARKER),
	   "  no pg_control, but the marker");
}

static void
test_plain(void)
{
	RestoreOptions o = defaults();
	StrBuf got = STRBUF_INIT;
	Error err = ERROR_INIT;
	Progress progress = {.phase = NULL};

	o.progress = &progress;
	start_over();
	restores(&o, "into a directory that is not there");
	is_complete(true);
	is_int((int64_t) atomic_load(&progress.done_bytes),
		   (int64_t) atomic_load(&progress.total_bytes), "  all bytes counted");
	is_int((int64_t) atomic_load(&progress.done_items),
		   (int64_t) fixture_file_count, "  all files counted");
	ok(there("recovery.signal") && !there("standby.signal"),
	   "  with recovery.signal");
	ok(file_slurp(below("postgresql.auto.conf"), 65536, &got, &err) &&
		   strstr(got.data, "work_mem = '8MB'\n") &&
		   strstr(got.data, "# Do not edit") && !strstr(got.data, "'false'") &&
		   !strstr(got.data, "2020-01-01") &&
		   strstr(got.data, "\nrestore_command = 'pgdr archive-get %f %p'\n"),
	   "  and settings, which take the place of the old ones");
	strbuf_free(&got);
	refuses(&o, ERR_EXISTS, "not a second time");
	is_complete(true);
	put(below("base/5/stray"), "x");
	o.force = true;
	o.standby = true;
	restores(&o, "with force");
	is_complete(true);
	ok(!there("base/5/stray"), "  what was there is gone");
	ok(!there("recovery.signal") && there("standby.signal"),
	   "  with standby.signal");
	put(below("postmaster.pid"), "1\n");
}

static void
test_running(void)
{
	RestoreOptions o = defaults();

	o.force = true;
	start_over();
	restores(&o, "a cluster");
	/* as while it is being written */
	put(below("postmaster.pid"), "");
	refuses(&o, ERR_BUSY, "not under a running server");
	ok(there(CONTROL), "  which is left alone");
	unlink(below("postmaster.pid"));
}

static void
test_refusals(void)
{
	RestoreOptions o = defaults();
	char *inside = file_join(fix.repo_path, "backup/x");
	const char *protect[] = {NULL};
	Error err = ERROR_INIT;
	int fd;

	start_over();
	ok(file_mkdir_p(target, 0755, &err), "a directory");
	put(below("letter.txt"), "dear");
	refuses(&o, ERR_EXISTS, "not into a directory with contents");
	o.force = true;
	refuses(&o, ERR_EXISTS, "with force only into a data directory");
	ok(there("letter.txt"), "  which stays as it is");
	protect[0] = below("letter.txt");
	put(below("PG_VERSION"), "15");
	o.protect = protect;
	o.protect_count = 1;
	refuses(&o, ERR_USAGE, "not over a file that is needed");
	o.protect_count = 0;
	fd = open(target, O_RDONLY | O_DIRECTORY);
	flock(fd, LOCK_EX);
	refuses(&o, ERR_BUSY, "not beside another restore");
	close(fd);
	ok(there("letter.txt"), "  nothing was touched");
	o.target_dir = fix.repo_path;
	refuses(&o, ERR_USAGE, "not over the repository");
	o.target_dir = inside;
	refuses(&o, ERR_USAGE, "not into the repository");
	o.target_dir = fix.dir;
	refuses(&o, ERR_USAGE, "not over what holds the repository");
	o.target_dir = "/";
	refuses(&o, ERR_USAGE, "not into \"/\"");
	o.target_dir = "relative";
	refuses(&o, ERR_USAGE, "not into a relative path");
	free(inside);
}

static void
test_unreachable(void)
{
	RestoreOptions o = defaults();

	start_over();
	o.target_type = TARGET_LSN;
	o.target = "0/7700000";
	refuses(&o, ERR_INCOMPLETE, "not for a target that cannot be reached");
	ok(!there("."), "  nothing was made");
	o.skip_wal_check = true;
	restores(&o, "unless that is asked for");
	is_complete(true);
}

/* ---- tablespaces ---- */

static void
test_tablespaces(void)
{
	RestoreOptions o = defaults();
	char *other = file_join(fix.dir, "other");
	char *file = mem_printf("%s/" FIX_VERSION_DIR "/5/100", other);
	char *kept = mem_printf("%s/PG_14_202107181", other);
	TablespaceMap map = {space, other};
	char link[1024] = "";
	Error err = ERROR_INIT;

	o.maps = &map;
	o.map_count = 1;
	start_over();
	restores(&o, "with a tablespace in another place");
	is_complete(true);
	ok(readlink(below("pg_tblspc/16400"), link, sizeof(link) - 1) > 0 &&
		   strcmp(link, other) == 0 && access(file, F_OK) == 0 &&
		   access(space, F_OK) != 0,
	   "  is linked there");
	ok(file_mkdir_p(kept, 0700, &err), "another version's directory beside");
	tmpdir_remove(target);
	refuses(&o, ERR_EXISTS, "not into a tablespace with contents");
	o.force = true;
	restores(&o, "unless forced");
	is_complete(true);
	ok(access(kept, F_OK) == 0, "  another version's files stay");
	map.from = "16400";
	restores(&o, "mapped by OID");
	map.from = "/nowhere";
	refuses(&o, ERR_USAGE, "a map for no tablespace");
	map = (TablespaceMap){space, "x"};
	refuses(&o, ERR_USAGE, "a map to a relative path");
	map.to = below("base");
	refuses(&o, ERR_USAGE, "a map into the data directory");
	map.to = fix.repo_path;
	refuses(&o, ERR_USAGE, "a map into the repository");
	is_complete(true);
	tmpdir_remove(other);
	free(other);
	free(file);
	free(kept);
}

/* A live cluster must not lose its tablespace to a restore beside it. */
static void
test_live(void)
{
	RestoreOptions o = defaults();
	char *live = file_join(fix.dir, "live");
	char *pid = file_join(live, "postmaster.pid");

	start_over();
	o.target_dir = live;
	restores(&o, "a cluster that is live");
	put(pid, "");
	o = defaults();
	o.live_pgdata = live;
	o.force = true;
	refuses(&o, ERR_BUSY, "its tablespace is not taken, not even by force");
	unlink(pid);
	restores(&o, "unless its server is down");
	tmpdir_remove(live);
	free(live);
	free(pid);
}

/* ---- damage ---- */

static void
flip_at(const char *object, bool in_head)
{
	char *path = file_join(fix.repo_path, object);
	int fd = open(path, O_RDWR);
	struct stat st;
	bool done = fd >= 0 && fstat(fd, &st) == 0;
	char c = 0;

	if (done)
	{
		off_t at = in_head ? 20 : st.st_size - 20;

		done = pread(fd, &c, 1, at) == 1;
		c ^= 1;
		done = done && pwrite(fd, &c, 1, at) == 1;
	}
	ok(done, "a bit of the %s of %s is flipped", in_head ? "head" : "payload",
	   object);
	close(fd);
	free(path);
}

static void
flip(const char *object)
{
	flip_at(object, false);
}

static void
test_damage(void)
{
	RestoreOptions o = defaults();
	Error err = ERROR_INIT;
	bool done;
	char *from;
	char *to;

	start_over();
	flip("backup/" LABEL "/data/000002");
	done = restore(&o, &err);
	ok(!done && err.code == ERR_DAMAGED &&
		   strstr(err.message, "backup/" LABEL "/data/000002"),
	   "a damaged pack: %s", done ? "done" : err.message);
	error_clear(&err);
	is_incomplete();
	flip("backup/" LABEL "/data/000002");
	restores(&o, "mended, it is restored without force");
	is_complete(true);

	start_over();
	from = file_join(fix.repo_path, "backup/" LABEL "/data/000003");
	to = file_join(fix.repo_path, "backup/" LABEL "/data/000009");
	ok(rename(from, to) == 0, "a pack is missing");
	refuses(&o, ERR_INCOMPLETE, "nothing is restored of the rest");
	is_incomplete();
	ok(rename(to, from) == 0, "it is back");
	free(from);
	free(to);
	restores(&o, "and all is restored");
	is_complete(true);
	for (int in_head = 0; in_head < 2; in_head++)
	{
		flip_at("backup/" LABEL "/manifest", in_head);
		start_over();
		refuses(&o, ERR_DAMAGED, "a damaged manifest");
		ok(!there("."), "  nothing was made");
		flip_at("backup/" LABEL "/manifest", in_head);
	}
}

/* ---- interruptions ---- */

/* What happens if the marker is left, and the directory was put to use? */
static void
test_marker(void)
{
	RestoreOptions o = defaults();
	Error err = ERROR_INIT;
	StrBuf marker = STRBUF_INIT;
	char *from;
	char *to;

	start_over();
	from = file_join(fix.repo_path, "backup/" LABEL "/data/000003");
	to = file_join(fix.repo_path, "backup/" LABEL "/data/000009");
	rename(from, to);
	refuses(&o, ERR_INCOMPLETE, "a restore that stops");
	ok(file_slurp(below(RESTORE_MARKER), 65536, &marker, &err),
	   "  leaves its marker");
	rename(to, from);
	restores(&o, "and is run again");
	put(below(RESTORE_MARKER), marker.data);
	restores(&o, "also when only the marker was left");
	put(below(RESTORE_MARKER), marker.data);
	put(below(CONTROL), "written by a server");
	refuses(&o, ERR_EXISTS, "but not after a server was started on it");
	ok(there("base/5/1259"), "  which is left alone");
	o.force = true;
	restores(&o, "unless forced");
	is_complete(true);
	strbuf_free(&marker);
	free(from);
	free(to);
	error_clear(&err);
}

/* Runs a restore in another process, and kills it after a while. */
static void
restore_and_kill(int usecs)
{
	pid_t pid = fork();

	if (pid == 0)
	{
		RestoreOptions o = defaults();
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
	RestoreOptions o = defaults();
	unsigned state = 7;
	int complete = 0;
	int started = 0;
	bool good = true;

	start_over();
	for (int i = 0; i < 40; i++)
	{
		state = state * 1103515245 + 12345;
		restore_and_kill((int) (state >> 16) % 120000);
		if (there(CONTROL))
		{
			/* it is whole, or it has no name; start from nothing again */
			for (size_t n = 0; good && n < fixture_file_count; n++)
				good = strcmp(fixture_files[n].path, "postgresql.auto.conf") ==
						   0 ||
					   same_file(&fixture_files[n]);
			complete++;
			start_over();
		}
		else if (there("base"))
			started++;
	}
	ok(good, "killed at 40 moments, pg_control was there only with all else");
	printf("# %d whole, %d in the middle\n", complete, started);
	restores(&o, "and the next run succeeds");
	is_complete(true);
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
	test_plain();
	test_running();
	test_refusals();
	test_unreachable();
	test_tablespaces();
	test_live();
	test_damage();
	test_marker();
	test_kill();
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
