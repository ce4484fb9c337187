/*-------------------------------------------------------------------------
 *
 * verify_test.c
 *	  Whatever is done to a good repository, verify finds it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "job/verify.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/object.h"
#include "restore_fixture.h"
#include "tap.h"

#define A "20261121T000100Z"
#define B "20261121T000200Z"
#define WAL_HOME "wal/7000000000000000001-15/"
#define WAL_DIR WAL_HOME "00000001/00000000/"
#define SEGMENT(n) WAL_DIR "00000001000000000000000" #n

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

/* ---- a good repository ---- */

static void
add_backup(Fixture *f, const char *label, uint64_t segment)
{
	FixBackup b = {.label = label,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(segment, 40),
				   .stop_lsn = FIX_LSN(segment + 1, 300),
				   .stop_time = FIX_TIME(60 * segment),
				   .tablespace = "/srv/t"};

	fixture_backup(f, &b);
}

/* Timeline 1 from 1 to 7, timeline 2 from 7 to 8; backups in 2 and 4. */
static void
make_repo(Fixture *f, bool encrypted)
{
	fixture_begin(f, encrypted);
	for (uint64_t n = 1; n <= 7; n++)
		fixture_wal(f, 1, n, NULL, NULL);
	fixture_wal(f, 2, 7, NULL, NULL);
	fixture_wal(f, 2, 8, NULL, NULL);
	fixture_history(f, 2, "1\t0/780000\tx\n");
	add_backup(f, A, 2);
	add_backup(f, B, 4);
}

/* ---- what is reported ---- */

typedef struct Report
{
	StrBuf text; /* "check object message" in lines */
	VerifyResult result;
} Report;

static void
note_problem(void *arg, const Problem *p)
{
	Report *report = arg;

	strbuf_printf(&report->text, "%s %s %s: %s\n",
				  p->warning ? "warning" : "error", p->check, p->object,
				  p->message);
}

static bool
run(Repo *repo, const char *label, bool deep, bool mark, Report *report,
	Error *err)
{
	VerifyOptions options = {.label = label,
							 .deep = deep,
							 .mark = mark,
							 .workers = 2,
							 .problem = note_problem,
							 .problem_arg = report};

	memset(report, 0, sizeof(*report));
	return verify_run(repo, &options, &report->result, err);
}

static bool
has_line(const Report *report, const char *severity, const char *what,
		 const char *object)
{
	char *line = mem_printf("%s %s %s", severity, what, object);
	bool found = report->text.data && strstr(report->text.data, line) != NULL;

	free(line);
	return found;
}

static void
test_good(bool encrypted, bool deep)
{
	Fixture f;
	Report r;
	Error err = ERROR_INIT;

	make_repo(&f, encrypted);
	check(run(f.repo, NULL, deep, false, &r, &err), &err,
		  deep ? "verify --deep" : "verify");
	ok(r.result.errors == 0 && r.result.warnings == 0,
	   "a good repository has no problems: %s",
	   r.text.data ? r.text.data : "none");
	ok(r.result.objects == 24 && r.result.backups == 2 &&
		   r.result.segments == 9 && r.result.bytes > 10000,
	   "everything is counted");
	strbuf_free(&r.text);
	check(run(f.repo, A, deep, false, &r, &err), &err, "one backup");
	ok(r.result.errors == 0 && r.result.warnings == 0 &&
		   r.result.objects == 9 && r.result.backups == 1 &&
		   r.result.segments == 2,
	   "and the WAL that it needs");
	strbuf_free(&r.text);
	fixture_end(&f);
}

/* ---- damage ---- */

static char *
path_of(const Fixture *f, const char *object)
{
	return file_join(f->repo_path, object);
}

static void
rewrite(const Fixture *f, const char *object, const StrBuf *bytes)
{
	char *path = path_of(f, object);
	Error err = ERROR_INIT;

	if (!file_write_durable(path, bytes->len > 0 ? bytes->data : "", bytes->len,
							0600, true, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
	free(path);
}

static void
load(const Fixture *f, const char *object, StrBuf *bytes)
{
	char *path = path_of(f, object);
	Error err = ERROR_INIT;

	if (!file_slurp(path, 1 << 26, bytes, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
	free(path);
}

static void
flip_at(const Fixture *f, const char *object, size_t at)
{
	StrBuf bytes = STRBUF_INIT;

	load(f, object, &bytes);
	bytes.data[at] ^= 0x10;
	rewrite(f, object, &bytes);
	strbuf_free(&bytes);
}

static void
flip_first(const Fixture *f, const char *object)
{
	flip_at(f, object, 0);
}

static void
get_meta(const Fixture *f, const char *object, ObjectMeta *meta)
{
	Error err = ERROR_INIT;

	if (!object_stat(f->repo, object, meta, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
}

/* The end of the head: of an encrypted object the MAC over it. */
static void
flip_head(const Fixture *f, const char *object)
{
	ObjectMeta meta;

	get_meta(f, object, &meta);
	flip_at(f, object, meta.head_len - 10);
	object_meta_free(&meta);
}

static void
flip_middle(const Fixture *f, const char *object)
{
	ObjectMeta meta;

	get_meta(f, object, &meta);
	flip_at(f, object, meta.head_len + meta.payload_size / 2);
	object_meta_free(&meta);
}

static void
flip_last(const Fixture *f, const char *object)
{
	ObjectMeta meta;

	get_meta(f, object, &meta);
	flip_at(f, object, meta.head_len + meta.payload_size - 1);
	object_meta_free(&meta);
}

static void
truncate_it(const Fixture *f, const char *object)
{
	StrBuf bytes = STRBUF_INIT;

	load(f, object, &bytes);
	bytes.len--;
	rewrite(f, object, &bytes);
	strbuf_free(&bytes);
}

static void
append_to(const Fixture *f, const char *object)
{
	StrBuf bytes = STRBUF_INIT;

	load(f, object, &bytes);
	strbuf_putc(&bytes, 'x');
	rewrite(f, object, &bytes);
	strbuf_free(&bytes);
}

static void
empty_it(const Fixture *f, const char *object)
{
	StrBuf bytes = STRBUF_INIT;

	rewrite(f, object, &bytes);
}

static void
delete_it(const Fixture *f, const char *object)
{
	Error err = ERROR_INIT;

	if (!storage_remove(f->repo->storage, object, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
}

/* Takes the place of another object of its kind. */
static void
swap_it(const Fixture *f, const char *object)
{
	StrBuf bytes = STRBUF_INIT;

	load(f,
		 strstr(object, "data")       ? "backup/" B "/data/000001"
		 : strstr(object, "manifest") ? "backup/" B "/manifest"
									  : SEGMENT(6),
		 &bytes);
	rewrite(f, object, &bytes);
	strbuf_free(&bytes);
}

static const struct
{
	const char *name;
	void (*mutilate)(const Fixture *f, const char *object);
} mutilations[] = {
	{"first byte flipped", flip_first},
	{"head flipped", flip_head},
	{"middle flipped", flip_middle},
	{"last byte flipped", flip_last},
	{"truncated", truncate_it},
	{"appended to", append_to},
	{"emptied", empty_it},
	{"deleted", delete_it},
	{"swapped", swap_it},
};

static const char *const objects[] = {
	SEGMENT(3),
	SEGMENT(7),
	"backup/" A "/data/000001",
	"backup/" A "/manifest",
	WAL_HOME "00000002.history",
};

/*
 * Is the damage reported, with the object's name (or that of its backup)?
 * Of deleted ones: the manifest alone leaves an interrupted backup, which is a
 * warning; a segment at the end of a timeline that others do without, nothing.
 */
static void
is_found(const Fixture *f, size_t m, const char *object, bool deep)
{
	Report r;
	Error err = ERROR_INIT;
	bool deleted = mutilations[m].mutilate == delete_it;
	bool done = run(f->repo, NULL, deep, false, &r, &err);
	bool found;

	if (deleted && strstr(object, "manifest"))
		found = has_line(&r, "warning", "leftover", "backup/" A);
	else if (deleted && strcmp(object, SEGMENT(7)) == 0)
		found = r.result.errors == 0;
	else
		found = r.result.errors > 0 && strstr(r.text.data, object) != NULL;
	ok(done && found, "%s %s is found by verify%s: %.120s", object,
	   mutilations[m].name, deep ? " --deep" : "",
	   err.message   ? err.message
	   : r.text.data ? r.text.data
					 : "nothing\n");
	error_clear(&err);
	strbuf_free(&r.text);
}

static void
test_damage(bool encrypted)
{
	size_t kinds = sizeof(mutilations) / sizeof(mutilations[0]);
	Fixture f;

	make_repo(&f, encrypted);
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
	{
		StrBuf good = STRBUF_INIT;

		load(&f, objects[i], &good);
		for (size_t m = 0; m < kinds; m++)
		{
			mutilations[m].mutilate(&f, objects[i]);
			/* who has no key cannot check the MAC that needs it */
			if (!encrypted || mutilations[m].mutilate != flip_head)
				is_found(&f, m, objects[i], false);
			is_found(&f, m, objects[i], true);
			rewrite(&f, objects[i], &good);
		}
		strbuf_free(&good);
	}
	fixture_end(&f);
}

/* ---- objects that are sound, but wrong ---- */

/* An object whose stored bytes are all right, with this plaintext. */
static void
replace(const Fixture *f, const char *object, const char *kind,
		const StrBuf *plain, const Json *extra)
{
	ObjectSpec spec = {.name = object, .kind = kind, .extra_room = 8192};
	Error err = ERROR_INIT;

	delete_it(f, object);
	if (!object_put(f->repo, &spec, plain->data, plain->len, extra, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
}

static void
get_plain(const Fixture *f, const char *object, StrBuf *plain, ObjectMeta *meta)
{
	Error err = ERROR_INIT;

	if (!object_get(f->repo, object, NULL, 1 << 26, plain, &err) ||
		!object_stat(f->repo, object, meta, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
}

static void
expect(const Fixture *f, const char *label, bool deep, const char *severity,
	   const char *what, const char *object, const char *name)
{
	Report r;
	Error err = ERROR_INIT;
	bool done = run(f->repo, label, deep, false, &r, &err);

	ok(done && has_line(&r, severity, what, object), "%s: %.200s", name,
	   err.message   ? err.message
	   : r.text.data ? r.text.data
					 : "nothing\n");
	error_clear(&err);
	strbuf_free(&r.text);
}

/* Nothing is found. */
static void
expect_none(const Fixture *f, const char *label, const char *name)
{
	Report r;
	Error err = ERROR_INIT;
	bool done = run(f->repo, label, false, false, &r, &err);

	ok(done && r.result.errors == 0 && r.result.warnings == 0, "%s: %s", name,
	   err.message   ? err.message
	   : r.text.data ? r.text.data
					 : "nothing");
	error_clear(&err);
	strbuf_free(&r.text);
}

static void
test_other_segment(void)
{
	Fixture f;
	StrBuf plain = STRBUF_INIT;
	ObjectMeta meta;

	make_repo(&f, true);
	get_plain(&f, SEGMENT(5), &plain, &meta);
	replace(&f, SEGMENT(3), OBJECT_WAL, &plain, meta.extra);
	expect(&f, NULL, true, "error", "mismatch", SEGMENT(3),
		   "a segment with the contents of another");
	memset(plain.data, 0, plain.len);
	replace(&f, SEGMENT(3), OBJECT_WAL, &plain, meta.extra);
	expect(&f, NULL, true, "error", "damaged", SEGMENT(3),
		   "a segment that is no WAL");
	plain.len = 8192;
	replace(&f, SEGMENT(3), OBJECT_WAL, &plain, meta.extra);
	expect(&f, NULL, false, "error", "mismatch", SEGMENT(3),
		   "a short segment, without the key");
	replace(&f, SEGMENT(3), OBJECT_MARK, &plain, meta.extra);
	expect(&f, NULL, false, "error", "mismatch", SEGMENT(3),
		   "an object of another kind");
	object_meta_free(&meta);
	strbuf_free(&plain);
	fixture_end(&f);
}

static void
test_other_history(void)
{
	Fixture f;
	StrBuf plain = STRBUF_INIT;
	Json *extra = json_new_object();

	make_repo(&f, true);
	strbuf_puts(&plain, "1\t0/780000\tx\n");
	json_put_str(extra, "history", "1\t0/700000\tx\n");
	replace(&f, WAL_HOME "00000002.history", OBJECT_HISTORY, &plain, extra);
	expect(&f, NULL, true, "error", "damaged", WAL_HOME "00000002.history",
		   "a history whose public text differs");
	json_free(extra);
	strbuf_free(&plain);
	fixture_end(&f);
}

static void
test_other_pack(void)
{
	Fixture f;
	StrBuf plain = STRBUF_INIT;
	ObjectMeta meta;

	make_repo(&f, true);
	get_plain(&f, "backup/" A "/data/000002", &plain, &meta);
	replace(&f, "backup/" A "/data/000002", OBJECT_PACK, &plain, meta.extra);
	expect(&f, A, false, "error", "mismatch", "backup/" A,
		   "a pack written anew, without the key");
	expect(&f, A, true, "error", "mismatch", "backup/" A "/data/000002",
		   "a pack written anew");
	object_meta_free(&meta);
	strbuf_free(&plain);
	fixture_end(&f);
}

/* The manifest of a backup with a change, under the same label. */
static void
remake(const Fixture *f, void (*change)(Manifest *m))
{
	Manifest m;
	Error err = ERROR_INIT;

	if (!manifest_read(f->repo, A, &m, &err))
		ok(false, "%s", err.message);
	change(&m);
	delete_it(f, "backup/" A "/manifest");
	if (!manifest_write(f->repo, &m, &err))
		ok(false, "%s", err.message);
	manifest_free(&m);
	error_clear(&err);
}

static void
change_hash(Manifest *m)
{
	for (size_t i = 0; i < m->file_count; i++)
		m->files[i].content[0] ^= strcmp(m->files[i].path, "base/5/1259") == 0;
}

static void
change_extent(Manifest *m)
{
	for (size_t i = 0; i < m->file_count; i++)
	{
		if (strcmp(m->files[i].path, "base/5/1259") == 0)
			m->extents[m->files[i].first_extent].pack_offset++;
	}
}

static void
change_frames(Manifest *m)
{
	ManifestPack *p = &m->packs[2];

	p->frames[p->frame_count - 1].stored--;
}

static void
test_other_manifest(void)
{
	Fixture f;

	make_repo(&f, true);
	remake(&f, change_hash);
	expect(&f, A, true, "error", "damaged",
		   "backup/" A "/data/000002: file \"base/5/1259\"",
		   "a file that is not what was backed up");
	expect_none(&f, A, "which cannot be seen without the key");
	remake(&f, change_hash);
	remake(&f, change_extent);
	expect(&f, A, true, "error", "damaged",
		   "backup/" A "/data/000002: file \"base/5/1259\"",
		   "a file that lies elsewhere");
	fixture_end(&f);

	make_repo(&f, true);
	remake(&f, change_frames);
	expect(&f, A, true, "error", "damaged", "backup/" A "/data/000003",
		   "frames that lie elsewhere");
	fixture_end(&f);
}

/* ---- completeness ---- */

static void
test_holes(void)
{
	Fixture f;

	make_repo(&f, false);
	delete_it(&f, SEGMENT(3));
	expect(&f, A, false, "error", "missing", SEGMENT(3),
		   "a segment that a backup needs");
	expect_none(&f, B, "and another one does not");
	delete_it(&f, SEGMENT(6));
	expect(&f, NULL, false, "error", "hole", SEGMENT(6),
		   "a segment between all backups and the end");
	add_backup(&f, "20261121T001000Z", 7);
	expect(&f, NULL, false, "error", "missing",
		   WAL_DIR "000000010000000000000008", "a backup without its WAL");
	fixture_wal(&f, 1, 8, NULL, NULL);
	expect(&f, NULL, false, "error", "hole", SEGMENT(6),
		   "timeline 2 still cannot be reached");
	fixture_end(&f);

	fixture_begin(&f, false);
	for (uint64_t n = 1; n <= 8; n++)
		fixture_wal(&f, 1, n, NULL, NULL);
	add_backup(&f, A, 2);
	add_backup(&f, B, 6);
	expect_none(&f, NULL, "two backups and all WAL");
	delete_it(&f, SEGMENT(4));
	expect(&f, NULL, false, "error", "hole", SEGMENT(4),
		   "a hole behind which a later backup lies");
	fixture_end(&f);

	make_repo(&f, false);
	fixture_wal(&f, 1, 8, NULL, NULL);
	delete_it(&f, SEGMENT(1));
	expect_none(&f, NULL, "WAL before all backups");
	fixture_wal(&f, 1, 0, NULL, NULL);
	expect(&f, NULL, false, "warning", "hole", SEGMENT(1),
		   "a hole before all backups");
	delete_it(&f, "backup/" B "/data/000003");
	expect(&f, B, false, "error", "missing", "backup/" B "/data/000003",
		   "a pack");
	delete_it(&f, WAL_HOME "00000002.history");
	expect(&f, NULL, false, "error", "missing", WAL_HOME "00000002.history",
		   "a history that leads to a timeline");
	fixture_end(&f);
}

static void
put_raw(const Fixture *f, const char *name)
{
	Error err = ERROR_INIT;

	if (!storage_put(f->repo->storage, name, "x", 1, &err))
		ok(false, "%s", err.message);
	error_clear(&err);
}

static void
test_strays(void)
{
	static const char *const strays[] = {
		"notes.txt",
		"wal/readme",
		"wal/7000000000000000001-15/00000001/x",
		WAL_DIR "000000010000000000000009.gz",
		WAL_HOME "00000001/00000001/000000010000000000000002",
		WAL_DIR "00000001000000000000FFFF",
		"wal/07-15/00000001/00000000/000000010000000000000002",
		"backup/x/manifest",
		"backup/" A "/data/1",
		"backup/" A "/data/000004",
		"backup/" A "/data/000000",
		"backup/" A "/lease/now",
		"backup/" A "/mark/verified",
		"backup/" A "/other",
	};
	size_t count = sizeof(strays) / sizeof(strays[0]);
	Fixture f;
	Report r;
	Error err = ERROR_INIT;

	make_repo(&f, false);
	for (size_t i = 0; i < count; i++)
		put_raw(&f, strays[i]);
	check(run(f.repo, NULL, false, false, &r, &err), &err, "strays");
	for (size_t i = 0; i < count; i++)
		ok(has_line(&r, "warning", "stray", strays[i]), "%s is a stray",
		   strays[i]);
	ok(r.result.errors == 0 && r.result.warnings == count,
	   "which are no errors: %s", r.text.data);
	strbuf_free(&r.text);
	fixture_end(&f);
}

/* ---- marks and states ---- */

static bool
marked(const Fixture *f, const char *label, bool *good)
{
	Error err = ERROR_INIT;
	Json *content = NULL;
	bool found = false;
	int64_t t;

	if (!mark_latest(f->repo, label, MARK_VERIFIED, &found, &t, &content, &err))
		ok(false, "%s", err.message);
	*good = json_get_bool(content, "ok", false);
	json_free(content);
	error_clear(&err);
	return found;
}

static void
test_marks(void)
{
	Fixture f;
	Report r;
	bool good;
	Error err = ERROR_INIT;

	make_repo(&f, true);
	check(run(f.repo, A, true, true, &r, &err), &err, "verify with a mark");
	ok(marked(&f, A, &good) && good, "the backup is marked as good");
	ok(!marked(&f, B, &good), "the other one is not");
	strbuf_free(&r.text);
	flip_middle(&f, SEGMENT(4));
	check(run(f.repo, NULL, false, true, &r, &err), &err,
		  "verify with a damaged segment");
	ok(marked(&f, A, &good) && good, "which the first does not need");
	ok(marked(&f, B, &good) && !good, "but the second does");
	strbuf_free(&r.text);
	check(run(f.repo, NULL, true, false, &r, &err), &err, "marks themselves");
	ok(r.result.errors == 1, "are verified: %s", r.text.data);
	strbuf_free(&r.text);
	fixture_end(&f);
}

static void
test_states(void)
{
	Fixture f;
	Report r;
	char *running = NULL;
	RepoKeys writer;
	Repo *other = NULL;
	Error err = ERROR_INIT;

	make_repo(&f, true);
	check(lease_take(f.repo, &running, &err), &err, "a backup begins");
	put_raw(&f, "backup/20200101T000000Z/data/000001");
	put_raw(&f, "backup/20200102T000000Z/manifest");
	check(run(f.repo, NULL, false, true, &r, &err), &err, "verify");
	ok(r.result.errors == 1 && r.result.warnings == 1 &&
		   has_line(&r, "warning", "leftover", "backup/20200101T000000Z") &&
		   has_line(&r, "error", "damaged", "backup/20200102T000000Z/manifest"),
	   "an interrupted and an unreadable backup: %s", r.text.data);
	strbuf_free(&r.text);
	ok(!run(f.repo, running, false, false, &r, &err) && err.code == ERR_BUSY,
	   "one that is running: %s", err.message);
	error_clear(&err);
	ok(!run(f.repo, "20200101T000000Z", false, false, &r, &err) &&
		   err.code == ERR_NOT_FOUND,
	   "one that is none: %s", err.message);
	error_clear(&err);
	ok(!run(f.repo, "20300101T000000Z", false, false, &r, &err) &&
		   err.code == ERR_NOT_FOUND,
	   "one that is not there: %s", err.message);
	error_clear(&err);

	writer = f.keys;
	writer.identities = NULL;
	f.repo->options.keys = &writer;
	check(repo_open_again(f.repo, &other, &err), &err, "without an identity");
	ok(!run(other, NULL, true, false, &r, &err) && err.code == ERR_KEY,
	   "deep needs one: %s", err.message);
	error_clear(&err);
	check(run(other, A, false, false, &r, &err), &err, "shallow does not");
	strbuf_free(&r.text);
	repo_close(other);
	free(running);
	fixture_end(&f);
}

int
main(void)
{
	test_good(false, false);
	test_good(false, true);
	test_good(true, false);
	test_good(true, true);
	test_damage(false);
	test_damage(true);
	test_other_segment();
	test_other_history();
	test_other_pack();
	test_other_manifest();
	test_holes();
	test_strays();
	test_marks();
	test_states();
	return done_testing();
}
