/*-------------------------------------------------------------------------
 *
 * backup_tail.c
 *	  The last pack of a backup: configuration, pg_control, backup_label and
 *	  backup_manifest, in this order.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "pg/backup_manifest.h"

#define CONTROL_PATH "global/pg_control"
#define CONTROL_TRIES 10
#define CONTROL_PAUSE 10000 /* microseconds */

bool
backup_tail_begin(BackupTail *tail, Repo *repo, const char *label,
				  const FileCopySpec *spec, Error *err)
{
	struct stat st;

	memset(tail, 0, sizeof(*tail));
	tail->spec = spec;
	if (stat(spec->pgdata, &st) != 0)
		return error_set_errno(err, errno, "could not stat directory \"%s\"",
							   spec->pgdata);
	/* as initdb --allow-group-access has it */
	tail->mode = st.st_mode & S_IRGRP ? 0640 : 0600;
	tail->copier = file_copier_new(spec);
	tail->pack = pack_create(repo, label, backup_build_next_pack(spec->build),
							 NULL, err);
	return tail->pack != NULL;
}

/* These files were not counted when the copy began. */
static void
announce(BackupTail *tail, const DataFile *file)
{
	atomic_fetch_add(&tail->spec->progress->total_bytes, file->size);
	atomic_fetch_add(&tail->spec->progress->total_items, 1);
}

static bool
put(BackupTail *tail, const DataFile *file, const void *data, Error *err)
{
	announce(tail, file);
	return file_copier_put(tail->copier, tail->pack, file, data, err);
}

bool
backup_tail_configs(BackupTail *tail, const ConfigCopies *configs, Error *err)
{
	for (size_t i = 0; i < configs->count; i++)
	{
		const ConfigCopy *copy = &configs->items[i];

		if (!put(tail, &copy->file, copy->text, err))
			return false;
	}
	return true;
}

/* ---- pg_control ---- */

static bool
read_control(int fd, const char *path, int major, uint8_t *data, Error *err)
{
	for (int i = 1;; i++)
	{
		Error torn = ERROR_INIT;
		PgControl control;
		size_t got;

		if (!file_pread_full(fd, data, PG_CONTROL_SIZE, 0, &got, path, err))
			return false;
		if (pg_control_parse(data, got, major, &control, &torn))
			return true;
		if (torn.code != ERR_DAMAGED || i == CONTROL_TRIES)
		{
			error_move(err, &torn);
			return error_prefix(err, "could not copy \"%s\"", path);
		}
		error_clear(&torn);
		clock_sleep(CONTROL_PAUSE);
	}
}

bool
backup_tail_control(BackupTail *tail, int major, Error *err)
{
	uint8_t data[PG_CONTROL_SIZE];
	char *path = file_join(tail->spec->pgdata, CONTROL_PATH);
	DataFile file = {.path = CONTROL_PATH,
					 .size = sizeof(data),
					 .mode = tail->mode,
					 .mtime = clock_now()};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		error_set_errno(err, errno, "could not open file \"%s\"", path);
	done = fd >= 0 && read_control(fd, path, major, data, err) &&
		   put(tail, &file, data, err);
	if (fd >= 0)
		close(fd);
	free(path);
	return done;
}

bool
backup_tail_label(BackupTail *tail, const char *text, Error *err)
{
	DataFile file = {.path = "backup_label",
					 .size = strlen(text),
					 .mode = tail->mode,
					 .mtime = clock_now()};

	return put(tail, &file, text, err);
}

/* ---- backup_manifest ---- */

/* Takes a piece of the text. */
typedef bool (*TextFn)(void *arg, const StrBuf *text, Error *err);

/*
 * Everything but the last line, piece by piece.  It is made twice, because a
 * tar header wants the size first and a cluster may have a million files.
 */
static bool
make_text(const BackupBuild *build, const WalPart *parts, int count, TextFn fn,
		  void *arg, Error *err)
{
	const Manifest *m = &build->manifest;
	bool checksums = strcmp(m->checksum_algorithm, "NONE") != 0;
	StrBuf text = STRBUF_INIT;
	bool done = true;
	BackupManifestRange *ranges = mem_alloc((size_t) count * sizeof(*ranges));

	backup_manifest_begin(&text, m->info.major, m->info.sysid);
	for (size_t i = 0; done && i < m->file_count; i++)
	{
		BackupManifestFile file = {
			.path = m->files[i].path,
			.size = m->files[i].size,
			.mtime = m->files[i].mtime,
			.algorithm = checksums ? m->checksum_algorithm : NULL,
			.checksum = checksums ? m->files[i].checksum : NULL};

		backup_manifest_file(&text, &file, i == 0);
		done = fn(arg, &text, err);
		strbuf_reset(&text);
	}
	for (int i = 0; i < count; i++)
		ranges[i] = (BackupManifestRange){parts[i].timeline, parts[i].start_lsn,
										  parts[i].end_lsn};
	backup_manifest_ranges(&text, ranges, count);
	done = done && fn(arg, &text, err);
	strbuf_free(&text);
	free(ranges);
	return done;
}

typedef struct Measure
{
	uint64_t size;
	Sha256 *sha256;
} Measure;

static bool
measure(void *arg, const StrBuf *text, Error *err)
{
	Measure *m = arg;

	(void) err;
	m->size += text->len;
	sha256_add(m->sha256, text->data, text->len);
	return true;
}

static bool
store(void *arg, const StrBuf *text, Error *err)
{
	BackupTail *tail = arg;

	return file_copier_write(tail->copier, text->data, text->len, err);
}

/* The last line, with the hash of all that stands before it. */
static bool
measure_all(const BackupBuild *build, const WalPart *parts, int count,
			uint64_t *size, StrBuf *last, Error *err)
{
	Measure m = {.sha256 = sha256_new()};
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];
	bool done = make_text(build, parts, count, measure, &m, err);

	sha256_final(m.sha256, digest);
	sha256_free(m.sha256);
	hex_encode(digest, sizeof(digest), hex);
	backup_manifest_end(last, hex);
	*size = m.size + last->len;
	return done;
}

bool
backup_tail_manifest(BackupTail *tail, const WalPart *parts, int count,
					 Error *err)
{
	BackupBuild *build = tail->spec->build;
	StrBuf last = STRBUF_INIT;
	DataFile file = {
		.path = "backup_manifest", .mode = tail->mode, .mtime = clock_now()};
	bool done;

	done = measure_all(build, parts, count, &file.size, &last, err);
	announce(tail, &file);
	done = done && file_copier_begin(tail->copier, tail->pack, &file, err) &&
		   make_text(build, parts, count, store, tail, err) &&
		   store(tail, &last, err) && file_copier_end(tail->copier, err);
	strbuf_free(&last);
	return done;
}

bool
backup_tail_end(BackupTail *tail, Error *err)
{
	ManifestPack pack;
	uint64_t stored;
	PackWriter *writer = tail->pack;

	tail->pack = NULL;
	if (!pack_commit(writer, &pack, &stored, err))
		return false;
	backup_build_add_pack(tail->spec->build, &pack, stored);
	return true;
}

void
backup_tail_abort(BackupTail *tail)
{
	pack_abort(tail->pack);
	file_copier_free(tail->copier);
	memset(tail, 0, sizeof(*tail));
}
