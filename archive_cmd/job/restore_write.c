/*-------------------------------------------------------------------------
 *
 * restore_write.c
 *	  Writes pieces of files, by several workers, and completes a file when
 *	  the last of it has come.
 *
 * A file of which several workers have parts is hashed on the way all the
 * same: each writes its part, and waits for its turn to hash it, which takes a
 * tenth of the time of decoding it.  Nobody waits for long, because slices are
 * handed out in order.  A file that is assembled from pieces in another order
 * than its own is read again when it is complete, while it is in memory still.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "job/restore_files.h"

#define BLOCK 8192
#define READ_SIZE ((size_t) 1024 * 1024)

/* Zeros of this length are not written: the space for them is reserved. */
#define ZEROS_MIN ((size_t) 64 * 1024)

/* From this length on, the disk begins at once. */
#define FLUSH_MIN ((uint64_t) 1024 * 1024)

struct RestoreFile
{
	uint64_t left;   /* bytes to come */
	uint64_t hashed; /* from its start, if in_order */
	ContentHash *hash;
	bool in_order; /* its pieces come in the order of the file */
};

void
restore_output_init(RestoreOutput *out, const RestoreSlices *slices)
{
	const Manifest *m = out->manifest;

	pthread_mutex_init(&out->lock, NULL);
	pthread_cond_init(&out->moved, NULL);
	out->files = mem_zalloc((m->file_count + 1) * sizeof(RestoreFile));
	for (size_t i = 0; i < m->file_count; i++)
		out->files[i].in_order = true;
	for (size_t i = 0; i < slices->piece_count; i++)
	{
		const RestorePiece *p = &slices->pieces[i];
		RestoreFile *f = &out->files[p->file];

		f->in_order &= f->left == p->file_offset;
		f->left += p->length;
	}
	for (size_t i = 0; i < m->file_count; i++)
		out->files[i].in_order &= out->files[i].left == m->files[i].size;
}

bool
restore_output_waits(const RestoreOutput *out, size_t file)
{
	return out->files[file].left > 0;
}

void
restore_output_free(RestoreOutput *out)
{
	for (size_t i = 0; i < out->manifest->file_count; i++)
		content_hash_free(out->files[i].hash);
	pthread_mutex_destroy(&out->lock);
	pthread_cond_destroy(&out->moved);
	free(out->files);
}

void
restore_writer_init(RestoreWriter *w, RestoreOutput *out)
{
	*w = (RestoreWriter){.out = out,
						 .cache = TREE_CACHE_INIT,
						 .hash = content_hash_new(out->key),
						 .fd = -1};
}

void
restore_writer_free(RestoreWriter *w)
{
	if (w->fd >= 0)
		close(w->fd);
	content_hash_free(w->hash);
	tree_cache_free(&w->cache);
}

/* ---- one file ---- */

bool
restore_writer_close(RestoreWriter *w, Error *err)
{
	int fd = w->fd;

	w->fd = -1;
	if (fd >= 0 && close(fd) != 0)
		return error_set_errno(err, errno, "could not close file \"%s\"",
							   w->out->manifest->files[w->file].path);
	return true;
}

static bool
open_file(RestoreWriter *w, size_t file, Error *err)
{
	const RestoreOutput *out = w->out;
	const char *path = out->manifest->files[file].path;
	const char *rest;
	const char *leaf;
	const RestorePlace *place;
	int parent;

	if (w->fd >= 0 && w->file == file)
		return true;
	if (!restore_writer_close(w, err))
		return false;
	if (strcmp(path, RESTORE_CONTROL_FILE) == 0)
		path = out->control_name;
	place = restore_places_find(out->places, path, &rest);
	if (!tree_parent(place->fd, place->path, rest, &w->cache, &parent, &leaf,
					 err))
		return false;
	w->fd = openat(parent, leaf, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				   0600);
	w->file = file;
	if (w->fd < 0)
		return error_set_errno(err, errno, "could not create file \"%s/%s\"",
							   place->path, rest);
	return true;
}

bool
restore_set_attributes(int fd, const ManifestFile *file, Error *err)
{
	int64_t secs = file->mtime / USECS_PER_SEC;
	int64_t usecs = file->mtime % USECS_PER_SEC;
	struct timespec times[2];

	if (usecs < 0)
	{
		usecs += USECS_PER_SEC;
		secs--;
	}
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = secs, .tv_nsec = usecs * 1000};
	if (fchmod(fd, (mode_t) (file->mode & 0777)) != 0)
		return error_set_errno(
			err, errno, "could not set permissions of file \"%s\"", file->path);
	if (futimens(fd, times) != 0)
		return error_set_errno(err, errno, "could not set time of file \"%s\"",
							   file->path);
	return true;
}

static bool
end_file(RestoreWriter *w, Error *err)
{
	Progress *progress = w->out->progress;

	if (progress)
		atomic_fetch_add(&progress->done_items, 1);
	return restore_set_attributes(w->fd, &w->out->manifest->files[w->file],
								  err) &&
		   restore_writer_close(w, err);
}

/* ---- writing ---- */

static bool
is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* How many bytes from here on are whole blocks of zeros, or are not? */
static size_t
run_length(const uint8_t *p, size_t len, bool *zero)
{
	size_t n = 0;

	*zero = len >= BLOCK && is_zero(p, BLOCK);
	while (len - n >= BLOCK && is_zero(p + n, BLOCK) == *zero)
		n += BLOCK;
	if (!*zero && len - n < BLOCK)
		n = len;
	return n;
}

/*
 * The blocks are there and read as zeros, but need not be written: unlike a
 * hole, they cannot run out of space when the server writes to them.  A file
 * that had holes has them again, all of it being as long as it will be.
 */
static bool
reserve(const RestoreWriter *w, uint64_t offset, size_t len)
{
	const ManifestFile *file = &w->out->manifest->files[w->file];

	if (w->out->in_place || len < ZEROS_MIN)
		return false;
	if (file->sparse)
		return ftruncate(w->fd, (off_t) file->size) == 0;
	return fallocate(w->fd, 0, (off_t) offset, (off_t) len) == 0;
}

static bool
write_data(const RestoreWriter *w, const RestorePiece *piece,
		   const uint8_t *data, Error *err)
{
	const char *path = w->out->manifest->files[w->file].path;
	size_t begin = 0; /* of what is not written yet */
	size_t at = 0;
	size_t len = (size_t) piece->length;

	while (at < len)
	{
		bool zero;
		size_t n = run_length(data + at, len - at, &zero);

		if (zero && reserve(w, piece->file_offset + at, n))
		{
			if (at > begin &&
				!file_pwrite_all(w->fd, data + begin, at - begin,
								 piece->file_offset + begin, path, err))
				return false;
			begin = at + n;
		}
		at += n;
	}
	if (len > begin && !file_pwrite_all(w->fd, data + begin, len - begin,
										piece->file_offset + begin, path, err))
		return false;
	/* a hint; that all is durable, the sync at the end sees to */
	if (piece->length >= FLUSH_MIN)
		sync_file_range(w->fd, (off_t) piece->file_offset,
						(off_t) piece->length, SYNC_FILE_RANGE_WRITE);
	return true;
}

bool
restore_rewrite(RestoreWriter *w, const RestorePiece *piece,
				const uint8_t *data, Error *err)
{
	return open_file(w, piece->file, err) &&
		   file_pwrite_all(w->fd, data, (size_t) piece->length,
						   piece->file_offset,
						   w->out->manifest->files[w->file].path, err);
}

/* ---- comparing ---- */

static bool
compare(RestoreWriter *w, ContentHash *h, bool *differs, Error *err)
{
	const ManifestFile *file = &w->out->manifest->files[w->file];
	uint8_t hash[CONTENT_LEN];

	content_hash_final(h, hash);
	*differs = memcmp(hash, file->content, CONTENT_LEN) != 0;
	return *differs || end_file(w, err);
}

static bool
hash_file(RestoreWriter *w, Error *err)
{
	const ManifestFile *file = &w->out->manifest->files[w->file];
	uint8_t *block = mem_alloc(READ_SIZE);
	uint64_t at = 0;
	size_t got = 0;
	bool done = true;

	do
	{
		done = thread_check_stop(err) &&
			   file_pread_full(w->fd, block, READ_SIZE, at, &got, file->path,
							   err);
		if (done && got > 0)
			content_hash_add(w->hash, block, got);
		at += got;
	} while (done && got == READ_SIZE);
	free(block);
	return done;
}

/* What was there may have been longer. */
static bool
cut_off(const RestoreWriter *w, Error *err)
{
	const ManifestFile *f = &w->out->manifest->files[w->file];

	if (!w->out->in_place || ftruncate(w->fd, (off_t) f->size) == 0)
		return true;
	return error_set_errno(err, errno, "could not truncate file \"%s\"",
						   f->path);
}

bool
restore_write_check(RestoreWriter *w, size_t file, bool *differs, Error *err)
{
	uint8_t ignored[CONTENT_LEN];

	if (!open_file(w, file, err) || !cut_off(w, err))
		return false;
	if (hash_file(w, err))
		return compare(w, w->hash, differs, err);
	content_hash_final(w->hash, ignored);
	return false;
}

/* Waits until all of the file before this place has been hashed. */
static bool
wait_for_turn(RestoreOutput *out, RestoreFile *f, uint64_t offset, Error *err)
{
	bool done = true;

	pthread_mutex_lock(&out->lock);
	while (done && f->hashed != offset)
	{
		struct timespec until;

		/* who fails does not wake us */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100 * 1000 * 1000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&out->moved, &out->lock, &until);
		done = thread_check_stop(err);
	}
	if (done && f->hash == NULL)
		f->hash = content_hash_new(out->key);
	pthread_mutex_unlock(&out->lock);
	return done;
}

static bool
hash_in_turn(RestoreWriter *w, RestoreFile *f, const RestorePiece *piece,
			 const uint8_t *data, Error *err)
{
	RestoreOutput *out = w->out;

	if (!wait_for_turn(out, f, piece->file_offset, err))
		return false;
	content_hash_add(f->hash, data, (size_t) piece->length);
	pthread_mutex_lock(&out->lock);
	f->hashed += piece->length;
	pthread_cond_broadcast(&out->moved);
	pthread_mutex_unlock(&out->lock);
	return true;
}

/* Is that all of the file? */
static bool
count_down(RestoreOutput *out, RestoreFile *f, uint64_t length)
{
	bool last;

	if (out->progress)
		atomic_fetch_add(&out->progress->done_bytes, length);
	pthread_mutex_lock(&out->lock);
	f->left -= length;
	last = f->left == 0;
	pthread_mutex_unlock(&out->lock);
	return last;
}

bool
restore_write(RestoreWriter *w, const RestorePiece *piece, const uint8_t *data,
			  bool *differs, Error *err)
{
	RestoreOutput *out = w->out;
	RestoreFile *f = &out->files[piece->file];
	bool done;

	*differs = false;
	if (!open_file(w, piece->file, err) || !write_data(w, piece, data, err) ||
		(f->in_order && !hash_in_turn(w, f, piece, data, err)))
		return false;
	if (!count_down(out, f, piece->length))
		return true;
	if (!f->in_order)
		return restore_write_check(w, piece->file, differs, err);
	done = cut_off(w, err) && compare(w, f->hash, differs, err);
	content_hash_free(f->hash);
	f->hash = NULL;
	return done;
}

bool
restore_write_zeros(RestoreWriter *w, size_t file, Error *err)
{
	const ManifestFile *f = &w->out->manifest->files[file];

	if (!open_file(w, file, err))
		return false;
	if (ftruncate(w->fd, 0) != 0 || ftruncate(w->fd, (off_t) f->size) != 0)
		return error_set_errno(err, errno, "could not truncate file \"%s\"",
							   f->path);
	if (w->out->progress)
		atomic_fetch_add(&w->out->progress->done_bytes, f->size);
	return end_file(w, err);
}
