/*-------------------------------------------------------------------------
 *
 * age_bech32.c
 *	  Bech32 (BIP 173) of 32-byte keys, as age writes them.
 *
 * The length is known from the prefix, so there is nothing to search for, and
 * a text of another length is refused before anything else.  BIP 173 allows
 * either case; age uses one for each kind of key, and so do we.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <string.h>

static const char lower_set[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char upper_set[] = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

static const char *
charset_of(const char *hrp)
{
	return hrp[0] >= 'A' && hrp[0] <= 'Z' ? upper_set : lower_set;
}

/* One step of the checksum, a division by a polynomial over GF(32). */
static uint32_t
polymod(uint32_t sum, uint8_t value)
{
	static const uint32_t generator[5] = {
		0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3,
	};
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (int i = 0; i < 5; i++)
	{
		if (top >> i & 1)
			sum ^= generator[i];
	}
	return sum;
}

/* The checksum is always that of the lower-case prefix. */
static uint32_t
polymod_hrp(const char *hrp)
{
	uint32_t sum = 1;

	for (const char *p = hrp; *p; p++)
	{
		uint8_t c = (uint8_t) (*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);

		sum = polymod(sum, c >> 5);
	}
	sum = polymod(sum, 0);
	for (const char *p = hrp; *p; p++)
		sum = polymod(sum, *p & 31);
	return sum;
}

/* Five bits at position i of 52; the last one is padded with four zeros. */
static uint8_t
group_at(const uint8_t in[AGE_KEY_LEN], size_t i)
{
	size_t bit = 5 * i;
	uint32_t two = (uint32_t) in[bit / 8] << 8;

	if (bit / 8 + 1 < AGE_KEY_LEN)
		two |= in[bit / 8 + 1];
	return two >> (11 - bit % 8) & 31;
}

void
age_bech32_encode(const char *hrp, const uint8_t in[AGE_KEY_LEN], char *out)
{
	const char *set = charset_of(hrp);
	uint32_t sum = polymod_hrp(hrp);
	size_t n = strlen(hrp);

	memcpy(out, hrp, n);
	out[n++] = '1';
	for (size_t i = 0; i < AGE_BECH32_DATA; i++)
	{
		uint8_t group = group_at(in, i);

		sum = polymod(sum, group);
		out[n++] = set[group];
	}
	for (int i = 0; i < AGE_BECH32_SUM; i++)
		sum = polymod(sum, 0);
	sum ^= 1;
	for (int i = 0; i < AGE_BECH32_SUM; i++)
		out[n++] = set[sum >> 5 * (AGE_BECH32_SUM - 1 - i) & 31];
	out[n] = '\0';
}

static bool
decode_groups(const char *hrp, const char *text,
			  uint8_t groups[AGE_BECH32_DATA])
{
	const char *set = charset_of(hrp);
	uint32_t sum = polymod_hrp(hrp);

	for (size_t i = 0; i < AGE_BECH32_DATA + AGE_BECH32_SUM; i++)
	{
		const char *at = text[i] ? strchr(set, text[i]) : NULL;

		if (!at)
			return false;
		sum = polymod(sum, (uint8_t) (at - set));
		if (i < AGE_BECH32_DATA)
			groups[i] = (uint8_t) (at - set);
	}
	return sum == 1;
}

static bool
join_groups(const uint8_t groups[AGE_BECH32_DATA], uint8_t out[AGE_KEY_LEN])
{
	uint32_t acc = 0;
	int bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < AGE_BECH32_DATA; i++)
	{
		acc = (acc << 5 | groups[i]) & 0xfff;
		bits += 5;
		if (bits >= 8)
		{
			bits -= 8;
			out[n++] = (uint8_t) (acc >> bits);
		}
	}
	/* padding that is not zero would be a second form of the same key */
	return (acc & ((1u << bits) - 1)) == 0;
}

bool
age_bech32_decode(const char *hrp, const char *text, size_t len,
				  uint8_t out[AGE_KEY_LEN])
{
	size_t n = strlen(hrp);
	uint8_t groups[AGE_BECH32_DATA];
	bool good;

	if (len != n + 1 + AGE_BECH32_DATA + AGE_BECH32_SUM ||
		memcmp(text, hrp, n) != 0 || text[n] != '1')
		return false;
	good = decode_groups(hrp, text + n + 1, groups) && join_groups(groups, out);
	sodium_memzero(groups, sizeof(groups));
	if (!good)
		sodium_memzero(out, AGE_KEY_LEN);
	return good;
}
