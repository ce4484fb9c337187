/*-------------------------------------------------------------------------
 *
 * hash_test.c
 *	  SHA-256, content hash, CRC-32C, hexadecimal, against known answers.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "age_tools.h"
#include "stream/hash.h"

static const char *
sha_hex(Sha256 *h)
{
	static char hex[SHA256_HEX_LEN + 1];
	uint8_t sum[SHA256_LEN];

	sha256_final(h, sum);
	hex_encode(sum, sizeof(sum), hex);
	return hex;
}

static void
test_sha256(void)
{
	Sha256 *h = sha256_new();
	uint8_t once[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	is_str(sha_hex(h),
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		   "SHA-256 of nothing");
	sha256_add(h, "abc", 3);
	is_str(sha_hex(h),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		   "SHA-256 of abc, after a reset");
	for (int i = 0; i < 1000000; i++)
		sha256_add(h, "a", 1);
	is_str(sha_hex(h),
		   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
		   "SHA-256 of a million times a");
	sha256_once("abc", 3, once);
	hex_encode(once, sizeof(once), hex);
	is_str(hex,
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		   "SHA-256 at once");
	sha256_free(h);
	sha256_free(NULL);
}

static const char *
content_hex(ContentHash *h)
{
	static char hex[CONTENT_HEX_LEN + 1];
	uint8_t sum[CONTENT_LEN];

	content_hash_final(h, sum);
	hex_encode(sum, sizeof(sum), hex);
	return hex;
}

/* Of the key 00 01 .. 1f; these answers are part of the format for ever. */
static void
test_content_known(const ContentKey *key)
{
	static const struct
	{
		size_t len;
		const char *hex;
	} known[] = {
		{0, "51ff867e424bb5f543db5bb2756287eb"},
		{1, "8d68806872db24bf5b018338e0be6e0d"},
		{16, "8a0f2a325c81f0820ac3651ec75d3e06"},
		{200, "de16a09fb9459df2f1aabbc5a692cc60"},
		{240, "84bea0a267d350431a0dc215ee40da6f"},
		{241, "72340f6e0be9f8ee51e4c9facf16ef15"},
		{8192, "5737a015b844838f5f4a21c0056f19b1"},
		{100003, "8f75dfd7f4f0480cc8d72415780596fd"},
	};
	uint8_t *data = mem_alloc(100003);
	ContentHash *h = content_hash_new(key);
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	sha256_once(key->secret, sizeof(key->secret), sum);
	hex_encode(sum, sizeof(sum), hex);
	is_str(hex,
		   "efa6501a5e31a51e7d458fac72e89c6928a5b8adcd47e3f712baf80914a7bbe1",
		   "the key expands as it always did");
	fill_random(data, 100003, 7);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		char name[64];

		snprintf(name, sizeof(name), "content hash of %zu bytes", known[i].len);
		content_hash_add(h, data, known[i].len);
		is_str(content_hex(h), known[i].hex, name);
	}
	content_hash_free(h);
	content_hash_free(NULL);
	free(data);
}

static void
test_content_pieces(const ContentKey *key)
{
	const size_t len = 70000;
	uint8_t *data = mem_alloc(len);
	ContentHash *h = content_hash_new(key);
	char whole[CONTENT_HEX_LEN + 1];
	bool same = true;

	fill_random(data, len, 8);
	content_hash_add(h, data, len);
	snprintf(whole, sizeof(whole), "%s", content_hex(h));
	for (size_t piece = 1; piece < 3000; piece += 37)
	{
		for (size_t at = 0; at < len; at += piece)
			content_hash_add(h, data + at, len - at < piece ? len - at : piece);
		same = same && strcmp(content_hex(h), whole) == 0;
	}
	ok(same, "the content hash does not depend on the pieces");
	content_hash_add(h, data, len - 1);
	ok(strcmp(content_hex(h), whole) != 0, "it depends on the length");
	data[len / 2] ^= 1;
	content_hash_add(h, data, len);
	ok(strcmp(content_hex(h), whole) != 0, "it depends on each bit");
	content_hash_free(h);
	free(data);
}

static void
test_content_key(const ContentKey *key)
{
	ContentKey other;
	uint8_t bytes[CONTENT_KEY_LEN] = {0};
	ContentHash *a = content_hash_new(key);
	ContentHash *b;
	char hex[CONTENT_HEX_LEN + 1];

	content_key_expand(bytes, &other);
	b = content_hash_new(&other);
	content_hash_add(a, "same", 4);
	content_hash_add(b, "same", 4);
	snprintf(hex, sizeof(hex), "%s", content_hex(a));
	ok(strcmp(hex, content_hex(b)) != 0, "it depends on the key");
	content_hash_free(a);
	content_hash_free(b);
}

#define BIG 50000

static void
test_crc32c(void)
{
	uint8_t zeros[32] = {0};
	uint8_t ones[32];
	uint8_t data[300];
	uint8_t *big = mem_alloc(BIG + 8);
	bool same = true;

	fill_random(big, BIG + 8, 3);
	memset(ones, 0xff, sizeof(ones));
	is_int(crc32c(0, "123456789", 9), 0xe3069283, "CRC-32C check value");
	is_int(crc32c(0, zeros, 32), 0x8a9136aa, "CRC-32C of zeros");
	is_int(crc32c(0, ones, 32), 0x62a8ab43, "CRC-32C of ones");
	is_int(crc32c_portable(0, "123456789", 9), 0xe3069283, "CRC-32C by tables");
	is_int(crc32c(crc32c(0, "12345", 5), "6789", 4), 0xe3069283,
		   "CRC-32C in two pieces");
	fill_random(data, sizeof(data), 9);
	for (size_t at = 0; at < 16; at++)
	{
		for (size_t len = 0; len + at <= sizeof(data); len++)
			same = same && crc32c(5, data + at, len) ==
							   crc32c_portable(5, data + at, len);
	}
	ok(same, "both ways agree at any alignment and length");
	same = true;
	for (size_t len = 6100; len < BIG; len += 611)
		same = same && crc32c(7, big + len % 9, len) ==
						   crc32c_portable(7, big + len % 9, len);
	ok(same, "and where lanes are computed side by side");
	free(big);
}

static void
test_stages(const ContentKey *key)
{
	Error err = ERROR_INIT;
	StrBuf out = STRBUF_INIT;
	Sha256 *sha = sha256_new();
	ContentHash *content = content_hash_new(key);
	ContentHash *direct = content_hash_new(key);
	char hex[CONTENT_HEX_LEN + 1];
	uint64_t before = 0;
	uint64_t after = 0;
	Stage *sink = stage_sink_buffer(&out, 100);
	Stage *second = stage_sha256(sha, &after, sink);
	Stage *first = stage_content_hash(content, &before, second);

	ok(feed(first, "abc", 3, 2, &err), "the stages pass bytes");
	ok(same_bytes(&out, "abc", 3), "unchanged");
	is_int((int64_t) before, 3, "the first counted them");
	is_int((int64_t) after, 3, "the second, too");
	is_str(sha_hex(sha),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		   "the stage's SHA-256");
	content_hash_add(direct, "abc", 3);
	snprintf(hex, sizeof(hex), "%s", content_hex(direct));
	is_str(content_hex(content), hex, "the stage's content hash");
	stage_free(first);
	stage_free(second);
	stage_free(sink);
	sha256_free(sha);
	content_hash_free(content);
	content_hash_free(direct);
	strbuf_free(&out);
}

static void
test_hex(void)
{
	uint8_t bytes[3] = {0x00, 0x9a, 0xff};
	uint8_t back[3];
	char hex[7];

	hex_encode(bytes, 3, hex);
	is_str(hex, "009aff", "hex");
	ok(hex_decode(hex, back, 3) && memcmp(back, bytes, 3) == 0, "and back");
	ok(!hex_decode("009aFF", back, 3), "upper case is refused");
	ok(!hex_decode("009af", back, 3), "short text is refused");
	ok(!hex_decode("009a", back, 3), "shorter text is refused");
	ok(!hex_decode("009aff0", back, 3), "long text is refused");
	ok(!hex_decode("009ag0", back, 3), "other letters are refused");
	ok(hex_decode("", back, 0), "nothing is nothing");
}

int
main(void)
{
	uint8_t bytes[CONTENT_KEY_LEN];
	ContentKey key;

	for (int i = 0; i < CONTENT_KEY_LEN; i++)
		bytes[i] = (uint8_t) i;
	content_key_expand(bytes, &key);
	test_sha256();
	test_content_known(&key);
	test_content_pieces(&key);
	test_content_key(&key);
	test_crc32c();
	test_stages(&key);
	test_hex();
	return done_testing();
}
