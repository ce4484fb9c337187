/*-------------------------------------------------------------------------
 *
 * crc32c.c
 *	  CRC-32C (Castagnoli, reflected, polynomial 0x1EDC6F41): by the
 *	  CPU's instruction where there is one, else by tables.
 *
 *-------------------------------------------------------------------------
 */
#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define CRC32C_REFLECTED 0x82F63B78u

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

/* table[k][b]: the effect of byte b followed by k zero bytes */
static uint32_t crc_table[8][256];

static void
crc_fill_tables(void)
{
	for (uint32_t b = 0; b < 256; b++)
	{
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_REFLECTED : 0);
		crc_table[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
	{
		for (uint32_t b = 0; b < 256; b++)
		{
			uint32_t crc = crc_table[k - 1][b];

			crc_table[k][b] = crc >> 8 ^ crc_table[0][crc & 255];
		}
	}
}

static uint32_t
crc_step8(uint32_t crc, const uint8_t *p)
{
	/* byte by byte into a number: right on any endianness */
	crc ^= (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
		   (uint32_t) p[3] << 24;
	return crc_table[7][crc & 255] ^ crc_table[6][crc >> 8 & 255] ^
		   crc_table[5][crc >> 16 & 255] ^ crc_table[4][crc >> 24] ^
		   crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^
		   crc_table[0][p[7]];
}

uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	pthread_once(&crc_once, crc_fill_tables);
	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8)
		crc = crc_step8(crc, p);
	for (; len > 0; p++, len--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
	return ~crc;
}

#if defined(__x86_64__)

/*
 * The instruction takes three cycles, but one can begin in each: three lanes
 * side by side take no longer than one.
 */
#define LANE 2048 /* bytes */

static pthread_once_t lane_once = PTHREAD_ONCE_INIT;

/* lane_shift[k][b]: byte k of a register, with value b, LANE zero bytes on */
static uint32_t lane_shift[4][256];

__attribute__((target("sse4.2"))) static void
lane_fill_tables(void)
{
	uint32_t bit_shift[32];

	for (int bit = 0; bit < 32; bit++)
	{
		uint64_t crc = UINT64_C(1) << bit;

		for (int i = 0; i < LANE / 8; i++)
			crc = __builtin_ia32_crc32di(crc, 0);
		bit_shift[bit] = (uint32_t) crc;
	}
	/* it is linear: what several bits do is what each does, added up */
	for (int k = 0; k < 4; k++)
	{
		for (uint32_t b = 0; b < 256; b++)
		{
			lane_shift[k][b] = 0;
			for (int bit = 0; bit < 8; bit++)
			{
				if (b >> bit & 1)
					lane_shift[k][b] ^= bit_shift[8 * k + bit];
			}
		}
	}
}

static uint64_t
shift_lane(uint64_t crc)
{
	return lane_shift[0][crc & 255] ^ lane_shift[1][crc >> 8 & 255] ^
		   lane_shift[2][crc >> 16 & 255] ^ lane_shift[3][crc >> 24 & 255];
}

static uint64_t
load8(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return word;
}

/* As long as there are three lanes; returns how many bytes it took. */
__attribute__((target("sse4.2"))) static size_t
crc_lanes(uint64_t *crc, const uint8_t *p, size_t len)
{
	size_t taken = 0;

	for (; len - taken >= 3 * LANE; taken += 3 * LANE)
	{
		const uint8_t *lane = p + taken;
		uint64_t a = *crc;
		uint64_t b = 0;
		uint64_t c = 0;

		for (size_t i = 0; i < LANE; i += 8)
		{
			a = __builtin_ia32_crc32di(a, load8(lane + i));
			b = __builtin_ia32_crc32di(b, load8(lane + LANE + i));
			c = __builtin_ia32_crc32di(c, load8(lane + 2 * LANE + i));
		}
		*crc = shift_lane(shift_lane(a) ^ b) ^ c;
	}
	return taken;
}

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = (uint32_t) ~crc;

	if (len >= 3 * LANE)
	{
		size_t taken;

		pthread_once(&lane_once, lane_fill_tables);
		taken = crc_lanes(&wide, p, len);
		p += taken;
		len -= taken;
	}
	for (; len >= 8; p += 8, len -= 8)
		wide = __builtin_ia32_crc32di(wide, load8(p));
	crc = (uint32_t) wide;
	for (; len > 0; p++, len--)
		crc = __builtin_ia32_crc32qi(crc, *p);
	return ~crc;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	/* the answer is read from a word that is filled before main() */
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, len);
	return crc32c_portable(crc, data, len);
}

#else

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_portable(crc, data, len);
}

#endif
