/*-------------------------------------------------------------------------
 *
 * digest.c
 *	  SHA-256 and MD5 by OpenSSL; hexadecimal and base64.
 *
 * A hash that could not be computed must never look like one that was: the
 * library calls here fail only when memory is exhausted or the library is
 * broken, and then the process stops, as base/mem.h has it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest_openssl.h"
#include "base/mem.h"

static void
require(bool done)
{
	if (!done)
		abort();
}

static void
load_library(void)
{
	Error why = ERROR_INIT;

	if (!digest_load_openssl(&why))
		mem_give_up(why.message);
}

/* ---- SHA-256 ---- */

struct Sha256
{
	SHA256_CTX ctx;
};

Sha256 *
sha256_new(void)
{
	Sha256 *h = mem_zalloc(sizeof(Sha256));

	load_library();
	require(SHA256_Init(&h->ctx) == 1);
	return h;
}

void
sha256_add(Sha256 *h, const void *data, size_t len)
{
	require(SHA256_Update(&h->ctx, data, len) == 1);
}

void
sha256_final(Sha256 *h, uint8_t out[SHA256_LEN])
{
	require(SHA256_Final(out, &h->ctx) == 1 && SHA256_Init(&h->ctx) == 1);
}

void
sha256_free(Sha256 *h)
{
	free(h);
}

void
sha256_once(const void *data, size_t len, uint8_t out[SHA256_LEN])
{
	SHA256_CTX ctx;

	load_library();
	require(SHA256_Init(&ctx) == 1 && SHA256_Update(&ctx, data, len) == 1 &&
			SHA256_Final(out, &ctx) == 1);
}

/* ---- MD5 ---- */

bool
md5_once(const void *data, size_t len, uint8_t out[MD5_LEN])
{
	load_library();
	return EVP_Digest(data, len, out, NULL, EVP_md5(), NULL) == 1;
}

/* ---- hexadecimal ---- */

void
hex_encode(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++)
	{
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

/* -1 if c is no lower-case digit; one form only, so that names are unique */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
hex_decode(const char *text, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return text[2 * len] == '\0';
}

/* ---- base64 ---- */

char *
base64_encode(const uint8_t *data, size_t len)
{
	char *text = mem_alloc((len + 2) / 3 * 4 + 1);

	load_library();
	EVP_EncodeBlock((unsigned char *) text, data, (int) len);
	return text;
}

/*
 * EVP_DecodeBlock() skips white space and counts padding as zero bytes: what
 * it made is encoded again, and only the same text is right.
 */
bool
base64_decode(const char *text, uint8_t **out, size_t *len)
{
	size_t chars = strlen(text);
	uint8_t *data = mem_alloc(chars + 1);
	int n;
	char *again;
	bool same;

	load_library();
	n = EVP_DecodeBlock(data, (const unsigned char *) text, (int) chars);
	if (n < 0 || chars % 4 != 0)
	{
		free(data);
		return false;
	}
	for (size_t i = chars; i > 0 && text[i - 1] == '=' && n > 0; i--)
		n--;
	again = base64_encode(data, (size_t) n);
	same = strcmp(again, text) == 0;
	explicit_bzero(again, strlen(again));
	free(again);
	if (!same)
	{
		explicit_bzero(data, chars);
		free(data);
		return false;
	}
	*out = data;
	*len = (size_t) n;
	return true;
}
