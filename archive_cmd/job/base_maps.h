/*-------------------------------------------------------------------------
 *
 * base_maps.h
 *	  The blocks of an earlier backup, as its maps tell them: what a file had
 *	  at a place when it was backed up last, and where that lies.
 *
 * Maps are read when they are needed.  A map that cannot be had costs space
 * only: its blocks count as changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BASE_MAPS_H
#define PGDR_BASE_MAPS_H

#include "repo/block_map.h"

typedef struct BaseMaps BaseMaps; /* shared by all workers */

extern BaseMaps *base_maps_new(const Manifest *manifest); /* keeps it */
extern const Manifest *base_maps_manifest(const BaseMaps *maps);
extern void base_maps_free(BaseMaps *maps); /* NULL is fine */

/* One worker's place in one file. */
typedef struct BaseCursor
{
	/* fixed */
	BaseMaps *maps;
	Repo *repo; /* that maps are read from; the worker's own connection */

	/* mutable */
	const ManifestFile *file;
	uint32_t next;           /* extent */
	const ManifestExtent *e; /* in work, NULL: none */
	uint64_t begin;          /* where it begins in the file */
	const BlockMap *map;     /* of its pack, NULL: it cannot be had */
	const uint64_t *hashes;  /* of its blocks, NULL: not known */
	uint64_t known;          /* bytes from its start that they are of */
} BaseCursor;

/* Goes to the start of another file of the manifest. */
extern void base_cursor_begin(BaseCursor *cursor, const ManifestFile *file);

/*
 * Is this what the file had there, as a block of exactly this length?  Then
 * *at says where it lies.  Offsets are multiples of MANIFEST_BLOCK, and grow
 * from call to call.
 */
extern bool base_cursor_same(BaseCursor *cursor, uint64_t offset, size_t len,
							 uint64_t hash, ManifestExtent *at);

/* When no file is in work any more; it may be used again. */
extern void base_cursor_end(BaseCursor *cursor);

#endif
