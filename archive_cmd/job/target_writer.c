/*-------------------------------------------------------------------------
 *
 * target_writer.c
 *	  Writes files into the packs of a backup that is not one of the cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

struct TargetWriter
{
	/* fixed */
	TargetBackup *b;
	Repo *repo;
	ContentHash *hash;

	/* mutable */
	PackWriter *pack; /* NULL: none is in work */
	ManifestFile file;
	uint64_t left;   /* of the file in work */
	uint64_t offset; /* of the entry in work in its pack */
	BuildRun *runs;  /* of the file, as far as they are written */
	size_t run_count;
	size_t run_cap;
};

bool
target_writer_open(TargetBackup *b, TargetWriter **out, Error *err)
{
	TargetWriter *w = mem_zalloc(sizeof(*w));

	w->b = b;
	if (!repo_open_again(target_backup_repo(b), &w->repo, err))
	{
		free(w);
		return false;
	}
	w->hash = content_hash_new(&w->repo->content);
	*out = w;
	return true;
}

static void
forget_file(TargetWriter *w)
{
	free(w->file.path);
	memset(&w->file, 0, sizeof(w->file));
}

void
target_writer_close(TargetWriter *w)
{
	if (w == NULL)
		return;
	pack_abort(w->pack);
	forget_file(w);
	free(w->runs);
	content_hash_free(w->hash);
	repo_close(w->repo);
	free(w);
}

/* ---- packs ---- */

bool
target_writer_commit(TargetWriter *w, Error *err)
{
	PackWriter *writer = w->pack;
	ManifestPack pack;
	uint64_t stored;

	if (writer == NULL)
		return true;
	w->pack = NULL;
	if (!pack_commit(writer, &pack, &stored, err))
		return false;
	backup_build_add_pack(target_backup_build(w->b), &pack, stored);
	return true;
}

bool
target_writer_pack(TargetWriter *w, PackWriter **out, Error *err)
{
	const BackupInfo *info = target_backup_info(w->b);

	if (w->pack != NULL && pack_is_full(w->pack) &&
		!target_writer_commit(w, err))
		return false;
	if (w->pack == NULL)
		w->pack = pack_create(w->repo, info->label,
							  backup_build_next_pack(target_backup_build(w->b)),
							  NULL, err);
	*out = w->pack;
	return w->pack != NULL;
}

static bool
has_dir(const Manifest *m, const char *path)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (strcmp(m->dirs[i].path, path) == 0)
			return true;
	}
	return false;
}

void
target_writer_parents(TargetWriter *w, const char *path)
{
	BackupBuild *build = target_backup_build(w->b);
	char *copy = mem_strdup(path);

	for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/'))
	{
		*p = '\0';
		if (!has_dir(&build->manifest, copy))
			backup_build_add_dir(build, copy, 0700);
		*p = '/';
	}
	free(copy);
}

/* ---- files ---- */

void
target_writer_announce(TargetWriter *w, int64_t bytes)
{
	atomic_fetch_add(&target_backup_progress(w->b)->total_bytes,
					 (uint64_t) bytes);
}

static void
describe(TargetWriter *w, const TargetFile *file)
{
	forget_file(w);
	w->file.path = mem_strdup(file->path);
	w->file.mtime = file->mtime;
	w->file.mode = file->mode & 07777;
	w->file.owner = file->owner;
	w->file.sparse = file->sparse;
}

static bool
begin_entry(TargetWriter *w, const TargetFile *file, Error *err)
{
	TarEntry entry = {
		.path = file->path,
		.mode = file->mode & 07777,
		.size = file->size,
		.mtime = file->mtime,
		.owner = backup_build_owner(target_backup_build(w->b), file->owner)};
	PackWriter *pack;

	w->left = file->size;
	return target_writer_pack(w, &pack, err) &&
		   pack_begin_file(pack, &entry, &w->offset, err);
}

static bool
write_entry(TargetWriter *w, const void *data, size_t len, Error *err)
{
	if (!pack_write(w->pack, data, len, err))
		return false;
	w->left -= len;
	atomic_fetch_add(&target_backup_progress(w->b)->done_bytes, len);
	return thread_check_stop(err);
}

bool
target_writer_begin(TargetWriter *w, const TargetFile *file, Error *err)
{
	describe(w, file);
	w->file.size = file->size;
	return begin_entry(w, file, err);
}

bool
target_writer_write(TargetWriter *w, const void *data, size_t len, Error *err)
{
	content_hash_add(w->hash, data, len);
	return write_entry(w, data, len, err);
}

static void
add_run(TargetWriter *w, uint64_t length)
{
	if (length == 0)
		return;
	w->runs = mem_grow(w->runs, w->run_count, &w->run_cap, sizeof(BuildRun));
	w->runs[w->run_count++] = (BuildRun){.length = length,
										 .pack = pack_number(w->pack),
										 .pack_offset = w->offset};
}

/* The manifest gets it. */
static void
add_file(TargetWriter *w)
{
	backup_build_add_file(target_backup_build(w->b), &w->file, w->runs,
						  w->run_count);
	w->run_count = 0;
	memset(&w->file, 0, sizeof(w->file));
	atomic_fetch_add(&target_backup_progress(w->b)->done_items, 1);
}

bool
target_writer_end(TargetWriter *w, Error *err)
{
	content_hash_final(w->hash, w->file.content);
	if (!pack_end_file(w->pack, w->file.content, err))
		return false;
	add_run(w, w->file.size);
	add_file(w);
	return true;
}

bool
target_writer_discard(TargetWriter *w, Error *err)
{
	static const char zeros[4096];
	uint64_t written = w->file.size - w->left;

	while (w->left > 0)
	{
		size_t n = w->left < sizeof(zeros) ? (size_t) w->left : sizeof(zeros);

		content_hash_add(w->hash, zeros, n);
		if (!pack_write(w->pack, zeros, n, err))
			return false;
		w->left -= n;
	}
	atomic_fetch_sub(&target_backup_progress(w->b)->done_bytes, written);
	content_hash_final(w->hash, w->file.content);
	return pack_end_file(w->pack, w->file.content, err);
}

bool
target_writer_put(TargetWriter *w, const TargetFile *file, const void *data,
				  Error *err)
{
	return target_writer_begin(w, file, err) &&
		   target_writer_write(w, data, file->size, err) &&
		   target_writer_end(w, err);
}

/* ---- files of unknown length ---- */

/* In the map they are parts of one file. */
static bool
write_part(TargetWriter *w, const char *name, const uint8_t *data, size_t len,
		   Error *err)
{
	TarEntry entry = {.path = name,
					  .mode = w->file.mode,
					  .size = len,
					  .mtime = w->file.mtime};
	MapRun run = {w->file.size, len};
	PackPart part = {.path = w->file.path, .runs = &run, .run_count = 1};
	PackWriter *pack;

	w->left = len;
	if (!target_writer_pack(w, &pack, err) ||
		!pack_begin_part(pack, &entry, &part, &w->offset, err) ||
		!target_writer_write(w, data, len, err) || !pack_end_part(pack, err))
		return false;
	w->file.size += len;
	add_run(w, len);
	return true;
}

static bool
write_parts(TargetWriter *w, Child *child, uint8_t *buffer, Error *err)
{
	size_t got = TARGET_PART_SIZE;

	for (unsigned int n = 1; got == TARGET_PART_SIZE; n++)
	{
		char *name;
		bool done;

		if (!child_read(child, buffer, TARGET_PART_SIZE, &got, err))
			return false;
		if (got == 0)
			break;
		name = n == 1 && got < TARGET_PART_SIZE
				   ? mem_strdup(w->file.path)
				   : mem_printf("%s.part%06u", w->file.path, n);
		done = write_part(w, name, buffer, got, err);
		free(name);
		if (!done)
			return false;
	}
	return true;
}

bool
target_writer_run(TargetWriter *w, const TargetFile *file,
				  const ChildSpec *spec, Error *err)
{
	Child *child;
	uint8_t *buffer;
	bool done;

	if (!child_start(spec, &child, err))
		return false;
	describe(w, file);
	buffer = mem_alloc(TARGET_PART_SIZE);
	done = write_parts(w, child, buffer, err);
	free(buffer);
	if (!done)
	{
		child_kill(child);
		return false;
	}
	if (!child_end(child, err))
		return false;
	content_hash_final(w->hash, w->file.content);
	add_file(w);
	return true;
}
