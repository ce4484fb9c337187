/*-------------------------------------------------------------------------
 *
 * restore_plan_test.c
 *	  Which backup is chosen for a target, on which timeline, and whether the
 *	  WAL reaches it.
 *
 * Timeline 1, in segments of 1 MiB: backup A begins in 2 and ends in 3, B
 * begins in 6 and ends in 7; WAL from 1 to 9.  Timeline 2 left 1 within segment
 * 5 and goes to 8.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "restore_fixture.h"
#include "tap.h"

#define A "20261121T000030Z"
#define B "20261121T000070Z"

static Fixture fix;
static uint64_t at_4[4];
static uint64_t at_8[4];
static uint64_t fork_at;
static int warnings;

static void
count_warnings(LogLevel level, const char *message, const char *detail,
			   const char *hint)
{
	(void) message;
	(void) detail;
	(void) hint;
	warnings += level == LOG_WARNING;
}

static void
make_wal(void)
{
	for (uint64_t n = 1; n <= 9; n++)
	{
		uint32_t xid = 1000 + (uint32_t) n;
		int64_t time = FIX_TIME(n * 10);
		FixRecord records[] = {
			{FIX_COMMIT, xid, time, NULL},
			{FIX_POINT, 0, time + 1000000, n < 8 ? "often" : "late"},
			{FIX_ABORT, xid + 100, time + 2000000, NULL},
			{FIX_END, 0, 0, NULL}};
		uint64_t at[4];

		fixture_wal(&fix, 1, n, records, at);
		if (n == 4)
			memcpy(at_4, at, sizeof(at));
		if (n == 8)
			memcpy(at_8, at, sizeof(at));
		if (n == 5)
			fork_at = at[3];
	}
}

static void
make_timeline_2(void)
{
	char *text;
	char lsn[LSN_TEXT_LEN];

	for (uint64_t n = 5; n <= 8; n++)
	{
		FixRecord records[] = {
			{FIX_COMMIT, 1000 + (uint32_t) n, FIX_TIME(n * 10), NULL},
			{FIX_POINT, 0, FIX_TIME(n * 10) + 1000000, "often"},
			{FIX_ABORT, 1100 + (uint32_t) n, FIX_TIME(n * 10) + 2000000, NULL},
			{FIX_COMMIT, 2000 + (uint32_t) n, FIX_TIME(n * 10) + 3000000, NULL},
			{FIX_END, 0, 0, NULL}};

		if (n == 5)
			fix.prev_lsn = 0;
		fixture_wal(&fix, 2, n, records, NULL);
	}
	lsn_format(fork_at, lsn);
	text = mem_printf("1\t%s\tno recovery target specified\n", lsn);
	fixture_history(&fix, 2, text);
	free(text);
}

/* ---- what is expected ---- */

static bool
plan_for(const RestoreOptions *o, RestorePlan *plan, Error *err)
{
	error_clear(err);
	return restore_plan(&fix.set, o, plan, err);
}

static void
reaches(const RestoreOptions *o, const char *label, uint32_t timeline,
		uint64_t segments, const char *name)
{
	RestorePlan plan;
	Error err = ERROR_INIT;

	bool done = plan_for(o, &plan, &err);

	if (!ok(done && plan.reachable, "%s: %s", name,
			err.message    ? err.message
			: plan.verdict ? plan.verdict
						   : ""))
	{
		printf("# %s\n", err.detail ? err.detail : "");
		error_clear(&err);
		restore_plan_free(&plan);
		return;
	}
	is_str(plan.backup.label, label, "  backup");
	is_int(plan.timeline, timeline, "  timeline");
	is_int((int64_t) plan.wal_segments, (int64_t) segments, "  segments");
	restore_plan_free(&plan);
}

static void
falls_short(const RestoreOptions *o, const char *verdict, const char *name)
{
	RestorePlan plan;
	Error err = ERROR_INIT;

	bool done = plan_for(o, &plan, &err);

	ok(done && !plan.reachable, "%s%s%s", name, err.message ? ": " : "",
	   err.message ? err.message : "");
	if (!ok(plan.verdict && strstr(plan.verdict, verdict), "  because %s",
			plan.verdict ? plan.verdict : "?"))
		printf("# expected: %s\n", verdict);
	restore_plan_free(&plan);
	error_clear(&err);
}

static void
fails(const RestoreOptions *o, ErrCode code, const char *name)
{
	RestorePlan plan;
	Error err = ERROR_INIT;

	bool done = plan_for(o, &plan, &err);

	ok(!done, "%s: %s", name, err.message ? err.message : "");
	is_str(error_code_name(err.code), error_code_name(code), "  code");
	error_clear(&err);
}

static const char *
time_at(int64_t t)
{
	static char buf[4][CLOCK_TEXT_LEN];
	static int next;

	return clock_format(t, buf[next++ % 4]);
}

static const char *
lsn_at(uint64_t lsn)
{
	static char buf[4][LSN_TEXT_LEN];
	static int next;

	lsn_format(lsn, buf[next % 4]);
	return buf[next++ % 4];
}

/* ---- one timeline ---- */

static void
test_ends(void)
{
	RestoreOptions o = {.target_inclusive = true};

	reaches(&o, B, 1, 4, "latest");
	o.target_type = TARGET_IMMEDIATE;
	reaches(&o, B, 1, 2, "immediate");
	o.label = A;
	reaches(&o, A, 1, 2, "immediate of the older backup");
	o.target_type = TARGET_LATEST;
	reaches(&o, A, 1, 8, "latest of the older backup");
	o.label = "20200101T000000Z";
	fails(&o, ERR_NOT_FOUND, "a backup that is not there");
	o.label = NULL;
	o.target_timeline = "current";
	reaches(&o, B, 1, 4, "latest on the backup's own timeline");
	o.target_timeline = "7";
	fails(&o, ERR_NOT_FOUND, "a timeline that is not there");
	o.target_timeline = "1x";
	fails(&o, ERR_USAGE, "a timeline that is none");
}

static void
test_time(void)
{
	RestoreOptions o = {.target_type = TARGET_TIME, .target_inclusive = true};

	o.target = time_at(FIX_TIME(75));
	reaches(&o, B, 1, 4, "a time behind the newer backup");
	o.target = time_at(FIX_TIME(74));
	reaches(&o, B, 1, 4, "the time of its end");
	o.target = time_at(FIX_TIME(74) - 1);
	reaches(&o, A, 1, 8, "a time just before its end");
	o.target = time_at(FIX_TIME(92) - 1);
	reaches(&o, B, 1, 4, "a time before the last abort");
	o.target = time_at(FIX_TIME(92));
	falls_short(&o, "not after the target", "the time of the last abort");
	o.target_inclusive = false;
	reaches(&o, B, 1, 4, "the same, exclusive");
	o.target_inclusive = true;
	o.target = time_at(FIX_TIME(1000));
	falls_short(&o, "2026-11-21T00:01:32", "a time behind all WAL");
	o.target = time_at(FIX_TIME(5));
	fails(&o, ERR_INCOMPLETE, "a time before every backup");
	o.target = time_at(FIX_TIME(50));
	o.label = B;
	falls_short(&o, "after the target", "a time before the backup named");
}

static void
test_lsn(void)
{
	RestoreOptions o = {.target_type = TARGET_LSN, .target_inclusive = true};

	o.target = lsn_at(FIX_LSN(8, 100));
	reaches(&o, B, 1, 3, "a position behind the newer backup");
	o.target = lsn_at(FIX_LSN(7, 99));
	reaches(&o, A, 1, 6, "a position before its end");
	o.target = lsn_at(FIX_LSN(9, FIX_SEGMENT - 8));
	reaches(&o, B, 1, 4, "a position in the last segment");
	o.target = lsn_at(FIX_LSN(10, 0));
	falls_short(&o, "before the target", "the end of the WAL");
	o.target = lsn_at(FIX_LSN(2, 0));
	fails(&o, ERR_INCOMPLETE, "a position before every backup");
}

static void
test_search(void)
{
	RestoreOptions o = {.target_type = TARGET_XID, .target_inclusive = true};

	o.target = "1008";
	reaches(&o, B, 1, 3, "a transaction behind the newer backup");
	o.target = "1108";
	reaches(&o, B, 1, 3, "one that was rolled back");
	o.target = "4294968304"; /* 1008 in the next epoch */
	reaches(&o, B, 1, 3, "with an epoch");
	o.target = "1004";
	reaches(&o, A, 1, 3, "one between the backups");
	o.target = "1007";
	reaches(&o, A, 1, 6, "one before the newer backup's end");
	o.target = "1003";
	falls_short(&o, "cannot be reached", "one before the older one's end");
	o.target = "1002";
	falls_short(&o, "cannot be reached", "one in its first segment");
	o.target = "1001";
	falls_short(&o, "nowhere", "one before all backups");
	o.target = "5555";
	falls_short(&o, "nowhere", "one that never was");
	o.label = B;
	o.target = "1004";
	falls_short(&o, "nowhere", "one before the backup named");
	o = (RestoreOptions){.target_type = TARGET_NAME, .target = "late"};
	reaches(&o, B, 1, 3, "a restore point");
	o.target = "often";
	falls_short(&o, "cannot be reached",
				"a name that comes while each backup is taken");
	o.target = "never";
	falls_short(&o, "nowhere", "a name that is not there");
}

/* ---- states of backups ---- */

static void
test_damaged(void)
{
	RestoreOptions o = {.target_inclusive = true};
	FixBackup damaged = {.label = "20261121T000080Z",
						 .timeline = 1,
						 .start_lsn = FIX_LSN(8, 40),
						 .stop_lsn = FIX_LSN(8, 400),
						 .stop_time = FIX_TIME(85),
						 .damaged_pages = 3};

	fixture_backup(&fix, &damaged);
	warnings = 0;
	reaches(&o, B, 1, 4, "a backup with damaged pages is passed over");
	is_int(warnings, 1, "  with a warning");
	o.label = damaged.label;
	warnings = 0;
	reaches(&o, damaged.label, 1, 2, "unless it is named");
	is_int(warnings, 1, "  with a warning");
}

static void
test_hole(void)
{
	RestoreOptions o = {.target_inclusive = true};

	fixture_remove_wal(&fix, 1, 8);
	falls_short(&o, "000000010000000000000008 is missing",
				"latest over a hole");
	o.target_type = TARGET_TIME;
	o.target = time_at(FIX_TIME(92) - 1);
	falls_short(&o, "segment 000000010000000000000008 is missing",
				"a time behind a hole");
	o.target = time_at(FIX_TIME(75));
	falls_short(&o, "missing", "a time within a hole");
	o.target = time_at(FIX_TIME(72) - 1);
	reaches(&o, A, 1, 6, "a time before a hole");
	o.target_type = TARGET_LSN;
	o.target = lsn_at(FIX_LSN(9, 0));
	falls_short(&o, "missing", "a position behind a hole");
	o.target = lsn_at(FIX_LSN(7, 800));
	reaches(&o, B, 1, 2, "a position before a hole");
	o.target_type = TARGET_XID;
	o.target = "1009";
	falls_short(&o, "missing", "a transaction behind a hole");
	o.target_type = TARGET_IMMEDIATE;
	o.target = NULL;
	reaches(&o, B, 1, 2, "the backup itself before a hole");
	fixture_remove_wal(&fix, 1, 7);
	o.target_type = TARGET_LATEST;
	falls_short(&o, "000000010000000000000007",
				"a hole in a backup's own WAL: the older one is taken");
	o.label = B;
	falls_short(&o, "itself needs", "a hole in the WAL of the backup named");
	o.target_type = TARGET_IMMEDIATE;
	falls_short(&o, "itself needs", "which hinders every recovery");
}

/* ---- two timelines ---- */

static void
test_switch(void)
{
	RestoreOptions o = {.target_inclusive = true};
	uint64_t end = fork_at;

	reaches(&o, A, 2, 7, "latest goes along the newest timeline");
	o.target_timeline = "current";
	reaches(&o, B, 1, 4, "current along that of the newest backup");
	o.target_timeline = "1";
	reaches(&o, B, 1, 4, "a number along that");
	o.target_timeline = "2";
	reaches(&o, A, 2, 7, "of any timeline");
	o.label = B;
	fails(&o, ERR_INCOMPLETE, "from a backup that does not lead there");
	o.target_timeline = NULL;
	reaches(&o, B, 1, 4, "latest of a backup on the old branch");
	o.label = NULL;
	o.target_type = TARGET_XID;
	o.target = "2006";
	reaches(&o, A, 2, 5, "a transaction of the new branch");
	o.target = "2005";
	reaches(&o, A, 2, 4, "in the segment of the switch");
	o.target = "1004";
	reaches(&o, A, 2, 3, "before the switch");
	o.target = "1009";
	falls_short(&o, "nowhere", "one of the old branch");
	o.target_timeline = "1";
	reaches(&o, B, 1, 4, "but not on the old branch");
	o = (RestoreOptions){.target_type = TARGET_LSN, .target = lsn_at(end)};
	reaches(&o, A, 2, 4, "the position of the switch");
	o = (RestoreOptions){.target_type = TARGET_TIME,
						 .target = time_at(FIX_TIME(83) - 1)};
	reaches(&o, A, 2, 7, "a time on the new branch");
	o.target = time_at(FIX_TIME(91));
	falls_short(&o, "before the target", "a time only the old branch has");
}

/* ---- a timeline that has a history, but no WAL yet ---- */

static void
test_bare_timeline(void)
{
	RestoreOptions o = {.target_inclusive = true};
	RestorePlan plan;
	Error err = ERROR_INIT;

	for (uint64_t n = 5; n <= 8; n++)
		fixture_remove_wal(&fix, 2, n);
	ok(plan_for(&o, &plan, &err) && plan.reachable, "latest without WAL");
	is_int(plan.timeline, 2, "  is the newest timeline all the same");
	ok(plan.branch_lsn == fork_at, "  and ends where that begins");
	restore_plan_free(&plan);
	o.standby = true;
	falls_short(&o, "go on along timeline 1", "a standby would go wrong");
	o = (RestoreOptions){.target_timeline = "1"};
	ok(plan_for(&o, &plan, &err) && plan.reachable && plan.branch_lsn == 0,
	   "the old timeline goes on to its end");
	restore_plan_free(&plan);
	fixture_remove_wal(&fix, 1, 5);
	o.target_timeline = "2";
	ok(plan_for(&o, &plan, &err) && plan.branch_lsn == 0,
	   "no stop is needed where the old one has no WAL either");
	restore_plan_free(&plan);
	error_clear(&err);
}

/* ---- leaving a segment early ---- */

static void
test_early_switch(void)
{
	RestoreOptions o = {.target_type = TARGET_LSN, .target_inclusive = true};
	FixRecord records[] = {{FIX_COMMIT, 3000, FIX_TIME(100), NULL},
						   {FIX_SWITCH, 0, 0, NULL},
						   {FIX_END, 0, 0, NULL}};
	FixRecord after[] = {{FIX_COMMIT, 3001, FIX_TIME(110), NULL},
						 {FIX_END, 0, 0, NULL}};
	uint64_t at[3];

	o.target_timeline = "1";
	fix.prev_lsn = 0;
	fixture_wal(&fix, 1, 10, records, at);
	o.target = lsn_at(at[1]);
	reaches(&o, B, 1, 5, "the position of the last record");
	o.target = lsn_at(at[2]);
	falls_short(&o, "before the target", "the void behind a switch");
	fixture_wal(&fix, 1, 11, after, NULL);
	reaches(&o, B, 1, 5, "which the next segment makes reachable");
	o.target_type = TARGET_XID;
	o.target = "3001";
	reaches(&o, B, 1, 6, "and WAL is read on over the switch");
}

int
main(void)
{
	FixBackup a = {.label = A,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(2, 40),
				   .stop_lsn = FIX_LSN(3, 40000),
				   .stop_time = FIX_TIME(34)};
	FixBackup b = {.label = B,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(6, 40),
				   .stop_lsn = FIX_LSN(7, 400),
				   .stop_time = FIX_TIME(74)};

	log_set_sink(count_warnings, LOG_WARNING);
	fixture_begin(&fix, true);
	{
		RestoreOptions o = {.target_inclusive = true};

		fails(&o, ERR_NOT_FOUND, "an empty repository");
	}
	make_wal();
	fixture_backup(&fix, &a);
	fixture_backup(&fix, &b);
	test_ends();
	test_time();
	test_lsn();
	test_search();
	make_timeline_2();
	test_switch();
	test_early_switch();
	test_bare_timeline();
	fixture_end(&fix);

	fixture_begin(&fix, false);
	make_wal();
	fixture_backup(&fix, &a);
	fixture_backup(&fix, &b);
	test_damaged();
	fixture_end(&fix);
	fixture_begin(&fix, false);
	make_wal();
	fixture_backup(&fix, &a);
	fixture_backup(&fix, &b);
	test_hole();
	fixture_end(&fix);
	return done_testing();
}
