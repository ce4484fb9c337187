/*-------------------------------------------------------------------------
 *
 * retention_test.c
 *	  What stays, what goes, and the reason given for it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/retention.h"
#include "tap.h"

#define SEGMENT (1024 * 1024)
#define LSN(n) ((uint64_t) (n) *SEGMENT)
#define DAY INT64_C(86400000000)
#define NOW (INT64_C(1795219200000000) + 100 * DAY)
#define MAX_BACKUPS 8

/* A catalog made by hand; labels are those of the test. */
typedef struct World
{
	Catalog catalog;
	CatalogBackup backups[MAX_BACKUPS];
	WalCatalog wal[2];
	WalRange ranges[4];
	CatalogTimeline timelines[4];
	TimelineSwitch switches[4];
	RetentionPlan plan;
} World;

static World world;

static void
begin(void)
{
	retention_plan_free(&world.plan);
	memset(&world, 0, sizeof(world));
	world.catalog.backups = world.backups;
	world.catalog.wal = world.wal;
	world.catalog.wal_count = 1;
	world.wal[0] = (WalCatalog){.home = {1, 15},
								.segment_size = SEGMENT,
								.ranges = world.ranges,
								.timelines = world.timelines};
}

static void
add_range(uint32_t timeline, uint64_t first, uint64_t last)
{
	world.ranges[world.wal[0].range_count++] = (WalRange){
		.home = {1, 15},
		.timeline = timeline,
		.segment_size = SEGMENT,
		.first = first,
		.last = last,
		.start_lsn = LSN(first),
		.end_lsn = LSN(last + 1)};
}

/* parent 0: no history is there. */
static void
add_timeline(uint32_t timeline, uint32_t parent, uint64_t lsn)
{
	size_t i = world.wal[0].timeline_count++;

	world.timelines[i] = (CatalogTimeline){.home = {1, 15},
										   .timeline = timeline,
										   .history = {.timeline = timeline}};
	if (parent == 0)
		return;
	world.switches[i] = (TimelineSwitch){parent, lsn};
	world.timelines[i].has_history = true;
	world.timelines[i].history.items = &world.switches[i];
	world.timelines[i].history.count = 1;
}

/* A good full backup of timeline 1, so many days old, in that segment. */
static CatalogBackup *
add_backup(char *label, int days, uint64_t segment)
{
	CatalogBackup *b = &world.backups[world.catalog.backup_count++];

	*b = (CatalogBackup){.state = BACKUP_COMPLETE,
						 .wal_ok = true,
						 .info = {.label = label,
								  .sysid = 1,
								  .major = 15,
								  .segment_size = SEGMENT,
								  .timeline = 1,
								  .start_timeline = 1,
								  .start_lsn = LSN(segment) + 40,
								  .stop_lsn = LSN(segment) + 400,
								  .start_time = NOW - days * DAY - 1000000,
								  .stop_time = NOW - days * DAY}};
	return b;
}

static void
decide(uint32_t keep_full, int64_t keep_time)
{
	RetentionPolicy policy = {.keep_full = keep_full, .keep_time = keep_time};

	retention_plan_free(&world.plan);
	retention_decide(&world.catalog, &policy, NOW, &world.plan);
}

/* "keep" or "go", and part of the reason. */
static void
is_backup(const char *label, const char *fate, const char *reason)
{
	for (size_t i = 0; i < world.plan.decision_count; i++)
	{
		const Decision *d = &world.plan.decisions[i];

		if (d->label == NULL || strcmp(d->label, label) != 0)
			continue;
		ok(strcmp(d->keep ? "keep" : "go", fate) == 0 &&
			   strstr(d->reason, reason) != NULL,
		   "backup %s: %s: %s", label, d->keep ? "stays" : "goes", d->reason);
		return;
	}
	ok(false, "backup %s is decided on", label);
}

static void
is_wal(const char *object, const char *fate, const char *reason)
{
	for (size_t i = 0; i < world.plan.decision_count; i++)
	{
		const Decision *d = &world.plan.decisions[i];

		if (d->label != NULL || strcmp(d->object, object) != 0)
			continue;
		ok(strcmp(d->keep ? "keep" : "go", fate) == 0 &&
			   strstr(d->reason, reason) != NULL,
		   "%s: %s: %s", object, d->keep ? "stays" : "goes", d->reason);
		return;
	}
	ok(false, "%s is decided on", object);
}

/* 0: there is no cutoff. */
static void
is_cutoff(uint32_t timeline, uint64_t before)
{
	uint64_t found = 0;

	for (size_t i = 0; i < world.plan.cutoff_count; i++)
	{
		if (world.plan.cutoffs[i].timeline == timeline)
			found = world.plan.cutoffs[i].before_segment;
	}
	ok(found == before, "WAL of timeline %u goes before segment %lld", timeline,
	   (long long) found);
}

/* Three good backups a day apart on one timeline. */
static void
three(void)
{
	begin();
	add_range(1, 1, 40);
	add_timeline(1, 0, 0);
	add_backup("a", 3, 10);
	add_backup("b", 2, 20);
	add_backup("c", 1, 30);
}

static void
test_full(void)
{
	three();
	decide(0, 0);
	is_backup("a", "keep", "No rule");
	is_wal("WAL 1: 0/100000 - 0/2900000", "keep", "No rule");
	is_cutoff(1, 0);

	decide(2, 0);
	is_backup("a", "go", "older than backup b");
	is_backup("b", "keep", "oldest of the 2 newest");
	is_backup("c", "keep", "newer than backup b");
	is_wal("WAL 1: 0/100000 - 0/1400000", "go", "No backup that stays");
	is_wal("WAL 1: 0/1400000 - 0/2900000", "keep", "Backup b needs it");
	is_cutoff(1, 20);

	decide(1, 0);
	is_backup("b", "go", "older than backup c");
	is_backup("c", "keep", "the newest good full backup");
	is_cutoff(1, 30);

	decide(4, 0);
	is_backup("a", "keep", "no more good full backups");
	is_cutoff(1, 10);
	world.backups[1].info.segment_size = SEGMENT / 2;
	decide(2, 0);
	is_cutoff(1, 0);
}

static void
test_time(void)
{
	three();
	decide(0, 36 * DAY / 24);
	is_backup("a", "go", "older than backup b");
	is_backup("b", "keep", "Every moment of the last 36 hours");
	is_backup("c", "keep", "newer");
	is_cutoff(1, 20);

	decide(0, 2 * DAY);
	is_backup("b", "keep", "2 days");
	is_backup("a", "go", "older");

	decide(0, 2 * DAY + 1);
	is_backup("a", "keep", "Every moment");
	is_cutoff(1, 10);

	decide(0, 5 * DAY);
	is_backup("a", "keep", "old enough");
	is_backup("c", "keep", "old enough");

	/* both rules: each of them is met */
	decide(1, 2 * DAY);
	is_backup("a", "go", "older");
	is_backup("b", "keep", "2 days");
	is_backup("c", "keep", "newest good");
	decide(3, DAY / 2);
	is_backup("a", "keep", "oldest of the 3");
}

static void
test_flaws(void)
{
	three();
	world.backups[2].info.damaged_pages = 1;
	decide(1, 0);
	is_backup("b", "keep", "newest good");
	is_backup("c", "keep", "damaged pages");
	is_backup("a", "go", "older");

	three();
	world.backups[2].wal_ok = false;
	decide(1, 0);
	is_backup("b", "keep", "newest good");
	is_backup("c", "keep", "lacks WAL");

	three();
	world.backups[2].verified_at = NOW;
	decide(1, 0);
	is_backup("b", "keep", "newest good");
	is_backup("c", "keep", "failed its last verification");

	three();
	world.backups[2].verified_at = NOW;
	world.backups[2].verified_ok = true;
	decide(1, 0);
	is_backup("b", "go", "older");

	/* not a single good one: nothing goes */
	three();
	for (int i = 0; i < 3; i++)
		world.backups[i].wal_ok = false;
	decide(1, 1);
	is_backup("a", "keep", "no more good");
	is_wal("WAL 1: 0/100000 - 0/2900000", "keep", "no good backup");
	is_cutoff(1, 0);
}

static CatalogBackup *
add_unfinished(char *label, BackupState state)
{
	CatalogBackup *b = &world.backups[world.catalog.backup_count++];

	*b = (CatalogBackup){.state = state, .info = {.label = label}};
	return b;
}

static void
test_unfinished(void)
{
	three();
	add_unfinished("20270101T000000Z", BACKUP_INTERRUPTED);
	decide(1, 0);
	is_backup("20270101T000000Z", "go", "interrupted");
	ok(world.plan.decisions[3].leftover && !world.plan.decisions[0].leftover,
	   "it is marked as a leftover");
	is_cutoff(1, 30);

	three();
	add_unfinished("20270101T000000Z", BACKUP_RUNNING);
	decide(1, 0);
	is_backup("20270101T000000Z", "keep", "being written");
	is_backup("a", "go", "older");
	is_wal("WAL 1: 0/100000 - 0/2900000", "keep", "20270101T000000Z is being");
	is_cutoff(1, 0);

	/* unreadable ones: of the time when all still stays, and long ago */
	three();
	add_unfinished("20280101T000000Z", BACKUP_UNREADABLE);
	decide(1, 0);
	is_backup("20280101T000000Z", "keep", "pgdr delete");
	is_cutoff(1, 0);
	three();
	add_unfinished("20200101T000000Z", BACKUP_UNREADABLE);
	decide(1, 0);
	is_backup("20200101T000000Z", "keep", "pgdr delete");
	is_cutoff(1, 30);
	decide(3, 0);
	is_cutoff(1, 0);
}

static void
test_clusters(void)
{
	/* after an upgrade: the last backup of the old cluster stays */
	three();
	world.backups[0].info.major = 14;
	world.backups[1].info.major = 14;
	world.catalog.wal_count = 2;
	world.wal[1] = world.wal[0];
	world.wal[1].home.major = 14;
	decide(1, 0);
	is_backup("a", "go", "older than backup b");
	is_backup("b", "keep", "newest good");
	is_backup("c", "keep", "newest good");
	is_wal("WAL 1-15 1: 0/100000 - 0/1E00000", "go", "No backup");

	/* WAL without a backup stays */
	begin();
	add_range(1, 1, 40);
	add_timeline(1, 0, 0);
	decide(1, 0);
	is_wal("WAL 1: 0/100000 - 0/2900000", "keep", "no backup");
	is_cutoff(1, 0);
}

static void
test_timelines(void)
{
	/* switched to 2 behind c; nothing new there yet */
	three();
	add_range(2, 40, 45);
	add_timeline(2, 1, LSN(40) + 100);
	decide(1, 0);
	is_backup("c", "keep", "newest good");
	is_cutoff(1, 30);
	is_cutoff(2, 0);
	is_wal("WAL 2: 0/2800000 - 0/2E00000", "keep", "Backup c needs it");

	/* a backup on 2: what was before it on 1 goes */
	world.backups[3] = *add_backup("d", 0, 44);
	world.backups[3].info.timeline = 2;
	world.backups[3].info.start_timeline = 2;
	decide(1, 0);
	is_backup("c", "go", "older");
	is_backup("d", "keep", "newest good");
	is_cutoff(1, UINT64_MAX);
	is_cutoff(2, 44);
	is_wal("WAL 1: 0/100000 - 0/2900000", "go", "No backup");

	/*
	 * Recovered to before b: b and c are on a branch that was given up, and
	 * nothing but a leads to where the cluster lives on.
	 */
	three();
	add_range(2, 15, 18);
	add_timeline(2, 1, LSN(15));
	decide(1, 0);
	is_backup("a", "keep", "newest good");
	is_backup("b", "keep", "newest timeline");
	is_backup("c", "keep", "newest timeline");
	is_cutoff(1, 10);
	is_cutoff(2, 0);

	/* once there is a backup on 2, the branch goes with its backups */
	world.backups[3] = *add_backup("d", 0, 17);
	world.backups[3].info.timeline = 2;
	world.backups[3].info.start_timeline = 2;
	decide(1, 0);
	is_backup("a", "go", "older");
	is_backup("b", "go", "older");
	is_backup("c", "go", "older");
	is_cutoff(1, UINT64_MAX);
	is_cutoff(2, 17);

	/* a timeline whose descent is not known */
	three();
	add_range(2, 40, 45);
	add_timeline(2, 0, 0);
	decide(1, 0);
	is_backup("a", "keep", "no more good");
	is_backup("c", "keep", "no more good");
	is_cutoff(2, 0);
}

/* A timeline between others, without a readable history. */
static void
test_unknown_branch(void)
{
	three();
	add_range(2, 12, 13);
	add_range(3, 40, 45);
	add_timeline(2, 0, 0);
	add_timeline(3, 1, LSN(40));
	decide(1, 0);
	is_backup("c", "keep", "newest good");
	is_cutoff(1, 30);
	is_cutoff(2, 0);
	is_wal("WAL 2: 0/C00000 - 0/E00000", "keep", "not known");
}

static void
test_chain(void)
{
	three();
	world.backups[1].info.type = BACKUP_INCREMENTAL;
	world.backups[1].info.parent = world.backups[0].info.label;
	decide(2, 0);
	is_backup("a", "keep", "oldest of the 2");
	is_backup("b", "keep", "newer");
	decide(1, 0);
	is_backup("a", "go", "older");
	is_backup("b", "go", "older");

	/* c depends on a, by way of b */
	world.backups[2].info.type = BACKUP_INCREMENTAL;
	world.backups[2].info.parent = world.backups[1].info.label;
	world.backups[3] = *add_backup("d", 0, 35);
	world.backups[3].info.start_time = NOW - 2 * DAY - 5000000;
	/* d is now by time between a and b */
	CatalogBackup d = world.backups[3];
	world.backups[3] = world.backups[2];
	world.backups[2] = world.backups[1];
	world.backups[1] = d;
	decide(1, 0);
	is_backup("d", "keep", "newest good");
	is_backup("c", "keep", "newer");
	is_backup("b", "keep", "newer");
	is_backup("a", "go", "older than backup d");
	is_cutoff(1, 20);

	/* its base is not needed as a backup, only what is in its packs */
	three();
	three();
	world.backups[2].info.type = BACKUP_INCREMENTAL;
	world.backups[2].info.parent = (char *) "x";
	ok(retention_flaw(&world.catalog, &world.backups[2]) == NULL,
	   "a backup without its base is good");
	world.backups[2].info.parent = world.backups[1].info.label;
	world.backups[1].info.parent = world.backups[0].info.label;
	world.backups[0].verified_at = NOW - DAY;
	ok(retention_flaw(&world.catalog, &world.backups[2]) != NULL,
	   "not if what it is based on failed its verification");
	world.backups[2].verified_at = NOW;
	world.backups[2].verified_ok = true;
	ok(retention_flaw(&world.catalog, &world.backups[2]) == NULL,
	   "but it is if it passed one since");
	/* a circle of parents ends */
	three();
	world.backups[2].info.parent = world.backups[1].info.label;
	world.backups[1].info.parent = world.backups[2].info.label;
	ok(retention_flaw(&world.catalog, &world.backups[2]) == NULL,
	   "one that is its own ancestor is looked at once");
}

static void
test_last_good(void)
{
	three();
	ok(!retention_is_last_good(&world.catalog, &world.backups[2]),
	   "one of three is not the last good one");
	world.backups[0].wal_ok = false;
	world.backups[1].info.damaged_pages = 2;
	ok(retention_is_last_good(&world.catalog, &world.backups[2]),
	   "the only one without a flaw is");
	ok(!retention_is_last_good(&world.catalog, &world.backups[1]),
	   "one with a flaw is not");
}

/* A backup of another target has neither positions nor a cluster. */
static CatalogBackup *
add_other(char *label, int days, char *target)
{
	CatalogBackup *b = add_backup(label, days, 0);

	b->info = (BackupInfo){.label = label,
						   .target = target,
						   .start_time = b->info.start_time,
						   .stop_time = b->info.stop_time};
	return b;
}

static void
test_targets(void)
{
	static char files[] = "files:app";
	static char config[] = "config";
	char *members[] = {(char *) "a", (char *) "f1"};
	static char group[] = "full_system";

	begin();
	add_range(1, 1, 40);
	add_timeline(1, 0, 0);
	add_backup((char *) "a", 9, 10);
	add_backup((char *) "b", 8, 20);
	add_other((char *) "f1", 7, files);
	add_other((char *) "f2", 6, files);
	add_other((char *) "c1", 5, config);
	decide(1, 0);
	is_backup("a", "go", "older than backup b");
	is_backup("b", "keep", "newest good");
	is_backup("f1", "go", "older than backup f2");
	is_backup("f2", "keep", "newest good");
	is_backup("c1", "keep", "newest good");
	is_cutoff(1, 20);
	ok(!retention_is_last_good(&world.catalog, &world.backups[2]) &&
		   retention_is_last_good(&world.catalog, &world.backups[4]),
	   "the last good one is the last of its target");

	/* a group keeps what it is made of, and is no better than that */
	add_other((char *) "g", 4, group);
	world.backups[5].info.members = members;
	world.backups[5].info.member_count = 2;
	decide(1, 0);
	is_backup("g", "keep", "newest good");
	is_backup("a", "keep", "Backup g depends on it");
	is_backup("f1", "keep", "Backup g depends on it");
	is_cutoff(1, 10);
	ok(retention_flaw(&world.catalog, &world.backups[5]) == NULL,
	   "a group of good backups is good");
	world.backups[2].verified_at = NOW;
	ok(retention_flaw(&world.catalog, &world.backups[5]) != NULL,
	   "one of which one is damaged is not");

	/* without a backup of the cluster no WAL goes, whatever else is there */
	begin();
	add_range(1, 1, 40);
	add_timeline(1, 0, 0);
	add_other((char *) "f1", 7, files);
	add_other((char *) "f2", 6, files);
	decide(1, 0);
	is_backup("f1", "go", "older");
	ok(world.plan.cutoff_count == 0, "no WAL goes for backups of files");
}

int
main(void)
{
	test_targets();
	test_full();
	test_time();
	test_flaws();
	test_unfinished();
	test_clusters();
	test_timelines();
	test_unknown_branch();
	test_chain();
	test_last_good();
	retention_plan_free(&world.plan);
	return done_testing();
}
