/*-------------------------------------------------------------------------
 *
 * verify_pack.c
 *	  Decodes the packs of a backup and compares each file in them with what
 *	  the manifest says.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

/* The files of a backup in the order in which they lie in the packs. */
typedef struct PackJob
{
	Verify *v;
	const VerifyPacks *packs;
	const ManifestFile **files;
	size_t file_count;
} PackJob;

/* Hashes the files in one pack as its plaintext passes. */
typedef struct FileCheck
{
	const Manifest *manifest;
	const ManifestFile **files;
	size_t count;
	size_t at;
	uint64_t pos; /* in the plaintext */
	ContentHash *hash;
	const ManifestFile **bad; /* whose contents differ */
	size_t bad_count;
	size_t bad_cap;
} FileCheck;

static void
note_bad(FileCheck *c, const ManifestFile *f)
{
	c->bad = mem_grow(c->bad, c->bad_count, &c->bad_cap, sizeof(*c->bad));
	c->bad[c->bad_count++] = f;
}

static uint64_t
offset_of(const Manifest *m, const ManifestFile *f)
{
	return manifest_extents(m, f)->pack_offset;
}

/*
 * The current file ends here.  Others with the same extent are the same bytes;
 * one that overlaps it otherwise cannot be right.
 */
static void
end_file(FileCheck *c)
{
	const ManifestFile *done = c->files[c->at];
	uint64_t begin = offset_of(c->manifest, done);
	uint8_t content[CONTENT_LEN];

	content_hash_final(c->hash, content);
	while (c->at < c->count &&
		   offset_of(c->manifest, c->files[c->at]) < begin + done->size)
	{
		const ManifestFile *f = c->files[c->at];

		if (offset_of(c->manifest, f) != begin || f->size != done->size ||
			memcmp(f->content, content, CONTENT_LEN) != 0)
			note_bad(c, f);
		c->at++;
	}
}

static bool
check_bytes(void *arg, const void *data, size_t len, Error *err)
{
	FileCheck *c = arg;
	const uint8_t *bytes = data;
	uint64_t end = c->pos + len;

	while (c->at < c->count)
	{
		uint64_t begin = offset_of(c->manifest, c->files[c->at]);
		uint64_t file_end = begin + c->files[c->at]->size;
		uint64_t from = begin > c->pos ? begin : c->pos;
		uint64_t to = file_end < end ? file_end : end;

		if (from >= end)
			break;
		content_hash_add(c->hash, bytes + (from - c->pos),
						 (size_t) (to - from));
		if (to < file_end)
			break;
		end_file(c);
	}
	c->pos = end;
	return thread_check_stop(err);
}

static void
report_bad(Verify *v, const PackJob *job, const VerifyItem *item,
		   const FileCheck *c)
{
	for (size_t i = 0; i < c->bad_count; i++)
	{
		char *message = mem_printf("file \"%s\" is not what was backed up",
								   c->bad[i]->path);
		Problem problem = {.check = "damaged",
						   .object = item->name,
						   .message = message,
						   .detail = "Its contents in the pack differ from "
									 "the hash in the manifest."};

		verify_report(v, &problem, job->packs->backup);
		free(message);
	}
}

static bool
matches(const ObjectMeta *meta, const ManifestPack *pack, Error *err)
{
	if (strcmp(meta->kind, OBJECT_PACK) == 0 &&
		meta->payload_size == pack->payload_size &&
		meta->zstd_size == pack->zstd_size &&
		meta->plain_size == pack->plain_size &&
		memcmp(meta->sha256, pack->sha256, SHA256_LEN) == 0)
		return true;
	return error_set(err, ERR_MISMATCH,
					 "pack is not the one that the manifest names");
}

/*
 * A restore fetches single frames: does the manifest's table say where they
 * are?  Its last line is wrong if any before it is.
 */
static bool
check_frames(Repo *repo, const VerifyItem *item, const ManifestPack *pack,
			 Error *err)
{
	const ManifestFrame *last = &pack->frames[pack->frame_count - 1];
	ObjectReader *reader;
	StrBuf text = STRBUF_INIT;
	uint64_t plain = pack->plain_size - last->plain;
	Stage *sink;
	bool ok;

	if (!object_open(repo, item->name, &reader, err))
		return false;
	sink = stage_sink_buffer(&text, plain);
	ok = object_read_frames(reader, last->stored,
							pack->zstd_size - last->stored, sink, err);
	if (ok && text.len != plain)
		ok = error_set(err, ERR_DAMAGED,
					   "frames of the pack are not where the manifest says");
	stage_free(sink);
	strbuf_free(&text);
	object_reader_close(reader);
	return ok;
}

/* Where the files of a pack begin in the sorted list. */
static size_t
first_file(const PackJob *job, uint32_t pack)
{
	size_t low = 0;
	size_t high = job->file_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;

		if (manifest_extents(job->packs->manifest, job->files[mid])->pack <
			pack)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
check_pack(const PackJob *job, Repo *repo, VerifyItem *item, Error *err)
{
	const ManifestPack *pack = &job->packs->manifest->packs[item->pack - 1];
	size_t first = first_file(job, item->pack);
	FileCheck c = {.manifest = job->packs->manifest,
				   .files = job->files + first,
				   .count = first_file(job, item->pack + 1) - first,
				   .hash = content_hash_new(&repo->content)};
	Stage *sink = stage_sink(check_bytes, &c);
	ObjectMeta meta = {0};
	Error problem = ERROR_INIT;
	bool ok = object_read(repo, item->name, sink, &meta, &problem) &&
			  matches(&meta, pack, &problem);

	if (ok)
	{
		while (c.at < c.count) /* beyond the end */
			note_bad(&c, c.files[c.at++]);
		report_bad(job->v, job, item, &c);
		ok = check_frames(repo, item, pack, &problem);
		item->sound = ok && c.bad_count == 0;
		for (size_t i = 0; item->sound && i < c.count; i++)
			verify_prove(job->v, job->packs->manifest, c.files[i]);
	}
	item->looked_at = true;
	stage_free(sink);
	object_meta_free(&meta);
	content_hash_free(c.hash);
	free(c.bad);
	return ok || verify_take_error(job->v, repo, item, &problem, err);
}

static VerifyItem *
take_pack(const PackJob *job)
{
	Verify *v = job->v;
	VerifyItem *item = NULL;

	pthread_mutex_lock(&v->lock);
	while (v->next < job->packs->count &&
		   !verify_wants(&job->packs->items[v->next]))
		v->next++;
	if (v->next < job->packs->count)
		item = &job->packs->items[v->next++];
	pthread_mutex_unlock(&v->lock);
	return item;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	const PackJob *job = arg;
	Progress *progress = job->v->options->progress;
	Repo *repo;
	VerifyItem *item;
	bool ok = true;

	(void) worker_no;
	if (!verify_open_again(job->v, &repo, err))
		return false;
	while (ok && (item = take_pack(job)) != NULL)
	{
		ok = thread_check_stop(err) && check_pack(job, repo, item, err);
		if (progress != NULL)
		{
			atomic_fetch_add(&progress->done_bytes, item->size);
			atomic_fetch_add(&progress->done_items, 1);
		}
		if (ok)
			verify_note(job->v, repo, false);
	}
	repo_close(repo);
	return ok;
}

/* By place; of those at one place the longest first. */
static int
compare_files(const void *a, const void *b, void *arg)
{
	const ManifestFile *x = *(const ManifestFile *const *) a;
	const ManifestFile *y = *(const ManifestFile *const *) b;
	const ManifestExtent *at_x = manifest_extents(arg, x);
	const ManifestExtent *at_y = manifest_extents(arg, y);

	if (at_x->pack != at_y->pack)
		return at_x->pack < at_y->pack ? -1 : 1;
	if (at_x->pack_offset != at_y->pack_offset)
		return at_x->pack_offset < at_y->pack_offset ? -1 : 1;
	return (x->size < y->size) - (x->size > y->size);
}

bool
verify_packs(Verify *v, const VerifyPacks *packs, Error *err)
{
	const Manifest *m = packs->manifest;
	PackJob job = {
		.v = v,
		.packs = packs,
		.files = mem_alloc((m->file_count + 1) * sizeof(ManifestFile *))};
	bool ok;

	for (size_t i = 0; i < m->file_count; i++)
	{
		if (m->files[i].size > 0 && verify_lies_here(m, &m->files[i]))
			job.files[job.file_count++] = &m->files[i];
	}
	if (job.file_count > 1)
		qsort_r(job.files, job.file_count, sizeof(*job.files), compare_files,
				(void *) (uintptr_t) m);
	v->next = 0;
	ok = thread_run(v->options->workers, work, &job, err);
	free(job.files);
	return ok;
}
