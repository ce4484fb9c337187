/*-------------------------------------------------------------------------
 *
 * timeline_test.c
 *	  Timeline history files.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "pg/timeline.h"

static bool
parse(uint32_t timeline, const char *text, TimelineHistory *h, Error *err)
{
	/* a copy without a NUL behind it, for the sanitizer to guard */
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	bool done;

	memcpy(copy, text, len);
	done = timeline_history_parse(timeline, copy, len, h, err);
	free(copy);
	return done;
}

static void
test_plain(void)
{
	TimelineHistory h;
	Error err = ERROR_INIT;

	ok(parse(4,
			 "1\t0/3000000\tno recovery target specified\n"
			 "\n# a comment\n  2\t0/5000148\tbefore 2026-01-01 00:00:00+00\n"
			 "3\tA/0\tat restore point \"x\"",
			 &h, &err),
	   "a history file");
	is_int(h.timeline, 4, "whose it is");
	is_int((int64_t) h.count, 3, "ancestors");
	ok(h.items[0].timeline == 1 && h.items[0].lsn == 0x3000000 &&
		   h.items[2].timeline == 3 && h.items[2].lsn == UINT64_C(0xA00000000),
	   "their values");
	is_int(timeline_of_lsn(&h, 0), 1, "the first byte is on 1");
	is_int(timeline_of_lsn(&h, 0x2FFFFFF), 1, "the last of 1");
	is_int(timeline_of_lsn(&h, 0x3000000), 2, "the switch is on 2");
	is_int(timeline_of_lsn(&h, 0x5000148), 3, "on 3");
	is_int(timeline_of_lsn(&h, UINT64_C(0xA00000000)), 4, "on 4");
	is_int(timeline_of_lsn(&h, UINT64_MAX), 4, "the end is on 4");
	is_int((int64_t) timeline_end(&h, 1), 0x3000000, "1 ends");
	is_int((int64_t) timeline_end(&h, 3), INT64_C(0xA00000000), "3 ends");
	ok(timeline_end(&h, 4) == UINT64_MAX, "4 does not");
	ok(timeline_end(&h, 5) == 0 && timeline_end(&h, 0) == 0,
	   "others are not in it");
	timeline_history_free(&h);
	ok(h.items == NULL && h.count == 0, "freed");
}

/*
 * Promotion at a point before the parent's own beginning: 2 is in the history,
 * but no position is on it.
 */
static void
test_left_before_begin(void)
{
	TimelineHistory h;
	Error err = ERROR_INIT;

	ok(parse(3, "1\t0/5000000\ta\n2\t0/4000000\tb\n", &h, &err),
	   "positions that fall");
	is_int(timeline_of_lsn(&h, 0x3FFFFFF), 1, "before the branch: 1");
	is_int(timeline_of_lsn(&h, 0x4000000), 3, "at the branch: 3");
	is_int(timeline_of_lsn(&h, 0x4800000), 3, "behind it: 3");
	is_int(timeline_of_lsn(&h, 0x5000000), 3, "where 2 began: 3");
	is_int((int64_t) timeline_end(&h, 1), 0x4000000,
		   "1 ends where the branch left it");
	is_int((int64_t) timeline_end(&h, 2), 0x4000000, "so does 2");
	timeline_history_free(&h);
}

static void
test_first(void)
{
	TimelineHistory h;
	Error err = ERROR_INIT;

	ok(parse(1, "", &h, &err), "timeline 1 has no ancestor");
	is_int(timeline_of_lsn(&h, 0x123), 1, "all is on 1");
	ok(timeline_end(&h, 1) == UINT64_MAX, "without an end");
	timeline_history_free(&h);
}

static void
test_damaged(void)
{
	static const struct
	{
		const char *text;
		const char *detail;
	} bad[] = {
		{"", "It names no ancestor."},
		{"# only a comment\n", "It names no ancestor."},
		{"1\n", "Line 1: A WAL position was expected."},
		{"1\t0/X\n", "Line 1: A WAL position was expected."},
		{"1\t0/1234567890\n", "Line 1: A WAL position was expected."},
		{"1\t0/3000000\tok\nx\t0/3000000\n",
		 "Line 2: A timeline ID was expected."},
		{"-1\t0/3000000\n", "Line 1: A timeline ID was expected."},
		{"0\t0/3000000\n", "Line 1: A timeline ID was expected."},
		{"4294967296\t0/3000000\n", "Line 1: A timeline ID was expected."},
		{"99999999999999999999\t0/3000000\n",
		 "Line 1: A timeline ID was expected."},
		{"1\t0/1\n1\t0/2\n",
		 "Line 2: Timeline IDs must rise, and be below that of the file."},
		{"2\t0/1\n1\t0/2\n",
		 "Line 2: Timeline IDs must rise, and be below that of the file."},
		{"3\t0/1\n",
		 "Line 1: Timeline IDs must rise, and be below that of the file."},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		TimelineHistory h;
		Error err = ERROR_INIT;

		ok(!parse(3, bad[i].text, &h, &err) && err.code == ERR_DAMAGED,
		   "damaged file %zu", i);
		is_str(err.detail, bad[i].detail, "says where");
		ok(h.items == NULL, "leaves nothing");
		error_clear(&err);
	}
}

static void
test_zero_bytes(void)
{
	TimelineHistory h;
	Error err = ERROR_INIT;

	ok(!timeline_history_parse(2, "1\t0/1\0\n", 7, &h, &err), "a zero byte");
	is_str(err.message, "timeline history file 00000002.history is damaged",
		   "names the file");
	error_clear(&err);
}

int
main(void)
{
	test_plain();
	test_left_before_begin();
	test_first();
	test_damaged();
	test_zero_bytes();
	return done_testing();
}
