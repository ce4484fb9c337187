/*-------------------------------------------------------------------------
 *
 * restore_blocks.c
 *	  Which blocks of the files in the directories of a delta restore are not
 *	  those of the backup.
 *
 * Workers take one pack after the other: its map is read once, and serves all
 * runs that lie in the pack.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "repo/block_map.h"

#define READ_BLOCKS 32

/* A run of a file, and where it is to come from. */
typedef struct BlockRun
{
	size_t pack; /* in the manifest */
	size_t file;
	uint64_t file_offset;
	uint64_t pack_offset;
	uint64_t length;
} BlockRun;

typedef struct BlockJob
{
	/* fixed */
	const RestoreSources *sources;
	const RestorePlaces *places;
	const Manifest *manifest;
	BlockRun *runs; /* by pack and file */
	size_t count;
	size_t cap;

	/* mutable, under lock */
	pthread_mutex_t lock;
	size_t next; /* run */
	RestoreSlices *slices;
} BlockJob;

typedef struct BlockWorker
{
	BlockJob *job;
	Repo **repos; /* by source, opened when they are needed */
	TreeCache cache;
	int fd; /* of the file in work, -1: none, or it is not there */
	size_t file;
	uint8_t *block;
} BlockWorker;

static void
want(BlockJob *job, const BlockRun *run, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	pthread_mutex_lock(&job->lock);
	restore_slices_want(job->slices, job->manifest, run->file,
						run->file_offset + from, to - from);
	pthread_mutex_unlock(&job->lock);
}

static void
count_kept(const BlockJob *job, uint64_t bytes)
{
	const RestoreOptions *o = job->places->options;

	if (o->kept)
		atomic_fetch_add(o->kept, bytes);
	if (o->progress)
		atomic_fetch_add(&o->progress->done_bytes, bytes);
}

/* ---- the map ---- */

static Repo *
open_source(BlockWorker *w, size_t source, Error *err)
{
	const RestoreSources *s = w->job->sources;
	const RepoMember *m = &s->set->members[s->plan->sources[source]];

	if (w->repos[source] == NULL)
		repo_open_again(m->repo, &w->repos[source], err);
	return w->repos[source];
}

/* False: there is none, and all of the pack's runs are wanted. */
static bool
read_map(BlockWorker *w, size_t pack, BlockMap *map)
{
	const Manifest *m = w->job->manifest;
	const ManifestPack *p = &m->packs[pack];
	const char *label = p->backup != NULL ? p->backup : m->info.label;

	for (size_t i = 0; i < w->job->sources->plan->source_count; i++)
	{
		Error why = ERROR_INIT;
		Repo *repo = open_source(w, i, &why);

		*map = (BlockMap){0};
		if (repo != NULL &&
			block_map_read(repo, label, p->number, false, map, &why))
		{
			if (memcmp(map->sha256, p->sha256, SHA256_LEN) == 0)
				return true;
			block_map_free(map);
		}
		else if (why.code == ERR_DAMAGED)
			log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
	return false;
}

/* ---- one file ---- */

static void
close_file(BlockWorker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->file = SIZE_MAX;
}

static bool
open_file(BlockWorker *w, size_t file, Error *err)
{
	const char *path = w->job->manifest->files[file].path;
	const char *rest;
	const char *leaf;
	const RestorePlace *place = restore_places_find(w->job->places, path,
													&rest);
	int parent;

	if (w->file == file)
		return true;
	close_file(w);
	if (!tree_parent(place->fd, place->path, rest, &w->cache, &parent, &leaf,
					 err))
		return false;
	w->fd = openat(parent, leaf,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	w->file = file;
	return w->fd >= 0 || errno == ENOENT ||
		   error_set_errno(err, errno, "could not open file \"%s/%s\"",
						   place->path, rest);
}

/* What cannot be read is wanted. */
static size_t
read_blocks(BlockWorker *w, uint64_t offset, size_t len)
{
	const char *path = w->job->manifest->files[w->file].path;
	Error ignored = ERROR_INIT;
	size_t got = 0;

	if (!file_pread_full(w->fd, w->block, len, offset, &got, path, &ignored))
		got = 0;
	error_clear(&ignored);
	return got;
}

/* Compares as much as is in the buffer; *from: where what differs begins. */
static void
compare_part(BlockWorker *w, const BlockRun *run, uint64_t at, size_t len,
			 const uint64_t *hashes, uint64_t *from)
{
	const ContentKey *key = &repo_set_any(w->job->sources->set)->content;
	size_t got = read_blocks(w, run->file_offset + at, len);

	for (size_t n = 0; n < len; n += MANIFEST_BLOCK)
	{
		size_t size = len - n < MANIFEST_BLOCK ? len - n : MANIFEST_BLOCK;
		bool same = n + size <= got &&
					content_block_hash(key, w->block + n, size) ==
						hashes[(at + n) / MANIFEST_BLOCK];

		if (!same)
			continue;
		want(w->job, run, *from, at + n);
		*from = at + n + size;
		count_kept(w->job, size);
	}
}

static bool
compare_run(BlockWorker *w, const BlockMap *map, const BlockRun *run,
			Error *err)
{
	const uint64_t *hashes = NULL;
	uint64_t known = 0;
	uint64_t from = 0;

	if (!open_file(w, run->file, err))
		return false;
	if (map != NULL && w->fd >= 0)
		hashes = block_map_find(map, run->pack_offset, &known);
	for (uint64_t at = 0;
		 hashes != NULL && known >= run->length && at < run->length;
		 at += READ_BLOCKS * MANIFEST_BLOCK)
	{
		uint64_t left = run->length - at;
		size_t len = READ_BLOCKS * MANIFEST_BLOCK;

		if (!thread_check_stop(err))
			return false;
		compare_part(w, run, at, left < len ? (size_t) left : len, hashes,
					 &from);
	}
	want(w->job, run, from, run->length);
	return true;
}

/* ---- workers ---- */

/* All runs of the next pack. */
static size_t
next_runs(BlockJob *job, const BlockRun **first)
{
	size_t count = 0;

	pthread_mutex_lock(&job->lock);
	*first = &job->runs[job->next];
	while (job->next < job->count &&
		   job->runs[job->next].pack == (*first)->pack)
	{
		job->next++;
		count++;
	}
	pthread_mutex_unlock(&job->lock);
	return count;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	BlockJob *job = arg;
	size_t sources = job->sources->plan->source_count;
	BlockWorker w = {.job = job,
					 .repos = mem_zalloc((sources + 1) * sizeof(Repo *)),
					 .cache = TREE_CACHE_INIT,
					 .fd = -1,
					 .file = SIZE_MAX,
					 .block = mem_alloc(READ_BLOCKS * MANIFEST_BLOCK)};
	const BlockRun *runs;
	size_t count;
	bool done = true;

	(void) worker_no;
	while (done && (count = next_runs(job, &runs)) > 0)
	{
		BlockMap map;
		bool mapped = read_map(&w, runs->pack, &map);

		for (size_t i = 0; done && i < count; i++)
			done = compare_run(&w, mapped ? &map : NULL, &runs[i], err);
		if (mapped)
			block_map_free(&map);
	}
	close_file(&w);
	tree_cache_free(&w.cache);
	for (size_t i = 0; i < sources; i++)
		repo_close(w.repos[i]);
	free(w.repos);
	free(w.block);
	return done;
}

static int
compare_runs(const void *a, const void *b)
{
	const BlockRun *x = a;
	const BlockRun *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->file_offset > y->file_offset) -
		   (x->file_offset < y->file_offset);
}

static void
add_file(BlockJob *job, size_t file)
{
	const ManifestFile *f = &job->manifest->files[file];
	const ManifestExtent *e = manifest_extents(job->manifest, f);
	uint64_t at = 0;

	for (uint32_t i = 0; i < f->extent_count; i++)
	{
		job->runs = mem_grow(job->runs, job->count, &job->cap,
							 sizeof(*job->runs));
		job->runs[job->count++] = (BlockRun){.pack = e[i].pack - 1,
											 .file = file,
											 .file_offset = at,
											 .pack_offset = e[i].pack_offset,
											 .length = e[i].length};
		at += e[i].length;
	}
}

bool
restore_want_blocks(const RestoreSources *sources, const RestorePlaces *places,
					const bool *files, RestoreSlices *slices, Error *err)
{
	const Manifest *m = places->manifest;
	BlockJob job = {.sources = sources,
					.places = places,
					.manifest = m,
					.lock = PTHREAD_MUTEX_INITIALIZER,
					.slices = slices};
	bool done;

	for (size_t i = 0; i < m->file_count; i++)
	{
		if (files[i])
			add_file(&job, i);
	}
	if (job.count > 1)
		qsort(job.runs, job.count, sizeof(*job.runs), compare_runs);
	done = job.count == 0 ||
		   thread_run(places->options->workers, work, &job, err);
	pthread_mutex_destroy(&job.lock);
	free(job.runs);
	return done;
}
