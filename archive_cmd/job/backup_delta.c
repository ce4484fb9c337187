/*-------------------------------------------------------------------------
 *
 * backup_delta.c
 *	  Copies of a file only what is not the same in an earlier backup.
 *
 * Contents decide, and nothing else: neither times nor positions in the WAL,
 * which lie about visibility maps, free space maps and databases that were
 * copied as files.  So it does not matter either what became of the file
 * since: whatever block is the same at the same place need not be stored.
 *
 * What changed is collected until it is a tar entry worth its header.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_delta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "job/backup_file_internal.h"

#define CHANGED_MAX ((size_t) 4 * 1024 * 1024) /* bytes of an entry */

/* Below this size a file that changed is stored whole. */
#define SMALL_MAX ((uint64_t) 32 * 1024)

struct FileDelta
{
	/* fixed */
	const FileCopySpec *spec;
	const Manifest *base;
	DeltaTarget target;
	uint8_t *changed; /* CHANGED_MAX */

	/* of the file in work */
	BaseCursor cursor;
	BuildRun *runs;
	size_t run_count;
	size_t run_cap;
	size_t stored_runs; /* before these no run is only in memory */
	size_t changed_len;
	MapRun *parts; /* where in the file the changed bytes belong */
	size_t part_count;
	size_t part_cap;
};

FileDelta *
file_delta_new(const FileCopySpec *spec, BaseMaps *maps, Repo *repo,
			   const DeltaTarget *target)
{
	FileDelta *d = mem_zalloc(sizeof(FileDelta));

	d->spec = spec;
	d->base = base_maps_manifest(maps);
	d->target = *target;
	d->cursor = (BaseCursor){.maps = maps, .repo = repo};
	d->changed = mem_alloc(CHANGED_MAX);
	return d;
}

void
file_delta_free(FileDelta *d)
{
	if (d == NULL)
		return;
	base_cursor_end(&d->cursor);
	free(d->changed);
	free(d->runs);
	free(d->parts);
	free(d);
}

/* ---- runs ---- */

static bool
goes_on(const BuildRun *last, const BuildRun *run)
{
	return last->pack == run->pack &&
		   last->pack_offset + last->length == run->pack_offset;
}

static void
add_run(FileDelta *d, const BuildRun *run)
{
	BuildRun *last = d->run_count > 0 ? &d->runs[d->run_count - 1] : NULL;

	if (last != NULL && d->run_count > d->stored_runs && goes_on(last, run))
	{
		last->length += run->length;
		return;
	}
	d->runs = mem_grow(d->runs, d->run_count, &d->run_cap, sizeof(BuildRun));
	d->runs[d->run_count++] = *run;
}

static void
add_part(FileDelta *d, uint64_t offset, size_t len)
{
	MapRun *last = d->part_count > 0 ? &d->parts[d->part_count - 1] : NULL;

	if (last != NULL && last->file_offset + last->length == offset)
	{
		last->length += len;
		return;
	}
	d->parts = mem_grow(d->parts, d->part_count, &d->part_cap, sizeof(MapRun));
	d->parts[d->part_count++] = (MapRun){offset, len};
}

/* Pack 0 is what is not stored yet. */
static void
place_runs(FileDelta *d, uint32_t pack, uint64_t offset)
{
	for (; d->stored_runs < d->run_count; d->stored_runs++)
	{
		BuildRun *run = &d->runs[d->stored_runs];

		if (run->pack != 0)
			continue;
		run->pack = pack;
		run->pack_offset += offset;
	}
}

/* Stores what has changed so far. */
static bool
flush(FileDelta *d, const ManifestFile *file, Error *err)
{
	PackPart part = {
		.path = file->path, .runs = d->parts, .run_count = d->part_count};
	TarEntry entry = {.mode = file->mode,
					  .size = d->changed_len,
					  .mtime = file->mtime,
					  .owner = &d->spec->owner};
	PackWriter *pack;
	uint64_t offset = 0;
	char *path;
	bool done;

	if (d->changed_len == 0)
		return true;
	pack = d->target.pack(d->target.arg, err);
	if (pack == NULL)
		return false;
	path = mem_printf("pgdr_changed/%s/%" PRIu64, file->path,
					  d->parts[0].file_offset);
	entry.path = path;
	done = pack_begin_part(pack, &entry, &part, &offset, err) &&
		   pack_write(pack, d->changed, d->changed_len, err) &&
		   pack_end_part(pack, err);
	free(path);
	if (done)
		place_runs(d, pack_number(pack), offset);
	d->changed_len = 0;
	d->part_count = 0;
	return done;
}

/* ---- blocks ---- */

/* False: there is no room for another one. */
static bool
take_block(FileDelta *d, uint64_t offset, const uint8_t *data, size_t len)
{
	uint64_t hash = content_block_hash(d->spec->content, data, len);
	ManifestExtent at;
	BuildRun run = {.length = len};

	if (base_cursor_same(&d->cursor, offset, len, hash, &at))
	{
		run.pack = BUILD_BASE_PACK | at.pack;
		run.pack_offset = at.pack_offset;
	}
	else
	{
		run.pack_offset = d->changed_len;
		memcpy(d->changed + d->changed_len, data, len);
		d->changed_len += len;
		add_part(d, offset, len);
	}
	add_run(d, &run);
	return d->changed_len + MANIFEST_BLOCK <= CHANGED_MAX;
}

static bool
take_blocks(FileDelta *d, FileCopier *c, uint64_t offset, size_t len,
			Error *err)
{
	for (size_t at = 0; at < len;)
	{
		size_t n = len - at < MANIFEST_BLOCK ? len - at : MANIFEST_BLOCK;

		if (!take_block(d, offset + at, c->buffer + at, n) &&
			!flush(d, &c->file, err))
			return false;
		at += n;
	}
	return true;
}

/* ---- one file ---- */

static void
reset(FileDelta *d)
{
	d->run_count = 0;
	d->stored_runs = 0;
	d->changed_len = 0;
	d->part_count = 0;
}

/* All of it is as it was. */
static void
refer(FileDelta *d, const ManifestFile *before)
{
	const ManifestExtent *e = manifest_extents(d->base, before);

	for (uint32_t i = 0; i < before->extent_count; i++)
		add_run(d, &(BuildRun){.length = e[i].length,
							   .pack = BUILD_BASE_PACK | e[i].pack,
							   .pack_offset = e[i].pack_offset});
}

static bool
compare(FileDelta *d, FileCopier *c, Error *err)
{
	uint64_t size = c->file.size;

	for (uint64_t offset = 0; offset < size;)
	{
		size_t want = size - offset < FILE_READ_SIZE ? (size_t) (size - offset)
													 : FILE_READ_SIZE;

		if (!file_copier_read(c, offset, want, err) ||
			!file_copier_hash(c, c->buffer, want, err) ||
			!take_blocks(d, c, offset, want, err))
			return false;
		offset += want;
	}
	file_copier_finish_hashes(c);
	return flush(d, &c->file, err);
}

/* All of it is in the buffer. */
static bool
store_whole(FileDelta *d, FileCopier *c, Error *err)
{
	TarEntry entry = {.path = c->file.path,
					  .mode = c->file.mode,
					  .size = c->file.size,
					  .mtime = c->file.mtime,
					  .owner = &d->spec->owner};
	PackWriter *pack;
	BuildRun run = {.length = c->file.size};

	/* of an empty file there is nothing to store */
	if (entry.size == 0)
		return true;
	pack = d->target.pack(d->target.arg, err);
	if (pack == NULL || !pack_begin_file(pack, &entry, &run.pack_offset, err) ||
		!pack_write(pack, c->buffer, (size_t) c->file.size, err) ||
		!pack_end_file(pack, c->file.content, err))
		return false;
	run.pack = pack_number(pack);
	add_run(d, &run);
	return true;
}

/* What fits into the buffer is compared whole first, which needs no map. */
static bool
copy_short(FileDelta *d, FileCopier *c, const ManifestFile *before, Error *err)
{
	size_t size = (size_t) c->file.size;

	if (!file_copier_read(c, 0, size, err) ||
		!file_copier_hash(c, c->buffer, size, err))
		return false;
	file_copier_finish_hashes(c);
	if (before != NULL && before->size == size &&
		memcmp(before->content, c->file.content, CONTENT_LEN) == 0)
	{
		refer(d, before);
		return true;
	}
	if (size <= SMALL_MAX || before == NULL)
		return store_whole(d, c, err);
	base_cursor_begin(&d->cursor, before);
	return take_blocks(d, c, 0, size, err) && flush(d, &c->file, err);
}

static int
compare_path(const void *key, const void *item)
{
	return strcmp(key, ((const ManifestFile *) item)->path);
}

/* NULL: there is nothing to compare it with. */
static const ManifestFile *
find_before(const FileDelta *d, const char *path)
{
	const ManifestFile *f = bsearch(path, d->base->files, d->base->file_count,
									sizeof(ManifestFile), compare_path);

	return f != NULL && f->size > 0 ? f : NULL;
}

bool
file_delta_run(FileDelta *d, FileCopier *c, Error *err)
{
	const ManifestFile *before = find_before(d, c->file.path);
	bool is_short = c->file.size <= FILE_READ_SIZE;
	bool done;

	if (!is_short && before == NULL)
	{
		PackWriter *pack = d->target.pack(d->target.arg, err);

		return pack != NULL && file_copier_run(c, pack, err);
	}
	reset(d);
	file_copier_start(c);
	if (is_short)
		done = copy_short(d, c, before, err);
	else
	{
		base_cursor_begin(&d->cursor, before);
		done = compare(d, c, err);
	}
	if (done)
		file_copier_add(c, d->runs, d->run_count);
	file_copier_forget(c);
	return done;
}
