/*-------------------------------------------------------------------------
 *
 * zstd_test.c
 *	  Frames: round trips, their table, damage, and the zstd program.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "age_tools.h"
#include "stream/zstd.h"

#define MAX_FRAMES 64

typedef struct Frames
{
	size_t count;
	uint64_t plain[MAX_FRAMES];
	uint64_t stored[MAX_FRAMES];
} Frames;

static bool
note_frame(void *arg, uint64_t plain, uint64_t stored, Error *err)
{
	Frames *f = arg;

	if (f->count == MAX_FRAMES)
		return error_set(err, ERR_INTERNAL, "too many frames for the test");
	f->plain[f->count] = plain;
	f->stored[f->count++] = stored;
	return true;
}

typedef struct Form
{
	int level;
	size_t frame_size;
	size_t piece;
} Form;

static bool
compress(const void *data, size_t len, Form form, StrBuf *out, Frames *frames)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *zstd;
	bool good;

	strbuf_reset(out);
	*frames = (Frames){0};
	zstd = stage_zstd_compress(form.level, form.frame_size, note_frame, frames,
							   sink, &err);
	good = zstd && feed(zstd, data, len, form.piece, &err);
	if (!good)
		printf("# %s\n", err.message);
	stage_free(zstd);
	stage_free(sink);
	error_clear(&err);
	return good;
}

/* The code of the error, or ERR_NONE; a failure must have one. */
static ErrCode
decompress(const void *data, size_t len, size_t piece, StrBuf *out)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(out, 64 * 1024 * 1024);
	Stage *zstd = stage_zstd_decompress(sink, &err);
	ErrCode code;

	strbuf_reset(out);
	if (!feed(zstd, data, len, piece, &err) && !error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	code = err.code;
	stage_free(zstd);
	stage_free(sink);
	error_clear(&err);
	return code;
}

/* The frames' lengths add up, none is too long, and each decodes alone. */
static bool
frames_fit(const Frames *f, const StrBuf *stored, const uint8_t *data,
		   size_t len, size_t frame_size)
{
	StrBuf got = STRBUF_INIT;
	uint64_t plain_at = 0;
	uint64_t at = 0;
	bool good = true;

	for (size_t i = 0; i < f->count && good; i++)
	{
		good = at + f->stored[i] <= stored->len &&
			   plain_at + f->plain[i] <= len &&
			   (frame_size == 0 || f->plain[i] <= frame_size) &&
			   decompress(stored->data + at, f->stored[i], 0, &got) ==
				   ERR_NONE &&
			   same_bytes(&got, data + plain_at, f->plain[i]);
		at += f->stored[i];
		plain_at += f->plain[i];
	}
	strbuf_free(&got);
	return good && at == stored->len && plain_at == len;
}

static void
test_round_trips(void)
{
	static const size_t sizes[] = {0,     1,      65535,  65536,  65537,
								   99999, 100000, 100001, 200000, 1234567};
	static const Form forms[] = {
		{1, 100000, 0},     {1, 100000, 7777}, {3, 0, 0},
		{-7, 65536, 65536}, {1, 0, 999},       {1, 4194304, 65536},
	};
	uint8_t *data = mem_alloc(1234567);
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Frames frames;

	fill_words(data, 1234567, 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		bool good = true;

		for (size_t j = 0; j < sizeof(forms) / sizeof(forms[0]); j++)
			good = good &&
				   compress(data, sizes[i], forms[j], &stored, &frames) &&
				   decompress(stored.data, stored.len, 0, &got) == ERR_NONE &&
				   same_bytes(&got, data, sizes[i]) &&
				   decompress(stored.data, stored.len, 1000, &got) ==
					   ERR_NONE &&
				   same_bytes(&got, data, sizes[i]) &&
				   frames_fit(&frames, &stored, data, sizes[i],
							  forms[j].frame_size);
		ok(good, "%zu bytes, in any form", sizes[i]);
	}
	strbuf_free(&stored);
	strbuf_free(&got);
	free(data);
}

static void
test_levels(void)
{
	const size_t len = 300000;
	uint8_t *data = mem_alloc(len);
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Frames frames;
	Error err = ERROR_INIT;

	fill_words(data, len, 4);
	for (int level = -7; level <= 22; level += level == 4 ? 15 : 1)
	{
		ok(compress(data, len, (Form){level, 131072, 0}, &stored, &frames) &&
			   decompress(stored.data, stored.len, 0, &got) == ERR_NONE &&
			   same_bytes(&got, data, len),
		   "level %d", level);
	}
	ok(!stage_zstd_compress(23, 0, NULL, NULL, NULL, &err), "level 23");
	is_int(err.code, ERR_CONFIG, "is no level");
	error_clear(&err);
	ok(!stage_zstd_compress(-8, 0, NULL, NULL, NULL, &err), "level -8");
	is_int(err.code, ERR_CONFIG, "is no level either");
	error_clear(&err);
	strbuf_free(&stored);
	strbuf_free(&got);
	free(data);
}

/* The frame header's descriptor: bits 7-6 and 5 size, 2 checksum. */
static bool
tells_size_and_checksum(const char *frame)
{
	uint8_t descriptor = (uint8_t) frame[4];

	return (descriptor & 0xe0) != 0 && (descriptor & 4) != 0;
}

static void
test_frame_headers(void)
{
	uint8_t data[5000];
	StrBuf stored = STRBUF_INIT;
	Frames frames;
	uint64_t at = 0;

	fill_words(data, sizeof(data), 5);
	ok(compress(data, sizeof(data), (Form){1, 1000, 333}, &stored, &frames),
	   "five frames");
	is_int((int64_t) frames.count, 5, "there are five");
	for (size_t i = 0; i < frames.count; i++)
	{
		ok(frames.plain[i] == 1000 && tells_size_and_checksum(stored.data + at),
		   "frame %zu tells its size and has a checksum", i);
		at += frames.stored[i];
	}
	ok(compress(data, 0, (Form){1, 1000, 0}, &stored, &frames), "nothing");
	is_int((int64_t) frames.count, 1, "is one frame");
	is_int((int64_t) frames.plain[0], 0, "of nothing");
	ok(compress(data, 0, (Form){1, 0, 0}, &stored, &frames) &&
		   frames.count == 1 && frames.stored[0] == stored.len,
	   "also when streaming");
	strbuf_free(&stored);
}

static void
test_end_frame(size_t frame_size)
{
	Error err = ERROR_INIT;
	Frames frames = {0};
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&stored, SIZE_MAX);
	Stage *zstd = stage_zstd_compress(1, frame_size, note_frame, &frames, sink,
									  &err);

	ok(stage_zstd_end_frame(zstd, &err) && frames.count == 0,
	   "ending an empty frame does nothing (frame size %zu)", frame_size);
	ok(stage_write(zstd, "one", 3, &err) && stage_zstd_end_frame(zstd, &err) &&
		   stage_zstd_end_frame(zstd, &err) &&
		   stage_write(zstd, "three", 5, &err) && stage_finish(zstd, &err),
	   "frames can be ended early");
	ok(frames.count == 2 && frames.plain[0] == 3 && frames.plain[1] == 5,
	   "there are two");
	ok(decompress(stored.data, stored.len, 0, &got) == ERR_NONE &&
		   same_bytes(&got, "onethree", 8),
	   "which decode to the whole");
	stage_free(zstd);
	stage_free(sink);
	strbuf_free(&stored);
	strbuf_free(&got);
}

static void
test_damage(void)
{
	uint8_t data[600];
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Frames frames;
	size_t harmless = 0;
	bool good = true;

	fill_words(data, sizeof(data), 6);
	compress(data, sizeof(data), (Form){1, 400, 0}, &stored, &frames);
	for (size_t len = 0; len < stored.len; len++)
	{
		ErrCode code = decompress(stored.data, len, 0, &got);

		/* a cut between frames is for the object's length to find */
		good = good &&
			   code == (len == frames.stored[0] ? ERR_NONE : ERR_DAMAGED);
	}
	ok(good, "a truncated frame is damage, wherever it stops");
	good = true;
	for (size_t bit = 0; bit < 8 * stored.len; bit++)
	{
		stored.data[bit / 8] = (char) (stored.data[bit / 8] ^ 1 << bit % 8);
		/* some bits of a header mean nothing; the content never changes */
		if (decompress(stored.data, stored.len, 0, &got) == ERR_NONE)
		{
			good = good && same_bytes(&got, data, sizeof(data));
			harmless++;
		}
		stored.data[bit / 8] = (char) (stored.data[bit / 8] ^ 1 << bit % 8);
	}
	ok(good && harmless < 32, "no flipped bit gives other content");
	strbuf_add(&stored, "x", 1);
	is_int(decompress(stored.data, stored.len, 0, &got), ERR_DAMAGED,
		   "a byte after the last frame is damage");
	strbuf_reset(&stored);
	strbuf_puts(&stored, "this is no frame");
	is_int(decompress(stored.data, stored.len, 0, &got), ERR_DAMAGED,
		   "other bytes are damage");
	strbuf_free(&stored);
	strbuf_free(&got);
}

static void
test_skippable(void)
{
	static const char meta[] = "{\"name\":\"x\"}   ";
	uint8_t frame[ZSTD_SKIPPABLE_HEADER + sizeof(meta) - 1];
	StrBuf stored = STRBUF_INIT;
	StrBuf tail = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Frames frames;
	uint32_t len = 0;

	zstd_skippable_frame(meta, sizeof(meta) - 1, frame);
	ok(memcmp(frame, "\x5d\x2a\x4d\x18\x0f\0\0\0", 8) == 0, "its header");
	ok(zstd_skippable_parse(frame, &len) && len == sizeof(meta) - 1,
	   "is read back");
	frame[0]++;
	ok(!zstd_skippable_parse(frame, &len), "another kind is not ours");
	frame[0]--;
	compress("plain", 5, (Form){1, 400, 0}, &tail, &frames);
	strbuf_add(&stored, frame, sizeof(frame));
	strbuf_add(&stored, tail.data, tail.len);
	strbuf_add(&stored, frame, sizeof(frame));
	strbuf_add(&stored, tail.data, tail.len);
	ok(decompress(stored.data, stored.len, 1, &got) == ERR_NONE &&
		   same_bytes(&got, "plainplain", 10),
	   "it is skipped");
	put_file(scratch("skip.zst"), stored.data, stored.len);
	is_int(run_tool(
			   (const char *const[]){"zstd", "-dcq", scratch("skip.zst"), NULL},
			   NULL, scratch("skip")),
		   0, "zstd skips it, too");
	ok(get_file(scratch("skip"), &got) && same_bytes(&got, "plainplain", 10),
	   "and gives the content");
	zstd_skippable_frame(NULL, 0, frame);
	ok(zstd_skippable_parse(frame, &len) && len == 0, "it may be empty");
	strbuf_free(&stored);
	strbuf_free(&tail);
	strbuf_free(&got);
}

/* Appends a block that is one byte many times. */
static void
add_repeated(StrBuf *out, char byte, uint32_t times, bool last)
{
	uint32_t header = times << 3 | 1u << 1 | last;

	for (int i = 0; i < 3; i++)
		strbuf_putc(out, (char) (header >> 8 * i));
	strbuf_putc(out, byte);
}

/*
 * The input is used up while most of the second block still waits for room:
 * a decompressor that stops when it has no input would lose it.
 */
static void
test_output_behind_input(void)
{
	const size_t times = 100000;
	uint8_t *data = mem_alloc(2 * times);
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;

	memset(data, 'a', times);
	memset(data + times, 'b', times);
	/* magic, no checksum, a window of 128 KiB */
	strbuf_add(&stored, "\x28\xb5\x2f\xfd\x00\x38", 6);
	add_repeated(&stored, 'a', (uint32_t) times, false);
	add_repeated(&stored, 'b', (uint32_t) times, true);
	is_int(decompress(stored.data, stored.len, 0, &got), ERR_NONE,
		   "fourteen bytes that stand for many");
	ok(same_bytes(&got, data, 2 * times), "all of them come out");
	strbuf_free(&stored);
	strbuf_free(&got);
	free(data);
}

static void
test_program(void)
{
	const size_t len = 3000000;
	uint8_t *data = mem_alloc(len);
	StrBuf stored = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Frames frames;

	fill_words(data, len, 11);
	put_file(scratch("plain"), data, len);
	compress(data, len, (Form){1, 1048576, 0}, &stored, &frames);
	put_file(scratch("ours.zst"), stored.data, stored.len);
	is_int(run_tool(
			   (const char *const[]){"zstd", "-dcq", scratch("ours.zst"), NULL},
			   NULL, scratch("back")),
		   0, "zstd decodes what we made");
	ok(get_file(scratch("back"), &got) && same_bytes(&got, data, len),
	   "byte for byte");
	is_int(
		run_tool((const char *const[]){"zstd", "-cq", "-19", "--long=27", NULL},
				 scratch("plain"), scratch("theirs.zst")),
		0, "zstd makes a file");
	ok(get_file(scratch("theirs.zst"), &stored) &&
		   decompress(stored.data, stored.len, 0, &got) == ERR_NONE &&
		   same_bytes(&got, data, len),
	   "that we decode");
	is_int(run_tool((const char *const[]){"zstd", "-cq", "--long=28", NULL},
					scratch("plain"), scratch("wide.zst")),
		   0, "zstd makes a file with a large window");
	ok(get_file(scratch("wide.zst"), &stored), "it is there");
	is_int(decompress(stored.data, stored.len, 0, &got), ERR_UNSUPPORTED,
		   "which asks for more memory than we give");
	strbuf_free(&stored);
	strbuf_free(&got);
	free(data);
}

static bool
refuse_frame(void *arg, uint64_t plain, uint64_t stored, Error *err)
{
	(void) arg;
	(void) plain;
	(void) stored;
	return error_set(err, ERR_CANCELED, "no frames today");
}

static void
test_callback_fails(void)
{
	Error err = ERROR_INIT;
	StrBuf out = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&out, SIZE_MAX);
	Stage *zstd = stage_zstd_compress(1, 4, refuse_frame, NULL, sink, &err);

	ok(stage_write(zstd, "abc", 3, &err), "no frame yet");
	ok(!stage_write(zstd, "d", 1, &err), "the callback can refuse a frame");
	is_int(err.code, ERR_CANCELED, "with its own error");
	error_clear(&err);
	stage_free(zstd);
	stage_free(sink);
	strbuf_free(&out);
}

int
main(void)
{
	test_round_trips();
	test_levels();
	test_frame_headers();
	test_end_frame(100);
	test_end_frame(0);
	test_damage();
	test_skippable();
	test_output_behind_input();
	test_program();
	test_callback_fails();
	scratch_remove();
	return done_testing();
}
