/*-------------------------------------------------------------------------
 *
 * wal_scan_test.c
 *	  The scanner on segments of real servers, whose records pg_waldump and
 *	  pg_walinspect counted, and on WAL made for the purpose.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "common/wal_name.h"
#include "pg/wal_page.h"
#include "pg/wal_scan.h"
#include "pg_vectors.h"
#include "wal_writer.h"

#define START UINT64_C(0x3000000)
#define NOON INT64_C(1781265600000000)

typedef struct Events
{
	StrBuf text;
	int count;
	WalEvent last;
} Events;

static void
add_event(void *arg, const WalEvent *event)
{
	Events *events = arg;
	char lsn[LSN_TEXT_LEN];
	char time[CLOCK_TEXT_LEN];

	lsn_format(event->lsn, lsn);
	events->count++;
	events->last = *event;
	events->last.name = NULL;
	if (event->kind == WAL_EVENT_RESTORE_POINT)
		strbuf_printf(&events->text, "POINT %s %s\n", lsn, event->name);
	else
		strbuf_printf(&events->text, "%s %s %u %s\n",
					  event->kind == WAL_EVENT_COMMIT ? "COMMIT" : "ABORT", lsn,
					  event->xid, clock_format(event->time, time));
}

/* Feeds all of data in pieces of that size. */
static void
feed(WalScan *scan, const uint8_t *data, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece)
		wal_scan_add(scan, data + at, len - at < piece ? len - at : piece);
}

static WalScanResult
scan_bytes(uint64_t lsn, const uint8_t *data, size_t len, size_t piece,
		   Events *events)
{
	WalScan *scan = wal_scan_new(lsn, WAL_TEST_SEGMENT, WAL_TEST_BLOCK,
								 add_event, events);
	WalScanResult result;

	feed(scan, data, len, piece);
	wal_scan_finish(scan, &result);
	wal_scan_free(scan);
	return result;
}

static WalScanResult
scan_written(const WalWriter *w, size_t len, Events *events)
{
	return scan_bytes(w->start, w->data, len, 4096, events);
}

static uint64_t
start_of(const uint8_t *data)
{
	uint64_t lsn;

	memcpy(&lsn, data + 8, 8);
	return lsn;
}

/* The expectations: "records N", then the events. */
static void
check_vector(const char *name, size_t piece)
{
	char *expect_name = mem_printf("%s.expect", name);
	char *expect = vector_text(expect_name);
	size_t len;
	uint8_t *data = vector_load(name, &len);
	Events events = {.text = STRBUF_INIT};
	WalScanResult r = scan_bytes(start_of(data), data, len, piece, &events);
	char *got = mem_printf("records %llu\n%s", (unsigned long long) r.records,
						   events.text.data ? events.text.data : "");

	ok(strcmp(got, expect) == 0, "%s in pieces of %zu bytes", name, piece);
	if (strcmp(got, expect) != 0)
		printf("# got:\n%s# expected:\n%s", got, expect);
	ok(r.complete && r.stop_lsn == start_of(data) + len, "to its end");
	free(got);
	free(data);
	free(expect);
	free(expect_name);
	strbuf_free(&events.text);
}

static void
test_vectors(void)
{
	static const char *const names[] = {
		"15/00000001000000000000001A", "15/00000001000000000000001B",
		"15/00000001000000000000001C", "15/00000001000000000000001E",
		"16/00000001000000000000000F", "17/00000001000000000000000F",
		"18/000000010000000000000009",
	};
	static const size_t pieces[] = {WAL_TEST_SEGMENT, 8192, 1000, 1};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++)
			check_vector(names[i], pieces[j]);
	}
}

/*
 * A record of 2.4 MB began in 1A, filled 1B, and its end was lost in a crash:
 * 1C says so.
 */
static void
test_overwritten(void)
{
	static const char *const names[] = {"15/00000001000000000000001A",
										"15/00000001000000000000001B",
										"15/00000001000000000000001C"};
	Events events = {.text = STRBUF_INIT};
	WalScan *scan = wal_scan_new(0x1A00000, WAL_TEST_SEGMENT, WAL_TEST_BLOCK,
								 add_event, &events);
	WalScanResult r;

	for (int i = 0; i < 3; i++)
	{
		size_t len;
		uint8_t *data = vector_load(names[i], &len);

		feed(scan, data, len, 65536);
		free(data);
	}
	wal_scan_finish(scan, &r);
	is_int((int64_t) r.records, 4582 + 12, "the lost record is not counted");
	is_int(events.count, 7, "commits of all three");
	ok(r.complete && r.stop_lsn == 0x1D00000, "to the end");
	wal_scan_free(scan);
	strbuf_free(&events.text);
}

/* Records of many lengths, so that every part comes to lie across a page. */
static void
test_splits(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;
	int records = 0;
	int commits = 0;
	uint64_t lsn = 0;

	wal_writer_init(&w, START, 2);
	while (w.lsn < START + WAL_TEST_SEGMENT - 16384)
	{
		wal_writer_filler(&w, (size_t) (records * 7) % 700);
		lsn = wal_writer_xact(&w, 0, (uint32_t) commits, NOON + commits);
		records += 2;
		commits++;
	}
	wal_writer_filler(&w, 20000);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, records, "records that began and ended here");
	is_int(events.count, commits, "commits");
	is_int((int64_t) events.last.lsn, (int64_t) lsn, "the last one's start");
	is_int((int64_t) events.last.end_lsn, (int64_t) ((lsn + 34 + 7) & ~7ULL),
		   "its end");
	is_int(r.first_commit, NOON, "first time");
	is_int(r.last_commit, NOON + commits - 1, "last time");
	ok(r.complete && r.stop_lsn == START + WAL_TEST_SEGMENT,
	   "complete, though a record goes on in the next segment");
	r = scan_written(&w, (size_t) (w.lsn - START), &events);
	is_int((int64_t) r.records, records + 1, "with its rest it counts");
	ok(!r.complete, "the next segment is not complete");
	is_int((int64_t) r.stop_lsn, (int64_t) w.lsn, "reading ended behind it");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

static void
test_order_of_times(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;

	wal_writer_init(&w, START, 1);
	wal_writer_xact(&w, 0x00, 10, NOON + 5);
	wal_writer_xact(&w, 0x20, 11, NOON + 9);
	wal_writer_xact(&w, 0x00, 12, NOON + 3);
	wal_writer_xact(&w, 0x10, 13, NOON + 99);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 4, "records");
	is_int(events.count, 3, "a PREPARE is no commit");
	is_int(r.first_commit, NOON + 3, "the lowest time");
	is_int(r.last_commit, NOON + 9, "the highest, of an abort");
	ok(!r.complete, "zeros are the end of WAL, not of the segment");
	is_int((int64_t) r.stop_lsn, (int64_t) w.lsn, "where they begin");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

static void
test_switch(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalTestRecord sw = {.rmgr = 0, .info = 0x40};
	WalScanResult r;
	size_t behind;

	wal_writer_init(&w, START, 2);
	wal_writer_xact(&w, 0x00, 10, NOON);
	wal_writer_add(&w, &sw);
	behind = (size_t) (w.lsn - START);
	memset(w.data + behind, 0xEE, WAL_TEST_SEGMENT - behind);
	r = scan_written(&w, behind, &events);
	ok(r.complete, "complete with the switch");
	is_int((int64_t) r.stop_lsn, (int64_t) (START + WAL_TEST_SEGMENT),
		   "to the end of the segment");
	wal_writer_next_segment(&w);
	wal_writer_xact(&w, 0x00, 11, NOON + 1);
	r = scan_written(&w, w.size, &events);
	is_int((int64_t) r.records, 3, "and on in the next segment");
	is_int(r.last_commit, NOON + 1, "to its commit");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

/* A switch record that ends exactly where the segment does. */
static void
test_switch_at_end(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalTestRecord sw = {.rmgr = 0, .info = 0x40};
	WalScanResult r;

	wal_writer_init(&w, START, 2);
	while (w.lsn < START + WAL_TEST_SEGMENT - 4096)
		wal_writer_filler(&w, 1000);
	wal_writer_filler(&w, (size_t) (START + WAL_TEST_SEGMENT - w.lsn) - 48);
	wal_writer_add(&w, &sw);
	is_int((int64_t) w.lsn, (int64_t) (START + WAL_TEST_SEGMENT),
		   "a segment that is full with its switch");
	wal_writer_xact(&w, 0x00, 11, NOON + 1);
	r = scan_written(&w, (size_t) (w.lsn - START), &events);
	is_int(r.last_commit, NOON + 1, "nothing of the next one is skipped");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

static void
test_lost_record(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;
	uint64_t prev;

	wal_writer_init(&w, START, 1);
	prev = wal_writer_xact(&w, 0x00, 10, NOON);
	wal_writer_filler(&w, 20000);
	/* the third page was lost; recovery goes on behind the second */
	w.lsn = START + 2 * WAL_TEST_BLOCK;
	memset(w.data + 2 * WAL_TEST_BLOCK, 0, WAL_TEST_BLOCK);
	w.prev = prev;
	wal_writer_next_page(&w, 8);
	wal_writer_xact(&w, 0x00, 11, NOON + 1);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 2, "the lost record is passed over");
	is_int(r.last_commit, NOON + 1, "what came after it is read");

	/* without the flag it is damage */
	w.data[2 * WAL_TEST_BLOCK + 2] = 0;
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 1, "without the flag reading ends");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

/* Commit prepared with all that can stand before the transaction's ID. */
static void
add_prepared(WalWriter *w, uint32_t subxacts, uint32_t xid, int stats_size)
{
	StrBuf main = STRBUF_INIT;
	StrBuf body = STRBUF_INIT;
	int64_t time = NOON - CLOCK_PG_EPOCH;
	uint32_t info = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100;
	uint32_t two = 2;
	static const char zeros[64];
	WalTestRecord record = {.rmgr = 1, .info = 0x80 | 0x30};

	strbuf_add(&main, &time, 8);
	strbuf_add(&main, &info, 4);
	strbuf_add(&main, zeros, 8);
	strbuf_add(&main, &subxacts, 4);
	for (uint32_t i = 0; i < subxacts; i++)
		strbuf_add(&main, &i, 4);
	strbuf_add(&main, &two, 4);
	strbuf_add(&main, zeros, 24);
	strbuf_add(&main, &two, 4);
	strbuf_add(&main, zeros, (size_t) stats_size * 2);
	strbuf_add(&main, &two, 4);
	strbuf_add(&main, zeros, 32);
	strbuf_add(&main, &xid, 4);
	strbuf_add(&main, "gid", 4);
	/* an origin and a top-level transaction, before the main data */
	strbuf_add(&body, "\xFD\x01\x00\xFC\x02\x00\x00\x00", 8);
	wal_body_main(&body, main.data, main.len);
	record.body = body.data;
	record.len = body.len;
	wal_writer_add(w, &record);
	strbuf_free(&main);
	strbuf_free(&body);
}

static void
test_prepared(void)
{
	static const struct
	{
		uint16_t magic;
		int stats_size;
	} versions[] = {{0xD110, 12}, {0xD113, 12}, {0xD116, 12}, {0xD118, 16}};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
	{
		WalWriter w;
		Events events = {.text = STRBUF_INIT};

		wal_writer_init(&w, START, 1);
		w.magic = versions[i].magic;
		add_prepared(&w, 300, 4711, versions[i].stats_size);
		scan_written(&w, WAL_TEST_SEGMENT, &events);
		is_int(events.count, 1, "commit prepared");
		is_int(events.last.xid, 4711, "of the prepared transaction");
		is_int(events.last.time, NOON, "at its time");
		wal_writer_free(&w);
		strbuf_free(&events.text);
	}
}

/* Its main data ends far beyond what is kept of a record. */
static void
test_huge_commit(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;

	wal_writer_init(&w, START, 4);
	add_prepared(&w, 500000, 4711, 12);
	wal_writer_xact(&w, 0x00, 12, NOON - 7);
	r = scan_written(&w, w.size, &events);
	is_int((int64_t) r.records, 2, "a commit of 2 MB");
	is_int(events.count, 2, "is an event");
	is_int(r.last_commit, NOON, "with its time");
	is_int(r.first_commit, NOON - 7, "and so is the next");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

/* Blocks of every form before the main data. */
static void
test_blocks(void)
{
	static const uint8_t blocks[] = {
		/* block 0: a compressed image with a hole, its relation, number */
		0, 0x10, 0, 0, 3, 0, 9, 9, 0x05 | 0x02, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3,
		3, 3, 3, 4, 4, 4, 4,
		/* block 1: an image without a hole, the same relation */
		1, 0x90, 0, 0, 2, 0, 0, 0, 0x08, 5, 5, 5, 5,
		/* block 2: two bytes of data */
		2, 0xA0, 2, 0, 6, 6, 6, 6};
	static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
	uint8_t main[72] = "........a point of 63 bytes";
	int64_t time = NOON - CLOCK_PG_EPOCH;
	StrBuf body = STRBUF_INIT;
	WalTestRecord record = {.rmgr = 0, .info = 0x70};
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;

	memcpy(main, &time, 8);
	strbuf_add(&body, blocks, sizeof(blocks));
	strbuf_putc(&body, (char) 255);
	strbuf_putc(&body, sizeof(main));
	strbuf_add(&body, data, sizeof(data));
	strbuf_add(&body, main, sizeof(main));
	record.body = body.data;
	record.len = body.len;
	wal_writer_init(&w, START, 1);
	wal_writer_add(&w, &record);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_str(events.text.data, "POINT 0/3000028 a point of 63 bytes\n",
		   "a restore point behind blocks");
	is_int(events.last.time, NOON, "its time");
	is_int(r.last_commit, 0, "it is no commit");
	wal_writer_free(&w);
	strbuf_free(&body);
	strbuf_free(&events.text);
}

/* Bodies that do not make sense, though their CRC is right. */
static void
test_nonsense(void)
{
	static const struct
	{
		const char *bytes;
		size_t len;
	} bodies[] = {
		{"", 0},     /* no main data */
		{"\xFF", 1}, /* a length that is missing */
		{"\xFF\x08"
		 "1234",
		 6}, /* less data than said */
		{"\xFF\x04"
		 "1234",
		 6},                         /* less data than a time has */
		{"\xFE\xFF\xFF\xFF\xFF", 5}, /* far less than said */
		{"\x21\x00\x00\x00", 4},     /* block 33 */
		{"\x00\x10\x00", 3},         /* a block that is cut off */
		{"\xFB\x00\x00\x00", 4},     /* an unknown ID */
		{"\xFC\x00", 2},             /* a cut-off top-level transaction */
		{"\xFD\x00", 2},             /* a cut-off origin */
	};
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;
	int count = sizeof(bodies) / sizeof(bodies[0]);

	wal_writer_init(&w, START, 1);
	for (int i = 0; i < count; i++)
	{
		WalTestRecord record = {.rmgr = 1,
								.info = 0x30,
								.body = bodies[i].bytes,
								.len = bodies[i].len};

		wal_writer_add(&w, &record);
		record = (WalTestRecord){.rmgr = 0,
								 .info = 0x70,
								 .body = bodies[i].bytes,
								 .len = bodies[i].len};
		wal_writer_add(&w, &record);
	}
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, count * 2, "nonsense with a right CRC counts");
	is_int(events.count, 0, "but is no event");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

static void
test_timelines(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;

	wal_writer_init(&w, START, 1);
	wal_writer_filler(&w, 100);
	wal_writer_filler(&w, WAL_TEST_BLOCK - (w.lsn % WAL_TEST_BLOCK) - 24);
	w.timeline = 2;
	wal_writer_xact(&w, 0, 10, NOON);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 3, "the timeline rises within a segment");
	w.data[4] = 3;
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 2, "it does not fall");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

/* One change to good WAL: how many records are read before it shows. */
static void
test_page_damage(void)
{
	static const struct
	{
		const char *what;
		size_t at;
		uint8_t value;
		int records;
	} changes[] = {
		{"magic of the first page", 0, 0x0D, 0},
		{"a known magic, but another than before", WAL_TEST_BLOCK, 0x13, 1},
		{"a long header where a short belongs", WAL_TEST_BLOCK + 2, 3, 1},
		{"a short header where a long belongs", 2, 0, 0},
		{"unknown flags", WAL_TEST_BLOCK + 2, 0x11, 1},
		{"a page of former times", WAL_TEST_BLOCK + 11, 2, 1},
		{"less left of the record", WAL_TEST_BLOCK + 16, 1, 1},
		{"a record that goes on, but none has begun", 2, 3, 0},
		{"timeline 0", 4, 0, 0},
		{"another segment size", 34, 0x20, 0},
		{"another page size", 37, 0x40, 0},
		{"a record of 8 bytes", 40, 8, 0},
		{"a wrong CRC", 60, 0xFF, 0},
		{"a record before the record that is itself", 40 + 11, 4, 0},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
	{
		WalWriter w;
		Events events = {.text = STRBUF_INIT};
		WalScanResult r;

		wal_writer_init(&w, START, 1);
		wal_writer_filler(&w, 1000);
		wal_writer_filler(&w, WAL_TEST_BLOCK);
		wal_writer_filler(&w, 1000);
		w.data[changes[i].at] = changes[i].value;
		r = scan_written(&w, WAL_TEST_SEGMENT, &events);
		ok(r.records == (uint64_t) changes[i].records && !r.complete, "%s",
		   changes[i].what);
		wal_writer_free(&w);
		strbuf_free(&events.text);
	}
}

static void
test_wrong_prev(void)
{
	WalWriter w;
	Events events = {.text = STRBUF_INIT};
	WalScanResult r;

	wal_writer_init(&w, START, 1);
	wal_writer_filler(&w, 100);
	wal_writer_filler(&w, 100);
	w.prev -= 8;
	wal_writer_filler(&w, 100);
	r = scan_written(&w, WAL_TEST_SEGMENT, &events);
	is_int((int64_t) r.records, 2, "a record that follows another one");
	wal_writer_free(&w);
	strbuf_free(&events.text);
}

static void
test_bad_sizes(void)
{
	static const struct
	{
		uint64_t lsn;
		uint32_t segment_size;
		uint32_t block_size;
	} sizes[] = {{0, 0, 8192},         {0, 3 << 20, 8192},
				 {0, 1 << 20, 0},      {0, 1 << 20, 100},
				 {0, 1 << 20, 3000},   {0, 1 << 20, 1 << 20},
				 {8192, 1 << 20, 8192}};
	uint8_t byte = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		WalScan *scan = wal_scan_new(sizes[i].lsn, sizes[i].segment_size,
									 sizes[i].block_size, NULL, NULL);
		WalScanResult r;

		wal_scan_add(scan, &byte, 1);
		wal_scan_finish(scan, &r);
		ok(r.records == 0 && !r.complete && r.stop_lsn == sizes[i].lsn,
		   "sizes %zu that are not legal", i);
		wal_scan_free(scan);
	}
	wal_scan_free(NULL);
}

/*
 * A flipped byte of a full segment: nothing behind it is believed, and all
 * before it is read.
 */
static void
test_flips(void)
{
	size_t len;
	uint8_t *data = vector_load("15/00000001000000000000001A", &len);
	int missed = 0;
	int lost = 0;
	int tried = 0;

	for (size_t at = 11; at < 0x40000; at += 3989)
	{
		Events events = {.text = STRBUF_INIT};
		WalScanResult r;

		data[at] ^= 0x40;
		r = scan_bytes(0x1A00000, data, len, 65536, &events);
		missed += r.complete;
		/* a page's header and a long record lie before the flip at most */
		lost += r.stop_lsn + 3 * WAL_TEST_BLOCK < 0x1A00000 + at;
		data[at] ^= 0x40;
		tried++;
		strbuf_free(&events.text);
	}
	/* padding and a page's sysid are not covered */
	ok(missed * 20 < tried, "%d of %d flips show", tried - missed, tried);
	is_int(lost, 0, "all before them is read");
	free(data);
}

/* Numbers that look random, the same each time. */
static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Whatever comes, the scan ends, within its bounds. */
static void
test_fuzz(void)
{
	size_t len;
	uint8_t *data = vector_load("18/000000010000000000000009", &len);
	uint8_t *copy = malloc(len);
	uint32_t state = 1;
	int bad = 0;

	for (int round = 0; round < 100; round++)
	{
		Events events = {.text = STRBUF_INIT};
		WalScanResult r;

		memcpy(copy, data, len);
		for (int i = 0; i < 3; i++)
		{
			size_t at = next_random(&state) % 0x20000;
			size_t n = next_random(&state) % 64;

			for (size_t j = 0; j < n; j++)
				copy[at + j] = (uint8_t) next_random(&state);
		}
		r = scan_bytes(0x900000, copy, len, next_random(&state) % 9000 + 1,
					   &events);
		bad += r.records > 505 || r.stop_lsn > 0x900000 + len;
		strbuf_free(&events.text);
	}
	is_int(bad, 0, "damaged segments never have more than good ones");
	free(copy);
	free(data);
}

int
main(void)
{
	test_vectors();
	test_overwritten();
	test_splits();
	test_order_of_times();
	test_switch();
	test_switch_at_end();
	test_lost_record();
	test_prepared();
	test_huge_commit();
	test_blocks();
	test_nonsense();
	test_timelines();
	test_page_damage();
	test_wrong_prev();
	test_bad_sizes();
	test_flips();
	test_fuzz();
	return done_testing();
}
