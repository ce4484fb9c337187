/*-------------------------------------------------------------------------
 *
 * wal_page_test.c
 *	  The first page of WAL segments of every major version, and of others.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "pg/wal_page.h"
#include "pg_vectors.h"

typedef struct Sample
{
	const char *file;
	const char *name;
	int major;
	uint64_t sysid;
	uint64_t lsn;
} Sample;

static const Sample samples[] = {
	{"15/00000001000000000000001A", "00000001000000000000001A", 15,
	 UINT64_C(7710416418137187561), 0x1A00000},
	{"16/00000001000000000000000F", "00000001000000000000000F", 16,
	 UINT64_C(7710420068528466345), 0xF00000},
	{"17/00000001000000000000000F", "00000001000000000000000F", 17,
	 UINT64_C(7710420078077659680), 0xF00000},
	{"18/000000010000000000000009", "000000010000000000000009", 18,
	 UINT64_C(7710420088650795774), 0x900000},
};

static void
test_real(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
	{
		const Sample *s = &samples[i];
		size_t len;
		uint8_t *data = vector_load(s->file, &len);
		WalPageHeader page;
		WalName name;
		WalExpect expect = {s->sysid, s->major, 1024 * 1024};
		Error err = ERROR_INIT;

		ok(wal_page_parse(data, WAL_LONG_HEADER_LEN, &page, &err),
		   "%s is a segment", s->file);
		ok(page.major == s->major && page.sysid == s->sysid &&
			   page.page_lsn == s->lsn && page.timeline == 1 &&
			   page.segment_size == 1024 * 1024 && page.block_size == 8192,
		   "its header is read rightly");
		wal_name_parse(s->name, &name);
		ok(wal_page_check(&page, &name, &expect, &err), "it belongs here");
		free(data);
	}
}

/* Puts width bytes of value at offset at. */
typedef struct Change
{
	const char *what;
	size_t at;
	size_t width;
	uint64_t value;
	const char *detail;
} Change;

static void
test_damaged(void)
{
	static const Change changes[] = {
		{"magic of version 14", 0, 2, 0xD10D,
		 "It has not the magic number of a known version. The number is "
		 "D10D."},
		{"zeros", 0, 2, 0,
		 "It has not the magic number of a known version. The number is "
		 "0000."},
		{"a short header", 2, 2, 0, "Its flags are not those of a first page."},
		{"unknown flags", 2, 2, 0x12,
		 "Its flags are not those of a first page."},
		{"timeline 0", 4, 4, 0, "Its timeline is 0."},
		{"a page within the segment", 8, 8, 0x1A02000,
		 "Its position is not the start of a segment."},
		{"a segment size of 3 MB", 32, 4, 3 << 20,
		 "Its segment size or block size is not legal."},
		{"a page size of 0", 36, 4, 0,
		 "Its segment size or block size is not legal."},
	};
	size_t len;
	uint8_t *data = vector_load(samples[0].file, &len);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
	{
		uint8_t head[WAL_LONG_HEADER_LEN];
		WalPageHeader page;
		Error err = ERROR_INIT;

		memcpy(head, data, sizeof(head));
		memcpy(head + changes[i].at, &changes[i].value, changes[i].width);
		ok(!wal_page_parse(head, sizeof(head), &page, &err) &&
			   err.code == ERR_DAMAGED,
		   "%s: damaged", changes[i].what);
		is_str(err.detail, changes[i].detail, "and why");
		error_clear(&err);
	}
	free(data);
}

static void
test_short(void)
{
	WalPageHeader page;
	Error err = ERROR_INIT;

	ok(!wal_page_parse("", 0, &page, &err) && err.code == ERR_DAMAGED,
	   "an empty file");
	error_clear(&err);
}

typedef struct Mismatch
{
	const char *what;
	const char *name;
	WalExpect expect;
	uint32_t timeline;
	const char *message;
	const char *detail;
} Mismatch;

static const Mismatch mismatches[] = {
	{"another cluster",
	 "00000001000000000000001A",
	 {42, 15, 0},
	 1,
	 "WAL file \"00000001000000000000001A\" belongs to another cluster",
	 "Its system identifier is 7710416418137187561, that of this cluster is "
	 "42."},
	{"another version",
	 "00000001000000000000001A",
	 {0, 16, 0},
	 1,
	 "WAL file \"00000001000000000000001A\" is of another PostgreSQL version",
	 "It is of version 15, the cluster of 16."},
	{"another segment size",
	 "00000001000000000000001A",
	 {0, 0, 16 << 20},
	 1,
	 "WAL file \"00000001000000000000001A\" is of another segment size",
	 "Its segment size is 1048576 bytes, that of the cluster 16777216."},
	{"another name",
	 "00000001000000000000001B",
	 {0, 0, 0},
	 1,
	 "WAL file \"00000001000000000000001B\" holds another segment",
	 "It begins at 0/1A00000, its name says 0/1B00000."},
	{"a name that does not fit",
	 "000000010000000000001000",
	 {0, 0, 0},
	 1,
	 "WAL file \"000000010000000000001000\" cannot have that name",
	 "No file has it with the segment size of 1048576 bytes that is in it."},
	{"a younger timeline",
	 "00000001000000000000001A",
	 {0, 0, 0},
	 2,
	 "WAL file \"00000001000000000000001A\" is of another timeline",
	 "Its first page is of timeline 2, its name says 1."},
};

static void
test_mismatch(void)
{
	size_t len;
	uint8_t *data = vector_load(samples[0].file, &len);
	WalPageHeader page = {0};
	Error err = ERROR_INIT;

	ok(wal_page_parse(data, len, &page, &err), "a good page");
	for (size_t i = 0; i < sizeof(mismatches) / sizeof(mismatches[0]); i++)
	{
		const Mismatch *m = &mismatches[i];
		WalName name;

		page.timeline = m->timeline;
		wal_name_parse(m->name, &name);
		ok(!wal_page_check(&page, &name, &m->expect, &err) &&
			   err.code == ERR_MISMATCH,
		   "%s", m->what);
		is_str(err.message, m->message, "says what");
		is_str(err.detail, m->detail, "and both values");
		error_clear(&err);
	}
	free(data);
}

static void
test_names(void)
{
	WalPageHeader page = {.major = 15,
						  .timeline = 1,
						  .segment_size = 1 << 24,
						  .block_size = 8192,
						  .page_lsn = 1 << 24};
	WalExpect any = {0};
	WalName name;
	Error err = ERROR_INIT;

	wal_name_parse("000000020000000000000001", &name);
	ok(wal_page_check(&page, &name, &any, &err),
	   "the first segment of a timeline begins with a copy");
	wal_name_parse("000000010000000000000001.partial", &name);
	ok(wal_page_check(&page, &name, &any, &err), "a partial segment");
	wal_name_parse("00000002.history", &name);
	ok(!wal_page_check(&page, &name, &any, &err) && err.code == ERR_INTERNAL,
	   "a history file has no pages");
	error_clear(&err);
}

int
main(void)
{
	test_real();
	test_damaged();
	test_short();
	test_mismatch();
	test_names();
	return done_testing();
}
