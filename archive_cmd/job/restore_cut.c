/*-------------------------------------------------------------------------
 *
 * restore_cut.c
 *	  Cuts the plaintext of one pack into files, as it passes.
 *
 * The headers of the tar stream are passed over: where a file's bytes lie is
 * told by the manifest, which is authenticated and was read before.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "job/restore_files.h"
#include "repo/object.h"

typedef struct Cutter
{
	Stage base;

	/* fixed */
	const RestoreCut *cut;
	const char *object;
	const Repo *repo;
	const ManifestFile *const *files;
	size_t count;

	/* mutable */
	size_t next;       /* file in work, or to come */
	uint64_t position; /* in the pack's plaintext */
	uint64_t written;  /* of the file in work */
	uint64_t total;    /* of all */
	int fd;            /* -1: none */
	ContentHash *hash;
	TreeCache cache;
} Cutter;

/* ---- one file ---- */

static bool
create_file(const RestoreCut *cut, const ManifestFile *file, TreeCache *cache,
			int *fd, Error *err)
{
	const char *path = file->path;
	const char *rest;
	const char *leaf;
	const RestorePlace *place;
	int parent;

	if (strcmp(path, RESTORE_CONTROL_FILE) == 0)
		path = cut->control_name;
	place = restore_places_find(cut->places, path, &rest);
	if (!tree_parent(place->fd, place->path, rest, cache, &parent, &leaf, err))
		return false;
	*fd = openat(parent, leaf,
				 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return error_set_errno(err, errno, "could not create file \"%s/%s\"",
							   place->path, rest);
	return true;
}

/* Closes fd in any case. */
static bool
complete_file(const ManifestFile *file, int fd, Error *err)
{
	int64_t secs = file->mtime / USECS_PER_SEC;
	int64_t usecs = file->mtime % USECS_PER_SEC;
	struct timespec times[2];
	bool done = true;

	if (usecs < 0)
	{
		usecs += USECS_PER_SEC;
		secs--;
	}
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = secs, .tv_nsec = usecs * 1000};
	if (fchmod(fd, (mode_t) (file->mode & 0777)) != 0)
		done = error_set_errno(
			err, errno, "could not set permissions of file \"%s\"", file->path);
	else if (futimens(fd, times) != 0)
		done = error_set_errno(err, errno, "could not set time of file \"%s\"",
							   file->path);
	if (close(fd) != 0 && done)
		done = error_set_errno(err, errno, "could not close file \"%s\"",
							   file->path);
	return done;
}

static bool
local_failure(const RestoreCut *cut)
{
	*cut->local = true;
	return false;
}

static void
count_file(const RestoreCut *cut)
{
	if (cut->progress)
		atomic_fetch_add(&cut->progress->done_items, 1);
}

bool
restore_cut_empty(const RestoreCut *cut, const ManifestFile *file,
				  TreeCache *cache, Error *err)
{
	int fd;

	if (!create_file(cut, file, cache, &fd, err) ||
		!complete_file(file, fd, err))
		return false;
	count_file(cut);
	return true;
}

static bool
end_file(Cutter *c, Error *err)
{
	const ManifestFile *file = c->files[c->next];
	uint8_t hash[CONTENT_LEN];
	int fd = c->fd;

	content_hash_final(c->hash, hash);
	if (memcmp(hash, file->content, CONTENT_LEN) != 0)
		return error_set(err, ERR_DAMAGED,
						 "file \"%s\" in \"%s\" is not what was backed up",
						 file->path, c->object);
	c->fd = -1;
	c->next++;
	c->written = 0;
	if (!complete_file(file, fd, err))
		return local_failure(c->cut);
	count_file(c->cut);
	return true;
}

/*
 * What is taken back is written anew from another repository.  That a file is
 * not there is no error: it may be the one that could not be begun.
 */
static void
take_back_file(Cutter *c, const ManifestFile *file)
{
	const char *path = file->path;
	Error ignored = ERROR_INIT;
	const char *rest;
	const char *leaf;
	const RestorePlace *place;
	int parent;

	if (strcmp(path, RESTORE_CONTROL_FILE) == 0)
		path = c->cut->control_name;
	place = restore_places_find(c->cut->places, path, &rest);
	if (tree_parent(place->fd, place->path, rest, &c->cache, &parent, &leaf,
					&ignored))
		unlinkat(parent, leaf, 0);
	error_clear(&ignored);
}

static void
take_back(Cutter *c)
{
	size_t begun = c->next + (c->fd >= 0);

	for (size_t i = 0; i < begun && i < c->count; i++)
		take_back_file(c, c->files[i]);
	if (c->cut->progress == NULL)
		return;
	atomic_fetch_sub(&c->cut->progress->done_bytes, c->total);
	atomic_fetch_sub(&c->cut->progress->done_items, c->next);
}

/* ---- the stage ---- */

static bool
write_part(Cutter *c, const void *data, size_t len, Error *err)
{
	const ManifestFile *file = c->files[c->next];

	if ((c->fd < 0 && !create_file(c->cut, file, &c->cache, &c->fd, err)) ||
		!file_write_all(c->fd, data, len, file->path, err))
		return local_failure(c->cut);
	content_hash_add(c->hash, data, len);
	c->written += len;
	c->total += len;
	if (c->cut->progress)
		atomic_fetch_add(&c->cut->progress->done_bytes, len);
	return c->written < file->size || end_file(c, err);
}

static bool
cutter_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Cutter *c = (Cutter *) stage;
	const char *p = data;

	while (len > 0 && c->next < c->count)
	{
		uint64_t begin = c->files[c->next]->extent.pack_offset;
		uint64_t want;
		size_t n;
		bool inside = c->position >= begin;

		want = inside ? c->files[c->next]->size - c->written
					  : begin - c->position;
		n = want < len ? (size_t) want : len;
		if (inside && c->position != begin + c->written)
			return error_set(err, ERR_DAMAGED,
							 "files \"%s\" and \"%s\" overlap in \"%s\"",
							 c->files[c->next - 1]->path,
							 c->files[c->next]->path, c->object);
		if (inside && !write_part(c, p, n, err))
			return false;
		c->position += n;
		p += n;
		len -= n;
	}
	c->position += len;
	return true;
}

static bool
cutter_finish(Stage *stage, Error *err)
{
	Cutter *c = (Cutter *) stage;

	if (c->next < c->count)
		return error_set(err, ERR_DAMAGED,
						 "\"%s\" ends before its file \"%s\" does", c->object,
						 c->files[c->next]->path);
	return true;
}

static void
cutter_free(Stage *stage)
{
	Cutter *c = (Cutter *) stage;

	if (c->fd >= 0)
		close(c->fd);
	content_hash_free(c->hash);
	tree_cache_free(&c->cache);
}

static const StageOps cutter_ops = {cutter_write, cutter_finish, cutter_free};

/* The object is whole in itself, but is it the one this backup was made of? */
static bool
check_pack(const ManifestPack *pack, const ObjectMeta *meta, const char *object,
		   Error *err)
{
	if (meta->plain_size == pack->plain_size &&
		memcmp(meta->sha256, pack->sha256, SHA256_LEN) == 0)
		return true;
	return error_set(err, ERR_DAMAGED,
					 "\"%s\" is not the pack that the manifest names", object);
}

bool
restore_cut_pack(Repo *repo, const RestoreCut *cut, const ManifestPack *pack,
				 const ManifestFile *const *files, size_t count, Error *err)
{
	char *object = repo_pack_name(cut->label, pack->number);
	ObjectMeta meta = {0};
	Cutter c = {.base.ops = &cutter_ops,
				.cut = cut,
				.object = object,
				.repo = repo,
				.files = files,
				.count = count,
				.fd = -1,
				.hash = content_hash_new(&repo->content),
				.cache = TREE_CACHE_INIT};
	bool done;

	done = object_read(repo, object, &c.base, &meta, err) &&
		   check_pack(pack, &meta, object, err);
	/* "not found" would read as if the backup were not there */
	if (!done && err->code == ERR_NOT_FOUND && !*cut->local)
		err->code = ERR_INCOMPLETE;
	if (!done && !*cut->local)
		take_back(&c);
	stage_free(&c.base);
	object_meta_free(&meta);
	free(object);
	return done;
}
