/*-------------------------------------------------------------------------
 *
 * push_test.c
 *	  Tests of job/push: what is taken, what is refused, and that the
 *	  repository is never changed by a file that is refused.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "job_fixture.h"
#include "repo/object.h"
#include "tap.h"

#define SEG1 "000000010000000000000001"
#define SEG2 "000000010000000000000002"

static Error err;

static char *
segment(const Fixture *f, uint32_t timeline, uint64_t number)
{
	const JobSegment s = {.timeline = timeline,
						  .number = number,
						  .first_commit = FIX_TIME(10),
						  .last_commit = FIX_TIME(20)};

	return job_segment(f->dir, &s);
}

/* The push of this file fails with this code, leaving nothing. */
static void
refused(Fixture *f, const char *path, ErrCode code, const char *what)
{
	const char *file = strrchr(path, '/') + 1;
	PushResult result;
	WalName name;
	char *object;

	is_str(error_code_name(job_push(f, path, &result, &err)),
		   error_code_name(code), what);
	ok(err.message && strstr(err.message, path), "%s: the file is named", what);
	if (!wal_name_parse(file, &name))
		return;
	object = job_object(f, file);
	ok(access(object, F_OK) != 0, "%s: nothing is stored", what);
	free(object);
}

static void
check_metadata(Fixture *f)
{
	const WalHome home = {.sysid = JOB_SYSID, .major = 15};
	char first[CLOCK_TEXT_LEN];
	char last[CLOCK_TEXT_LEN];
	ObjectMeta meta = {0};
	WalName name;
	char *object;

	wal_name_parse(SEG1, &name);
	object = repo_wal_name(&home, &name);
	error_clear(&err);
	ok(object_stat(f->repo, object, &meta, &err), "metadata can be read");
	is_str(meta.kind, OBJECT_WAL, "kind");
	is_int((int64_t) meta.plain_size, JOB_SEGMENT, "size");
	is_str(json_get_str(meta.extra, "sysid", NULL), "42", "sysid");
	is_int(json_get_int(meta.extra, "major", 0), 15, "major");
	is_int(json_get_int(meta.extra, "timeline", 0), 1, "timeline");
	is_int(json_get_int(meta.extra, "segment_size", 0), JOB_SEGMENT,
		   "segment size");
	is_str(json_get_str(meta.extra, "lsn", NULL), "0/100000", "position");
	is_str(json_get_str(meta.extra, "first_commit", NULL),
		   clock_format(FIX_TIME(10), first), "first commit");
	is_str(json_get_str(meta.extra, "last_commit", NULL),
		   clock_format(FIX_TIME(20), last), "last commit");
	object_meta_free(&meta);
	free(object);
}

static void
test_push(bool encrypted)
{
	Fixture f;
	PushResult result;
	char *path;

	printf("# %s\n", encrypted ? "encrypted" : "not encrypted");
	fixture_begin(&f, encrypted);
	path = segment(&f, 1, 1);
	is_int(job_push(&f, path, &result, &err), ERR_NONE, "a segment is taken");
	ok(!result.already, "it was not there before");
	is_str(result.name, SEG1, "its name is told");
	is_int((int64_t) result.plain_size, JOB_SEGMENT, "its size is told");
	ok(result.stored_size > 0 && result.stored_size < JOB_SEGMENT,
	   "it is compressed");
	check_metadata(&f);

	is_int(job_push(&f, path, &result, &err), ERR_NONE, "again");
	ok(result.already, "it was there");
	job_flip(path);
	is_int(job_push(&f, path, &result, &err), ERR_EXISTS,
		   "the same name with other content is refused");
	ok(err.detail != NULL, "with a detail");
	free(path);
	fixture_end(&f);
}

/* What lies in the repository is damaged: that is no success. */
static void
test_damaged_object(void)
{
	Fixture f;
	PushResult result;
	char *path;
	char *object;

	fixture_begin(&f, true);
	path = segment(&f, 1, 1);
	object = job_object(&f, SEG1);
	job_push(&f, path, &result, &err);
	job_flip(object);
	is_int(job_push(&f, path, &result, &err), ERR_DAMAGED,
		   "a flipped byte in the repository is noticed");
	ok(err.hint != NULL, "with a hint");
	job_resize(object, 200);
	is_int(job_push(&f, path, &result, &err), ERR_DAMAGED,
		   "so is a truncated object");
	job_resize(object, 0);
	is_int(job_push(&f, path, &result, &err), ERR_DAMAGED,
		   "so is an empty one");
	unlink(object);
	is_int(job_push(&f, path, &result, &err), ERR_NONE,
		   "moved away, it is stored again");
	free(object);
	free(path);
	fixture_end(&f);
}

static void
test_refused(void)
{
	Fixture f;
	PgControl other = job_control();
	PushResult result;
	char *path;
	char *renamed;

	fixture_begin(&f, true);
	path = segment(&f, 1, 1);
	job_resize(path, JOB_SEGMENT - 8192);
	refused(&f, path, ERR_DAMAGED, "a truncated segment");
	job_resize(path, 0);
	refused(&f, path, ERR_DAMAGED, "an empty segment");
	job_resize(path, JOB_SEGMENT);
	refused(&f, path, ERR_DAMAGED, "zeros");
	free(path);

	path = segment(&f, 1, 1);
	renamed = mem_printf("%s/%s", f.dir, SEG2);
	rename(path, renamed);
	refused(&f, renamed, ERR_MISMATCH, "a segment under another's name");
	free(renamed);
	free(path);

	path = segment(&f, 1, 1);
	other.sysid = 43;
	error_clear(&err);
	ok(!push_file(&f.set, path, &other, &result, &err) &&
		   err.code == ERR_MISMATCH,
	   "a segment of another cluster is refused");
	other = job_control();
	other.major = 16;
	error_clear(&err);
	ok(!push_file(&f.set, path, &other, &result, &err) &&
		   err.code == ERR_MISMATCH,
	   "a segment of another major version is refused");
	free(path);

	path = job_text(f.dir, "notes.txt", "hello");
	refused(&f, path, ERR_USAGE, "what is no WAL file");
	free(path);
	path = mem_printf("%s/%s", f.dir, "0000000100000000000000FF");
	refused(&f, path, ERR_NOT_FOUND, "a file that is not there");
	mkdir(path, 0700);
	refused(&f, path, ERR_USAGE, "a directory");
	free(path);
	fixture_end(&f);
}

static void
take_text(Fixture *f, const char *name, const char *text, ErrCode code)
{
	char *path = job_text(f->dir, name, text);
	PushResult result;

	if (code != ERR_NONE)
		refused(f, path, code, name);
	else
		is_int(job_push(f, path, &result, &err), ERR_NONE, name);
	free(path);
}

static void
push_segment(Fixture *f, uint32_t timeline, uint64_t number, ErrCode code,
			 const char *what)
{
	char *path = segment(f, timeline, number);
	PushResult result;

	is_str(error_code_name(job_push(f, path, &result, &err)),
		   error_code_name(code), what);
	free(path);
}

/* Timeline 2 left timeline 1 in segment 5. */
static void
test_lineage(void)
{
	Fixture f;

	fixture_begin(&f, true);
	take_text(&f, "00000002.history", "1\t0/580000\tno recovery target\n",
			  ERR_NONE);
	push_segment(&f, 1, 4, ERR_NONE, "before the fork");
	push_segment(&f, 1, 5, ERR_NONE, "the segment of the fork");
	push_segment(&f, 1, 6, ERR_MISMATCH, "behind the fork");
	ok(strstr(err.message, "timeline 1 was superseded by timeline 2") != NULL,
	   "the cause is named");
	push_segment(&f, 2, 6, ERR_NONE, "the new timeline behind the fork");
	take_text(&f, "00000003.history", "1\t0/300000\tbefore\n", ERR_NONE);
	push_segment(&f, 2, 7, ERR_NONE, "a sibling does not supersede");
	push_segment(&f, 1, 3, ERR_MISMATCH, "a fork on the segment's border");
	fixture_end(&f);
}

/* A damaged history must not keep WAL out. */
static void
test_damaged_history(void)
{
	Fixture f;
	char *object;

	fixture_begin(&f, true);
	take_text(&f, "00000002.history", "1\t0/580000\tx\n", ERR_NONE);
	object = job_object(&f, "00000002.history");
	job_resize(object, 100);
	push_segment(&f, 1, 6, ERR_NONE, "with a damaged history");
	free(object);
	fixture_end(&f);
}

/* Too long for the metadata. */
static void
test_long_history(void)
{
	Fixture f;
	StrBuf text = STRBUF_INIT;
	char *path;
	PushResult result;

	fixture_begin(&f, true);
	for (int i = 1; i < 512; i++)
		strbuf_printf(&text, "%d\t0/%X\tafter some long transaction\n", i,
					  0x100000 + i);
	path = job_text(f.dir, "00000200.history", text.data);
	is_int(job_push(&f, path, &result, &err), ERR_NONE, "a long history");
	push_segment(&f, 9, 2, ERR_MISMATCH, "it is read nevertheless");
	push_segment(&f, 9, 1, ERR_NONE, "and understood");
	strbuf_free(&text);
	free(path);
	fixture_end(&f);
}

static void
test_other_files(void)
{
	Fixture f;
	JobSegment partial = {.timeline = 1,
						  .number = 1,
						  .suffix = ".partial",
						  .first_commit = FIX_TIME(1),
						  .last_commit = FIX_TIME(2)};
	char *path;
	PushResult result;

	fixture_begin(&f, true);
	path = job_segment(f.dir, &partial);
	is_int(job_push(&f, path, &result, &err), ERR_NONE, "a partial segment");
	is_str(result.name, SEG1 ".partial", "its name");
	free(path);
	take_text(&f, SEG1 ".00000028.backup",
			  "START WAL LOCATION: 0/100028 (file " SEG1 ")\n", ERR_NONE);
	take_text(&f, SEG2 ".00000028.backup", "something else\n", ERR_DAMAGED);
	take_text(&f, "00000002.history", "", ERR_DAMAGED);
	take_text(&f, "00000003.history", "3\t0/100000\tx\n", ERR_DAMAGED);
	take_text(&f, "00000004.history", "no history\n", ERR_DAMAGED);
	take_text(&f, "00000005.history", "1\t0/100000\tx\n", ERR_NONE);
	take_text(&f, "00000005.history", "1\t0/100000\tx\n", ERR_NONE);
	fixture_end(&f);
}

/*
 * Two servers that write under one name: none of them may believe that it is
 * archived because its content reached another repository first.
 */
static void
test_conflict(void)
{
	PgControl control = job_control();
	RepoSet set = {.quorum = 1};
	RepoOptions options;
	Repo *second = NULL;
	PushResult result;
	WalName name;
	Fixture f;
	char *object;
	char *dir;
	char *path;
	bool done;

	fixture_begin(&f, true);
	dir = mem_printf("%s/second", f.dir);
	mkdir(dir, 0700);
	options = f.repo->options;
	options.storage.repo = "second";
	options.storage.path = dir;
	error_clear(&err);
	ok(repo_create(&options, &err) && repo_open(&options, &second, &err),
	   "a second repository");
	path = segment(&f, 1, 1);
	is_int(job_push(&f, path, &result, &err), ERR_NONE,
		   "one has a segment of another server");
	job_flip(path);
	repo_set_borrow(&set, f.repo);
	repo_set_borrow(&set, second);
	set.members[0].required = false;
	set.members[1].required = false;
	done = push_file(&set, path, &control, &result, &err);
	ok(!done && err.code == ERR_EXISTS,
	   "other content is refused, though that repository is not required");
	wal_name_parse(SEG1, &name);
	object = repo_wal_name(&(WalHome){.sysid = JOB_SYSID, .major = 15}, &name);
	error_clear(&err);
	ok(storage_exists(second->storage, object, &done, &err) && !done,
	   "and the others do not get it");
	repo_set_free(&set);
	repo_close(second);
	free(object);
	free(path);
	free(dir);
	fixture_end(&f);
}

int
main(void)
{
	test_push(true);
	test_push(false);
	test_damaged_object();
	test_refused();
	test_lineage();
	test_damaged_history();
	test_long_history();
	test_other_files();
	test_conflict();
	error_clear(&err);
	return done_testing();
}
