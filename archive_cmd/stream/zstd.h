/*-------------------------------------------------------------------------
 *
 * zstd.h
 *	  Zstandard frames (libzstd is included by zstd.c only).
 *
 * The compressor cuts its input into independent frames of at most
 * frame_size bytes of plaintext, each with its content size and checksum, so
 * that each can be fetched and decoded alone.  "zstd -d" reads the whole.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_ZSTD_H
#define PGDR_ZSTD_H

#include "stream/stream.h"

/* Largest window a reader accepts (2^27, 128 MiB, zstd's own default). */
#define ZSTD_MAX_WINDOW_LOG 27

/* Called at the end of each frame with its two lengths. */
typedef bool (*ZstdFrameFn)(void *arg, uint64_t plain_len, uint64_t stored_len,
							Error *err);

/* How a frame is compressed. */
typedef struct ZstdHow
{
	int level;
	bool far; /* look for matches far back, too ("long mode") */
} ZstdHow;

/*
 * Compressor.  frame_size 0 means one frame for all; fn may be NULL.  Level
 * -7 to 22.  Empty input makes one empty frame.  NULL on error.
 */
extern Stage *stage_zstd_compress(int level, size_t frame_size, ZstdFrameFn fn,
								  void *arg, Stage *next, Error *err);
/* Matches far back as well; before the first write. */
extern void stage_zstd_use_far(Stage *stage);
/* Take each frame's level from there; before the first write. */
struct ZstdPace;
extern void stage_zstd_use_pace(Stage *stage, struct ZstdPace *pace);
/*
 * Let idle threads of the pool (stream/zstd_pool.h) compress frames; it must
 * live as long as the stage.  For gathered frames only, before the first write.
 */
struct ZstdPool;
extern void stage_zstd_use_pool(Stage *stage, struct ZstdPool *pool);
/*
 * Where a whole frame can be put that is then passed to stage_write() from
 * there, which saves copying it; good until the next call.  For gathered
 * frames only, at the beginning of one.  NULL on error.
 */
extern void *stage_zstd_room(Stage *stage, Error *err);
/* End the current frame now (nothing happens if it is empty). */
extern bool stage_zstd_end_frame(Stage *stage, Error *err);

/*
 * Decompressor: any number of frames and skippable frames.  Input that stops
 * inside a frame, or bytes that are no frame, are ERR_DAMAGED at the latest in
 * finish.  So is no input at all: even empty content has a frame.
 */
extern Stage *stage_zstd_decompress(Stage *next, Error *err);

/*
 * Decodes whole frames that are in memory, one call after the other with the
 * same context.  ERR_DAMAGED unless they give exactly out_len bytes.
 */
typedef struct ZstdDecoder ZstdDecoder;
extern ZstdDecoder *zstd_decoder_new(Error *err); /* NULL on error */
extern bool zstd_decode(ZstdDecoder *d, const void *in, size_t in_len,
						void *out, size_t out_len, Error *err);
extern void zstd_decoder_free(ZstdDecoder *d); /* NULL is fine */

/*
 * A skippable frame (magic 0x184D2A5D) around data: where an unencrypted
 * object keeps its metadata.  Writes ZSTD_SKIPPABLE_HEADER + len bytes.
 */
#define ZSTD_SKIPPABLE_HEADER 8
extern void zstd_skippable_frame(const void *data, uint32_t len, uint8_t *out);
/* False unless the 8 bytes begin such a frame. */
extern bool zstd_skippable_parse(const uint8_t header[8], uint32_t *len);

#endif
