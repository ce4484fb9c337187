/*-------------------------------------------------------------------------
 *
 * catalog_test.c
 *	  What a repository is seen to hold: leases, marks, states of backups, WAL
 *	  ranges, timelines, and how far recovery gets.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/object.h"
#include "repo/stamp.h"
#include "repo/wal_catalog.h"
#include "restore_fixture.h"
#include "storage/memory.h"
#include "tap.h"

static const WalHome home = {FIX_SYSID, 15};

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

static void
put_raw(Repo *repo, const char *name, const char *text)
{
	Error err = ERROR_INIT;

	if (!storage_put(repo->storage, name, text, strlen(text), &err))
		ok(false, "%s is stored: %s", name, err.message);
	error_clear(&err);
}

/* ---- stamps ---- */

static void
test_stamps(void)
{
	char text[STAMP_LEN];
	int64_t t = 0;

	is_str(stamp_format(FIX_TIME(1) + 42, text), "20261121T000001.000042Z",
		   "stamp of a time");
	ok(stamp_parse(text, strlen(text), &t) && t == FIX_TIME(1) + 42,
	   "and back");
	ok(stamp_parse("20261121T000001Z", 16, &t) && t == FIX_TIME(1),
	   "stamp of whole seconds");
	ok(!stamp_parse("20261121T000001", 15, &t), "no zone");
	ok(!stamp_parse("20261321T000001Z", 16, &t), "month 13");
	ok(!stamp_parse("20261121T000001.00042Z", 22, &t), "short fraction");
	ok(!stamp_parse("20261121 000001Z", 16, &t), "no T");
	ok(!stamp_parse("", 0, &t), "nothing");
}

/* ---- leases ---- */

static void
put_lease_at(Repo *repo, const char *label, int64_t t)
{
	char stamp[STAMP_LEN];
	char *name = mem_printf("backup/%s/lease/%s", label,
							stamp_format(t, stamp));

	put_raw(repo, name, "");
	free(name);
}

static void
test_leases(void)
{
	Fixture f;
	Error err = ERROR_INIT;
	char *a = NULL;
	char *b = NULL;
	char *base = NULL;
	bool alive = false;
	int64_t now = clock_now();

	fixture_begin(&f, true);
	check(lease_take(f.repo, &a, &err), &err, "label is taken");
	check(lease_take(f.repo, &b, &err), &err, "another one is taken");
	ok(a && b && repo_label_ok(a) && repo_label_ok(b) && strcmp(a, b) != 0,
	   "they are labels, and differ: %s, %s", a, b);
	check(lease_is_alive(f.repo, a, now, &alive, &err), &err, "lease is read");
	ok(alive, "it is alive");
	check(lease_base(f.repo, a, &base, &err), &err, "its base");
	is_str(base, NULL, "is none");
	check(lease_renew(f.repo, a, "20200101T000000Z-2", &err), &err,
		  "it is renewed");
	check(lease_base(f.repo, a, &base, &err), &err, "its base");
	is_str(base, "20200101T000000Z-2", "is what the newest lease says");
	free(base);
	check(lease_is_alive(f.repo, a, now + LEASE_VALID_USECS + 60000000, &alive,
						 &err),
		  &err, "lease is read");
	ok(!alive, "it runs out");
	check(lease_is_alive(f.repo, "20200101T000000Z", now, &alive, &err), &err,
		  "lease that is not there");
	ok(!alive, "is not alive");

	put_lease_at(f.repo, "20200101T000000Z", now - LEASE_VALID_USECS - 1);
	ok(!lease_renew(f.repo, "20200101T000000Z", NULL, &err) &&
		   err.code == ERR_TIMEOUT,
	   "a lease that has run out is not renewed");
	error_clear(&err);
	put_raw(f.repo, "backup/20200101T000000Z/manifest", "x");
	ok(!lease_confirm(f.repo, "20200101T000000Z", &err) &&
		   err.code == ERR_TIMEOUT,
	   "a manifest that was written after its lease ran out");
	error_clear(&err);
	ok(storage_exists(f.repo->storage, "backup/20200101T000000Z/manifest",
					  &alive, &err) &&
		   !alive,
	   "is taken back");
	put_lease_at(f.repo, "20200101T000000Z", now + 120 * USECS_PER_SEC);
	check(lease_is_alive(f.repo, "20200101T000000Z", now, &alive, &err), &err,
		  "lease of a host whose clock is ahead");
	ok(alive, "is alive");
	check(lease_confirm(f.repo, "20200101T000000Z", &err), &err,
		  "and confirms a manifest");
	free(a);
	free(b);
	fixture_end(&f);
}

/* ---- marks ---- */

static void
add_mark(Repo *repo, const char *label, bool good, bool deep)
{
	Json *content = json_new_object();
	Error err = ERROR_INIT;

	json_put_bool(content, "ok", good);
	json_put_bool(content, "deep", deep);
	check(mark_add(repo, label, MARK_VERIFIED, content, &err), &err,
		  "mark is added");
	json_free(content);
}

static void
test_marks(void)
{
	Fixture f;
	Error err = ERROR_INIT;
	bool found = true;
	int64_t t = 0;
	Json *content = NULL;
	int64_t before = clock_now();

	fixture_begin(&f, true);
	check(mark_latest(f.repo, "20261121T000100Z", MARK_VERIFIED, &found, &t,
					  &content, &err),
		  &err, "no mark");
	ok(!found && content == NULL, "is found");
	add_mark(f.repo, "20261121T000100Z", true, true);
	add_mark(f.repo, "20261121T000100Z", false, false);
	check(mark_latest(f.repo, "20261121T000100Z", "other", &found, &t, &content,
					  &err),
		  &err, "mark of another kind");
	ok(!found, "is not found");
	check(mark_latest(f.repo, "20261121T000100Z", MARK_VERIFIED, &found, &t,
					  &content, &err),
		  &err, "mark is read");
	ok(found && t >= before && !json_get_bool(content, "ok", true),
	   "the newest one");
	json_free(content);
	fixture_end(&f);
}

/* ---- a cluster with a history ---- */

#define OLD "20261121T000100Z"
#define NEW "20261121T001000Z"

/*
 * Timeline 1: segments 1 to 6, and 8; backup OLD from 2 to 3.  Timeline 2
 * leaves it in the middle of 5: segments 5 to 9 but for 7; backup NEW in 8.
 */
static void
make_cluster(Fixture *f)
{
	FixBackup old = {.label = OLD,
					 .timeline = 1,
					 .start_lsn = FIX_LSN(2, 40),
					 .stop_lsn = FIX_LSN(3, 300),
					 .stop_time = FIX_TIME(100)};
	FixBackup new = {.label = NEW,
					 .timeline = 2,
					 .start_lsn = FIX_LSN(8, 40),
					 .stop_lsn = FIX_LSN(8, 300),
					 .stop_time = FIX_TIME(600)};

	for (uint64_t n = 1; n <= 8; n++)
	{
		FixRecord r[] = {{FIX_COMMIT, 10, FIX_TIME(50 * n), NULL},
						 {FIX_END, 0, 0, NULL}};

		if (n != 7)
			fixture_wal(f, 1, n, n == 3 ? NULL : r, NULL);
	}
	for (uint64_t n = 5; n <= 9; n++)
	{
		FixRecord r[] = {{FIX_COMMIT, 10, FIX_TIME(500 + n), NULL},
						 {FIX_END, 0, 0, NULL}};

		if (n != 7)
			fixture_wal(f, 2, n, n == 9 ? NULL : r, NULL);
	}
	fixture_history(f, 2, "1\t0/580000\tno recovery target specified\n");
	fixture_backup(f, &old);
	fixture_backup(f, &new);
}

static void
is_range(const WalCatalog *wal, size_t i, uint32_t timeline, uint64_t first,
		 uint64_t last)
{
	const WalRange *r = &wal->ranges[i];

	ok(i < wal->range_count && r->timeline == timeline && r->first == first &&
		   r->last == last && r->start_lsn == FIX_LSN(first, 0) &&
		   r->end_lsn == FIX_LSN(last + 1, 0) && r->bytes > 0,
	   "range %zu: timeline %u, segments %d to %d", i, timeline, (int) first,
	   (int) last);
}

static void
test_ranges(const WalCatalog *wal)
{
	is_int(wal->segment_size, FIX_SEGMENT, "segment size");
	is_int((int64_t) wal->segment_count, 11, "segments");
	is_int((int64_t) wal->range_count, 4, "ranges");
	is_range(wal, 0, 1, 1, 6);
	is_range(wal, 1, 1, 8, 8);
	is_range(wal, 2, 2, 5, 6);
	is_range(wal, 3, 2, 8, 9);
	ok(wal->ranges[0].first_commit == FIX_TIME(50) &&
		   wal->ranges[0].last_commit == FIX_TIME(300),
	   "commits at both ends");
	ok(wal->ranges[3].last_commit == FIX_TIME(508),
	   "last commit in a segment before the last");
	is_int((int64_t) wal->timeline_count, 2, "timelines");
	ok(!wal->timelines[0].has_history && wal->timelines[1].has_history &&
		   wal->timelines[1].history.count == 1 &&
		   wal->timelines[1].history.items[0].lsn == 0x580000,
	   "history of timeline 2");
	ok(wal_catalog_timeline(wal, 2) == &wal->timelines[1] &&
		   wal_catalog_timeline(wal, 3) == NULL,
	   "timelines are found");
	ok(wal_catalog_has(wal, 1, FIX_LSN(6, 1048575)) &&
		   !wal_catalog_has(wal, 1, FIX_LSN(7, 0)) &&
		   wal_catalog_has(wal, 1, FIX_LSN(8, 0)) &&
		   !wal_catalog_has(wal, 1, FIX_LSN(9, 0)) &&
		   !wal_catalog_has(wal, 1, FIX_LSN(0, 0)) &&
		   !wal_catalog_has(wal, 3, FIX_LSN(1, 0)),
	   "segments are found by position");
}

typedef struct ReachCase
{
	const char *name;
	uint32_t from;
	uint64_t lsn;
	uint32_t target;
	uint64_t end;
	uint32_t end_timeline;
	bool hole;
	uint32_t missing_timeline;
	uint64_t missing;
} ReachCase;

static const ReachCase reaches[] = {
	{"along timeline 1 to its hole", 1, FIX_LSN(2, 40), 1, FIX_LSN(7, 0), 1,
	 true, 1, 7},
	{"over the switch to the hole of timeline 2", 1, FIX_LSN(2, 40), 2,
	 FIX_LSN(7, 0), 2, true, 2, 7},
	{"from behind the hole to the end", 2, FIX_LSN(8, 40), 2, FIX_LSN(10, 0), 2,
	 false, 2, 10},
	{"from before anything", 1, FIX_LSN(0, 40), 1, FIX_LSN(0, 40), 1, true, 1,
	 0},
	{"from behind everything", 2, FIX_LSN(12, 0), 2, FIX_LSN(12, 0), 2, false,
	 2, 12},
	{"in the segment of the switch, before it", 1, FIX_LSN(5, 40), 2,
	 FIX_LSN(7, 0), 2, true, 2, 7},
};

static void
test_reach(const WalCatalog *wal)
{
	WalReach reach;
	Error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++)
	{
		const ReachCase *c = &reaches[i];
		bool done = wal_catalog_reach(wal, c->from, c->lsn, c->target, &reach,
									  &err);

		ok(done && reach.end_lsn == c->end &&
			   reach.end_timeline == c->end_timeline && reach.hole == c->hole &&
			   reach.missing.timeline == c->missing_timeline &&
			   wal_segment_number(&reach.missing, FIX_SEGMENT) == c->missing,
		   "reach %s: %" PRIX64 " on %u", c->name, reach.end_lsn,
		   reach.end_timeline);
		error_clear(&err);
	}
	ok(!wal_catalog_reach(wal, 1, FIX_LSN(6, 0), 2, &reach, &err) &&
		   err.code == ERR_MISMATCH,
	   "what timeline 1 did behind the switch leads nowhere: %s", err.message);
	error_clear(&err);
	ok(!wal_catalog_reach(wal, 1, FIX_LSN(2, 0), 7, &reach, &err) &&
		   err.code == ERR_INCOMPLETE,
	   "timeline without a history: %s", err.message);
	error_clear(&err);
	ok(wal_catalog_reach(wal, 7, FIX_LSN(2, 0), 7, &reach, &err) &&
		   reach.end_lsn == FIX_LSN(2, 0) && !reach.hole,
	   "timeline without anything");
	error_clear(&err);
}

static void
test_backups(const Catalog *c)
{
	const CatalogBackup *b = catalog_find(c, OLD);

	is_int((int64_t) c->backup_count, 2, "backups");
	ok(b == &c->backups[0] && b->state == BACKUP_COMPLETE && b->wal_ok &&
		   b->verified_at == 0,
	   "first backup");
	ok(c->backups[1].wal_ok, "WAL of the second is there");
	ok(catalog_find(c, "20261121T000101Z") == NULL, "no such backup");
	ok(catalog_wal(c, &home) == &c->wal[0], "WAL of the cluster");
}

static void
test_windows(Fixture *f, const Catalog *c)
{
	RecoveryWindow *w = NULL;
	size_t n = 0;
	Error err = ERROR_INIT;

	check(catalog_windows(f->repo, c, &w, &n, &err), &err, "windows");
	is_int((int64_t) n, 3, "one of timeline 1, two of timeline 2");
	ok(n == 3 && w[0].timeline == 1 && w[0].from_lsn == FIX_LSN(3, 300) &&
		   w[0].to_lsn == FIX_LSN(7, 0) && w[0].hole &&
		   w[0].to_time == FIX_TIME(300) && strcmp(w[0].label, OLD) == 0,
	   "window of timeline 1 ends at its hole");
	ok(n == 3 && w[1].timeline == 2 && w[1].to_lsn == FIX_LSN(7, 0) &&
		   w[1].hole && w[1].to_time == FIX_TIME(506) &&
		   strcmp(w[1].label, OLD) == 0,
	   "window of timeline 2 begins on timeline 1");
	ok(n == 3 && w[2].timeline == 2 && w[2].to_lsn == FIX_LSN(10, 0) &&
		   !w[2].hole && strcmp(w[2].label, NEW) == 0 &&
		   w[2].to_time == FIX_TIME(600),
	   "a hole begins a new window");
	free(w);
}

/* The ancestor's segment alone serves up to the switch, and no further. */
static void
test_switch_segment(Fixture *f)
{
	WalCatalog wal;
	WalReach reach;
	Error err = ERROR_INIT;

	fixture_remove_wal(f, 2, 5);
	check(wal_catalog_load(f->repo, &home, false, &wal, &err), &err,
		  "without the first segment of timeline 2");
	ok(wal_catalog_reach(&wal, 1, FIX_LSN(2, 40), 2, &reach, &err) &&
		   reach.end_lsn == 0x580000 && reach.end_timeline == 1 && reach.hole &&
		   reach.missing.timeline == 2 && reach.missing.seg == 5,
	   "recovery ends at the switch");
	wal_catalog_free(&wal);
	error_clear(&err);
}

/* A crashed primary leaves only a .partial of the segment it was in. */
static void
test_partial(void)
{
	Fixture f;
	WalCatalog wal;
	WalReach reach;
	Error err = ERROR_INIT;

	fixture_begin(&f, false);
	fixture_wal(&f, 1, 4, NULL, NULL);
	fixture_wal(&f, 2, 5, NULL, NULL);
	fixture_history(&f, 2, "1\t0/580000\tx\n");
	put_raw(f.repo,
			"wal/7000000000000000001-15/00000001/00000000/"
			"000000010000000000000005.partial",
			"x");
	check(wal_catalog_load(f.repo, &home, false, &wal, &err), &err,
		  "cluster with a .partial");
	is_int((int64_t) wal.segment_count, 2, "which is not counted");
	ok(wal_catalog_reach(&wal, 1, FIX_LSN(4, 40), 2, &reach, &err) &&
		   reach.end_lsn == FIX_LSN(6, 0) && !reach.hole,
	   "the segment of the new timeline serves for what lies before");
	wal_catalog_free(&wal);
	fixture_end(&f);
}

static void
test_cluster(bool encrypted)
{
	Fixture f;
	Catalog c;
	RepoKeys writer;
	Repo *other = NULL;
	Error err = ERROR_INIT;

	fixture_begin(&f, encrypted);
	make_cluster(&f);
	writer = f.keys;
	writer.identities = NULL;
	f.repo->options.keys = &writer;
	check(repo_open_again(f.repo, &other, &err), &err, "no identity");
	check(catalog_load(other, true, &c, &err), &err, "catalog without the key");
	is_int((int64_t) c.wal_count, 1, "one cluster");
	if (c.wal_count == 1)
	{
		test_ranges(&c.wal[0]);
		test_reach(&c.wal[0]);
	}
	test_backups(&c);
	test_windows(&f, &c);
	catalog_free(&c);
	test_switch_segment(&f);
	repo_close(other);
	fixture_end(&f);
}

/* ---- states ---- */

static void
test_states(void)
{
	Fixture f;
	Catalog c;
	char *running = NULL;
	Error err = ERROR_INIT;
	FixBackup b = {.label = OLD,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(2, 40),
				   .stop_lsn = FIX_LSN(3, 0),
				   .stop_time = FIX_TIME(100)};

	fixture_begin(&f, true);
	fixture_backup(&f, &b);
	fixture_wal(&f, 1, 2, NULL, NULL);
	add_mark(f.repo, OLD, true, true);
	check(lease_take(f.repo, &running, &err), &err, "a running backup");
	put_raw(f.repo, "backup/20200101T000000Z/data/000001", "half");
	put_raw(f.repo, "backup/20200102T000000Z/manifest", "not an object");
	put_raw(f.repo, "backup/notes/x", "stray");
	check(catalog_load(f.repo, false, &c, &err), &err, "catalog");
	is_int((int64_t) c.backup_count, 4, "what is no label is left out");
	ok(c.backups[0].state == BACKUP_COMPLETE && c.backups[0].verified_ok &&
		   c.backups[0].verified_deep && c.backups[0].verified_at > 0,
	   "complete and verified");
	ok(c.backups[0].wal_ok, "a stop at the end of a segment needs no more");
	ok(catalog_find(&c, running)->state == BACKUP_RUNNING, "running");
	ok(catalog_find(&c, "20200101T000000Z")->state == BACKUP_INTERRUPTED,
	   "interrupted");
	ok(catalog_find(&c, "20200102T000000Z")->state == BACKUP_UNREADABLE &&
		   catalog_find(&c, "20200102T000000Z")->problem.code == ERR_DAMAGED,
	   "unreadable");
	is_str(backup_state_name(BACKUP_UNREADABLE), "unreadable", "its name");
	catalog_free(&c);
	free(running);
	fixture_end(&f);
}

static void
test_missing_wal(void)
{
	Fixture f;
	Catalog c;
	RecoveryWindow *w = NULL;
	size_t n = 9;
	Error err = ERROR_INIT;
	FixBackup b = {.label = OLD,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(2, 40),
				   .stop_lsn = FIX_LSN(3, 1),
				   .stop_time = FIX_TIME(100)};

	fixture_begin(&f, false);
	fixture_backup(&f, &b);
	check(catalog_load(f.repo, false, &c, &err), &err, "no WAL at all");
	ok(!c.backups[0].wal_ok, "WAL of the backup is missing");
	catalog_free(&c);
	fixture_wal(&f, 1, 2, NULL, NULL);
	fixture_wal(&f, 1, 4, NULL, NULL);
	check(catalog_load(f.repo, false, &c, &err), &err, "a hole in its WAL");
	ok(!c.backups[0].wal_ok, "WAL of the backup is missing");
	check(catalog_windows(f.repo, &c, &w, &n, &err), &err, "windows");
	is_int((int64_t) n, 0, "nothing can be recovered");
	free(w);
	catalog_free(&c);
	fixture_end(&f);
}

/* The store failing is never "nothing there". */
static void
test_store_fails(void)
{
	RepoKeys keys = {.has_content_key = true};
	RepoOptions options = {
		.storage = {.repo = "r", .type = "memory", .path = "catalog"},
		.cluster = "main",
		.keys = &keys};
	Repo *repo = NULL;
	Catalog c;
	Error err = ERROR_INIT;
	Error lost = {.code = ERR_TIMEOUT, .transient = true};
	uint64_t calls;

	lost.message = mem_strdup("no answer");
	memory_create("catalog");
	check(repo_create(&options, &err) && repo_open(&options, &repo, &err), &err,
		  "repository in memory");
	put_raw(repo, "backup/20200101T000000Z/data/000001", "half");
	put_raw(repo, "wal/1-15/00000001/00000000/000000010000000000000005", "x");
	calls = memory_calls("catalog", MEMORY_LIST);
	check(catalog_load(repo, true, &c, &err), &err, "catalog");
	catalog_free(&c);
	calls = memory_calls("catalog", MEMORY_LIST) - calls;
	ok(calls > 3, "several listings");
	for (uint64_t i = 1; i <= calls; i++)
	{
		memory_fail_at("catalog", MEMORY_LIST, i, &lost);
		ok(!catalog_load(repo, true, &c, &err) && err.code == ERR_TIMEOUT,
		   "listing %d fails", (int) i);
		error_clear(&err);
		memory_heal("catalog");
	}
	repo_close(repo);
	memory_drop("catalog");
	error_clear(&lost);
}

/* Many segments cost one listing and a few looks. */
static void
test_many(void)
{
	RepoKeys keys = {.has_content_key = true};
	RepoOptions options = {
		.storage = {.repo = "r", .type = "memory", .path = "many"},
		.cluster = "main",
		.keys = &keys};
	const uint64_t size = 16 * 1024 * 1024;
	Repo *repo = NULL;
	WalCatalog wal;
	WalReach reach;
	Error err = ERROR_INIT;
	uint64_t reads;
	int64_t start;

	memory_create("many");
	check(repo_create(&options, &err) && repo_open(&options, &repo, &err), &err,
		  "repository in memory");
	for (uint64_t n = 0; n < 100000; n++)
	{
		WalName name;
		char *object;

		if (n == 50000)
			continue;
		wal_segment_name(1, n, size, &name);
		object = repo_wal_name(&home, &name);
		put_raw(repo, object, "x");
		free(object);
	}
	reads = memory_calls("many", MEMORY_READ_OPEN);
	start = clock_monotonic();
	check(wal_catalog_load(repo, &home, true, &wal, &err), &err,
		  "100,000 segments");
	reads = memory_calls("many", MEMORY_READ_OPEN) - reads;
	ok(reads <= 1000, "%d reads of objects are enough", (int) reads);
	is_int((int64_t) wal.segment_count, 99999, "all are counted");
	is_int(wal.segment_size, (int64_t) size,
		   "size is guessed when none can be read");
	is_int((int64_t) wal.range_count, 2, "two ranges");
	ok(wal_catalog_reach(&wal, 1, 0, 1, &reach, &err) &&
		   reach.end_lsn == 50000 * size && reach.hole,
	   "the hole is found");
	ok(clock_monotonic() - start < 20 * USECS_PER_SEC, "in reasonable time");
	wal_catalog_free(&wal);
	repo_close(repo);
	memory_drop("many");
}

int
main(void)
{
	Error err = ERROR_INIT;

	age_init(&err);
	test_stamps();
	test_leases();
	test_marks();
	test_cluster(false);
	test_cluster(true);
	test_partial();
	test_states();
	test_missing_wal();
	test_store_fails();
	test_many();
	return done_testing();
}
