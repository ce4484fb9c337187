/*-------------------------------------------------------------------------
 *
 * zstd.c
 *	  Zstandard frames: compressor and decompressor as stages.
 *
 * With a frame size the compressor gathers the plaintext of a frame and
 * compresses it in one call, so that the frame's header tells its content
 * size; a write that brings a whole frame is compressed where it lies.  With
 * frame size 0 it streams, and the size is not known.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/zstd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zstd_errors.h>

#include "stream/zstd_internal.h"
#include "stream/zstd_pace.h"
#include "stream/zstd_pool.h"

#define LEVEL_MIN (-7)
#define LEVEL_MAX 22

#define SKIPPABLE_MAGIC 0x184D2A5Du

/* ---- compressor ---- */

/* Frames that may be under way at a time: enough that no helper waits. */
#define RING 8

typedef struct Compressor
{
	Stage base;
	ZSTD_CCtx *ctx;
	size_t frame_size; /* 0: one streamed frame */
	ZstdHow how;
	ZstdPace *pace; /* NULL: the level stays */
	ZstdFrameFn fn;
	void *arg;
	uint8_t *in; /* of frame_size, made when first needed */
	size_t used; /* bytes in "in" */
	uint8_t *out;
	size_t out_size;
	uint64_t plain_len; /* of the streamed frame so far */
	uint64_t stored_len;
	bool any_frame;

	/* with helpers: frames under way, in their order */
	ZstdPool *pool; /* NULL: none */
	ZstdJob ring[RING];
	size_t ring_first; /* the oldest */
	size_t ring_used;
} Compressor;

/*
 * What level 1 is for us.  Pages and WAL repeat themselves in short pieces and
 * nearby: matches of 5 bytes instead of 7, found in a table that leaves room in
 * the processor's first cache, take 5 % less time for as little or less to store
 * (doc/pgdr.md, "Compression").
 */
#define LEVEL_1_MIN_MATCH 5
#define LEVEL_1_HASH_LOG 12

typedef struct Parameter
{
	ZSTD_cParameter name;
	int value;
} Parameter;

/* For the next frame of ctx; 0 is libzstd's own choice.  A code of libzstd. */
static size_t
set_parameters(ZSTD_CCtx *ctx, const ZstdHow *how)
{
	bool ours = how->level == 1;
	const Parameter all[] = {{ZSTD_c_compressionLevel, how->level},
							 {ZSTD_c_minMatch, ours ? LEVEL_1_MIN_MATCH : 0},
							 {ZSTD_c_hashLog, ours ? LEVEL_1_HASH_LOG : 0},
							 {ZSTD_c_enableLongDistanceMatching, how->far},
							 {ZSTD_c_checksumFlag, 1}};
	size_t rc = 0;

	for (size_t i = 0; !ZSTD_isError(rc) && i < sizeof(all) / sizeof(all[0]);
		 i++)
		rc = ZSTD_CCtx_setParameter(ctx, all[i].name, all[i].value);
	return rc;
}

void
zstd_job_run(ZSTD_CCtx *ctx, ZstdJob *job)
{
	job->result = set_parameters(ctx, &job->how);
	if (!ZSTD_isError(job->result))
		job->result = ZSTD_compress2(ctx, job->out, job->out_size, job->in,
									 job->len);
}

static bool
zstd_failed(size_t code, const char *doing, Error *err)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return error_set(err, ERR_IO, "could not %s: out of memory", doing);
	return error_set(err, ERR_INTERNAL, "could not %s: %s", doing,
					 ZSTD_getErrorName(code));
}

static bool
frame_done(Compressor *c, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	c->any_frame = true;
	return !c->fn || c->fn(c->arg, plain_len, stored_len, err);
}

static bool
put_frame(Compressor *c, const uint8_t *out, size_t n, size_t len, Error *err)
{
	if (ZSTD_isError(n))
		return zstd_failed(n, "compress data", err);
	return stage_write(c->base.next, out, n, err) && frame_done(c, len, n, err);
}

/*
 * The oldest frame under way.  While a helper is at it, this thread compresses
 * what waits behind it: who reads, encrypts and stores must not be idle.
 */
static bool
end_oldest(Compressor *c, Error *err)
{
	ZstdJob *job = &c->ring[c->ring_first];
	ZstdJob *todo;

	while ((todo = zstd_pool_await(c->pool, job)) != NULL)
	{
		zstd_job_run(c->ctx, todo);
		zstd_pool_finish(c->pool, todo);
	}
	c->ring_first = (c->ring_first + 1) % RING;
	c->ring_used--;
	return put_frame(c, job->out, job->result, job->len, err);
}

static bool
end_all(Compressor *c, Error *err)
{
	while (c->ring_used > 0)
	{
		if (!end_oldest(c, err))
			return false;
	}
	return true;
}

/* The next job of the ring; room is made by ending older ones. */
static bool
free_job(Compressor *c, ZstdJob **out, Error *err)
{
	ZstdJob *job;

	while (c->ring_used > 0 &&
		   (c->ring_used == RING ||
			zstd_pool_is_done(c->pool, &c->ring[c->ring_first])))
	{
		if (!end_oldest(c, err))
			return false;
	}
	job = &c->ring[(c->ring_first + c->ring_used) % RING];
	if (job->in == NULL)
	{
		job->in = mem_alloc(c->frame_size);
		job->out_size = c->out_size;
		job->out = mem_alloc(c->out_size);
	}
	*out = job;
	return true;
}

/* Gives a frame away. */
static bool
give_frame(Compressor *c, const void *data, size_t len, Error *err)
{
	ZstdJob *job;

	if (!free_job(c, &job, err))
		return false;
	/* it may lie there already: stage_zstd_room() */
	if (data != job->in)
		memcpy(job->in, data, len);
	job->len = len;
	job->how = c->how;
	c->ring_used++;
	zstd_pool_submit(c->pool, job);
	return true;
}

/* One whole frame from memory. */
static bool
compress_frame(Compressor *c, const void *data, size_t len, Error *err)
{
	ZstdJob job = {.in = (uint8_t *) (uintptr_t) data,
				   .len = len,
				   .out = c->out,
				   .out_size = c->out_size};

	if (c->pace != NULL)
		c->how.level = zstd_pace_level(c->pace);
	if (c->pool != NULL && (c->ring_used > 0 || zstd_pool_is_idle(c->pool)))
		return give_frame(c, data, len, err);
	job.how = c->how;
	zstd_job_run(c->ctx, &job);
	return put_frame(c, c->out, job.result, len, err);
}

/* A piece of the streamed frame; with ZSTD_e_end, also its end. */
static bool
compress_piece(Compressor *c, const void *data, size_t len,
			   ZSTD_EndDirective op, Error *err)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left;

	do
	{
		ZSTD_outBuffer out = {c->out, c->out_size, 0};

		left = ZSTD_compressStream2(c->ctx, &out, &in, op);
		if (ZSTD_isError(left))
			return zstd_failed(left, "compress data", err);
		c->stored_len += out.pos;
		if (out.pos > 0 && !stage_write(c->base.next, c->out, out.pos, err))
			return false;
	} while (op == ZSTD_e_end ? left != 0 : in.pos < in.size);
	c->plain_len += len;
	return true;
}

static bool
end_streamed_frame(Compressor *c, Error *err)
{
	uint64_t plain;
	uint64_t stored;

	if (!compress_piece(c, NULL, 0, ZSTD_e_end, err))
		return false;
	plain = c->plain_len;
	stored = c->stored_len;
	c->plain_len = c->stored_len = 0;
	return frame_done(c, plain, stored, err);
}

static bool
end_gathered_frame(Compressor *c, Error *err)
{
	size_t len = c->used;

	c->used = 0;
	return compress_frame(c, c->in, len, err);
}

void *
stage_zstd_room(Stage *stage, Error *err)
{
	Compressor *c = (Compressor *) stage;
	ZstdJob *job;

	if (c->pool == NULL)
	{
		if (!c->in)
			c->in = mem_alloc(c->frame_size);
		return c->in;
	}
	return free_job(c, &job, err) ? job->in : NULL;
}

static bool
compress_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Compressor *c = (Compressor *) stage;
	const uint8_t *p = data;

	if (c->frame_size == 0)
		return len == 0 || compress_piece(c, p, len, ZSTD_e_continue, err);
	while (len > 0)
	{
		size_t n = c->frame_size - c->used;

		if (n > len)
			n = len;
		if (n == c->frame_size)
		{
			if (!compress_frame(c, p, n, err))
				return false;
		}
		else
		{
			if (!c->in)
				c->in = mem_alloc(c->frame_size);
			/* it may lie there already: stage_zstd_room() */
			if (p != c->in + c->used)
				memcpy(c->in + c->used, p, n);
			c->used += n;
			if (c->used == c->frame_size && !end_gathered_frame(c, err))
				return false;
		}
		p += n;
		len -= n;
	}
	return true;
}

bool
stage_zstd_end_frame(Stage *stage, Error *err)
{
	Compressor *c = (Compressor *) stage;

	if (c->frame_size == 0)
		return c->plain_len == 0 || end_streamed_frame(c, err);
	return (c->used == 0 || end_gathered_frame(c, err)) && end_all(c, err);
}

static bool
compress_finish(Stage *stage, Error *err)
{
	Compressor *c = (Compressor *) stage;

	if (!stage_zstd_end_frame(stage, err))
		return false;
	/* nothing at all must still decode: to nothing */
	if (!c->any_frame &&
		!put_frame(c, c->out,
				   ZSTD_compress2(c->ctx, c->out, c->out_size, NULL, 0), 0,
				   err))
		return false;
	return stage_finish(c->base.next, err);
}

static void
compress_free(Stage *stage)
{
	Compressor *c = (Compressor *) stage;

	/* after an error some may still be with helpers */
	for (size_t i = 0; i < c->ring_used; i++)
		zstd_pool_drop(c->pool, &c->ring[(c->ring_first + i) % RING]);
	for (size_t i = 0; i < RING; i++)
	{
		free(c->ring[i].in);
		free(c->ring[i].out);
	}
	ZSTD_freeCCtx(c->ctx);
	free(c->in);
	free(c->out);
	free(c);
}

static const StageOps compress_ops = {
	compress_write,
	compress_finish,
	compress_free,
};

void
stage_zstd_use_pool(Stage *stage, ZstdPool *pool)
{
	Compressor *c = (Compressor *) stage;

	if (c->frame_size > 0)
		c->pool = pool;
}

void
stage_zstd_use_far(Stage *stage)
{
	((Compressor *) stage)->how.far = true;
}

void
stage_zstd_use_pace(Stage *stage, ZstdPace *pace)
{
	((Compressor *) stage)->pace = pace;
}

static bool
compressor_set(Compressor *c, Error *err)
{
	size_t rc = set_parameters(c->ctx, &c->how);

	if (ZSTD_isError(rc))
		return zstd_failed(rc, "set up compression", err);
	return true;
}

Stage *
stage_zstd_compress(int level, size_t frame_size, ZstdFrameFn fn, void *arg,
					Stage *next, Error *err)
{
	Compressor *c;

	if (level < LEVEL_MIN || level > LEVEL_MAX)
	{
		error_set(err, ERR_CONFIG,
				  "compression level %d is outside the range %d to %d", level,
				  LEVEL_MIN, LEVEL_MAX);
		return NULL;
	}
	c = mem_zalloc(sizeof(Compressor));
	c->base.ops = &compress_ops;
	c->base.next = next;
	c->frame_size = frame_size;
	c->how.level = level;
	c->fn = fn;
	c->arg = arg;
	c->ctx = ZSTD_createCCtx();
	if (!c->ctx)
		error_set(err, ERR_IO, "could not set up compression: out of memory");
	else if (compressor_set(c, err))
	{
		c->out_size = frame_size ? ZSTD_compressBound(frame_size)
								 : ZSTD_CStreamOutSize();
		c->out = mem_alloc(c->out_size);
		return &c->base;
	}
	compress_free(&c->base);
	return NULL;
}

/* ---- decompressor ---- */

typedef struct Decompressor
{
	Stage base;
	ZSTD_DCtx *ctx;
	uint8_t *out;
	size_t out_size;
	bool any_input;
	bool in_frame; /* input so far ends inside a frame */
} Decompressor;

static bool
decompress_failed(size_t code, Error *err)
{
	switch (ZSTD_getErrorCode(code))
	{
		case ZSTD_error_memory_allocation:
			return error_set(err, ERR_IO,
							 "could not decompress data: out of memory");
		case ZSTD_error_frameParameter_windowTooLarge:
			return error_set(err, ERR_UNSUPPORTED,
							 "could not decompress data: the window is larger "
							 "than 2^%d bytes",
							 ZSTD_MAX_WINDOW_LOG);
		default:
			return error_set(err, ERR_DAMAGED, "could not decompress data: %s",
							 ZSTD_getErrorName(code));
	}
}

static bool
decompress_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Decompressor *d = (Decompressor *) stage;
	ZSTD_inBuffer in = {data, len, 0};
	bool full = false;

	/*
	 * Go on while there is input, or output that did not fit.  But never call
	 * with neither: after the end of a frame that would begin the next one,
	 * and a complete input would look truncated.
	 */
	while (in.pos < in.size || full)
	{
		ZSTD_outBuffer out = {d->out, d->out_size, 0};
		size_t rc = ZSTD_decompressStream(d->ctx, &out, &in);

		if (ZSTD_isError(rc))
			return decompress_failed(rc, err);
		d->any_input = true;
		d->in_frame = rc != 0;
		full = d->in_frame && out.pos == out.size;
		if (out.pos > 0 && !stage_write(d->base.next, d->out, out.pos, err))
			return false;
	}
	return true;
}

static bool
decompress_finish(Stage *stage, Error *err)
{
	Decompressor *d = (Decompressor *) stage;

	/* even empty content has a frame: nothing at all is a truncation */
	if (d->in_frame || !d->any_input)
		return error_set(
			err, ERR_DAMAGED, "could not decompress data: it ends %s",
			d->any_input ? "inside a frame" : "before the first frame");
	return stage_finish(d->base.next, err);
}

static void
decompress_free(Stage *stage)
{
	Decompressor *d = (Decompressor *) stage;

	ZSTD_freeDCtx(d->ctx);
	free(d->out);
	free(d);
}

static const StageOps decompress_ops = {
	decompress_write,
	decompress_finish,
	decompress_free,
};

Stage *
stage_zstd_decompress(Stage *next, Error *err)
{
	Decompressor *d = mem_zalloc(sizeof(Decompressor));
	size_t rc;

	d->base.ops = &decompress_ops;
	d->base.next = next;
	d->ctx = ZSTD_createDCtx();
	if (!d->ctx)
	{
		error_set(err, ERR_IO, "could not set up decompression: out of memory");
		decompress_free(&d->base);
		return NULL;
	}
	rc = ZSTD_DCtx_setParameter(d->ctx, ZSTD_d_windowLogMax,
								ZSTD_MAX_WINDOW_LOG);
	if (ZSTD_isError(rc))
	{
		zstd_failed(rc, "set up decompression", err);
		decompress_free(&d->base);
		return NULL;
	}
	d->out_size = ZSTD_DStreamOutSize();
	d->out = mem_alloc(d->out_size);
	return &d->base;
}

/* ---- frames in memory ---- */

struct ZstdDecoder
{
	ZSTD_DCtx *ctx;
};

ZstdDecoder *
zstd_decoder_new(Error *err)
{
	ZstdDecoder *d = mem_zalloc(sizeof(ZstdDecoder));

	d->ctx = ZSTD_createDCtx();
	if (d->ctx)
		return d;
	free(d);
	error_set(err, ERR_IO, "could not set up decompression: out of memory");
	return NULL;
}

bool
zstd_decode(ZstdDecoder *d, const void *in, size_t in_len, void *out,
			size_t out_len, Error *err)
{
	size_t rc = ZSTD_decompressDCtx(d->ctx, out, out_len, in, in_len);

	if (ZSTD_isError(rc))
		return decompress_failed(rc, err);
	return rc == out_len ||
		   error_set(err, ERR_DAMAGED,
					 "could not decompress data: there are %zu bytes instead "
					 "of %zu",
					 rc, out_len);
}

void
zstd_decoder_free(ZstdDecoder *d)
{
	if (!d)
		return;
	ZSTD_freeDCtx(d->ctx);
	free(d);
}

/* ---- skippable frames ---- */

static void
put_le32(uint8_t *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t) (v >> 8 * i);
}

static uint32_t
get_le32(const uint8_t *in)
{
	return (uint32_t) in[0] | (uint32_t) in[1] << 8 | (uint32_t) in[2] << 16 |
		   (uint32_t) in[3] << 24;
}

void
zstd_skippable_frame(const void *data, uint32_t len, uint8_t *out)
{
	put_le32(out, SKIPPABLE_MAGIC);
	put_le32(out + 4, len);
	if (len > 0)
		memcpy(out + ZSTD_SKIPPABLE_HEADER, data, len);
}

bool
zstd_skippable_parse(const uint8_t header[8], uint32_t *len)
{
	if (get_le32(header) != SKIPPABLE_MAGIC)
		return false;
	*len = get_le32(header + 4);
	return true;
}
