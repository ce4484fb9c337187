/*-------------------------------------------------------------------------
 *
 * zstd_pool_test.c
 *	  Threads that help each other to compress: what is stored is what one
 *	  thread alone stores, in order, and an error leaves nobody waiting.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream/stream.h"
#include "stream/zstd_pool.h"
#include "tap.h"

#define FRAME 10000
#define HELPERS 3

static ZstdPool *pool;

static void *
helper(void *arg)
{
	zstd_pool_enter(pool);
	zstd_pool_leave(pool, true);
	return arg;
}

static void
start(pthread_t *threads)
{
	pool = zstd_pool_new();
	zstd_pool_enter(pool);
	for (int i = 0; i < HELPERS; i++)
	{
		if (pthread_create(&threads[i], NULL, helper, NULL) != 0)
			abort();
	}
	/* one of them is waiting for work, so that work is given away */
	for (int i = 0; i < 5000 && !zstd_pool_is_idle(pool); i++)
		usleep(1000);
	ok(zstd_pool_is_idle(pool), "a thread without work waits to help");
}

static void
end(pthread_t *threads)
{
	zstd_pool_leave(pool, true);
	for (int i = 0; i < HELPERS; i++)
		pthread_join(threads[i], NULL);
	zstd_pool_free(pool);
	pool = NULL;
}

typedef struct Frames
{
	uint64_t plain[200];
	uint64_t stored[200];
	size_t count;
	size_t refuse; /* the callback fails at this one; 0: never */
} Frames;

static bool
note(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	Frames *f = arg;

	f->plain[f->count] = plain_len;
	f->stored[f->count++] = stored_len;
	if (f->count == f->refuse)
		return error_set(err, ERR_IO, "refused");
	return true;
}

/* What two threads with the same bytes must get alike. */
static bool
compress(const uint8_t *data, size_t len, ZstdPool *with, StrBuf *out,
		 Frames *frames)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *zstd = stage_zstd_compress(1, FRAME, note, frames, sink, &err);
	bool done = true;

	if (with != NULL)
		stage_zstd_use_pool(zstd, with);
	/* pieces that are whole frames, and pieces that are not */
	for (size_t at = 0; done && at < len;)
	{
		size_t n = at % 7 == 0 ? FRAME : 3333;

		n = n < len - at ? n : len - at;
		done = stage_write(zstd, data + at, n, &err);
		at += n;
	}
	done = done && stage_finish(zstd, &err);
	stage_free(zstd);
	stage_free(sink);
	error_clear(&err);
	return done;
}

static void
test_same(const uint8_t *data, size_t len)
{
	pthread_t threads[HELPERS];
	StrBuf alone = STRBUF_INIT;
	StrBuf helped = STRBUF_INIT;
	Frames a = {.count = 0};
	Frames b = {.count = 0};

	start(threads);
	ok(compress(data, len, NULL, &alone, &a), "%zu bytes alone", len);
	ok(compress(data, len, pool, &helped, &b), "and with help");
	ok(alone.len == helped.len &&
		   (alone.len == 0 || memcmp(alone.data, helped.data, alone.len) == 0),
	   "make the same bytes");
	ok(memcmp(&a, &b, sizeof(a)) == 0, "and the same frames (%zu)", a.count);
	end(threads);
	strbuf_free(&alone);
	strbuf_free(&helped);
}

static void
test_error(const uint8_t *data, size_t len)
{
	pthread_t threads[HELPERS];
	StrBuf out = STRBUF_INIT;
	Frames frames = {.refuse = 3};

	start(threads);
	ok(!compress(data, len, pool, &out, &frames), "an error is one");
	is_int((int64_t) frames.count, 3, "at once");
	end(threads);
	ok(true, "and nobody waits for ever");
	strbuf_free(&out);
}

/* Two that work while a third helps both. */
typedef struct Writer
{
	const uint8_t *data;
	size_t len;
	StrBuf out;
	Frames frames;
	bool done;
} Writer;

static void *
write_all(void *arg)
{
	Writer *w = arg;

	zstd_pool_enter(pool);
	w->done = compress(w->data, w->len, pool, &w->out, &w->frames);
	/* with help it would wait for the main thread, which waits for this one */
	zstd_pool_leave(pool, false);
	return NULL;
}

static void
test_several(const uint8_t *data, size_t len)
{
	pthread_t threads[HELPERS];
	pthread_t writers[2];
	Writer w[2] = {{.data = data, .len = len},
				   {.data = data + 1, .len = len - 1}};
	StrBuf alone = STRBUF_INIT;
	Frames frames = {.count = 0};

	start(threads);
	for (int i = 0; i < 2; i++)
	{
		if (pthread_create(&writers[i], NULL, write_all, &w[i]) != 0)
			abort();
	}
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	end(threads);
	for (int i = 0; i < 2; i++)
	{
		memset(&frames, 0, sizeof(frames));
		strbuf_reset(&alone);
		compress(w[i].data, w[i].len, NULL, &alone, &frames);
		ok(w[i].done && alone.len == w[i].out.len &&
			   memcmp(alone.data, w[i].out.data, alone.len) == 0,
		   "writer %d of two gets its own frames, in order", i + 1);
		strbuf_free(&w[i].out);
	}
	strbuf_free(&alone);
}

int
main(void)
{
	size_t len = 100 * FRAME + 77;
	uint8_t *data = mem_alloc(len);
	unsigned int x = 1;

	for (size_t i = 0; i < len; i++)
	{
		x = x * 1103515245 + 12345;
		data[i] = (uint8_t) (x >> 16 & (i / 50000 % 2 ? 255 : 3));
	}
	test_same(data, len);
	test_same(data, FRAME);
	test_same(data, 0);
	test_error(data, len);
	test_several(data, len);
	free(data);
	return done_testing();
}
