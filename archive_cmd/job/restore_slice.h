/*-------------------------------------------------------------------------
 *
 * restore_slice.h
 *	  What is read of a backup's packs, and where each byte of it goes.
 *
 * A slice is a row of frames in one pack, which is fetched and decoded at a
 * time by one worker: each that holds something needed is in exactly one
 * slice, and no other frame is read.  A piece is a run of a file's bytes
 * within one slice.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_SLICE_H
#define PGDR_RESTORE_SLICE_H

#include "repo/manifest.h"
#include "repo/object.h"

typedef struct RestorePiece
{
	size_t file; /* in the manifest */
	uint64_t file_offset;
	uint64_t length;
	size_t pack; /* in the manifest */
	uint64_t pack_offset;
} RestorePiece;

typedef struct RestoreSlice
{
	size_t pack; /* in the manifest */
	uint64_t pack_offset;
	FrameRange frames;
	size_t first_piece;
	size_t piece_count;
} RestoreSlice;

typedef struct RestoreSlices
{
	RestorePiece *pieces; /* by pack and place in it */
	size_t piece_count;
	size_t piece_cap;
	RestoreSlice *items; /* likewise */
	size_t count;
	size_t cap;
} RestoreSlices;

typedef struct SliceLimits
{
	uint64_t bytes; /* plaintext of a slice, unless one frame is longer */
	size_t gap;     /* so many unneeded frames are read along rather than
					 * making another request */
} SliceLimits;

/* Adds this much of a file, which is to be read. */
extern void restore_slices_want(RestoreSlices *slices, const Manifest *manifest,
								size_t file, uint64_t offset, uint64_t length);

/* Makes slices of all that is wanted.  ERR_UNSUPPORTED: a frame is too long. */
extern bool restore_slices_make(RestoreSlices *slices, const Manifest *manifest,
								const SliceLimits *limits, Error *err);

extern void restore_slices_free(RestoreSlices *slices);

#endif
