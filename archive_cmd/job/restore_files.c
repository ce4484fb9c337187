/*-------------------------------------------------------------------------
 *
 * restore_files.c
 *	  Brings the files of a backup back: directories, links, what is empty, and
 *	  the distribution of packs to workers.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "job/restore_cut.h"

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
 * tablespace_map would make the server put the links back to where they
 * pointed at the time of the backup.  A marker, or a signal file, may have
 * been lying about there.
 */
bool
restore_skips(const char *path)
{
	static const char *const names[] = {"tablespace_map", RESTORE_MARKER,
										"recovery.signal", "standby.signal",
										"postmaster.pid"};

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
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "pg_tblspc/%" PRIu32, place->oid);
	if (!tree_parent(data->fd, data->path, path, cache, &fd, &leaf, err))
		return false;
	if (symlinkat(place->path, fd, leaf) != 0)
		return error_set_errno(err, errno,
							   "could not create symbolic link \"%s/%s\"",
							   data->path, path);
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

typedef struct Distribution
{
	/* fixed */
	Repo *repo;
	RestoreCut cut;
	const ManifestFile **files; /* with contents, by pack and offset */
	size_t count;
	const ManifestPack **packs; /* the largest first */

	/* mutable, under lock */
	pthread_mutex_t lock;
	size_t next; /* pack */
} Distribution;

static int
compare_extents(const void *a, const void *b)
{
	const ManifestExtent *x = &(*(const ManifestFile *const *) a)->extent;
	const ManifestExtent *y = &(*(const ManifestFile *const *) b)->extent;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->pack_offset > y->pack_offset) -
		   (x->pack_offset < y->pack_offset);
}

static int
compare_packs(const void *a, const void *b)
{
	uint64_t x = (*(const ManifestPack *const *) a)->plain_size;
	uint64_t y = (*(const ManifestPack *const *) b)->plain_size;

	return (x < y) - (x > y);
}

/* The files of a pack are neighbours: the first, and *count of them. */
static const ManifestFile *const *
files_of(const Distribution *d, uint32_t pack, size_t *count)
{
	size_t low = 0;
	size_t high = d->count;
	size_t end;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;

		if (d->files[mid]->extent.pack < pack)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < d->count && d->files[end]->extent.pack == pack;)
		end++;
	*count = end - low;
	return d->files + low;
}

static const ManifestPack *
next_pack(Distribution *d)
{
	const ManifestPack *pack = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->next < d->cut.places->manifest->pack_count)
		pack = d->packs[d->next++];
	pthread_mutex_unlock(&d->lock);
	return pack;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Distribution *d = arg;
	Repo *repo = NULL;
	const ManifestPack *pack;
	bool done;

	(void) worker_no;
	done = repo_open_again(d->repo, &repo, err);
	while (done && (pack = next_pack(d)) != NULL)
	{
		size_t count;
		const ManifestFile *const *files = files_of(d, pack->number, &count);

		done = thread_check_stop(err) &&
			   (count == 0 ||
				restore_cut_pack(repo, &d->cut, pack, files, count, err));
	}
	repo_close(repo);
	return done;
}

static bool
make_empty_files(const RestoreCut *cut, Error *err)
{
	const Manifest *m = cut->places->manifest;
	TreeCache cache = TREE_CACHE_INIT;
	bool done = true;

	for (size_t i = 0; done && i < m->file_count; i++)
	{
		if (m->files[i].size == 0 && !restore_skips(m->files[i].path))
			done = thread_check_stop(err) &&
				   restore_cut_empty(cut, &m->files[i], &cache, err);
	}
	tree_cache_free(&cache);
	return done;
}

static void
distribute(Distribution *d)
{
	const Manifest *m = d->cut.places->manifest;

	d->files = mem_zalloc((m->file_count + 1) * sizeof(*d->files));
	for (size_t i = 0; i < m->file_count; i++)
	{
		if (m->files[i].size > 0 && !restore_skips(m->files[i].path))
			d->files[d->count++] = &m->files[i];
	}
	qsort(d->files, d->count, sizeof(*d->files), compare_extents);
	d->packs = mem_zalloc((m->pack_count + 1) * sizeof(*d->packs));
	for (size_t i = 0; i < m->pack_count; i++)
		d->packs[i] = &m->packs[i];
	qsort(d->packs, m->pack_count, sizeof(*d->packs), compare_packs);
}

bool
restore_write_files(Repo *repo, const RestorePlaces *places, Error *err)
{
	Distribution d = {.repo = repo,
					  .cut = {.places = places,
							  .label = places->manifest->info.label,
							  .control_name = CONTROL_TMP,
							  .progress = places->options->progress},
					  .lock = PTHREAD_MUTEX_INITIALIZER};
	int workers = places->options->workers;
	bool done;

	distribute(&d);
	if (workers > (int) places->manifest->pack_count)
		workers = (int) places->manifest->pack_count;
	done = make_empty_files(&d.cut, err) && thread_run(workers, work, &d, err);
	pthread_mutex_destroy(&d.lock);
	free(d.files);
	free(d.packs);
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
