/*-------------------------------------------------------------------------
 *
 * target_files.c
 *	  Backs up named files and directories.
 *
 * In the packs directories come first, so that there is something to unpack
 * files into; then files, by several workers; last, in a pack of its own, the
 * directories once more, with their times, which unpacking has changed, and with
 * the modes that may have forbidden it; and links.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_files.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/files_copy.h"

typedef struct FilesBackup
{
	/* fixed */
	const FilesOptions *options;
	TargetBackup *b;
	FilesScan scan;
	const FilesEntry **files; /* the largest first */
	size_t file_count;
	uint32_t *owners; /* by entry */

	/* mutable */
	bool *copied; /* by entry; each is written by one worker */
	pthread_mutex_t lock;
	size_t next;
	TargetWriter *first; /* has the directories; the first worker takes it */
	atomic_uint_fast64_t attributes;
} FilesBackup;

static size_t
index_of(const FilesBackup *f, const FilesEntry *entry)
{
	return (size_t) (entry - f->scan.entries);
}

static TarEntry
tar_entry(const FilesBackup *f, const FilesEntry *e)
{
	uint32_t owner = f->owners[index_of(f, e)];

	return (TarEntry){
		.path = e->path,
		.is_dir = e->kind == FILES_DIR,
		.mode = e->mode,
		.mtime = e->mtime,
		.link = e->to,
		.is_hard = e->kind == FILES_HARD,
		.owner = backup_build_owner(target_backup_build(f->b), owner)};
}

/* ---- directories and links ---- */

/* usable: everything can be written into them. */
static bool
put_dirs(FilesBackup *f, TargetWriter *w, bool usable, Error *err)
{
	for (size_t i = 0; i < f->scan.count; i++)
	{
		const FilesEntry *e = &f->scan.entries[i];
		TarEntry entry;
		PackWriter *pack;

		if (e->kind != FILES_DIR)
			continue;
		entry = tar_entry(f, e);
		if (usable)
			entry.mode |= 0700;
		if (!target_writer_pack(w, &pack, err) ||
			!pack_add_dir(pack, &entry, err))
			return false;
	}
	return true;
}

static const FilesEntry *
find_entry(const FilesScan *scan, const char *path)
{
	size_t low = 0;
	size_t high = scan->count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;
		int order = strcmp(scan->entries[mid].path, path);

		if (order == 0)
			return &scan->entries[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool
put_link(FilesBackup *f, TargetWriter *w, const FilesEntry *e, Error *err)
{
	TarEntry entry = tar_entry(f, e);
	ManifestLink link = {.path = mem_strdup(e->path),
						 .to = mem_strdup(e->to),
						 .hard = e->kind == FILES_HARD,
						 .mtime = e->mtime,
						 .owner = f->owners[index_of(f, e)]};
	PackWriter *pack;

	backup_build_add_link(target_backup_build(f->b), &link);
	return target_writer_pack(w, &pack, err) && pack_add_dir(pack, &entry, err);
}

static bool
put_links(FilesBackup *f, TargetWriter *w, Error *err)
{
	for (size_t i = 0; i < f->scan.count; i++)
	{
		const FilesEntry *e = &f->scan.entries[i];

		if (e->kind == FILES_HARD &&
			!f->copied[index_of(f, find_entry(&f->scan, e->to))])
		{
			log_warning("\"/%s\" is passed over, because \"/%s\", the same "
						"file, is not there any more",
						e->path, e->to);
			continue;
		}
		if ((e->kind == FILES_HARD || e->kind == FILES_LINK) &&
			!put_link(f, w, e, err))
			return false;
	}
	return true;
}

static bool
put_tail(FilesBackup *f, Error *err)
{
	TargetWriter *w;
	bool done;

	if (!target_writer_open(f->b, &w, err))
		return false;
	done = put_dirs(f, w, false, err) && put_links(f, w, err) &&
		   target_writer_commit(w, err);
	target_writer_close(w);
	return done;
}

/* ---- files ---- */

static const FilesEntry *
next_file(FilesBackup *f)
{
	const FilesEntry *e = NULL;

	pthread_mutex_lock(&f->lock);
	if (f->next < f->file_count)
		e = f->files[f->next++];
	pthread_mutex_unlock(&f->lock);
	return e;
}

static bool
take_writer(FilesBackup *f, TargetWriter **out, Error *err)
{
	pthread_mutex_lock(&f->lock);
	*out = f->first;
	f->first = NULL;
	pthread_mutex_unlock(&f->lock);
	return *out != NULL || target_writer_open(f->b, out, err);
}

static bool
work(void *arg, int worker_no, Error *err)
{
	FilesBackup *f = arg;
	FilesCopy c = {.attributes = &f->attributes};
	const FilesEntry *e;
	bool done;

	(void) worker_no;
	if (!take_writer(f, &c.writer, err))
		return false;
	c.buffer = mem_alloc(FILES_READ_SIZE);
	done = true;
	while (done && (e = next_file(f)) != NULL)
		done = thread_check_stop(err) &&
			   files_copy(&c, e, f->owners[index_of(f, e)],
						  &f->copied[index_of(f, e)], err);
	done = done && target_writer_commit(c.writer, err);
	target_writer_close(c.writer);
	free(c.buffer);
	return done;
}

static int
compare_sizes(const void *a, const void *b)
{
	uint64_t x = (*(const FilesEntry *const *) a)->size;
	uint64_t y = (*(const FilesEntry *const *) b)->size;

	return (x < y) - (x > y);
}

static void
order_files(FilesBackup *f)
{
	f->files = mem_alloc((f->scan.file_count + 1) * sizeof(*f->files));
	for (size_t i = 0; i < f->scan.count; i++)
	{
		if (f->scan.entries[i].kind == FILES_FILE)
			f->files[f->file_count++] = &f->scan.entries[i];
	}
	if (f->file_count > 1)
		qsort(f->files, f->file_count, sizeof(*f->files), compare_sizes);
}

/* ---- all ---- */

static void
note_entries(FilesBackup *f)
{
	BackupBuild *build = target_backup_build(f->b);

	f->owners = mem_zalloc((f->scan.count + 1) * sizeof(*f->owners));
	f->copied = mem_zalloc((f->scan.count + 1) * sizeof(*f->copied));
	for (size_t i = 0; i < f->scan.count; i++)
	{
		const FilesEntry *e = &f->scan.entries[i];

		f->owners[i] = backup_build_find_owner(build, e->uid, e->gid);
		if (e->kind == FILES_DIR)
		{
			ManifestDir dir = {.path = mem_strdup(e->path),
							   .mode = e->mode,
							   .mtime = e->mtime,
							   .owner = f->owners[i]};

			backup_build_put_dir(build, &dir);
		}
	}
}

static bool
copy(FilesBackup *f, Error *err)
{
	int workers = target_backup_options(f->b)->workers;
	bool done;

	if (workers > (int) f->file_count)
		workers = f->file_count > 0 ? (int) f->file_count : 1;
	done = target_writer_open(f->b, &f->first, err) &&
		   put_dirs(f, f->first, true, err) &&
		   thread_run(workers, work, f, err);
	target_writer_close(f->first);
	f->first = NULL;
	return done && put_tail(f, err);
}

static bool
fill(TargetBackup *b, void *arg, Error *err)
{
	FilesBackup *f = arg;
	Progress *progress = target_backup_progress(b);

	f->b = b;
	atomic_store(&progress->phase, "listing");
	if (!files_scan(&f->options->spec, &f->scan, err))
		return false;
	atomic_store(&progress->total_bytes, f->scan.total_bytes);
	atomic_store(&progress->total_items, f->scan.file_count);
	atomic_store(&progress->phase, "copying");
	note_entries(f);
	order_files(f);
	if (!copy(f, err))
		return false;
	if (f->attributes > 0)
		log_warning("%zu files have extended attributes or access control "
					"lists, which are not kept",
					(size_t) f->attributes);
	return true;
}

/* Repositories that are directories. */
static void
find_repositories(const RepoSet *set, FilesSpec *spec, FilesPlace *places)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
	{
		const StorageOptions *storage = &set->members[i].options.storage;
		struct stat st;

		if (strcmp(storage->type, "posix") == 0 &&
			stat(storage->path, &st) == 0)
			places[count++] = (FilesPlace){st.st_dev, st.st_ino};
	}
	spec->avoid = places;
	spec->avoid_count = count;
}

bool
target_files_take(RepoSet *set, const FilesOptions *given, BackupInfo *out,
				  Error *err)
{
	FilesOptions options = *given;
	FilesBackup f = {.options = &options, .lock = PTHREAD_MUTEX_INITIALIZER};
	FilesPlace *places = mem_zalloc((set->count + 1) * sizeof(*places));
	bool done;

	find_repositories(set, &options.spec, places);
	done = target_backup_take(set, &options.target, fill, &f, out, err);
	pthread_mutex_destroy(&f.lock);
	files_scan_free(&f.scan);
	free(f.files);
	free(f.owners);
	free(f.copied);
	free(places);
	return done;
}
