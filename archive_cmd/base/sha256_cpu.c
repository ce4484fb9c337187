/*-------------------------------------------------------------------------
 *
 * sha256_cpu.c
 *	  SHA-256 (FIPS 180-4) by the CPU's own instructions for it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/sha256_cpu.h"

#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define NEEDS __attribute__((target("sha,sse4.1")))

/* The first 32 bits of the fractions of the cube roots of the first primes. */
static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static bool can;

/*
 * Bit 29 of EBX in leaf 7, and SSE4.1, which came long before.  Asked once:
 * under a hypervisor CPUID takes its time.
 */
__attribute__((constructor)) static void
ask_cpu(void)
{
	unsigned int a;
	unsigned int b;
	unsigned int c;
	unsigned int d;

	__builtin_cpu_init();
	can = __builtin_cpu_supports("sse4.1") &&
		  __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
}

bool
sha256_cpu_can(void)
{
	return can;
}

NEEDS static __m128i
load_words(const uint8_t *p)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL,
											  0x0405060700010203LL);

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *) p), big_endian);
}

/* The next four words of the message schedule; w[0] are the oldest. */
NEEDS static __m128i
next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1),
								_mm_alignr_epi8(w3, w2, 4));

	return _mm_sha256msg2_epu32(sum, w3);
}

/*
 * The instructions have the eight words of the state in two registers, A B E F
 * and C D G H (highest first), and each does two rounds, after which they have
 * changed places.
 */
NEEDS static void
add_block(__m128i *abef, __m128i *cdgh, const uint8_t *p)
{
	__m128i x = *abef;
	__m128i y = *cdgh;
	__m128i w[4] = {load_words(p), load_words(p + 16), load_words(p + 32),
					load_words(p + 48)};

#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
	{
		__m128i m = _mm_add_epi32(w[i & 3],
								  _mm_loadu_si128((const __m128i *) &K[4 * i]));

		y = _mm_sha256rnds2_epu32(y, x, m);
		x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(m, 0x0e));
		if (i < 12)
			w[i & 3] = next_words(w[i & 3], w[(i + 1) & 3], w[(i + 2) & 3],
								  w[(i + 3) & 3]);
	}
	*abef = _mm_add_epi32(*abef, x);
	*cdgh = _mm_add_epi32(*cdgh, y);
}

NEEDS static void
add_blocks(uint32_t state[8], const uint8_t *p, size_t count)
{
	__m128i low = _mm_loadu_si128((const __m128i *) &state[0]);
	__m128i high = _mm_loadu_si128((const __m128i *) &state[4]);
	__m128i cdab = _mm_shuffle_epi32(low, 0xb1);
	__m128i efgh = _mm_shuffle_epi32(high, 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
	__m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

	for (; count > 0; count--, p += SHA256_BLOCK)
		add_block(&abef, &cdgh, p);
	low = _mm_shuffle_epi32(abef, 0x1b);
	high = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *) &state[0], _mm_blend_epi16(low, high, 0xf0));
	_mm_storeu_si128((__m128i *) &state[4], _mm_alignr_epi8(high, low, 8));
}

#else

bool
sha256_cpu_can(void)
{
	return false;
}

static void
add_blocks(uint32_t state[8], const uint8_t *p, size_t count)
{
	(void) state;
	(void) p;
	(void) count;
}

#endif

void
sha256_cpu_begin(Sha256Cpu *h)
{
	/* of the square roots of the first primes */
	static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
										0xa54ff53a, 0x510e527f, 0x9b05688c,
										0x1f83d9ab, 0x5be0cd19};

	memcpy(h->state, initial, sizeof(initial));
	h->len = 0;
}

void
sha256_cpu_add(Sha256Cpu *h, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t used = h->len % SHA256_BLOCK;
	size_t n;

	if (len == 0)
		return;
	h->len += len;
	if (used > 0)
	{
		n = SHA256_BLOCK - used < len ? SHA256_BLOCK - used : len;
		memcpy(h->block + used, p, n);
		if (used + n < SHA256_BLOCK)
			return;
		add_blocks(h->state, h->block, 1);
		p += n;
		len -= n;
	}
	add_blocks(h->state, p, len / SHA256_BLOCK);
	n = len % SHA256_BLOCK;
	if (n > 0)
		memcpy(h->block, p + len - n, n);
}

static void
put_be32(uint8_t *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t) (v >> (24 - 8 * i));
}

/* A one bit, zeros, and the number of bits in the last eight bytes. */
void
sha256_cpu_end(Sha256Cpu *h, uint8_t out[32])
{
	uint8_t padding[2 * SHA256_BLOCK] = {0x80};
	uint64_t bits = h->len * 8;
	size_t used = h->len % SHA256_BLOCK;
	size_t n = (used < SHA256_BLOCK - 8 ? SHA256_BLOCK : 2 * SHA256_BLOCK) -
			   used;

	put_be32(padding + n - 8, (uint32_t) (bits >> 32));
	put_be32(padding + n - 4, (uint32_t) bits);
	sha256_cpu_add(h, padding, n);
	for (int i = 0; i < 8; i++)
		put_be32(out + 4 * i, h->state[i]);
}
