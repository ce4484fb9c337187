/*-------------------------------------------------------------------------
 *
 * restore_slice.c
 *	  What is read of a backup's packs, and where each byte of it goes.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_slice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A slice is in memory; the format has frames of a sixty-fourth of this. */
#define FRAME_MAX (UINT64_C(64) * 1024 * 1024)

/* ---- frames ---- */

/* The frame that holds this byte of the pack's plaintext. */
static size_t
frame_of(const ManifestPack *pack, uint64_t offset)
{
	size_t low = 0;
	size_t high = pack->frame_count;

	while (high - low > 1)
	{
		size_t mid = low + (high - low) / 2;

		if (pack->frames[mid].plain <= offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static uint64_t
frame_end(const ManifestPack *pack, size_t frame)
{
	return frame + 1 < pack->frame_count ? pack->frames[frame + 1].plain
										 : pack->plain_size;
}

/* ---- pieces ---- */

/*
 * One for each frame that the run lies in: with that, pieces sorted by place
 * are sorted by frame, whatever runs overlap.
 */
static void
add_run(RestoreSlices *s, const Manifest *m, RestorePiece run)
{
	const ManifestPack *pack = &m->packs[run.pack];

	while (run.length > 0)
	{
		size_t frame = frame_of(pack, run.pack_offset);
		uint64_t room = frame_end(pack, frame) - run.pack_offset;
		RestorePiece piece = run;

		if (piece.length > room)
			piece.length = room;
		s->pieces = mem_grow(s->pieces, s->piece_count, &s->piece_cap,
							 sizeof(*s->pieces));
		s->pieces[s->piece_count++] = piece;
		run.length -= piece.length;
		run.file_offset += piece.length;
		run.pack_offset += piece.length;
	}
}

void
restore_slices_want(RestoreSlices *s, const Manifest *m, size_t file,
					uint64_t offset, uint64_t length)
{
	const ManifestFile *f = &m->files[file];
	const ManifestExtent *e = manifest_extents(m, f);
	uint64_t begin = 0; /* of the extent, in the file */

	for (uint32_t i = 0; i < f->extent_count; i++)
	{
		uint64_t from = offset > begin ? offset : begin;
		uint64_t to = begin + e[i].length;

		if (offset + length < to)
			to = offset + length;
		if (from < to)
			add_run(s, m,
					(RestorePiece){.file = file,
								   .file_offset = from,
								   .length = to - from,
								   .pack = e[i].pack - 1,
								   .pack_offset = e[i].pack_offset +
												  (from - begin)});
		begin += e[i].length;
	}
}

static int
compare_pieces(const void *a, const void *b)
{
	const RestorePiece *x = a;
	const RestorePiece *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->pack_offset != y->pack_offset)
		return x->pack_offset < y->pack_offset ? -1 : 1;
	return (x->file > y->file) - (x->file < y->file);
}

/* ---- slices ---- */

static bool
end_slice(RestoreSlices *s, const Manifest *m, size_t last, Error *err)
{
	RestoreSlice *slice = &s->items[s->count - 1];
	const ManifestPack *pack = &m->packs[slice->pack];
	uint64_t plain = frame_end(pack, last) - slice->pack_offset;
	uint64_t stored = last + 1 < pack->frame_count
						  ? pack->frames[last + 1].stored
						  : pack->zstd_size;

	stored -= slice->frames.zstd_offset;
	if (plain > FRAME_MAX || stored > FRAME_MAX)
		return error_set(err, ERR_UNSUPPORTED,
						 "frame of pack %" PRIu32 " at %" PRIu64 " is too long",
						 pack->number, slice->pack_offset);
	slice->frames.zstd_len = stored;
	slice->frames.plain_len = (size_t) plain;
	return true;
}

static void
begin_slice(RestoreSlices *s, const Manifest *m, size_t pack, size_t frame,
			size_t piece)
{
	const ManifestFrame *f = &m->packs[pack].frames[frame];
	RestoreSlice slice = {.pack = pack,
						  .pack_offset = f->plain,
						  .frames = {.zstd_offset = f->stored},
						  .first_piece = piece};

	s->items = mem_grow(s->items, s->count, &s->cap, sizeof(*s->items));
	s->items[s->count++] = slice;
}

static bool
fits(const RestoreSlice *slice, const ManifestPack *pack, size_t last,
	 size_t frame, const SliceLimits *limits)
{
	return frame == last ||
		   (frame - last <= 1 + limits->gap &&
			frame_end(pack, frame) - slice->pack_offset <= limits->bytes);
}

/* Pieces that go on from one another are one again, within a slice. */
static void
keep_piece(RestoreSlices *s, size_t *kept, const RestorePiece *piece)
{
	RestoreSlice *slice = &s->items[s->count - 1];
	RestorePiece *last = slice->piece_count > 0 ? &s->pieces[*kept - 1] : NULL;

	if (last != NULL && last->file == piece->file &&
		last->file_offset + last->length == piece->file_offset &&
		last->pack_offset + last->length == piece->pack_offset)
	{
		last->length += piece->length;
		return;
	}
	s->pieces[(*kept)++] = *piece;
	slice->piece_count++;
}

bool
restore_slices_make(RestoreSlices *s, const Manifest *m,
					const SliceLimits *limits, Error *err)
{
	size_t last = 0; /* frame of the slice in the making */
	size_t kept = 0;

	if (s->piece_count > 1)
		qsort(s->pieces, s->piece_count, sizeof(*s->pieces), compare_pieces);
	for (size_t i = 0; i < s->piece_count; i++)
	{
		RestorePiece piece = s->pieces[i];
		const ManifestPack *pack = &m->packs[piece.pack];
		const RestoreSlice *slice = s->count > 0 ? &s->items[s->count - 1]
												 : NULL;
		size_t frame = frame_of(pack, piece.pack_offset);

		if (slice == NULL || slice->pack != piece.pack ||
			!fits(slice, pack, last, frame, limits))
		{
			if (s->count > 0 && !end_slice(s, m, last, err))
				return false;
			begin_slice(s, m, piece.pack, frame, kept);
		}
		last = frame;
		keep_piece(s, &kept, &piece);
	}
	s->piece_count = kept;
	return s->count == 0 || end_slice(s, m, last, err);
}

void
restore_slices_free(RestoreSlices *s)
{
	free(s->pieces);
	free(s->items);
	memset(s, 0, sizeof(*s));
}
