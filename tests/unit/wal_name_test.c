/*-------------------------------------------------------------------------
 *
 * wal_name_test.c
 *	  Names of WAL files, positions.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include "common/wal_name.h"

#define MB (UINT64_C(1) << 20)

static void
test_good_names(void)
{
	static const struct
	{
		const char *text;
		WalName name;
	} good[] = {
		{"000000010000000000000001", {WAL_SEGMENT, 1, 0, 1, 0}},
		{"FFFFFFFFFFFFFFFFFFFFFFFF",
		 {WAL_SEGMENT, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0}},
		{"0000000A0000000B0000000C.partial", {WAL_PARTIAL, 10, 11, 12, 0}},
		{"000000010000000000000001.00000028.backup",
		 {WAL_BACKUP_HISTORY, 1, 0, 1, 0x28}},
		{"00000002.history", {WAL_TIMELINE_HISTORY, 2, 0, 0, 0}},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		WalName name;
		char text[WAL_FILE_NAME_MAX];

		if (!ok(wal_name_parse(good[i].text, &name), "%s is a name",
				good[i].text))
			continue;
		ok(name.kind == good[i].name.kind &&
			   name.timeline == good[i].name.timeline &&
			   name.log == good[i].name.log && name.seg == good[i].name.seg &&
			   name.offset == good[i].name.offset,
		   "its parts are right");
		wal_name_format(&name, text);
		is_str(text, good[i].text, "and make the same name");
	}
}

static void
test_bad_names(void)
{
	static const char *const bad[] = {
		"",
		"0",
		"00000001",
		"00000001000000000000000",
		"0000000100000000000000011",
		"00000001000000000000000a",
		"00000001000000000000000G",
		"000000000000000000000001",
		"000000010000000000000001.",
		"000000010000000000000001.part",
		"000000010000000000000001.partial2",
		"00000001.histor",
		"00000001.history.",
		"00000000.history",
		"0000001.history",
		"000000010000000000000001.28.backup",
		"000000010000000000000001.00000028",
		"RECOVERYXLOG",
		"000000010000000000000001.00000028.backup.ready",
		" 00000001000000000000001",
		"../0010000000000000000001",
		"000000010000000000000001/",
		"00000001.partial",
	};
	WalName name = {.timeline = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!wal_name_parse(bad[i], &name), "\"%s\" is no name", bad[i]);
	is_int(name.timeline, 77, "what is no name is not taken over in part");
}

static void
test_sizes(void)
{
	ok(wal_segment_size_ok(MB) && wal_segment_size_ok(16 * MB) &&
		   wal_segment_size_ok(1024 * MB),
	   "1 MB, 16 MB, 1 GB are legal");
	ok(!wal_segment_size_ok(0) && !wal_segment_size_ok(MB / 2) &&
		   !wal_segment_size_ok(3 * MB) && !wal_segment_size_ok(2048 * MB) &&
		   !wal_segment_size_ok(MB + 1),
	   "others are not");
}

static void
test_numbers(void)
{
	WalName name;
	char text[WAL_FILE_NAME_MAX];

	wal_name_parse("0000000200000001000000FF", &name);
	ok(wal_name_fits(&name, 16 * MB), "FF is the last of 16 MB");
	ok(!wal_name_fits(&name, 32 * MB), "and none of 32 MB");
	is_int((int64_t) wal_segment_number(&name, 16 * MB), 511, "its number");
	wal_segment_name(2, 511, 16 * MB, &name);
	wal_name_format(&name, text);
	is_str(text, "0000000200000001000000FF", "and back");
	wal_segment_name(2, 512, 16 * MB, &name);
	wal_name_format(&name, text);
	is_str(text, "000000020000000200000000", "the next one");
	wal_segment_name(1, 7, 1024 * MB, &name);
	wal_name_format(&name, text);
	is_str(text, "000000010000000100000003", "1 GB: four to a log");
	wal_segment_name(1, 4095, MB, &name);
	wal_name_format(&name, text);
	is_str(text, "000000010000000000000FFF", "1 MB: 4096 to a log");
	wal_name_parse("000000010000000000000001.00100000.backup", &name);
	ok(!wal_name_fits(&name, MB), "an offset beyond the segment");
	ok(wal_name_fits(&name, 2 * MB), "and one in it");
}

static void
test_lsn(void)
{
	static const char *const bad[] = {
		"",      "/",    "1",           "1/",          "/1",
		"1/2/3", "1/G",  "123456789/0", "0/123456789", " 1/2",
		"1/2 ",  "-1/2", "0x1/2"};
	char text[LSN_TEXT_LEN];
	uint64_t lsn = 0;

	lsn_format(UINT64_C(0x16B374D848), text);
	is_str(text, "16/B374D848", "a position's text");
	ok(lsn_parse(text, &lsn) && lsn == UINT64_C(0x16B374D848), "and back");
	lsn_format(UINT64_MAX, text);
	is_str(text, "FFFFFFFF/FFFFFFFF", "the highest");
	ok(lsn_parse(text, &lsn) && lsn == UINT64_MAX, "and back");
	ok(lsn_parse("0/0", &lsn) && lsn == 0, "the lowest");
	ok(lsn_parse("a/00bc", &lsn) && lsn == UINT64_C(0xA000000BC),
	   "lower case and leading zeros");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!lsn_parse(bad[i], &lsn), "\"%s\" is no position", bad[i]);
}

int
main(void)
{
	test_good_names();
	test_bad_names();
	test_sizes();
	test_numbers();
	test_lsn();
	return done_testing();
}
