/*-------------------------------------------------------------------------
 *
 * verify_files.c
 *	  Reads the files of an incremental backup that lie elsewhere than whole
 *	  in a pack of its own, and compares them with what the manifest says.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "repo/file_reader.h"

typedef struct FileJob
{
	/* fixed */
	Verify *v;
	VerifyBackup *backup;
	const Manifest *manifest;
	const ManifestFile **files; /* by the place of their first run */
	size_t count;

	/* mutable, under the lock of v; next is v->next */
	bool *bad; /* by pack: it cannot be read, which was reported */
} FileJob;

bool
verify_lies_here(const Manifest *m, const ManifestFile *f)
{
	return manifest_is_whole(m, f) &&
		   manifest_extents(m, f)->pack <= m->info.pack_count;
}

static const ManifestFile *
take_file(const FileJob *job)
{
	Verify *v = job->v;
	const ManifestFile *f = NULL;

	pthread_mutex_lock(&v->lock);
	if (v->next < job->count)
		f = job->files[v->next++];
	pthread_mutex_unlock(&v->lock);
	return f;
}

/* One pack that is missing does not flood the report with its files. */
static bool
is_hopeless(const FileJob *job, const ManifestFile *f)
{
	const ManifestExtent *e = manifest_extents(job->manifest, f);
	bool hopeless = false;

	pthread_mutex_lock(&job->v->lock);
	for (uint32_t i = 0; !hopeless && i < f->extent_count; i++)
		hopeless = job->bad[e[i].pack - 1];
	pthread_mutex_unlock(&job->v->lock);
	return hopeless;
}

static bool
take_bad_pack(FileJob *job, Repo *repo, uint32_t pack, Error *problem,
			  Error *err)
{
	const Manifest *m = job->manifest;
	VerifyItem item = {.kind = ITEM_PACK, .backup = job->backup};
	bool known;
	bool ok;

	pthread_mutex_lock(&job->v->lock);
	known = job->bad[pack - 1];
	job->bad[pack - 1] = true;
	pthread_mutex_unlock(&job->v->lock);
	/* a missing one was reported when all were counted */
	if (known || problem->code == ERR_NOT_FOUND)
	{
		error_clear(problem);
		return true;
	}
	item.name = manifest_pack_name(m, &m->packs[pack - 1]);
	if (verify_was_reported(job->v, item.name))
	{
		error_clear(problem);
		free(item.name);
		return true;
	}
	item.pack = m->packs[pack - 1].number;
	ok = verify_take_error(job->v, repo, &item, problem, err);
	free(item.name);
	return ok;
}

static bool
hash_bytes(void *arg, const void *data, size_t len, Error *err)
{
	content_hash_add(arg, data, len);
	return thread_check_stop(err);
}

static void
report_file(FileJob *job, const ManifestFile *f)
{
	char *name = repo_manifest_name(job->manifest->info.label);
	char *message = mem_printf("file \"%s\" is not what was backed up",
							   f->path);
	Problem problem = {.check = "damaged",
					   .object = name,
					   .message = message,
					   .detail = "Its contents, put together from all packs "
								 "that it lies in, differ from the hash in "
								 "the manifest."};

	verify_report(job->v, &problem, job->backup);
	free(message);
	free(name);
}

static bool
check_file(FileJob *job, FileReader *reader, Repo *repo, const ManifestFile *f,
		   Error *err)
{
	ContentHash *hash = content_hash_new(&repo->content);
	uint8_t content[CONTENT_LEN];
	uint32_t pack = 0;
	Error problem = ERROR_INIT;
	bool done = file_reader_read(reader, f, hash_bytes, hash, &pack, &problem);

	content_hash_final(hash, content);
	content_hash_free(hash);
	if (done && memcmp(content, f->content, CONTENT_LEN) != 0)
		report_file(job, f);
	else if (done)
		verify_prove(job->v, job->manifest, f);
	if (done)
		return true;
	if (pack != 0)
		return take_bad_pack(job, repo, pack, &problem, err);
	error_move(err, &problem);
	return false;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	FileJob *job = arg;
	const ManifestFile *f;
	FileReader *reader;
	Repo *repo;
	bool ok = true;

	(void) worker_no;
	if (!verify_open_again(job->v, &repo, err))
		return false;
	reader = file_reader_new(repo, job->manifest);
	while (ok && (f = take_file(job)) != NULL)
		ok = thread_check_stop(err) &&
			 (verify_is_proved(job->v, job->manifest, f) ||
			  is_hopeless(job, f) || check_file(job, reader, repo, f, err));
	file_reader_free(reader);
	repo_close(repo);
	return ok;
}

static int
compare_places(const void *a, const void *b, void *arg)
{
	const ManifestExtent *x = manifest_extents(
		arg, *(const ManifestFile *const *) a);
	const ManifestExtent *y = manifest_extents(
		arg, *(const ManifestFile *const *) b);

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->pack_offset > y->pack_offset) -
		   (x->pack_offset < y->pack_offset);
}

bool
verify_files(Verify *v, VerifyBackup *backup, const Manifest *m, Error *err)
{
	FileJob job = {
		.v = v,
		.backup = backup,
		.manifest = m,
		.files = mem_alloc((m->file_count + 1) * sizeof(ManifestFile *)),
		.bad = mem_zalloc(m->pack_count + 1)};
	bool ok;

	for (size_t i = 0; i < m->file_count; i++)
	{
		if (m->files[i].size > 0 && !verify_lies_here(m, &m->files[i]))
			job.files[job.count++] = &m->files[i];
	}
	if (job.count > 1)
		qsort_r(job.files, job.count, sizeof(*job.files), compare_places,
				(void *) (uintptr_t) m);
	v->next = 0;
	ok = job.count == 0 || thread_run(v->options->workers, work, &job, err);
	free(job.files);
	free(job.bad);
	return ok;
}
