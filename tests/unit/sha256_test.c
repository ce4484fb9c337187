/*-------------------------------------------------------------------------
 *
 * sha256_test.c
 *	  SHA-256 and HMAC, whoever computes them, are those of the standards and
 *	  those of OpenSSL.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/digest_openssl.h"
#include "base/mem.h"
#include "base/sha256_cpu.h"
#include "tap.h"

#define ROUNDS 1200
#define MOST 5000

static void
sha_is(const char *text, size_t times, const char *expected)
{
	Sha256 *h = sha256_new();
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	for (size_t i = 0; i < times; i++)
		sha256_add(h, text, strlen(text));
	sha256_final(h, sum);
	hex_encode(sum, sizeof(sum), hex);
	is_str(hex, expected, text);
	/* it begins anew after that */
	sha256_add(h, "abc", 3);
	sha256_final(h, sum);
	hex_encode(sum, 4, hex);
	is_str(hex, "ba7816bf", "and then another one");
	sha256_free(h);
}

/* FIPS 180-4's examples. */
static void
test_standard(void)
{
	sha_is("", 1,
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha_is("abc", 1,
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	sha_is("a", 1000000,
		   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void
hmac_is(const char *key, const char *data, const char *expected)
{
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	hmac_sha256((const uint8_t *) key, strlen(key), data, strlen(data), sum);
	hex_encode(sum, sizeof(sum), hex);
	is_str(hex, expected, "HMAC");
}

/* RFC 4231, cases 2, 6 and 7. */
static void
test_hmac(void)
{
	char key[132] = {0};

	memset(key, 0xaa, 131);
	hmac_is("Jefe", "what do ya want for nothing?",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_is(key, "Test Using Larger Than Block-Size Key - Hash Key First",
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_is(key,
			"This is a test using a larger than block-size key and a larger "
			"than block-size data. The key needs to be hashed before being "
			"used by the HMAC algorithm.",
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* In pieces of any size, as the stages bring them. */
static bool
pieces_agree(const uint8_t *data, size_t len)
{
	uint8_t expected[SHA256_LEN];
	uint8_t got[SHA256_LEN];
	Sha256 *h = sha256_new();

	for (size_t at = 0; at < len;)
	{
		size_t n = (size_t) (rand() % 200);

		n = n < len - at ? n : len - at;
		sha256_add(h, data + at, n);
		at += n;
	}
	sha256_final(h, got);
	sha256_free(h);
	EVP_Digest(data, len, expected, NULL, EVP_sha256(), NULL);
	if (memcmp(got, expected, sizeof(got)) != 0)
		return false;
	sha256_once(data, len, got);
	return memcmp(got, expected, sizeof(got)) == 0;
}

static bool
hmacs_agree(const uint8_t *data, size_t len)
{
	size_t key_len = len % 150;
	uint8_t expected[SHA256_LEN];
	uint8_t got[SHA256_LEN];
	unsigned int out_len = sizeof(expected);

	hmac_sha256(data, key_len, data, len, got);
	HMAC(EVP_sha256(), data, (int) key_len, data, len, expected, &out_len);
	return memcmp(got, expected, sizeof(got)) == 0;
}

static void
test_openssl(void)
{
	uint8_t *data = mem_alloc(MOST);
	Error err = ERROR_INIT;
	int bad = 0;
	int bad_hmac = 0;

	ok(digest_load_openssl(&err), "OpenSSL is there to compare with");
	for (size_t i = 0; i < MOST; i++)
		data[i] = (uint8_t) rand();
	for (size_t len = 0; len < ROUNDS; len++)
	{
		size_t n = len < 300 ? len : (size_t) (rand() % MOST);

		bad += !pieces_agree(data, n);
		bad_hmac += !hmacs_agree(data, n);
	}
	printf("# by the CPU: %s\n", sha256_cpu_can() ? "yes" : "no");
	is_int(bad, 0, "the hashes are those of OpenSSL");
	is_int(bad_hmac, 0, "and so are the HMACs");
	free(data);
}

int
main(void)
{
	srand(20261129);
	test_standard();
	test_hmac();
	test_openssl();
	return done_testing();
}
