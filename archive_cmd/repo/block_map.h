/*-------------------------------------------------------------------------
 *
 * block_map.h
 *	  The map of a pack: what lies in it, and a hash of each block of it, so
 *	  that a later backup need not store again what is the same.
 *
 * It is an object of its own beside the pack, backup/<label>/map/NNNNNN, and
 * serves every backup that refers to the pack.  No restore needs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BLOCK_MAP_H
#define PGDR_BLOCK_MAP_H

#include "repo/manifest.h"
#include "repo/repo.h"

/*
 * A run of a file that is one piece in the pack.  Its bytes are hashed in
 * blocks of MANIFEST_BLOCK; only the last one may be shorter.
 */
typedef struct MapRun
{
	uint64_t file_offset;
	uint64_t length;
} MapRun;

/* One tar entry of the pack: a whole file, or changed runs of one. */
typedef struct MapEntry
{
	char *path;      /* in the data directory */
	uint64_t offset; /* of the contents, in the pack's plaintext */
	uint64_t length; /* of all runs together */
	bool whole;      /* it is the file from its beginning to its end */
	uint8_t content[CONTENT_LEN]; /* of a whole file */
	MapRun *runs;                 /* of another; they lie side by side */
	size_t run_count;
	size_t first_hash; /* where its blocks begin among the hashes */
} MapEntry;

typedef struct BlockMap
{
	uint32_t pack;
	uint8_t sha256[SHA256_LEN]; /* of the pack's payload: only for it the map
								 * may be used */
	MapEntry *entries;          /* by offset */
	size_t entry_count;
	size_t entry_cap;
	uint64_t *hashes; /* content_block_hash() */
	size_t hash_count;
	size_t hash_cap;
} BlockMap;

extern void block_map_free(BlockMap *map);

/* Blocks that so many bytes take. */
static inline uint64_t
block_map_blocks(uint64_t length)
{
	return length / MANIFEST_BLOCK + (length % MANIFEST_BLOCK != 0);
}

/* bytes: of the object as it is stored. */
extern bool block_map_write(Repo *repo, const char *label, const BlockMap *map,
							uint64_t *bytes, Error *err);

/*
 * Reads and checks it.  Without files its entries have neither path, runs nor
 * content.  ERR_NOT_FOUND: backups of earlier versions have no maps.
 */
extern bool block_map_read(Repo *repo, const char *label, uint32_t pack,
						   bool files, BlockMap *out, Error *err);

/*
 * The hashes of the blocks from offset on, which is where a block begins in
 * the pack; NULL if it is not.  *length: how many bytes from there on the map
 * knows.
 */
extern const uint64_t *block_map_find(const BlockMap *map, uint64_t offset,
									  uint64_t *length);

#endif
