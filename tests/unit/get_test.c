/*-------------------------------------------------------------------------
 *
 * get_test.c
 *	  Tests of job/get: that what arrives is what was pushed, that nothing
 *	  half-done is ever at the destination, and that only the repository's
 *	  own word makes "not found".
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "job/get.h"
#include "job_fixture.h"
#include "tap.h"

#define SEG1 "000000010000000000000001"
#define SEG2 "000000010000000000000002"
#define SEG3 "000000010000000000000003"
#define SEG4 "000000010000000000000004"

static Error err;
static Fixture f;
static char *target_dir;
static char *target;

static const WalHome home = {.sysid = JOB_SYSID, .major = 15};

static char *
put(uint32_t timeline, uint64_t number)
{
	const JobSegment s = {.timeline = timeline,
						  .number = number,
						  .first_commit = FIX_TIME(number),
						  .last_commit = FIX_TIME(number + 1)};
	char *path = job_segment(f.dir, &s);
	PushResult result;

	is_int(job_push(&f, path, &result, &err), ERR_NONE, "a file is pushed");
	return path;
}

static void
put_text(const char *name, const char *text)
{
	char *path = job_text(f.dir, name, text);
	PushResult result;

	is_int(job_push(&f, path, &result, &err), ERR_NONE, name);
	free(path);
}

static uint32_t own_timeline;

static ErrCode
get_to(WalHome from, const char *name, const char *destination)
{
	const GetOptions options = {.home = from,
								.segment_size = JOB_SEGMENT,
								.timeline = own_timeline,
								.name = name,
								.destination = destination};

	error_clear(&err);
	return get_wal_file(&f.set, &options, &err) ? ERR_NONE : err.code;
}

static int
count_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(d)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 &&
				 strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return count;
}

/* Fails with this code, names the file, and leaves the directory empty. */
static void
fails(const char *name, ErrCode code, const char *what)
{
	is_str(error_code_name(get_to(home, name, target)), error_code_name(code),
		   what);
	ok(err.message && strstr(err.message, name), "%s: the file is named", what);
	is_int(count_files(target_dir), 0, "nothing is left");
}

static void
begin(bool encrypted)
{
	fixture_begin(&f, encrypted);
	target_dir = file_join(f.dir, "pg_wal");
	mkdir(target_dir, 0700);
	target = file_join(target_dir, "RECOVERYXLOG");
}

static void
end(void)
{
	free(target);
	free(target_dir);
	fixture_end(&f);
}

static void
test_get(bool encrypted)
{
	char *one;
	char *two;

	printf("# %s\n", encrypted ? "encrypted" : "not encrypted");
	begin(encrypted);
	one = put(1, 1);
	two = put(1, 2);
	is_int(get_to(home, SEG1, target), ERR_NONE, "a segment comes back");
	ok(job_same_file(one, target), "it is the same");
	is_int(get_to(home, SEG2, target), ERR_NONE, "another in its place");
	ok(job_same_file(two, target), "it is the same");
	is_int(count_files(target_dir), 1, "nothing else is left");
	is_int(get_to((WalHome){0}, SEG1, target), ERR_NONE,
		   "without a home the only one is taken");
	ok(job_same_file(one, target), "it is the same");
	free(one);
	free(two);
	end();
}

static void
test_absent(void)
{
	char *object;

	begin(true);
	is_int(get_to((WalHome){0}, SEG1, target), ERR_NOT_FOUND,
		   "an empty repository has nothing");
	fails(SEG1, ERR_NOT_FOUND, "an empty repository, a known cluster");
	free(put(1, 1));
	free(put(1, 2));
	free(put(1, 3));
	fails(SEG4, ERR_NOT_FOUND, "behind the end");
	fails(SEG1 ".partial", ERR_NOT_FOUND, "a partial file");
	object = job_object(&f, SEG2);
	unlink(object);
	fails(SEG2, ERR_INCOMPLETE, "a hole");
	ok(err.detail && strstr(err.detail, SEG3), "the later one is named");
	fails("000000020000000000000001", ERR_NOT_FOUND, "of another timeline");
	is_int(get_to((WalHome){.sysid = 43, .major = 15}, SEG1, target),
		   ERR_MISMATCH, "of a cluster that never archived here");
	is_int(get_to(home, "notes.txt", target), ERR_USAGE, "no WAL file");
	free(object);
	end();
}

/* Segments of 1 MB: 4096 to a directory. */
/* What branched off behind a segment proves that there was one. */
static void
test_branch(void)
{
	begin(true);
	free(put(1, 1));
	put_text("00000002.history", "1\t0/480000\tno reason\n");
	fails(SEG2, ERR_INCOMPLETE, "a hole before a branch");
	fails(SEG3, ERR_INCOMPLETE, "a hole right before it");
	fails(SEG4, ERR_NOT_FOUND, "the segment with the branch in it");
	end();
}

static void
test_distant_hole(void)
{
	char *object;

	begin(true);
	free(put(1, 4095));
	free(put(1, 3 * 4096 + 7));
	fails("000000010000000000000FFE", ERR_INCOMPLETE, "a hole before");
	fails("000000010000000100000001", ERR_INCOMPLETE,
		  "a hole of whole directories");
	fails("000000010000000300000008", ERR_NOT_FOUND, "behind all of them");
	object = job_object(&f, "000000010000000300000007");
	unlink(object);
	fails("000000010000000100000001", ERR_NOT_FOUND,
		  "an empty directory proves nothing");
	free(object);
	end();
}

static void
test_history(void)
{
	begin(true);
	free(put(1, 1));
	fails("00000002.history", ERR_NOT_FOUND, "no history at all");
	put_text("00000002.history", "1\t0/180000\tx\n");
	put_text("00000004.history", "1\t0/180000\tx\n2\t0/280000\tx\n");
	is_int(get_to(home, "00000002.history", target), ERR_NONE, "a history");
	unlink(target);
	fails("00000003.history", ERR_INCOMPLETE, "one that is missing between");
	fails("00000005.history", ERR_NOT_FOUND, "one behind the newest");
	fails("00000001.history", ERR_NOT_FOUND, "the first has none");
	end();
}

/* A server would begin the timeline a second time. */
static void
test_lost_history(void)
{
	char *object;

	begin(true);
	free(put(1, 1));
	put_text("00000003.history", "1\t0/180000\tx\n");
	free(put(3, 1));
	object = job_object(&f, "00000003.history");
	unlink(object);
	free(object);
	fails("00000003.history", ERR_INCOMPLETE, "one whose segments are there");
	ok(err.detail && strstr(err.detail, "000000030000000000000001"),
	   "one of them is named");
	fails("00000002.history", ERR_INCOMPLETE, "one before them");
	fails("00000004.history", ERR_NOT_FOUND, "one behind them");
	own_timeline = 3;
	fails("00000003.history", ERR_NOT_FOUND, "that of the own timeline");
	fails("00000002.history", ERR_INCOMPLETE, "one before it");
	own_timeline = 0;
	end();
}

static void
test_damage(void)
{
	char *one;
	char *two;

	begin(true);
	free(put(1, 1));
	free(put(1, 2));
	one = job_object(&f, SEG1);
	two = job_object(&f, SEG2);
	job_flip(one);
	fails(SEG1, ERR_DAMAGED, "a flipped byte");
	job_resize(one, 3000);
	fails(SEG1, ERR_DAMAGED, "a truncated object");
	job_resize(one, 0);
	fails(SEG1, ERR_DAMAGED, "an empty object");
	unlink(one);
	is_int(link(two, one), 0, "another object under the name");
	fails(SEG1, ERR_MISMATCH, "a swapped object");
	free(one);
	free(two);
	end();
}

/* "No such directory" here must never read as "no such segment" there. */
static void
test_destination(void)
{
	char *nowhere;

	begin(true);
	free(put(1, 1));
	nowhere = file_join(f.dir, "missing/RECOVERYXLOG");
	is_int(get_to(home, SEG1, nowhere), ERR_IO, "a missing directory");
	is_int(get_to(home, SEG2, nowhere), ERR_IO, "for an absent file as well");
	mkdir(target, 0700);
	is_int(get_to(home, SEG1, target), ERR_IO, "a directory in the way");
	is_int(count_files(target_dir), 1, "nothing else is left");
	free(nowhere);
	end();
}

/* What killed runs left goes; what another run is writing stays. */
static void
test_leftovers(void)
{
	char *dead;
	char *alive;
	int fd;

	begin(true);
	free(put(1, 1));
	dead = job_text(target_dir, FILE_TMP_PREFIX "RECOVERYXLOG.1", "x");
	alive = job_text(target_dir, FILE_TMP_PREFIX "RECOVERYXLOG.2", "x");
	fd = open(alive, O_RDONLY);
	flock(fd, LOCK_EX);
	is_int(get_to(home, SEG1, target), ERR_NONE, "beside leftovers");
	ok(access(dead, F_OK) != 0, "the dead one's has gone");
	ok(access(alive, F_OK) == 0, "the living one's has not");
	close(fd);
	free(dead);
	free(alive);
	end();
}

int
main(void)
{
	test_get(true);
	test_get(false);
	test_absent();
	test_distant_hole();
	test_branch();
	test_history();
	test_lost_history();
	test_damage();
	test_destination();
	test_leftovers();
	error_clear(&err);
	return done_testing();
}
