/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Checksums of data pages, and which files have them.
 *
 * The checksum is 32 sums side by side, each over every 32nd word of the page
 * by a step of FNV-1a with a shift, so that a compiler makes vector
 * instructions of the inner loop.  Bytes 8 and 9, where it is stored, count
 * as zero; the block number is mixed in at the end.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/page.h"

#include <string.h>

#include "pg/datadir_names.h"

#define SUMS 32
#define ROWS (PG_PAGE_SIZE / (SUMS * sizeof(uint32_t)))
#define PRIME 16777619u

/* 32 bits of block numbers fill no more segments. */
#define SEGMENT_MAX (UINT32_MAX / PG_RELSEG_BLOCKS)

#define AT_CHECKSUM 8
#define AT_UPPER 14

/*
 * Where each sum starts: part of the on-disk format.  They only keep equal
 * columns from cancelling out.
 */
static const uint32_t seeds[SUMS] = {
	0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3,
	0x217E7CD2, 0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA,
	0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC,
	0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
	0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE,
	0xF2CA9FD3, 0x959BD756};

/* One row of words into the sums; inlined, so that the loop is a vector's. */
static inline __attribute__((always_inline)) void
add_row(uint32_t sums[SUMS], const uint32_t row[SUMS])
{
	for (int i = 0; i < SUMS; i++)
	{
		uint32_t mixed = sums[i] ^ row[i];

		sums[i] = mixed * PRIME ^ mixed >> 17;
	}
}

static inline __attribute__((always_inline)) uint32_t
sum_rows(const uint8_t *page)
{
	static const uint32_t zeros[SUMS];
	uint32_t sums[SUMS];
	uint32_t row[SUMS];
	uint32_t all = 0;

	memcpy(sums, seeds, sizeof(sums));
	/* the page belongs to the caller: blank the checksum in a copy */
	memcpy(row, page, sizeof(row));
	memset((uint8_t *) row + AT_CHECKSUM, 0, 2);
	add_row(sums, row);
	for (size_t i = 1; i < ROWS; i++)
	{
		memcpy(row, page + i * sizeof(row), sizeof(row));
		add_row(sums, row);
	}
	add_row(sums, zeros);
	add_row(sums, zeros);
	for (int i = 0; i < SUMS; i++)
		all ^= sums[i];
	return all;
}

#if defined(__x86_64__)

/* 32-bit multiplication of vectors is not in what every x86-64 has. */
__attribute__((target("avx2"))) static uint32_t
sum_avx2(const uint8_t *page)
{
	return sum_rows(page);
}

static uint32_t
sum_page(const uint8_t *page)
{
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(page);
	return sum_rows(page);
}

#else

static uint32_t
sum_page(const uint8_t *page)
{
	return sum_rows(page);
}

#endif

uint16_t
page_checksum(const void *page, uint32_t block)
{
	return (uint16_t) ((sum_page(page) ^ block) % 65535 + 1);
}

static bool
is_all_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PG_PAGE_SIZE - 1) == 0;
}

PageState
page_check(const void *page, uint32_t block, uint64_t start_lsn,
		   uint64_t limit_lsn)
{
	const uint8_t *p = page;
	uint32_t lsn_high;
	uint32_t lsn_low;
	uint64_t lsn;
	uint16_t stored;
	uint16_t upper;

	/* a position is stored as two words, the high one first */
	memcpy(&lsn_high, p, 4);
	memcpy(&lsn_low, p + 4, 4);
	memcpy(&stored, p + AT_CHECKSUM, 2);
	memcpy(&upper, p + AT_UPPER, 2);
	lsn = (uint64_t) lsn_high << 32 | lsn_low;
	/* no page that was ever set up has 0 there */
	if (upper == 0)
		return is_all_zero(p) ? PAGE_NEW : PAGE_BAD;
	if (lsn >= start_lsn && lsn <= limit_lsn)
		return PAGE_RECENT;
	if (page_checksum(page, block) != stored)
		return PAGE_BAD;
	return lsn >= start_lsn ? PAGE_RECENT : PAGE_OK;
}

bool
page_file(const char *path, uint32_t *segment)
{
	const char *slash = strrchr(path, '/');
	char dir[128];
	RelationName relation;

	*segment = 0;
	if (slash == NULL || (size_t) (slash - path) >= sizeof(dir))
		return false;
	memcpy(dir, path, (size_t) (slash - path));
	dir[slash - path] = '\0';
	if (!datadir_holds_relations(dir) ||
		!relation_name_parse(slash + 1, &relation) || relation.is_temporary ||
		relation.segment > SEGMENT_MAX)
		return false;
	*segment = relation.segment;
	return true;
}
