/*-------------------------------------------------------------------------
 *
 * page_test.c
 *	  Checksums of pages that a server wrote, and names of relation files.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "pg/page.h"
#include "pg_vectors.h"

/* Beyond all positions in the file, and not. */
#define LATER UINT64_C(0x10000000)
#define LIMIT UINT64_C(0x20000000)

static void
test_real(void)
{
	size_t len;
	uint8_t *data = vector_load("15/heap", &len);
	size_t pages = len / PG_PAGE_SIZE;
	size_t good = 0;
	size_t moved = 0;

	is_int((int64_t) pages, 10, "pages of the sample");
	for (size_t i = 0; i < pages; i++)
	{
		const uint8_t *page = data + i * PG_PAGE_SIZE;

		good += page_check(page, (uint32_t) i, LATER, LIMIT) == PAGE_OK;
		moved += page_check(page, (uint32_t) i + 1, LATER, LIMIT) == PAGE_BAD;
	}
	is_int((int64_t) good, (int64_t) pages, "all are good in their places");
	is_int((int64_t) moved, (int64_t) pages, "none in the next one's");
	free(data);
}

static void
test_flips(void)
{
	size_t len;
	uint8_t *data = vector_load("15/heap", &len);
	int missed = 0;

	for (size_t at = 0; at < PG_PAGE_SIZE; at++)
	{
		data[at] ^= 0x10;
		missed += page_check(data, 0, LATER, LIMIT) == PAGE_OK;
		data[at] ^= 0x10;
	}
	is_int(missed, 0, "a flipped bit in any byte is found");
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_OK,
	   "the check has left the page as it was");
	free(data);
}

static void
set_lsn(uint8_t *page, uint64_t lsn)
{
	uint32_t half[2] = {(uint32_t) (lsn >> 32), (uint32_t) lsn};

	memcpy(page, half, sizeof(half));
}

static void
set_checksum(uint8_t *page, uint32_t block)
{
	uint16_t sum = page_checksum(page, block);

	memcpy(page + 8, &sum, sizeof(sum));
}

static void
test_lsn(void)
{
	size_t len;
	uint8_t *data = vector_load("15/heap", &len);

	set_lsn(data, LATER);
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_RECENT,
	   "changed at the start: recent, whatever its checksum");
	set_lsn(data, LIMIT);
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_RECENT, "at the limit");
	set_lsn(data, LATER - 1);
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_BAD,
	   "before the start: its checksum counts");
	set_lsn(data, LIMIT + 1);
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_BAD,
	   "beyond the limit: likewise");
	set_checksum(data, 0);
	ok(page_check(data, 0, LATER, LIMIT) == PAGE_RECENT,
	   "beyond the limit, but good");
	set_lsn(data, UINT64_C(0x500000000));
	ok(page_check(data, 0, UINT64_C(0x500000000), UINT64_C(0x500000001)) ==
		   PAGE_RECENT,
	   "the high half comes first");
	free(data);
}

static void
test_new(void)
{
	uint8_t *page = calloc(1, PG_PAGE_SIZE);

	ok(page_check(page, 7, LATER, LIMIT) == PAGE_NEW, "zeros: new");
	page[PG_PAGE_SIZE - 1] = 1;
	ok(page_check(page, 7, LATER, LIMIT) == PAGE_BAD,
	   "zeros, but for the last byte: bad");
	page[PG_PAGE_SIZE - 1] = 0;
	page[0] = 1;
	ok(page_check(page, 7, LATER, LIMIT) == PAGE_BAD,
	   "zeros, but for the first byte: bad");
	free(page);
}

static void
test_unaligned(void)
{
	size_t len;
	uint8_t *data = vector_load("15/heap", &len);
	uint8_t *odd = malloc(PG_PAGE_SIZE + 1);

	memcpy(odd + 1, data + PG_PAGE_SIZE, PG_PAGE_SIZE);
	ok(page_check(odd + 1, 1, LATER, LIMIT) == PAGE_OK,
	   "an address that is not aligned");
	free(odd);
	free(data);
}

static void
test_files(void)
{
	static const struct
	{
		const char *path;
		uint32_t segment;
	} good[] = {
		{"base/5/1259", 0},
		{"base/5/1259_fsm", 0},
		{"base/5/1259_fsm.1", 1},
		{"base/16384/16385.32767", 32767},
		{"base/1/16385_init", 0},
		{"global/1262_vm", 0},
		{"pg_tblspc/16400/PG_15_202209061/5/2619.12", 12},
	};
	static const char *const bad[] = {
		"",
		"1259",
		"base/1259",
		"base/5/",
		"base/5/PG_VERSION",
		"base/5/pg_filenode.map",
		"base/5/pg_internal.init",
		"base/x/1259",
		"base/5/1259_foo",
		"base/5/1259.",
		"base/5/1259.01",
		"base/5/1259.32768",
		"base/5/1259.1.2",
		"base/5/1259_fsm_vm",
		"base/5/t3_1259",
		"base/5/6/1259",
		"base/pgsql_tmp/1259",
		"global/pg_control",
		"global/5/1259",
		"pg_xact/0000",
		"pg_wal/1259",
		"pg_tblspc/16400/1259",
		"pg_tblspc/16400/PG_15_202209061/1259",
		"pg_tblspc/16400/PG_15_202209061/x/1259",
		"pg_tblspc/16400/other/5/1259",
		"base/5/99999999999",
		"base/5/0",
	};
	uint32_t segment;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(page_file(good[i].path, &segment) && segment == good[i].segment,
		   "%s has pages", good[i].path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!page_file(bad[i], &segment), "\"%s\" has none", bad[i]);
}

int
main(void)
{
	test_real();
	test_flips();
	test_lsn();
	test_new();
	test_unaligned();
	test_files();
	return done_testing();
}
