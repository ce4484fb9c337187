/*-------------------------------------------------------------------------
 *
 * restore_files.c
 *	  Brings the files of a backup back: directories, links, what is empty, and
 *	  the distribution of slices of packs to workers.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "job/restore_blocks.h"
#include "job/restore_compare.h"
#include "job/restore_read.h"
#include "job/restore_write.h"
#include "repo/target.h"

#define CONTROL_TMP "global/" FILE_TMP_PREFIX "pg_control"

static int
compare_path(const void *key, const void *item)
{
	return strcmp(key, ((const ManifestFile *) item)->path);
}

const ManifestFile *
restore_find_file(const Manifest *manifest, const char *path)
{
	if (manifest->file_count == 0)
		return NULL;
	return bsearch(path, manifest->files, manifest->file_count,
				   sizeof(ManifestFile), compare_path);
}

/*
 * Only a data directory has names of a meaning.  tablespace_map would make the server put the links back to where they
 * pointed at the time of the backup.  A marker, or a signal file, may have
 * been lying about there.
 */
bool
restore_skips(const Manifest *manifest, const char *path)
{
	static const char *const names[] = {"tablespace_map", RESTORE_MARKER,
										"recovery.signal", "standby.signal",
										"postmaster.pid"};

	if (!backup_is_cluster(&manifest->info))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(path, names[i]) == 0)
			return true;
	}
	return false;
}

/* ---- directories ---- */

/* The server wants 0700 or 0750; which, the other directories tell. */
static bool
set_root_mode(const RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;
	mode_t mode = 0700;

	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (strcmp(m->dirs[i].path, "global") == 0 &&
			(m->dirs[i].mode & S_IRGRP) != 0)
			mode = 0750;
	}
	if (fchmod(places->items[0].fd, mode) != 0)
		return error_set_errno(err, errno,
							   "could not set permissions of directory \"%s\"",
							   places->items[0].path);
	return true;
}

static bool
make_link(const RestorePlaces *places, const RestorePlace *place,
		  TreeCache *cache, Error *err)
{
	const RestorePlace *data = &places->items[0];
	const char *leaf;
	int fd;

	if (!tree_parent(data->fd, data->path, place->prefix, cache, &fd, &leaf,
					 err))
		return false;
	if (symlinkat(place->path, fd, leaf) != 0)
		return error_set_errno(err, errno,
							   "could not create symbolic link \"%s/%s\"",
							   data->path, place->prefix);
	return true;
}

bool
restore_make_dirs(const RestorePlaces *places, Error *err)
{
	const Manifest *m = places->manifest;
	TreeCache cache = TREE_CACHE_INIT;
	bool done = set_root_mode(places, err);

	for (size_t i = 0; done && i < m->dir_count; i++)
	{
		const char *rest;
		const RestorePlace *place = restore_places_find(places, m->dirs[i].path,
														&rest);

		/* "" is the place itself, which has its mode already */
		done = thread_check_stop(err) &&
			   (*rest == '\0' ||
				tree_mkdir(place->fd, place->path, rest,
						   (mode_t) (m->dirs[i].mode & 0777), &cache, err));
	}
	for (size_t i = 1; done && i < places->count; i++)
		done = make_link(places, &places->items[i], &cache, err);
	tree_cache_free(&cache);
	return done;
}

/* ---- files ---- */

/* What one slice holds: enough for a request, little enough for the caches. */
static const SliceLimits near_limits = {4 * 1024 * 1024, 0};
/* An answer that takes its time should bring more. */
static const SliceLimits far_limits = {8 * 1024 * 1024, 2};

/* While an answer is waited for, another worker can decode. */
#define FAR_FACTOR 3
#define FAR_WORKERS 8

typedef enum FileTask
{
	TASK_NONE, /* it is complete, or not wanted */
	TASK_WRITE,
	TASK_ZEROS
} FileTask;

typedef struct Distribution
{
	FileTask *task; /* by file of the manifest */
	RestoreSources sources;
	RestoreSlices slices;
	RestoreOutput out;

	/* mutable, under lock */
	pthread_mutex_t lock;
	size_t next; /* slice */
} Distribution;

typedef struct FileWorker
{
	Distribution *d;
	RestoreReader *reader;
	RestoreWriter writer;
} FileWorker;

static const RestoreSlice *
next_slice(Distribution *d)
{
	const RestoreSlice *slice = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->next < d->slices.count)
		slice = &d->slices.items[d->next++];
	pthread_mutex_unlock(&d->lock);
	return slice;
}

/* ---- a file that is not what was backed up ---- */

static bool
differs_error(const Distribution *d, size_t file, Error *err)
{
	const Manifest *m = d->sources.manifest;
	const ManifestFile *f = &m->files[file];
	const ManifestExtent *e = manifest_extents(m, f);
	char *object = manifest_pack_name(m, &m->packs[e->pack - 1]);

	error_set(err, ERR_DAMAGED,
			  "file \"%s\" in \"%s\" is not what was backed up", f->path,
			  object);
	free(object);
	return false;
}

static bool
rewrite_from(FileWorker *w, const RestoreSlices *s, RestoreReader *reader,
			 size_t source, Error *err)
{
	for (size_t i = 0; i < s->count; i++)
	{
		const RestoreSlice *slice = &s->items[i];
		const uint8_t *data = restore_read_from(reader, source, slice, err);
		bool done = data != NULL;

		for (size_t n = 0; done && n < slice->piece_count; n++)
		{
			const RestorePiece *piece = &s->pieces[slice->first_piece + n];
			uint64_t at = piece->pack_offset - slice->pack_offset;

			done = restore_rewrite(&w->writer, piece, data + at, err);
		}
		if (!done)
			return false;
	}
	return true;
}

static bool
heal_from_any(FileWorker *w, const RestoreSlices *s, size_t file)
{
	RestoreReader *reader = restore_reader_new(&w->d->sources);
	bool differs = true;

	for (size_t i = 0; differs && i < w->d->sources.plan->source_count; i++)
	{
		Error why = ERROR_INIT;

		if (!rewrite_from(w, s, reader, i, &why) ||
			!restore_write_check(&w->writer, file, &differs, &why))
			differs = true;
		error_clear(&why);
	}
	restore_reader_free(reader);
	return !differs;
}

/*
 * All that was read of it was intact, yet it is not the file.  Which
 * repository, or what was there already, misled us is not known: each
 * repository is given the whole of it to say.
 */
static bool
heal(FileWorker *w, size_t file, Error *err)
{
	const Distribution *d = w->d;
	const Manifest *m = d->sources.manifest;
	RestoreSlices whole = {0};
	bool healed;

	if (d->sources.plan->source_count < 2 && !d->out.in_place)
		return differs_error(d, file, err);
	restore_slices_want(&whole, m, file, 0, m->files[file].size);
	healed = restore_slices_make(&whole, m, &near_limits, err) &&
			 heal_from_any(w, &whole, file);
	restore_slices_free(&whole);
	return healed || (!error_is_set(err) && thread_check_stop(err) &&
					  differs_error(d, file, err));
}

/* ---- workers ---- */

static bool
write_slice(FileWorker *w, const RestoreSlice *slice, Error *err)
{
	const RestoreSlices *s = &w->d->slices;
	const uint8_t *data = restore_read(w->reader, slice, err);
	bool done = data != NULL;

	for (size_t n = 0; done && n < slice->piece_count; n++)
	{
		const RestorePiece *piece = &s->pieces[slice->first_piece + n];
		bool differs;

		done = restore_write(&w->writer, piece,
							 data + (piece->pack_offset - slice->pack_offset),
							 &differs, err);
		if (done && differs)
			done = heal(w, piece->file, err);
	}
	return done && restore_writer_close(&w->writer, err);
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Distribution *d = arg;
	FileWorker w = {.d = d, .reader = restore_reader_new(&d->sources)};
	const RestoreSlice *slice;
	bool done = true;

	(void) worker_no;
	restore_writer_init(&w.writer, &d->out);
	while (done && (slice = next_slice(d)) != NULL)
		done = thread_check_stop(err) && write_slice(&w, slice, err);
	restore_writer_free(&w.writer);
	restore_reader_free(w.reader);
	return done;
}

/* Those that have no contents, or whose contents are not wanted. */
static bool
make_empty_files(Distribution *d, Error *err)
{
	const Manifest *m = d->sources.manifest;
	RestoreWriter w;
	bool done = true;

	restore_writer_init(&w, &d->out);
	for (size_t i = 0; done && i < m->file_count; i++)
	{
		if (d->task[i] == TASK_ZEROS)
			done = thread_check_stop(err) && restore_write_zeros(&w, i, err);
	}
	restore_writer_free(&w);
	return done;
}

/* What is there already needs no more of a delta restore. */
static bool
keep_files(Distribution *d, Error *err)
{
	const Manifest *m = d->sources.manifest;
	bool *same = mem_zalloc(m->file_count + 1);
	bool done;

	for (size_t i = 0; i < m->file_count; i++)
		same[i] = d->task[i] != TASK_WRITE;
	done = restore_compare(d->out.places, d->out.key, same, err);
	for (size_t i = 0; i < m->file_count; i++)
	{
		if (same[i] && d->task[i] == TASK_WRITE)
			d->task[i] = TASK_NONE;
	}
	free(same);
	return done;
}

/* Of the others, what differs. */
static bool
want_blocks(Distribution *d, Error *err)
{
	size_t count = d->sources.manifest->file_count;
	bool *files = mem_zalloc(count + 1);
	bool done;

	for (size_t i = 0; i < count; i++)
		files[i] = d->task[i] == TASK_WRITE;
	done = restore_want_blocks(&d->sources, d->out.places, files, &d->slices,
							   err);
	free(files);
	return done;
}

static bool
want_files(Distribution *d, const RestoreSelect *select, Error *err)
{
	const Manifest *m = d->sources.manifest;

	d->task = mem_zalloc((m->file_count + 1) * sizeof(*d->task));
	for (size_t i = 0; i < m->file_count; i++)
	{
		const ManifestFile *f = &m->files[i];

		if (restore_skips(m, f->path))
			d->task[i] = TASK_NONE;
		else if (f->size == 0 || restore_select_zeros(select, f->path))
			d->task[i] = TASK_ZEROS;
		else
			d->task[i] = TASK_WRITE;
	}
	if (d->out.in_place)
		return keep_files(d, err) && want_blocks(d, err);
	for (size_t i = 0; i < m->file_count; i++)
	{
		if (d->task[i] == TASK_WRITE)
			restore_slices_want(&d->slices, m, i, 0, m->files[i].size);
	}
	return true;
}

/*
 * Of a delta restore: files of which all blocks are right, though the whole is
 * not.  It may only be too long.
 */
static bool
check_rest(Distribution *d, Error *err)
{
	FileWorker w = {.d = d};
	bool done = true;

	restore_writer_init(&w.writer, &d->out);
	for (size_t i = 0; done && i < d->sources.manifest->file_count; i++)
	{
		bool differs;

		if (d->task[i] != TASK_WRITE || restore_output_waits(&d->out, i))
			continue;
		done = restore_write_check(&w.writer, i, &differs, err) &&
			   (!differs || heal(&w, i, err));
	}
	restore_writer_free(&w.writer);
	return done;
}

static int
worker_count(const Distribution *d, int workers, bool far)
{
	int most = d->slices.count < INT_MAX ? (int) d->slices.count : INT_MAX;

	if (far && workers < FAR_WORKERS)
		workers = workers * FAR_FACTOR < FAR_WORKERS ? workers * FAR_FACTOR
													 : FAR_WORKERS;
	return workers < most ? workers : most;
}

static bool
write_all(Distribution *d, const RestoreSelect *select, Error *err)
{
	const RestoreOptions *options = d->out.places->options;
	bool far = restore_sources_remote(&d->sources);
	bool done;

	if (!want_files(d, select, err) ||
		!restore_slices_make(&d->slices, d->sources.manifest,
							 far ? &far_limits : &near_limits, err))
		return false;
	restore_output_init(&d->out, &d->slices);
	done = make_empty_files(d, err) && check_rest(d, err) &&
		   thread_run(worker_count(d, options->workers, far), work, d, err);
	restore_output_free(&d->out);
	return done;
}

bool
restore_write_files(const RestoreInput *in, const RestorePlaces *places,
					Error *err)
{
	const RestoreOptions *options = places->options;
	Distribution d = {
		.out = {.places = places,
				.manifest = places->manifest,
				.key = &repo_set_any(in->set)->content,
				.control_name = backup_is_cluster(&places->manifest->info)
									? CONTROL_TMP
									: RESTORE_CONTROL_FILE,
				.in_place = options->delta,
				.progress = options->progress},
		.lock = PTHREAD_MUTEX_INITIALIZER};
	bool done;

	restore_sources_init(&d.sources, in->set, in->plan, places->manifest);
	done = write_all(&d, in->select, err);
	restore_slices_free(&d.slices);
	restore_sources_free(&d.sources);
	pthread_mutex_destroy(&d.lock);
	free(d.task);
	return done;
}

bool
restore_publish(const RestorePlaces *places, Error *err)
{
	const RestorePlace *data = &places->items[0];
	TreeCache cache = TREE_CACHE_INIT;
	const char *leaf;
	int fd;
	bool done;

	done = tree_parent(data->fd, data->path, RESTORE_CONTROL_FILE, &cache, &fd,
					   &leaf, err);
	if (done && renameat(fd, FILE_TMP_PREFIX "pg_control", fd, leaf) != 0)
		done = error_set_errno(err, errno, "could not create file \"%s/%s\"",
							   data->path, RESTORE_CONTROL_FILE);
	done = done && file_fsync(fd, data->path, err);
	tree_cache_free(&cache);
	return done;
}
