/*-------------------------------------------------------------------------
 *
 * backup_file.c
 *	  Copies one file into a pack: reads it once, looks at its pages, and
 *	  computes on the way what the manifest says of it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "pg/page.h"

/* A torn page is whole again within microseconds; a damaged one stays. */
#define REREADS 4
#define REREAD_PAUSE 5000 /* microseconds, doubled each time */
/* After so many damaged pages in one file pauses would only take hours. */
#define PATIENCE 64

FileCopier *
file_copier_new(const FileCopySpec *spec)
{
	FileCopier *c = mem_zalloc(sizeof(FileCopier));

	c->spec = spec;
	c->crc = strcmp(spec->algorithm, "CRC32C") == 0;
	c->sha = strcmp(spec->algorithm, "SHA256") == 0;
	c->buffer = mem_alloc(FILE_READ_SIZE);
	c->content = content_hash_new(spec->content);
	c->sha256 = sha256_new();
	c->fd = -1;
	return c;
}

void
file_copier_forget(FileCopier *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->full_path);
	c->full_path = NULL;
	free(c->file.path);
	memset(&c->file, 0, sizeof(c->file));
}

void
file_copier_free(FileCopier *c)
{
	if (c == NULL)
		return;
	file_copier_forget(c);
	content_hash_free(c->content);
	sha256_free(c->sha256);
	free(c->buffer);
	free(c);
}

/* ---- what every file takes ---- */

bool
file_copier_begin(FileCopier *c, PackWriter *pack, const DataFile *file,
				  Error *err)
{
	TarEntry entry = {.path = file->path,
					  .mode = file->mode & 07777,
					  .size = file->size,
					  .mtime = file->mtime,
					  .owner = &c->spec->owner};

	free(c->file.path);
	memset(&c->file, 0, sizeof(c->file));
	c->file.path = mem_strdup(file->path);
	c->file.size = file->size;
	c->file.mtime = file->mtime;
	c->file.mode = entry.mode;
	c->crc32c = 0;
	c->pack = pack;
	return pack_begin_file(pack, &entry, &c->offset, err);
}

bool
file_copier_hash(FileCopier *c, const void *data, size_t len, Error *err)
{
	content_hash_add(c->content, data, len);
	if (c->crc)
		c->crc32c = crc32c(c->crc32c, data, len);
	if (c->sha)
		sha256_add(c->sha256, data, len);
	atomic_fetch_add(&c->spec->progress->done_bytes, len);
	return thread_check_stop(err);
}

bool
file_copier_write(FileCopier *c, const void *data, size_t len, Error *err)
{
	return pack_write(c->pack, data, len, err) &&
		   file_copier_hash(c, data, len, err);
}

/* backup_manifest has a CRC as its bytes lie in memory, low one first. */
static void
put_checksum(FileCopier *c)
{
	if (c->crc)
	{
		uint8_t bytes[4];

		for (int i = 0; i < 4; i++)
			bytes[i] = (uint8_t) (c->crc32c >> (8 * i));
		hex_encode(bytes, sizeof(bytes), c->file.checksum);
	}
	else if (c->sha)
	{
		uint8_t digest[SHA256_LEN];

		sha256_final(c->sha256, digest);
		hex_encode(digest, sizeof(digest), c->file.checksum);
	}
}

void
file_copier_finish_hashes(FileCopier *c)
{
	content_hash_final(c->content, c->file.content);
	put_checksum(c);
}

void
file_copier_add(FileCopier *c, const BuildRun *runs, size_t count)
{
	backup_build_add_file(c->spec->build, &c->file, runs, count);
	memset(&c->file, 0, sizeof(c->file));
	atomic_fetch_add(&c->spec->progress->done_items, 1);
}

bool
file_copier_end(FileCopier *c, Error *err)
{
	BuildRun run = {c->file.size, pack_number(c->pack), c->offset};

	file_copier_finish_hashes(c);
	if (!pack_end_file(c->pack, c->file.content, err))
		return false;
	file_copier_add(c, &run, c->file.size > 0);
	return true;
}

bool
file_copier_put(FileCopier *c, PackWriter *pack, const DataFile *file,
				const void *data, Error *err)
{
	return file_copier_begin(c, pack, file, err) &&
		   file_copier_write(c, data, file->size, err) &&
		   file_copier_end(c, err);
}

/* ---- pages ---- */

/* Asks the server, unless another thread has just done so. */
static bool
raise_limit(WalLimit *limit, uint64_t seen, Error *err)
{
	uint64_t lsn;
	bool done = true;

	pthread_mutex_lock(&limit->lock);
	if (atomic_load(&limit->lsn) == seen)
	{
		done = server_current_lsn(limit->server, &lsn, err);
		if (done)
			atomic_store(&limit->lsn, lsn);
	}
	pthread_mutex_unlock(&limit->lock);
	return done;
}

static bool
page_is_bad(FileCopier *c, const uint8_t *page, uint32_t block)
{
	return page_check(page, block, c->spec->start_lsn,
					  atomic_load(&c->spec->limit->lsn)) == PAGE_BAD;
}

static void
record_damage(FileCopier *c, uint32_t block)
{
	ManifestDamage damage = {.path = mem_strdup(c->file.path), .block = block};

	log_warning("checksum verification failed in file \"%s\", block %u",
				c->file.path, (unsigned int) block);
	backup_build_add_damage(c->spec->build, &damage);
	c->damaged++;
}

/*
 * A page that looks bad may be newer than the position known so far, or just
 * being written.  Each time it is read again it replaces the bytes in the
 * buffer: what was judged is what is stored.
 */
static bool
recheck_page(FileCopier *c, uint8_t *page, uint64_t offset, Error *err)
{
	uint32_t block = c->first_block + (uint32_t) (offset / PG_PAGE_SIZE);
	int64_t pause = REREAD_PAUSE;

	for (int i = 0; i <= REREADS; i++)
	{
		size_t got;

		if (!raise_limit(c->spec->limit, atomic_load(&c->spec->limit->lsn),
						 err))
			return false;
		if (!page_is_bad(c, page, block))
			return true;
		if (i == REREADS || (i > 0 && c->damaged >= PATIENCE))
			break;
		if (i > 0)
		{
			clock_sleep(pause);
			pause *= 2;
		}
		if (!thread_check_stop(err) ||
			!file_pread_full(c->fd, page, PG_PAGE_SIZE, offset, &got,
							 c->full_path, err))
			return false;
		/* cut off meanwhile: WAL says so as well */
		memset(page + got, 0, PG_PAGE_SIZE - got);
	}
	record_damage(c, block);
	return true;
}

/* A page that is not whole is at the end of a file that grows right now. */
static bool
check_pages(FileCopier *c, size_t len, uint64_t offset, Error *err)
{
	for (size_t pos = 0; pos + PG_PAGE_SIZE <= len; pos += PG_PAGE_SIZE)
	{
		uint32_t block = c->first_block +
						 (uint32_t) ((offset + pos) / PG_PAGE_SIZE);

		if (page_is_bad(c, c->buffer + pos, block) &&
			!recheck_page(c, c->buffer + pos, offset + pos, err))
			return false;
	}
	return true;
}

/* ---- files on disk ---- */

/* The progress was announced with what the scan saw; now is now. */
static void
correct_progress(Progress *progress, const DataFile *file, bool vanished,
				 uint64_t size)
{
	atomic_fetch_add(&progress->total_bytes, size);
	atomic_fetch_sub(&progress->total_bytes, file->size);
	if (vanished)
		atomic_fetch_sub(&progress->total_items, 1);
}

/*
 * Without O_NONBLOCK a FIFO that has taken the file's place would hold the
 * backup for ever.
 */
bool
file_copier_open(FileCopier *c, const DataFile *file, bool *vanished,
				 Error *err)
{
	struct stat st;

	file_copier_forget(c);
	c->full_path = file_join(c->spec->pgdata, file->path);
	c->file.path = mem_strdup(file->path);
	c->fd = open(c->full_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	*vanished = c->fd < 0 && errno == ENOENT;
	if (*vanished)
	{
		correct_progress(c->spec->progress, file, true, 0);
		return true;
	}
	if (c->fd < 0)
		return error_set_errno(err, errno, "could not open file \"%s\"",
							   c->full_path);
	if (fstat(c->fd, &st) != 0)
		return error_set_errno(err, errno, "could not stat file \"%s\"",
							   c->full_path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_IO,
						 "\"%s\" has become something other than a file",
						 c->full_path);
	c->file.size = (uint64_t) st.st_size;
	c->file.mode = (uint32_t) st.st_mode & 07777;
	c->file.mtime = (int64_t) st.st_mtim.tv_sec * USECS_PER_SEC +
					st.st_mtim.tv_nsec / 1000;
	correct_progress(c->spec->progress, file, false, c->file.size);
	posix_fadvise(c->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return true;
}

void
file_copier_start(FileCopier *c)
{
	uint32_t segment = 0;

	c->check_pages = c->spec->check_pages && page_file(c->file.path, &segment);
	c->first_block = segment * PG_RELSEG_BLOCKS;
	c->damaged = 0;
	c->crc32c = 0;
	c->at_end = false;
}

bool
file_copier_read(FileCopier *c, uint64_t offset, size_t want, Error *err)
{
	size_t got = 0;

	if (!c->at_end && !file_pread_full(c->fd, c->buffer, want, offset, &got,
									   c->full_path, err))
		return false;
	c->at_end = c->at_end || got < want;
	if (c->check_pages && !check_pages(c, got, offset, err))
		return false;
	memset(c->buffer + got, 0, want - got);
	return true;
}

static bool
copy_contents(FileCopier *c, Error *err)
{
	uint64_t size = c->file.size;

	for (uint64_t offset = 0; offset < size;)
	{
		size_t want = size - offset < FILE_READ_SIZE ? (size_t) (size - offset)
													 : FILE_READ_SIZE;

		if (!file_copier_read(c, offset, want, err) ||
			!file_copier_write(c, c->buffer, want, err))
			return false;
		offset += want;
	}
	return true;
}

bool
file_copier_run(FileCopier *c, PackWriter *pack, Error *err)
{
	char *path = c->file.path;
	DataFile file = {.path = path,
					 .size = c->file.size,
					 .mtime = c->file.mtime,
					 .mode = c->file.mode};
	bool done;

	file_copier_start(c);
	c->file.path = NULL;
	done = file_copier_begin(c, pack, &file, err) && copy_contents(c, err) &&
		   file_copier_end(c, err);
	free(path);
	file_copier_forget(c);
	return done;
}
