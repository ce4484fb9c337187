/*-------------------------------------------------------------------------
 *
 * restore_compare.c
 *	  Which files of a backup lie in the directories of a delta restore as they
 *	  are in it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "job/restore_files.h"
#include "job/restore_write.h"

#define READ_SIZE ((size_t) 256 * 1024)

typedef struct Comparison
{
	/* fixed */
	const RestorePlaces *places;
	const ContentKey *key;
	bool *same; /* each by the worker that has taken the file */

	/* mutable, under lock */
	pthread_mutex_t lock;
	size_t next;
} Comparison;

typedef struct Comparer
{
	Comparison *c;
	TreeCache cache;
	ContentHash *hash;
	uint8_t *block;
} Comparer;

static bool
next_file(Comparison *c, size_t *file)
{
	const Manifest *m = c->places->manifest;
	bool any = false;

	pthread_mutex_lock(&c->lock);
	while (!any && c->next < m->file_count)
	{
		*file = c->next++;
		any = !c->same[*file];
	}
	pthread_mutex_unlock(&c->lock);
	return any;
}

/* -1 without an error: it is not there. */
static bool
open_file(Comparer *w, const ManifestFile *file, int *fd, Error *err)
{
	const char *rest;
	const char *leaf;
	const RestorePlace *place = restore_places_find(w->c->places, file->path,
													&rest);
	int parent;

	*fd = -1;
	if (!tree_parent(place->fd, place->path, rest, &w->cache, &parent, &leaf,
					 err))
		return false;
	*fd = openat(parent, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return *fd >= 0 || errno == ENOENT ||
		   error_set_errno(err, errno, "could not open file \"%s/%s\"",
						   place->path, rest);
}

/* What cannot be read is not the same: it is written anew. */
static bool
hash_is(Comparer *w, int fd, const ManifestFile *file)
{
	uint8_t hash[CONTENT_LEN];
	Error ignored = ERROR_INIT;
	uint64_t at = 0;
	size_t got = 0;

	do
	{
		if (thread_should_stop() ||
			!file_pread_full(fd, w->block, READ_SIZE, at, &got, file->path,
							 &ignored))
			break;
		content_hash_add(w->hash, w->block, got);
		at += got;
	} while (got == READ_SIZE);
	content_hash_final(w->hash, hash);
	error_clear(&ignored);
	return at == file->size && memcmp(hash, file->content, CONTENT_LEN) == 0;
}

static void
count(const Comparer *w, const ManifestFile *file)
{
	const RestoreOptions *o = w->c->places->options;

	if (o->kept)
		atomic_fetch_add(o->kept, file->size);
	if (o->progress == NULL)
		return;
	atomic_fetch_add(&o->progress->done_bytes, file->size);
	atomic_fetch_add(&o->progress->done_items, 1);
}

static bool
compare(Comparer *w, size_t i, Error *err)
{
	const ManifestFile *file = &w->c->places->manifest->files[i];
	struct stat st;
	bool same;
	bool done;
	int fd;

	if (!open_file(w, file, &fd, err))
		return false;
	if (fd < 0)
		return true;
	same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		   (uint64_t) st.st_size == file->size && hash_is(w, fd, file);
	done = !same || restore_set_attributes(fd, file, err);
	close(fd);
	w->c->same[i] = same;
	if (same)
		count(w, file);
	return done;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Comparison *c = arg;
	Comparer w = {.c = c,
				  .cache = TREE_CACHE_INIT,
				  .hash = content_hash_new(c->key),
				  .block = mem_alloc(READ_SIZE)};
	size_t file;
	bool done = true;

	(void) worker_no;
	while (done && next_file(c, &file))
		done = thread_check_stop(err) && compare(&w, file, err);
	done = done && thread_check_stop(err);
	tree_cache_free(&w.cache);
	content_hash_free(w.hash);
	free(w.block);
	return done;
}

bool
restore_compare(const RestorePlaces *places, const ContentKey *key, bool *same,
				Error *err)
{
	Comparison c = {.places = places,
					.key = key,
					.same = same,
					.lock = PTHREAD_MUTEX_INITIALIZER};
	bool done = thread_run(places->options->workers, work, &c, err);

	pthread_mutex_destroy(&c.lock);
	return done;
}
