/*-------------------------------------------------------------------------
 *
 * age_payload_test.c
 *	  Payloads of every length around the chunks, whole and in ranges, and
 *	  damaged in every way.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "age_tools.h"

#define STORED_CHUNK (AGE_CHUNK + AGE_TAG)

typedef struct Keys
{
	AgeIdentities *ids;
	AgeRecipients to;
	char *text;
} Keys;

static Keys
keys_new(void)
{
	Keys k = {0};
	AgeRecipient r;

	k.ids = new_identity(&k.text, &r);
	add_recipient(&k.to, &r);
	return k;
}

static void
keys_free(Keys *k)
{
	age_identities_free(k->ids);
	age_recipients_free(&k->to);
	age_secret_free(k->text);
}

/* The code of the error, or ERR_NONE; a failure must have one. */
static ErrCode
decrypt(const Keys *k, const void *data, size_t len, StrBuf *out)
{
	Error err = ERROR_INIT;
	ErrCode code;

	strbuf_reset(out);
	if (!age_decrypt_buffer(k->ids, data, len, out, &err) &&
		!error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	code = err.code;
	error_clear(&err);
	return code;
}

/* An opened file, for tests of the payload alone. */
typedef struct Opened
{
	StrBuf file;
	AgeFileKey *key;
	const uint8_t *nonce;
	const uint8_t *chunks;
	size_t chunks_len;
} Opened;

static bool
open_file(const Keys *k, const void *data, size_t len, Opened *o)
{
	AgeHeader h;
	Error err = ERROR_INIT;
	bool need_more;

	*o = (Opened){0};
	if (!make_age_file(&k->to, NULL, data, len, &o->file) ||
		!age_header_parse((uint8_t *) o->file.data, o->file.len, &h, &need_more,
						  &err))
		return false;
	o->key = age_unwrap(&h, (uint8_t *) o->file.data, k->ids, &err);
	o->nonce = (uint8_t *) o->file.data + h.len;
	o->chunks = o->nonce + AGE_NONCE;
	o->chunks_len = o->file.len - h.len - AGE_NONCE;
	age_header_free(&h);
	return o->key != NULL;
}

static void
close_file(Opened *o)
{
	age_file_key_free(o->key);
	strbuf_free(&o->file);
}

/* ---- round trips ---- */

/* Encrypts at once, decrypts in pieces. */
static bool
read_in_pieces(const Keys *k, const uint8_t *data, size_t len, size_t piece)
{
	Error err = ERROR_INIT;
	StrBuf got = STRBUF_INIT;
	Opened o;
	size_t chunks = len == 0 ? 1 : (len + AGE_CHUNK - 1) / AGE_CHUNK;
	bool good = open_file(k, data, len, &o) &&
				o.chunks_len == len + AGE_TAG * chunks;
	Stage *sink = stage_sink_buffer(&got, SIZE_MAX);
	Stage *age = stage_age_decrypt(o.key, sink);

	good = good && feed(age, o.nonce, o.chunks_len + AGE_NONCE, piece, &err) &&
		   same_bytes(&got, data, len);
	stage_free(age);
	stage_free(sink);
	close_file(&o);
	strbuf_free(&got);
	if (!good)
		printf("# %zu bytes by %zu: %s\n", len, piece, err.message);
	error_clear(&err);
	return good;
}

/* Encrypts in pieces, decrypts at once. */
static bool
write_in_pieces(const Keys *k, const uint8_t *data, size_t len, size_t piece)
{
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	AgeWriter *w = age_writer_new(&k->to, NULL, 0, &err);
	Stage *sink = stage_sink_buffer(&file, SIZE_MAX);
	Stage *age = stage_age_encrypt(w, sink);
	uint8_t *header = mem_alloc(age_writer_header_len(w));
	bool good = age_writer_header(w, NULL, header, &err);

	strbuf_add(&file, header, age_writer_header_len(w));
	good = good && feed(age, data, len, piece, &err) &&
		   decrypt(k, file.data, file.len, &got) == ERR_NONE &&
		   same_bytes(&got, data, len);
	stage_free(age);
	stage_free(sink);
	age_writer_free(w);
	free(header);
	strbuf_free(&file);
	strbuf_free(&got);
	error_clear(&err);
	return good;
}

static void
test_round_trips(const Keys *k)
{
	static const size_t sizes[] = {
		0,      1,      15,     16,     17,      65535,  65536, 65537,
		131071, 131072, 131073, 196608, 1000000, 262144, 99,    70001,
	};
	static const size_t pieces[] = {0,     1000,  65535, 65536,
									65537, 65552, 200000};
	uint8_t *data = mem_alloc(1000000);

	fill_random(data, 1000000, 21);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		bool good = true;

		for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++)
			good = good && read_in_pieces(k, data, sizes[i], pieces[j]) &&
				   write_in_pieces(k, data, sizes[i], pieces[j]);
		ok(good, "%zu bytes, in any pieces", sizes[i]);
	}
	ok(read_in_pieces(k, data, 65537, 1) && write_in_pieces(k, data, 65537, 1),
	   "byte by byte");
	free(data);
}

/* Two payloads of one writer must not share a nonce. */
static void
test_nonce_is_fresh(const Keys *k)
{
	Error err = ERROR_INIT;
	StrBuf a = STRBUF_INIT;
	StrBuf b = STRBUF_INIT;
	AgeWriter *w = age_writer_new(&k->to, NULL, 0, &err);
	Stage *sink_a = stage_sink_buffer(&a, 1000);
	Stage *sink_b = stage_sink_buffer(&b, 1000);
	Stage *age_a = stage_age_encrypt(w, sink_a);
	Stage *age_b = stage_age_encrypt(w, sink_b);

	ok(feed(age_a, "same", 4, 0, &err) && feed(age_b, "same", 4, 0, &err),
	   "two payloads of one writer");
	ok(memcmp(a.data, b.data, AGE_NONCE) != 0, "have two nonces");
	stage_free(age_a);
	stage_free(age_b);
	stage_free(sink_a);
	stage_free(sink_b);
	age_writer_free(w);
	strbuf_free(&a);
	strbuf_free(&b);
}

/* ---- ranges ---- */

/* Decodes `chunks` bytes of stored payload from chunk `first` on. */
static ErrCode
decrypt_range(const Opened *o, uint64_t first, const void *stored, size_t len,
			  StrBuf *out)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *age = stage_age_decrypt_range(o->key, o->nonce, first, sink);
	ErrCode code;

	strbuf_reset(out);
	if (!feed(age, stored, len, 10000, &err) && !error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	code = err.code;
	stage_free(age);
	stage_free(sink);
	error_clear(&err);
	return code;
}

/* From chunk first to before chunk stop; both count to the end at most. */
static bool
range_is(const Opened *o, const uint8_t *data, size_t len, size_t first,
		 size_t stop)
{
	size_t from = first * STORED_CHUNK;
	size_t to = stop * STORED_CHUNK;
	size_t plain_from = first * AGE_CHUNK;
	size_t plain_to = stop * AGE_CHUNK;
	StrBuf out = STRBUF_INIT;
	bool good;

	if (to > o->chunks_len)
		to = o->chunks_len;
	if (plain_to > len)
		plain_to = len;
	good = decrypt_range(o, first, o->chunks + from, to - from, &out) ==
			   ERR_NONE &&
		   same_bytes(&out, data + plain_from, plain_to - plain_from);
	strbuf_free(&out);
	return good;
}

static void
test_ranges(const Keys *k, size_t len)
{
	uint8_t *data = mem_alloc(len + 1);
	size_t chunks = len == 0 ? 1 : (len + AGE_CHUNK - 1) / AGE_CHUNK;
	Opened o;
	StrBuf out = STRBUF_INIT;
	bool good = true;

	fill_random(data, len, 22);
	ok(open_file(k, data, len, &o), "a file of %zu bytes", len);
	for (size_t first = 0; first < chunks; first++)
	{
		for (size_t stop = first + 1; stop <= chunks; stop++)
			good = good && range_is(&o, data, len, first, stop);
	}
	ok(good, "any range of its %zu chunks", chunks);
	ok(decrypt_range(&o, 1, o.chunks, o.chunks_len, &out) == ERR_DAMAGED,
	   "chunks under another number are refused");
	ok(decrypt_range(&o, 0, o.chunks, o.chunks_len - 1, &out) == ERR_DAMAGED,
	   "a range that ends inside a chunk is refused");
	ok(decrypt_range(&o, 0, o.chunks, 0, &out) == ERR_DAMAGED,
	   "an empty range is refused");
	close_file(&o);
	strbuf_free(&out);
	free(data);
}

/* ---- damage ---- */

/* A small file with everything a header can have. */
static void
make_small(const Keys *k, const Keys *other, StrBuf *file)
{
	AgeRecipients to = {0};
	AgeRecipient r;

	age_identity_recipient(other->ids, 0, &r);
	add_recipient(&to, &r);
	age_identity_recipient(k->ids, 0, &r);
	add_recipient(&to, &r);
	ok(make_age_file(&to, "{\"name\":\"000000010000000000000001\"}",
					 "twenty bytes of text", 20, file),
	   "a small file of %zu bytes", file->len);
	age_recipients_free(&to);
}

static void
test_bit_flips(const Keys *k, const Keys *other)
{
	StrBuf file = STRBUF_INIT;
	StrBuf out = STRBUF_INIT;
	size_t refused = 0;

	make_small(k, other, &file);
	for (size_t bit = 0; bit < 8 * file.len; bit++)
	{
		ErrCode code;

		file.data[bit / 8] = (char) (file.data[bit / 8] ^ 1 << bit % 8);
		code = decrypt(k, file.data, file.len, &out);
		file.data[bit / 8] = (char) (file.data[bit / 8] ^ 1 << bit % 8);
		if ((code == ERR_DAMAGED || code == ERR_KEY) && out.len == 0)
			refused++;
		else
			printf("# bit %zu of byte %zu: code %d\n", bit % 8, bit / 8, code);
	}
	is_int((int64_t) refused, (int64_t) (8 * file.len),
		   "each bit counts: nothing comes out of a changed file");
	strbuf_free(&file);
	strbuf_free(&out);
}

static void
test_truncation(const Keys *k, const Keys *other)
{
	StrBuf file = STRBUF_INIT;
	StrBuf out = STRBUF_INIT;
	size_t refused = 0;

	make_small(k, other, &file);
	for (size_t len = 0; len < file.len; len++)
	{
		/* a copy of exact size lets a sanitizer see a read past its end */
		char *copy = mem_alloc(len ? len : 1);

		memcpy(copy, file.data, len);
		if (decrypt(k, copy, len, &out) == ERR_DAMAGED && out.len == 0)
			refused++;
		free(copy);
	}
	is_int((int64_t) refused, (int64_t) file.len,
		   "a truncated file is refused, wherever it stops");
	is_int(decrypt(k, file.data, file.len, &out), ERR_NONE,
		   "while the whole is not");
	strbuf_add(&file, "x", 1);
	is_int(decrypt(k, file.data, file.len, &out), ERR_DAMAGED,
		   "a byte after the end is refused");
	strbuf_free(&file);
	strbuf_free(&out);
}

/* Changes among whole chunks: each passes its own test elsewhere. */
static void
test_chunk_games(const Keys *k)
{
	const size_t len = 3 * AGE_CHUNK;
	uint8_t *data = mem_alloc(len);
	StrBuf file = STRBUF_INIT;
	StrBuf changed = STRBUF_INIT;
	StrBuf out = STRBUF_INIT;
	size_t at;

	fill_random(data, len, 23);
	make_age_file(&k->to, NULL, data, len, &file);
	at = file.len - 3 * STORED_CHUNK;
	is_int(decrypt(k, file.data, file.len, &out), ERR_NONE, "three chunks");
	for (int n = 0; n < 3; n++)
		ok(decrypt(k, file.data, at + (size_t) n * STORED_CHUNK, &out) ==
			   ERR_DAMAGED,
		   "only %d of them are refused", n);
	strbuf_add(&changed, file.data, at);
	strbuf_add(&changed, file.data + at + STORED_CHUNK, STORED_CHUNK);
	strbuf_add(&changed, file.data + at, STORED_CHUNK);
	strbuf_add(&changed, file.data + at + 2 * STORED_CHUNK, STORED_CHUNK);
	ok(decrypt(k, changed.data, changed.len, &out) == ERR_DAMAGED &&
		   out.len == 0,
	   "exchanged chunks are refused");
	strbuf_add(&file, file.data + at + 2 * STORED_CHUNK, STORED_CHUNK);
	is_int(decrypt(k, file.data, file.len, &out), ERR_DAMAGED,
		   "the last chunk twice is refused");
	strbuf_free(&file);
	strbuf_free(&changed);
	strbuf_free(&out);
	free(data);
}

static void
test_recipients(const Keys *k, const Keys *other)
{
	StrBuf file = STRBUF_INIT;
	StrBuf out = STRBUF_INIT;
	Keys third = keys_new();

	make_small(k, other, &file);
	is_int(decrypt(k, file.data, file.len, &out), ERR_NONE, "one recipient");
	ok(same_bytes(&out, "twenty bytes of text", 20), "reads the text");
	is_int(decrypt(other, file.data, file.len, &out), ERR_NONE, "the other");
	ok(same_bytes(&out, "twenty bytes of text", 20), "reads it, too");
	is_int(decrypt(&third, file.data, file.len, &out), ERR_KEY,
		   "a stranger has no key");
	keys_free(&third);
	strbuf_free(&file);
	strbuf_free(&out);
}

int
main(void)
{
	Error err = ERROR_INIT;
	Keys k;
	Keys other;

	ok(age_init(&err), "libsodium starts");
	k = keys_new();
	other = keys_new();
	test_round_trips(&k);
	test_nonce_is_fresh(&k);
	test_ranges(&k, 0);
	test_ranges(&k, 1);
	test_ranges(&k, 65536);
	test_ranges(&k, 65537);
	test_ranges(&k, 4 * 65536);
	test_ranges(&k, 300000);
	test_bit_flips(&k, &other);
	test_truncation(&k, &other);
	test_chunk_games(&k);
	test_recipients(&k, &other);
	keys_free(&k);
	keys_free(&other);
	return done_testing();
}
