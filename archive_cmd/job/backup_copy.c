/*-------------------------------------------------------------------------
 *
 * backup_copy.c
 *	  Copies a data directory into packs, with several workers.
 *
 * The largest files come first, so that no worker is left alone with one for
 * long at the end, and then those that have no more files help it to compress;
 * files of the same size keep the order of their names, so that what
 * lies together in the data directory lies together in a frame.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_copy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "job/backup_delta.h"
#include "stream/zstd_pool.h"

typedef struct CopyJob
{
	/* fixed */
	const BackupCopy *copy;
	const DataFile **files; /* in the order they are taken */
	size_t count;
	ZstdPool *pool; /* NULL: a worker alone */

	/* mutable */
	pthread_mutex_t lock;
	size_t next; /* under lock */
} CopyJob;

typedef struct CopyWorker
{
	CopyJob *job;
	Repo *repo;
	FileCopier *copier;
	FileDelta *delta; /* NULL: all is copied */
	Repo *base;
	PackWriter *pack; /* NULL: none is open */
} CopyWorker;

static int
larger_first(const void *a, const void *b)
{
	const DataFile *x = *(const DataFile *const *) a;
	const DataFile *y = *(const DataFile *const *) b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void
order_files(CopyJob *job)
{
	const DataDir *dir = job->copy->dir;

	job->files = mem_alloc((dir->count + 1) * sizeof(*job->files));
	for (size_t i = 0; i < dir->count; i++)
	{
		if (!dir->files[i].is_dir)
			job->files[job->count++] = &dir->files[i];
	}
	qsort(job->files, job->count, sizeof(*job->files), larger_first);
}

static const DataFile *
take_file(CopyJob *job)
{
	const DataFile *file = NULL;

	pthread_mutex_lock(&job->lock);
	if (job->next < job->count)
		file = job->files[job->next++];
	pthread_mutex_unlock(&job->lock);
	return file;
}

static bool
add_dir(CopyWorker *w, const char *path, uint32_t mode, Error *err)
{
	const FileCopySpec *spec = w->job->copy->spec;
	TarEntry entry = {.path = path,
					  .is_dir = true,
					  .mode = mode,
					  .mtime = spec->build->manifest.info.start_time,
					  .owner = &spec->owner};

	return pack_add_dir(w->pack, &entry, err);
}

/*
 * What is a link to a tablespace on the host is a directory in the tar
 * stream; the manifest has it as a tablespace.
 */
static bool
add_tablespaces(CopyWorker *w, Error *err)
{
	const Manifest *m = &w->job->copy->spec->build->manifest;
	bool done = true;

	for (size_t i = 0; done && i < m->tablespace_count; i++)
	{
		char *path;

		if (m->tablespaces[i].location == NULL)
			continue;
		path = mem_printf("pg_tblspc/%" PRIu32, m->tablespaces[i].oid);
		done = add_dir(w, path, 0700, err);
		free(path);
	}
	return done;
}

static bool
add_dirs(CopyWorker *w, Error *err)
{
	const Manifest *m = &w->job->copy->spec->build->manifest;

	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (!add_dir(w, m->dirs[i].path, m->dirs[i].mode, err))
			return false;
	}
	return add_tablespaces(w, err);
}

static bool
begin_pack(CopyWorker *w, Error *err)
{
	const BackupCopy *copy = w->job->copy;
	uint32_t number = backup_build_next_pack(copy->spec->build);

	w->pack = pack_create(w->repo, copy->label, number, w->job->pool, err);
	return w->pack != NULL &&
		   (number > 1 || w->delta != NULL || add_dirs(w, err));
}

static bool
end_pack(CopyWorker *w, Error *err)
{
	ManifestPack pack;
	PackWriter *writer = w->pack;
	uint64_t stored;

	if (writer == NULL)
		return true;
	w->pack = NULL;
	if (!pack_commit(writer, &pack, &stored, err))
		return false;
	backup_build_add_pack(w->job->copy->spec->build, &pack, stored);
	return true;
}

/* One that has room. */
static PackWriter *
open_pack(void *arg, Error *err)
{
	CopyWorker *w = arg;

	if (w->pack != NULL && pack_is_full(w->pack) && !end_pack(w, err))
		return NULL;
	if (w->pack == NULL && !begin_pack(w, err))
		return NULL;
	return w->pack;
}

static bool
copy_file(CopyWorker *w, const DataFile *file, Error *err)
{
	bool vanished;

	if (!file_copier_open(w->copier, file, &vanished, err))
		return false;
	if (vanished)
		return true;
	if (w->delta != NULL)
		return file_delta_run(w->delta, w->copier, err);
	return open_pack(w, err) != NULL &&
		   file_copier_run(w->copier, w->pack, err);
}

static bool
copy_files(CopyWorker *w, Error *err)
{
	const DataFile *file;

	while ((file = take_file(w->job)) != NULL)
	{
		if (!thread_check_stop(err) || !copy_file(w, file, err))
			return false;
	}
	return end_pack(w, err);
}

static bool
begin_worker(CopyWorker *w, Error *err)
{
	const BackupCopy *copy = w->job->copy;
	DeltaTarget target = {.pack = open_pack, .arg = w};

	if (!repo_open_again(copy->repo, &w->repo, err) ||
		(copy->base != NULL &&
		 !repo_open_again(copy->base_repo, &w->base, err)))
		return false;
	w->copier = file_copier_new(copy->spec);
	if (copy->base != NULL)
		w->delta = file_delta_new(copy->spec, copy->base, w->base, &target);
	return true;
}

static void
end_worker(CopyWorker *w)
{
	pack_abort(w->pack);
	file_delta_free(w->delta);
	file_copier_free(w->copier);
	repo_close(w->base);
	repo_close(w->repo);
}

static bool
run_worker(void *arg, int worker_no, Error *err)
{
	CopyJob *job = arg;
	CopyWorker w = {.job = job};
	bool done;

	(void) worker_no;
	if (job->pool != NULL)
		zstd_pool_enter(job->pool);
	done = begin_worker(&w, err) && copy_files(&w, err);
	end_worker(&w);
	if (job->pool != NULL)
		zstd_pool_leave(job->pool, done);
	return done;
}

bool
backup_copy(const BackupCopy *copy, Error *err)
{
	CopyJob job = {.copy = copy, .lock = PTHREAD_MUTEX_INITIALIZER};
	bool done;

	order_files(&job);
	if (copy->workers > 1)
		job.pool = zstd_pool_new();
	done = thread_run(copy->workers, run_worker, &job, err);
	zstd_pool_free(job.pool);
	free(job.files);
	pthread_mutex_destroy(&job.lock);
	return done;
}
