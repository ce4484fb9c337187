/*-------------------------------------------------------------------------
 *
 * pack.h
 *	  Writes a pack: a tar stream of a backup's files, as one object cut into
 *	  frames that can be fetched alone; and its map.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PACK_H
#define PGDR_PACK_H

#include "repo/block_map.h"
#include "repo/manifest.h"
#include "repo/repo.h"
#include "repo/tar.h"

#define PACK_FRAME_SIZE (1024 * 1024)

/* A pack that has grown to this takes no further file (plaintext bytes). */
#define PACK_FULL (UINT64_C(256) * 1024 * 1024)

typedef struct PackWriter PackWriter;

/*
 * Numbers count from 1; pool (may be NULL) helps to compress.  NULL on error.
 */
struct ZstdPool;
extern PackWriter *pack_create(Repo *repo, const char *label, uint32_t number,
							   struct ZstdPool *pool, Error *err);

extern bool pack_add_dir(PackWriter *w, const TarEntry *entry, Error *err);

/*
 * Begins a file of exactly entry->size bytes, to be given by pack_write() and
 * ended by pack_end_file().  *offset: where its contents begin in the pack's
 * plaintext.  More or fewer bytes are ERR_INTERNAL.
 */
extern bool pack_begin_file(PackWriter *w, const TarEntry *entry,
							uint64_t *offset, Error *err);
extern bool pack_write(PackWriter *w, const void *data, size_t len, Error *err);

/* content: the content hash of the file, for the map. */
extern bool pack_end_file(PackWriter *w, const uint8_t content[CONTENT_LEN],
						  Error *err);

/*
 * Runs of a file that has more than these.  In the tar stream they are one
 * entry, whose name and size entry says; path is the file's own.  The runs are
 * in order, and only the end of the file ends inside a block.
 */
typedef struct PackPart
{
	const char *path;
	const MapRun *runs;
	size_t run_count;
} PackPart;

/* To be written like a file; pack_end_part() ends it. */
extern bool pack_begin_part(PackWriter *w, const TarEntry *entry,
							const PackPart *part, uint64_t *offset, Error *err);
extern bool pack_end_part(PackWriter *w, Error *err);

extern uint32_t pack_number(const PackWriter *w);
extern bool pack_is_full(const PackWriter *w);

/*
 * Ends the tar stream and makes the pack durable, then its map; frees the
 * writer, also on failure.  *out: its entry for the manifest, frames included;
 * *stored: bytes of the pack and of the map.
 */
extern bool pack_commit(PackWriter *w, ManifestPack *out, uint64_t *stored,
						Error *err);
extern void pack_abort(PackWriter *w); /* NULL is fine */

#endif
