/*-------------------------------------------------------------------------
 *
 * restore_slice_test.c
 *	  What a restore reads: every wanted byte once, no frame twice, none in
 *	  vain, in the order of the packs.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/restore_slice.h"
#include "tap.h"

#define PACKS 3
#define FILES 40
#define FRAME_LIMIT 1000

static uint32_t state = 5;

static uint32_t
roll(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

/* Packs whose frames are of any length, and files anywhere in them. */
static void
make_manifest(Manifest *m)
{
	memset(m, 0, sizeof(*m));
	m->pack_count = PACKS;
	m->packs = mem_zalloc(PACKS * sizeof(ManifestPack));
	for (uint32_t i = 0; i < PACKS; i++)
	{
		ManifestPack *p = &m->packs[i];

		p->number = i + 1;
		p->frame_count = 1 + roll(30);
		p->frames = mem_zalloc(p->frame_count * sizeof(ManifestFrame));
		for (size_t n = 0; n < p->frame_count; n++)
		{
			p->frames[n] = (ManifestFrame){p->plain_size, p->zstd_size};
			p->plain_size += 1 + roll(FRAME_LIMIT);
			p->zstd_size += 1 + roll(300);
		}
	}
	m->file_count = FILES;
	m->files = mem_zalloc(FILES * sizeof(ManifestFile));
	for (size_t i = 0; i < FILES; i++)
	{
		uint32_t pack = roll(PACKS);
		uint64_t room = m->packs[pack].plain_size;
		uint64_t begin = roll((uint32_t) room);
		uint64_t size = roll((uint32_t) (room - begin) + 1);

		m->files[i].size = size;
		manifest_add_run(m, &m->files[i], size, pack + 1, begin);
	}
}

static size_t
frame_at(const ManifestPack *p, uint64_t offset)
{
	size_t n = p->frame_count;

	while (n > 0 && p->frames[n - 1].plain > offset)
		n--;
	return n - 1;
}

static uint64_t
plain_end(const ManifestPack *p, size_t frame)
{
	return frame + 1 < p->frame_count ? p->frames[frame + 1].plain
									  : p->plain_size;
}

/* Counts what is read of each frame; false if a slice is none of frames. */
static bool
count_frames(const Manifest *m, const RestoreSlice *s, int *read)
{
	const ManifestPack *p = &m->packs[s->pack];
	size_t first = frame_at(p, s->pack_offset);
	size_t last = frame_at(p, s->pack_offset + s->frames.plain_len - 1);
	uint64_t stored_end = last + 1 < p->frame_count ? p->frames[last + 1].stored
													: p->zstd_size;

	for (size_t n = first; n <= last; n++)
		read[s->pack * 30 + n]++;
	return p->frames[first].plain == s->pack_offset &&
		   p->frames[first].stored == s->frames.zstd_offset &&
		   plain_end(p, last) == s->pack_offset + s->frames.plain_len &&
		   stored_end == s->frames.zstd_offset + s->frames.zstd_len;
}

/* Where each byte of each file comes from. */
static bool
count_bytes(const Manifest *m, const RestoreSlices *s,
			const RestoreSlice *slice, uint8_t **got)
{
	for (size_t i = 0; i < slice->piece_count; i++)
	{
		const RestorePiece *p = &s->pieces[slice->first_piece + i];
		const ManifestExtent *e = manifest_extents(m, &m->files[p->file]);

		if (p->pack != slice->pack || p->pack + 1 != e->pack ||
			p->pack_offset < slice->pack_offset ||
			p->pack_offset + p->length >
				slice->pack_offset + slice->frames.plain_len ||
			p->pack_offset != e->pack_offset + p->file_offset ||
			p->file_offset + p->length > m->files[p->file].size)
			return false;
		for (uint64_t n = 0; n < p->length; n++)
			got[p->file][p->file_offset + n]++;
	}
	return true;
}

typedef struct Want
{
	uint64_t from;
	uint64_t length;
} Want;

static bool
all_once(const Manifest *m, const Want *want, uint8_t **got, int *needed)
{
	for (size_t i = 0; i < m->file_count; i++)
	{
		const ManifestExtent *e = manifest_extents(m, &m->files[i]);
		const ManifestPack *p = &m->packs[e->pack - 1];

		for (uint64_t n = 0; n < m->files[i].size; n++)
		{
			bool wanted = n >= want[i].from &&
						  n - want[i].from < want[i].length;

			if (got[i][n] != wanted)
				return false;
			if (wanted)
				needed[(e->pack - 1) * 30 + frame_at(p, e->pack_offset + n)] =
					1;
		}
	}
	return true;
}

static bool
in_order(const RestoreSlices *s)
{
	size_t pieces = 0;

	for (size_t i = 0; i < s->count; i++)
	{
		const RestoreSlice *a = &s->items[i];

		if (a->first_piece != pieces || a->piece_count == 0 ||
			(i > 0 &&
			 (a->pack < a[-1].pack ||
			  (a->pack == a[-1].pack && a->pack_offset <= a[-1].pack_offset))))
			return false;
		pieces += a->piece_count;
	}
	return pieces == s->piece_count;
}

/* One made-up backup of which something is wanted. */
static bool
try_one(const SliceLimits *limits)
{
	Manifest m;
	RestoreSlices s = {0};
	Want want[FILES];
	uint8_t *got[FILES];
	int read[PACKS * 30] = {0};
	int needed[PACKS * 30] = {0};
	Error err = ERROR_INIT;
	bool good;

	make_manifest(&m);
	for (size_t i = 0; i < FILES; i++)
	{
		uint64_t size = m.files[i].size;

		want[i].from = roll(2) ? 0 : roll((uint32_t) size + 1);
		want[i].length = roll(3) ? size : roll((uint32_t) size + 1);
		got[i] = mem_zalloc(size + 1);
		restore_slices_want(&s, &m, i, want[i].from, want[i].length);
	}
	good = restore_slices_make(&s, &m, limits, &err) && in_order(&s);
	for (size_t i = 0; good && i < s.count; i++)
		good = count_frames(&m, &s.items[i], read) &&
			   count_bytes(&m, &s, &s.items[i], got) &&
			   (s.items[i].frames.plain_len <= limits->bytes ||
				s.items[i].frames.plain_len <= FRAME_LIMIT);
	good = good && all_once(&m, want, got, needed);
	for (size_t i = 0; good && i < PACKS * 30; i++)
		good = read[i] <= 1 && read[i] >= needed[i] &&
			   (limits->gap > 0 || read[i] == needed[i]);
	for (size_t i = 0; i < FILES; i++)
		free(got[i]);
	for (size_t i = 0; i < PACKS; i++)
		free(m.packs[i].frames);
	free(m.packs);
	free(m.files);
	free(m.extents);
	restore_slices_free(&s);
	return good;
}

static void
test_any(const SliceLimits *limits, const char *name)
{
	int bad = 0;

	for (int i = 0; i < 200; i++)
		bad += !try_one(limits);
	ok(bad == 0, "every wanted byte once, no frame twice: %s", name);
}

static void
test_too_long(void)
{
	ManifestFrame frame = {0, 0};
	ManifestPack pack = {.number = 1,
						 .plain_size = UINT64_C(1) << 40,
						 .zstd_size = 100,
						 .frames = &frame,
						 .frame_count = 1};
	ManifestExtent extent = {.pack_offset = 5, .pack = 1, .length = 10};
	ManifestFile file = {.size = 10, .extent_count = 1};
	Manifest m = {.packs = &pack,
				  .pack_count = 1,
				  .files = &file,
				  .file_count = 1,
				  .extents = &extent,
				  .extent_count = 1};
	RestoreSlices s = {0};
	SliceLimits limits = {1000, 0};
	Error err = ERROR_INIT;
	bool done;

	restore_slices_want(&s, &m, 0, 0, 10);
	done = restore_slices_make(&s, &m, &limits, &err);
	ok(!done && err.code == ERR_UNSUPPORTED,
	   "a frame that does not fit into memory: %s", err.message);
	error_clear(&err);
	restore_slices_free(&s);
}

int
main(void)
{
	test_any(&(SliceLimits){1, 0}, "each frame alone");
	test_any(&(SliceLimits){4000, 0}, "several frames");
	test_any(&(SliceLimits){4000, 2}, "with gaps");
	test_any(&(SliceLimits){1000000, 100}, "whole packs");
	test_too_long();
	return done_testing();
}
