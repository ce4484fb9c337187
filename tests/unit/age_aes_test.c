/*-------------------------------------------------------------------------
 *
 * age_aes_test.c
 *	  AES-256-GCM: the vectors of its specification, payloads of all lengths
 *	  around a chunk, ranges, every kind of damage, and what was written once.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "base/digest.h"
#include "base/digest_aes.h"
#include "base/file.h"
#include "stream/age.h"
#include "tap.h"

#define STORED (AGE_CHUNK + AGE_TAG)

/* ---- the cipher ---- */

static void
test_vector(const char *plain_hex, const char *sealed_hex)
{
	uint8_t key[AES_GCM_KEY] = {0};
	uint8_t nonce[AES_GCM_NONCE] = {0};
	uint8_t plain[64];
	uint8_t sealed[64 + AES_GCM_TAG];
	uint8_t opened[64];
	char hex[2 * sizeof(sealed) + 1];
	size_t len = strlen(plain_hex) / 2;
	Error err = ERROR_INIT;
	AesGcm *seal = aes_gcm_new(key, true, &err);
	AesGcm *open = aes_gcm_new(key, false, &err);
	bool authentic;

	hex_decode(plain_hex, plain, len);
	ok(aes_gcm_seal(seal, nonce, plain, len, sealed, &err), "sealed");
	hex_encode(sealed, len + AES_GCM_TAG, hex);
	is_str(hex, sealed_hex, "as the specification has it");
	ok(aes_gcm_open(open, nonce, sealed, len + AES_GCM_TAG, opened, &authentic,
					&err) &&
		   authentic && memcmp(opened, plain, len) == 0,
	   "and opened");
	sealed[0] ^= 1;
	ok(aes_gcm_open(open, nonce, sealed, len + AES_GCM_TAG, opened, &authentic,
					&err) &&
		   !authentic,
	   "a bit of it changed is not authentic");
	ok(aes_gcm_open(open, nonce, sealed, AES_GCM_TAG - 1, opened, &authentic,
					&err) &&
		   !authentic,
	   "nor is what is shorter than a tag");
	aes_gcm_free(seal);
	aes_gcm_free(open);
	error_clear(&err);
}

/* ---- the payload ---- */

static AgeRecipients recipients;
static AgeIdentities *identities;

static void
make_keys(void)
{
	Error err = ERROR_INIT;
	AgeRecipient key;
	char text[AGE_RECIPIENT_TEXT];
	char *secret;

	identities = age_identities_new();
	if (!age_identity_generate(&secret, &key, &err) ||
		!age_identities_add_text(identities, secret, strlen(secret), &err))
		abort();
	age_secret_free(secret);
	age_recipient_text(&key, text);
	age_recipient_add(&recipients, text, &err);
}

static char *
sample(size_t len)
{
	char *data = mem_alloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (char) (i * 31 + i / 251);
	return data;
}

static void
encrypt(const char *data, size_t len, StrBuf *out)
{
	Error err = ERROR_INIT;
	AgeWriter *w = age_writer_new_aes(&recipients, "note", 5, &err);
	size_t head = age_writer_header_len(w);
	uint8_t *bytes = mem_alloc(head);
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *stage = stage_age_encrypt(w, sink);

	if (!age_writer_header(w, "hello", bytes, &err))
		abort();
	strbuf_add(out, bytes, head);
	/* in pieces that fit nothing */
	for (size_t at = 0; at < len; at += 10007)
		stage_write(stage, data + at, len - at < 10007 ? len - at : 10007,
					&err);
	ok(stage_finish(stage, &err), "%zu bytes are encrypted", len);
	stage_free(stage);
	stage_free(sink);
	age_writer_free(w);
	free(bytes);
	error_clear(&err);
}

static ErrCode
decrypt(const StrBuf *file, StrBuf *out)
{
	Error err = ERROR_INIT;
	ErrCode code;

	strbuf_reset(out);
	age_decrypt_buffer(identities, file->data, file->len, out, &err);
	code = err.code;
	error_clear(&err);
	return code;
}

static void
test_length(size_t len)
{
	char *data = sample(len);
	StrBuf file = STRBUF_INIT;
	StrBuf back = STRBUF_INIT;

	encrypt(data, len, &file);
	ok(strncmp(file.data, "pgdr-aes-256-gcm/v1\n", 20) == 0,
	   "it says what it is");
	is_int(decrypt(&file, &back), ERR_NONE, "it opens");
	ok(back.len == len && (len == 0 || memcmp(back.data, data, len) == 0),
	   "as what it was");
	file.data[file.len - 1] ^= 1;
	is_int(decrypt(&file, &back), ERR_DAMAGED, "the last byte counts");
	file.data[file.len - 1] ^= 1;
	file.len -= AGE_TAG + 1;
	is_int(decrypt(&file, &back), ERR_DAMAGED, "truncation shows");
	strbuf_free(&file);
	strbuf_free(&back);
	free(data);
}

/* Whole chunks are exchanged, left out, and taken for another cipher's. */
static void
test_order(void)
{
	size_t len = 3 * AGE_CHUNK;
	char *data = sample(len);
	StrBuf file = STRBUF_INIT;
	StrBuf back = STRBUF_INIT;
	char *chunk = mem_alloc(STORED);
	char *first;

	encrypt(data, len, &file);
	first = file.data + file.len - 3 * STORED;
	memcpy(chunk, first, STORED);
	memmove(first, first + STORED, STORED);
	memcpy(first + STORED, chunk, STORED);
	is_int(decrypt(&file, &back), ERR_DAMAGED, "chunks in another order");
	memmove(first + STORED, first, STORED);
	memcpy(first, chunk, STORED);
	is_int(decrypt(&file, &back), ERR_NONE, "and in theirs");
	file.len -= STORED;
	is_int(decrypt(&file, &back), ERR_DAMAGED, "without the last one");
	file.len += STORED;
	memmove(file.data + 2, file.data, 20);
	is_int(decrypt(&file, &back), ERR_DAMAGED, "another version line");
	strbuf_free(&file);
	strbuf_free(&back);
	free(chunk);
	free(data);
}

static void
test_range(void)
{
	size_t len = 3 * AGE_CHUNK + 100;
	char *data = sample(len);
	StrBuf file = STRBUF_INIT;
	StrBuf back = STRBUF_INIT;
	Error err = ERROR_INIT;
	AgeHeader header = {0};
	AgeFileKey *key;
	Stage *sink = stage_sink_buffer(&back, SIZE_MAX);
	Stage *stage;
	const uint8_t *payload;
	bool more;

	encrypt(data, len, &file);
	ok(age_header_parse((const uint8_t *) file.data, file.len, &header, &more,
						&err),
	   "the header is read");
	is_int(header.cipher, AGE_AES_256_GCM, "and the cipher known");
	key = age_unwrap(&header, (const uint8_t *) file.data, identities, &err);
	payload = (const uint8_t *) file.data + header.len;
	stage = stage_age_decrypt_range(key, payload, 1, sink);
	ok(stage_write(stage, payload + AGE_NONCE + STORED, STORED, &err) &&
		   stage_finish(stage, &err),
	   "a chunk in the middle is read alone");
	ok(back.len == AGE_CHUNK &&
		   memcmp(back.data, data + AGE_CHUNK, AGE_CHUNK) == 0,
	   "and is right");
	stage_free(stage);
	stage_free(sink);
	age_file_key_free(key);
	age_header_free(&header);
	strbuf_free(&file);
	strbuf_free(&back);
	error_clear(&err);
	free(data);
}

/* ---- written once, read for ever ---- */

static void
test_kept(const char *dir)
{
	char *key = mem_printf("%s/identity.txt", dir);
	char *path = mem_printf("%s/three-chunks.age", dir);
	AgeIdentities *ids = age_identities_new();
	StrBuf text = STRBUF_INIT;
	StrBuf file = STRBUF_INIT;
	StrBuf back = STRBUF_INIT;
	char *data = sample(150000);
	Error err = ERROR_INIT;

	ok(file_slurp(key, 1000, &text, &err) &&
		   age_identities_add_text(ids, text.data, text.len, &err) &&
		   file_slurp(path, 1000000, &file, &err) &&
		   age_decrypt_buffer(ids, file.data, file.len, &back, &err),
	   "the vector opens");
	ok(back.len == 150000 && memcmp(back.data, data, back.len) == 0,
	   "with its content");
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	age_identities_free(ids);
	strbuf_free(&text);
	strbuf_free(&file);
	strbuf_free(&back);
	free(data);
	free(key);
	free(path);
}

int
main(int argc, char **argv)
{
	static const size_t lengths[] = {
		0, 1, AGE_CHUNK - 1, AGE_CHUNK, AGE_CHUNK + 1, 2 * AGE_CHUNK, 200000};
	const char *tests = getenv("TESTDIR");
	char *dir = mem_printf("%s/tests/vectors/aes", tests ? tests : ".");
	Error err = ERROR_INIT;

	(void) argc;
	(void) argv;
	if (!age_init(&err))
		return 1;
	/* of McGrew and Viega's specification: test cases 13 and 14 */
	test_vector("", "530f8afbc74536b9a963b4f1c4cb738b");
	test_vector("00000000000000000000000000000000",
				"cea7403d4d606b6e074ec5d3baf39d18"
				"d0d1c8a799996bf0265b98b5d48ab919");
	make_keys();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		test_length(lengths[i]);
	test_order();
	test_range();
	test_kept(dir);
	age_identities_free(identities);
	age_recipients_free(&recipients);
	free(dir);
	return done_testing();
}
