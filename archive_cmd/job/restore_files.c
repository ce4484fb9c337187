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
#include "base/log.h"
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
	RepoSet *set;
	const RestorePlan *plan; /* its sources */
	RestoreCut cut;
	const ManifestFile **files; /* with contents, by pack and offset */
	size_t count;
	const ManifestPack **packs; /* the largest first */

	/* mutable, under lock */
	pthread_mutex_t lock;
	size_t next; /* pack */
	bool *down;  /* by source: it did not answer */
} Distribution;

typedef struct CutWorker
{
	Distribution *d;
	Repo **repos; /* by source, opened when they are needed */
} CutWorker;

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

/* ---- from which repository ---- */

static bool
is_down(Distribution *d, size_t source)
{
	bool down;

	pthread_mutex_lock(&d->lock);
	down = d->down[source];
	pthread_mutex_unlock(&d->lock);
	return down;
}

/*
 * A pack that is damaged or missing says nothing of the others; but what does
 * not answer is asked last from now on, so that its time-outs are not waited
 * for again and again.
 */
static void
note_failure(Distribution *d, size_t source, const Error *why)
{
	if (why->code == ERR_DAMAGED || why->code == ERR_MISMATCH ||
		why->code == ERR_INCOMPLETE || why->code == ERR_KEY)
		return;
	pthread_mutex_lock(&d->lock);
	d->down[source] = true;
	pthread_mutex_unlock(&d->lock);
}

static Repo *
open_source(CutWorker *w, size_t source, Error *err)
{
	const RepoMember *m = &w->d->set->members[w->d->plan->sources[source]];

	if (w->repos[source] == NULL)
		repo_open_again(m->repo, &w->repos[source], err);
	return w->repos[source];
}

typedef struct CutPack
{
	const ManifestPack *pack;
	const ManifestFile *const *files;
	size_t count;
	bool final; /* no other repository can help */
} CutPack;

static bool
cut_from(CutWorker *w, size_t source, CutPack *pack, Error *err)
{
	Repo *repo = open_source(w, source, err);
	RestoreCut cut = w->d->cut;

	cut.local = &pack->final;
	return repo != NULL && restore_cut_pack(repo, &cut, pack->pack, pack->files,
											pack->count, err);
}

/*
 * The sources in order, those that did not answer before last.  The error is
 * the first one's.
 */
static bool
cut_from_any(CutWorker *w, CutPack *pack, Error *err)
{
	Distribution *d = w->d;
	size_t count = d->plan->source_count;
	bool *tried = mem_zalloc(count * sizeof(bool));
	bool done = false;

	for (size_t n = 0; !done && n < 2 * count; n++)
	{
		size_t i = n % count;
		Error why = ERROR_INIT;

		if (tried[i] || (n < count && is_down(d, i)))
			continue;
		tried[i] = true;
		done = cut_from(w, i, pack, &why);
		if (done)
			break;
		pack->final |= why.code == ERR_CANCELED;
		if (!pack->final)
			note_failure(d, i, &why);
		if (!pack->final && count > 1)
			log_error_object(LOG_WARNING, &why);
		error_move(err, &why);
		if (pack->final)
			break;
	}
	free(tried);
	if (done)
		error_clear(err);
	return done;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Distribution *d = arg;
	CutWorker w = {.d = d};
	const ManifestPack *pack;
	bool done = true;

	(void) worker_no;
	w.repos = mem_zalloc(d->plan->source_count * sizeof(Repo *));
	while (done && (pack = next_pack(d)) != NULL)
	{
		CutPack cut = {.pack = pack};

		cut.files = files_of(d, pack->number, &cut.count);
		done = thread_check_stop(err) &&
			   (cut.count == 0 || cut_from_any(&w, &cut, err));
	}
	for (size_t i = 0; i < d->plan->source_count; i++)
		repo_close(w.repos[i]);
	free(w.repos);
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
restore_write_files(RepoSet *set, const RestorePlan *plan,
					const RestorePlaces *places, Error *err)
{
	Distribution d = {.set = set,
					  .plan = plan,
					  .cut = {.places = places,
							  .label = places->manifest->info.label,
							  .control_name = CONTROL_TMP,
							  .progress = places->options->progress},
					  .lock = PTHREAD_MUTEX_INITIALIZER};
	int workers = places->options->workers;
	bool done;

	distribute(&d);
	d.down = mem_zalloc(plan->source_count * sizeof(bool));
	if (workers > (int) places->manifest->pack_count)
		workers = (int) places->manifest->pack_count;
	done = make_empty_files(&d.cut, err) && thread_run(workers, work, &d, err);
	pthread_mutex_destroy(&d.lock);
	free(d.files);
	free(d.packs);
	free(d.down);
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
