/*-------------------------------------------------------------------------
 *
 * zstd_pace_test.c
 *	  The level follows what the store can take, within its bounds, and frames
 *	  of any mixture of levels decode to what was written.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/zstd.h"
#include "stream/zstd_pace.h"
#include "tap.h"

#define FRAME 20000
#define FRAMES 30

static void
test_steps(void)
{
	ZstdPace *pace = zstd_pace_new();

	is_int(zstd_pace_level(pace), 1, "it begins at level 1");
	for (int i = 0; i < 9; i++)
		zstd_pace_note(pace, USECS_PER_SEC / 10, USECS_PER_SEC / 10);
	is_int(zstd_pace_level(pace), 1, "a moment proves nothing");
	zstd_pace_note(pace, USECS_PER_SEC / 10, 0);
	is_int(zstd_pace_level(pace), 3, "a slow store is sent less");
	for (int i = 0; i < 5; i++)
		zstd_pace_note(pace, USECS_PER_SEC, USECS_PER_SEC / 2);
	is_int(zstd_pace_level(pace), 3, "who waits half the time keeps pace");
	zstd_pace_note(pace, USECS_PER_SEC, USECS_PER_SEC / 20);
	is_int(zstd_pace_level(pace), 1, "a fast one is sent more");
	for (int i = 0; i < 50; i++)
		zstd_pace_note(pace, USECS_PER_SEC, 0);
	is_int(zstd_pace_level(pace), -5, "down to a lowest level");
	for (int i = 0; i < 50; i++)
		zstd_pace_note(pace, USECS_PER_SEC, USECS_PER_SEC);
	is_int(zstd_pace_level(pace), 16, "and up to a highest");
	zstd_pace_free(pace);
	zstd_pace_free(NULL);
}

typedef struct Sizes
{
	ZstdPace *pace;
	uint64_t stored[FRAMES];
	size_t count;
} Sizes;

/* After each frame the store is slower, so that each has its own level. */
static bool
note(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	Sizes *sizes = arg;

	(void) err;
	ok(plain_len == FRAME, "frame %zu is whole", sizes->count);
	sizes->stored[sizes->count++] = stored_len;
	zstd_pace_note(sizes->pace, USECS_PER_SEC, USECS_PER_SEC);
	return true;
}

/* Words in no order: better levels find more in them. */
static char *
make_text(size_t len)
{
	char *text = mem_alloc(len + 16);
	size_t at = 0;

	while (at < len)
		at += (size_t) snprintf(text + at, 16, "w%d ", rand() % 500);
	return text;
}

static bool
compress(Sizes *sizes, bool far, const char *text, StrBuf *out, Error *err)
{
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *zstd = stage_zstd_compress(1, FRAME, note, sizes, sink, err);
	bool done;

	if (far)
		stage_zstd_use_far(zstd);
	stage_zstd_use_pace(zstd, sizes->pace);
	done = stage_write(zstd, text, FRAME * FRAMES, err) &&
		   stage_finish(zstd, err);
	stage_free(zstd);
	stage_free(sink);
	return done;
}

static void
test_frames(bool far)
{
	Sizes sizes = {.pace = zstd_pace_new()};
	char *text = make_text(FRAME * FRAMES);
	StrBuf stored = STRBUF_INIT;
	StrBuf back = STRBUF_INIT;
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(&back, SIZE_MAX);
	Stage *decode = stage_zstd_decompress(sink, &err);

	ok(compress(&sizes, far, text, &stored, &err), "levels change%s",
	   far ? ", in long mode" : "");
	is_int((int64_t) sizes.count, FRAMES, "frames");
	ok(sizes.stored[FRAMES - 1] < sizes.stored[0],
	   "the last is smaller than the first");
	ok(stage_write(decode, stored.data, stored.len, &err) &&
		   stage_finish(decode, &err) && back.len == FRAME * FRAMES &&
		   memcmp(back.data, text, back.len) == 0,
	   "all decode");
	stage_free(decode);
	stage_free(sink);
	strbuf_free(&stored);
	strbuf_free(&back);
	zstd_pace_free(sizes.pace);
	error_clear(&err);
	free(text);
}

int
main(void)
{
	srand(20261129);
	test_steps();
	test_frames(false);
	test_frames(true);
	return done_testing();
}
