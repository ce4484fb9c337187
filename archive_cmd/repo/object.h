/*-------------------------------------------------------------------------
 *
 * object.h
 *	  The object format: metadata that can be read without the key, and a
 *	  payload that stock tools open (doc/repository-format.md).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_OBJECT_H
#define PGDR_OBJECT_H

#include "base/json.h"
#include "base/mem.h"
#include "repo/repo.h"
#include "stream/stream.h"
#include "stream/zstd.h"

/* Kinds, as in the metadata. */
#define OBJECT_WAL "wal"                       /* segments and .partial */
#define OBJECT_HISTORY "history"               /* .history */
#define OBJECT_BACKUP_HISTORY "backup-history" /* .backup */
#define OBJECT_PACK "pack"
#define OBJECT_MAP "map"
#define OBJECT_MANIFEST "manifest"
#define OBJECT_LEASE "lease"
#define OBJECT_MARK "mark"

#define OBJECT_META_MAX 65536 /* bytes of the metadata */

typedef struct ObjectMeta
{
	char *kind;
	char *name;            /* the object's own, from the root */
	uint64_t plain_size;   /* bytes of plaintext */
	uint64_t payload_size; /* bytes stored behind the head */
	uint64_t zstd_size;    /* bytes of the zstd frames (what frame offsets
								 * count); payload_size if not encrypted */
	uint8_t content[CONTENT_LEN]; /* keyed hash of the plaintext */
	uint8_t sha256[SHA256_LEN];   /* of the payload as stored */
	Json *keys;  /* ids of the recipients, an array; NULL: not told */
	Json *extra; /* the kind's own fields, an object or NULL */
	bool encrypted;
	uint64_t head_len; /* bytes before the payload */
} ObjectMeta;

extern void object_meta_free(ObjectMeta *meta);

/* ---- writing ---- */

typedef struct ObjectSpec
{
	const char *name;
	const char *kind;
	size_t extra_room;    /* most bytes the extra JSON will take */
	size_t frame_size;    /* most plaintext bytes of a frame; 0: one */
	ZstdFrameFn frame_fn; /* or NULL */
	void *frame_arg;
	struct ZstdPool *pool; /* who helps to compress, or NULL */
} ObjectSpec;

typedef struct ObjectWriter ObjectWriter;

extern ObjectWriter *object_create(Repo *repo, const ObjectSpec *spec,
								   Error *err);
extern bool object_write(ObjectWriter *w, const void *data, size_t len,
						 Error *err);
/*
 * Where the next frame_size bytes can be put for object_write(), which is then
 * spared copying them; at the beginning of a frame only.  NULL on error.
 */
extern void *object_room(ObjectWriter *w, Error *err);
extern bool object_end_frame(ObjectWriter *w, Error *err);
extern uint64_t object_plain_len(const ObjectWriter *w);

/*
 * Makes the object durable; frees the writer, also on failure.  extra (may be
 * NULL) is not consumed.  out, if not NULL, gets the metadata.  ERR_EXISTS if
 * the name is taken.
 */
extern bool object_commit(ObjectWriter *w, const Json *extra, ObjectMeta *out,
						  Error *err);
extern void object_abort(ObjectWriter *w); /* NULL is fine */

/* A small object at once. */
extern bool object_put(Repo *repo, const ObjectSpec *spec, const void *data,
					   size_t len, const Json *extra, Error *err);

/* ---- reading ---- */

/* Metadata only (one small read).  Checks that the name is the object's own. */
extern bool object_stat(Repo *repo, const char *name, ObjectMeta *out,
						Error *err);

/*
 * The whole object into sink.  The sink's finish is called only when length,
 * SHA-256, authentication, content hash and name are all right: publish
 * nothing before.  out may be NULL.  ERR_NOT_FOUND, ERR_DAMAGED, ERR_KEY (no
 * identity), ERR_MISMATCH (another object's content under this name).
 */
extern bool object_read(Repo *repo, const char *name, Stage *sink,
						ObjectMeta *out, Error *err);

/* A whole small object of the given kind (NULL: any) into memory. */
extern bool object_get(Repo *repo, const char *name, const char *kind,
					   size_t max, StrBuf *out, Error *err);

/* What can be checked without the key: length, SHA-256, name. */
extern bool object_check_stored(Repo *repo, const char *name, ObjectMeta *out,
								Error *err);

/*
 * The same, and *opens: does an identity of ours open it?  What is damaged of
 * the head besides the metadata shows only in that.  True also where there is
 * no identity to try.
 */
extern bool object_check_opens(Repo *repo, const char *name, bool *opens,
							   Error *err);

/* The object exactly as stored, for looking at; nothing is checked. */
extern bool object_read_raw(Repo *repo, const char *name, Stage *sink,
							Error *err);

/*
 * Copies the object exactly as it is stored, and checks on the way all that
 * object_check_stored() does: under its name in `to` there is nothing before
 * that.  ERR_EXISTS if the name is taken there.  *from_source: a failure is
 * about the object, or the store, that it was to be read from.
 */
extern bool object_copy(Repo *from, Repo *to, const char *name,
						bool *from_source, Error *err);

/* ---- ranges ---- */

typedef struct ObjectReader ObjectReader;

extern bool object_open(Repo *repo, const char *name, ObjectReader **out,
						Error *err);
extern const ObjectMeta *object_reader_meta(const ObjectReader *r);

/*
 * The plaintext of the zstd frames that begin at zstd_offset and take
 * zstd_len bytes (values of the frame table).  Authenticated and checked
 * frame by frame, before it reaches the sink; sink is finished at the end.
 */
extern bool object_read_frames(ObjectReader *r, uint64_t zstd_offset,
							   uint64_t zstd_len, Stage *sink, Error *err);

/*
 * The same for frames whose plaintext is plain_len bytes, into memory; decoder
 * and scratch are used again from call to call.
 */
typedef struct FrameRange
{
	uint64_t zstd_offset;
	uint64_t zstd_len;
	size_t plain_len;
} FrameRange;

extern bool object_decode_frames(ObjectReader *r, const FrameRange *range,
								 ZstdDecoder *decoder, StrBuf *scratch,
								 void *out, Error *err);
extern void object_reader_close(ObjectReader *r); /* NULL is fine */

#endif
