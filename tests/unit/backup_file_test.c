/*-------------------------------------------------------------------------
 *
 * backup_file_test.c
 *	  Copying single files into a pack while they change, and which WAL a
 *	  backup waits for.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/clock.h"
#include "base/file.h"
#include "job/backup_config.h"
#include "job/backup_file.h"
#include "job/backup_wal.h"
#include "repo/object.h"
#include "tap.h"

#define LABEL "20261121T001829Z"
#define MIB (1024 * 1024)
#define SEGMENT (16 * MIB)

static RepoKeys keys = {.has_content_key = true};
static char *repo_path;

static Repo *
make_repo(void)
{
	Error err = ERROR_INIT;
	Repo *repo = NULL;
	RepoOptions options = {.storage = {.repo = "r", .type = "posix"},
						   .cluster = "main",
						   .compress_level = 1,
						   .keys = &keys};

	repo_path = mem_strdup(scratch("repo"));
	options.storage.path = repo_path;
	ok(mkdir(repo_path, 0700) == 0 && repo_create(&options, &err) &&
		   repo_open(&options, &repo, &err),
	   "repository%s%s", err.message ? ": " : "",
	   err.message ? err.message : "");
	return repo;
}

/* One file in work, with all that the copier needs. */
typedef struct Fixture
{
	Repo *repo;
	BackupBuild build;
	Progress progress;
	FileCopySpec spec;
	FileCopier *copier;
	PackWriter *pack;
	uint32_t number;
} Fixture;

static void
begin(Fixture *f, Repo *repo, uint32_t number, const char *algorithm)
{
	Error err = ERROR_INIT;

	memset(f, 0, sizeof(*f));
	backup_build_init(&f->build);
	f->repo = repo;
	f->number = number;
	f->spec = (FileCopySpec){.pgdata = scratch_dir(),
							 .algorithm = algorithm,
							 .content = &repo->content,
							 .build = &f->build,
							 .progress = &f->progress};
	f->copier = file_copier_new(&f->spec);
	f->pack = pack_create(repo, LABEL, number, NULL, &err);
	ok(f->pack != NULL, "pack %u is begun", (unsigned int) number);
	error_clear(&err);
}

/* The pack's plaintext; the pack is written by then. */
static void
finish(Fixture *f, StrBuf *plain)
{
	Error err = ERROR_INIT;
	ManifestPack pack;
	uint64_t stored;
	char *name = repo_pack_name(LABEL, f->number);

	ok(pack_commit(f->pack, &pack, &stored, &err) &&
		   object_get(f->repo, name, OBJECT_PACK, 64 * MIB, plain, &err),
	   "pack is written and read%s%s", err.message ? ": " : "",
	   err.message ? err.message : "");
	backup_build_add_pack(&f->build, &pack, stored);
	error_clear(&err);
	free(name);
}

static void
end(Fixture *f)
{
	file_copier_free(f->copier);
	backup_build_free(&f->build);
}

static const ManifestFile *
only_file(const Fixture *f)
{
	is_int((int64_t) f->build.manifest.file_count, 1, "one file in it");
	return &f->build.manifest.files[0];
}

/* What the manifest says of the contents must hold for what was stored. */
static void
check_file(const Fixture *f, const StrBuf *plain, const void *want, size_t len)
{
	const ManifestFile *file = only_file(f);
	ContentHash *hash = content_hash_new(&f->repo->content);
	uint8_t content[CONTENT_LEN];
	uint8_t crc[4];
	char hex[9];
	uint32_t sum = crc32c(0, want, len);
	uint64_t at;

	at = len > 0 ? manifest_extents(&f->build.manifest, file)->pack_offset : 0;
	ok(file->size == len && manifest_is_whole(&f->build.manifest, file) &&
		   at + len <= plain->len && memcmp(plain->data + at, want, len) == 0,
	   "%zu bytes lie where the manifest says", len);
	content_hash_add(hash, want, len);
	content_hash_final(hash, content);
	content_hash_free(hash);
	ok(memcmp(content, file->content, CONTENT_LEN) == 0, "content hash");
	for (int i = 0; i < 4; i++)
		crc[i] = (uint8_t) (sum >> (8 * i));
	hex_encode(crc, 4, hex);
	is_str(file->checksum, hex, "checksum");
}

static void
copy_changed(Repo *repo, uint32_t number, size_t before, size_t after)
{
	Error err = ERROR_INIT;
	Fixture f;
	DataFile file = {.path = (char *) "changing", .size = before};
	char *path = mem_strdup(scratch("changing"));
	uint8_t *data = mem_zalloc(before > after ? before : after);
	StrBuf plain = STRBUF_INIT;
	bool vanished = true;

	fill_words(data, before, number);
	ok(put_file(path, data, before), "a file of %zu bytes", before);
	begin(&f, repo, number, "CRC32C");
	ok(file_copier_open(f.copier, &file, &vanished, &err) && !vanished,
	   "opened");
	ok(truncate(path, (off_t) after) == 0, "then it has %zu", after);
	ok(file_copier_run(f.copier, f.pack, &err), "and is copied");
	finish(&f, &plain);
	if (after < before)
		memset(data + after, 0, before - after);
	check_file(&f, &plain, data, before);
	is_int((int64_t) atomic_load(&f.progress.done_bytes), (int64_t) before,
		   "progress");
	end(&f);
	strbuf_free(&plain);
	free(data);
	free(path);
}

static void
test_vanished(Repo *repo)
{
	Error err = ERROR_INIT;
	Fixture f;
	DataFile file = {.path = (char *) "gone", .size = 10};
	bool vanished = false;

	begin(&f, repo, 10, "CRC32C");
	ok(file_copier_open(f.copier, &file, &vanished, &err) && vanished,
	   "a file that has gone is no error");
	file.path = (char *) "pipe";
	ok(mkfifo(scratch("pipe"), 0600) == 0 &&
		   !file_copier_open(f.copier, &file, &vanished, &err) &&
		   err.code == ERR_IO,
	   "but a FIFO in its place is, and does not block");
	error_clear(&err);
	pack_abort(f.pack);
	end(&f);
}

static void
test_memory(Repo *repo, uint32_t number, const char *algorithm,
			const char *checksum)
{
	Error err = ERROR_INIT;
	Fixture f;
	DataFile file = {.path = (char *) "backup_label", .size = 5, .mode = 0600};
	StrBuf plain = STRBUF_INIT;

	begin(&f, repo, number, algorithm);
	ok(file_copier_put(f.copier, f.pack, &file, "hello", &err),
	   "contents in memory");
	finish(&f, &plain);
	is_str(only_file(&f)->checksum, checksum, algorithm);
	end(&f);
	strbuf_free(&plain);
}

/* ---- WAL ---- */

static void
test_parts(void)
{
	static const char history[] = "1\t0/3000100\tx\n2\t0/5000000\tx\n";
	Error err = ERROR_INIT;
	ServerBackupStart start = {.start_lsn = 0x1000028, .timeline = 1};
	ServerBackupStop stop = {.stop_lsn = 0x2000000, .timeline = 1};
	WalPart *parts = NULL;
	int count = 0;

	ok(backup_wal_parts(scratch_dir(), &start, &stop, &parts, &count, &err) &&
		   count == 1 && parts[0].start_lsn == 0x1000028 &&
		   parts[0].end_lsn == 0x2000000 && parts[0].timeline == 1,
	   "one timeline, one part; no history is needed");
	free(parts);

	stop = (ServerBackupStop){.stop_lsn = 0x6000000, .timeline = 3};
	parts = NULL;
	ok(!backup_wal_parts(scratch_dir(), &start, &stop, &parts, &count, &err),
	   "several cannot be told without it");
	error_clear(&err);
	ok(mkdir(scratch("pg_wal"), 0700) == 0 &&
		   put_file(scratch("pg_wal/00000003.history"), history,
					strlen(history)),
	   "history file");
	ok(backup_wal_parts(scratch_dir(), &start, &stop, &parts, &count, &err) &&
		   count == 3,
	   "a part for each timeline");
	ok(parts[0].timeline == 1 && parts[0].end_lsn == 0x3000100 &&
		   parts[1].timeline == 2 && parts[1].start_lsn == 0x3000100 &&
		   parts[1].end_lsn == 0x5000000 && parts[2].timeline == 3 &&
		   parts[2].start_lsn == 0x5000000 && parts[2].end_lsn == 0x6000000,
	   "that meet where the timelines do");
	free(parts);
	error_clear(&err);
}

static bool
add_segment(Repo *repo, const WalHome *home, uint32_t timeline, uint64_t seg)
{
	Error err = ERROR_INIT;
	WalName wal;
	char *name;
	bool done;

	wal_segment_name(timeline, seg, SEGMENT, &wal);
	name = repo_wal_name(home, &wal);
	done = storage_put(repo->storage, name, "x", 1, &err);
	error_clear(&err);
	free(name);
	return done;
}

static void
test_wait(Repo *repo)
{
	Error err = ERROR_INIT;
	WalPart parts[] = {{1, 0x1000028, 0x3000100}, {2, 0x3000100, 0x5000000}};
	WalWait wait = {.home = {7000000000000000001, 15},
					.pgdata = scratch_dir(),
					.segment_size = SEGMENT,
					.parts = parts,
					.count = 2,
					.timeout = 120000};
	char *status = mem_strdup(scratch("pg_wal/archive_status"));
	char *ready = file_join(status, "000000020000000000000004.ready");

	ok(add_segment(repo, &wait.home, 1, 1) &&
		   add_segment(repo, &wait.home, 1, 2) &&
		   add_segment(repo, &wait.home, 2, 3),
	   "segments up to the one before the last");
	ok(!backup_wait_wal(repo, &wait, &err) && err.code == ERR_TIMEOUT,
	   "are not enough");
	ok(err.detail && strstr(err.detail, "000000020000000000000004") != NULL,
	   "the one that is missing is named");
	error_clear(&err);
	ok(add_segment(repo, &wait.home, 2, 4) &&
		   backup_wait_wal(repo, &wait, &err),
	   "with it they are: none of timeline 1 where it was left, none behind "
	   "a stop at a border");
	ok(file_mkdir_p(status, 0700, &err) &&
		   file_write_durable(ready, "", 0, 0600, false, &err) &&
		   !backup_wait_wal(repo, &wait, &err) && err.code == ERR_TIMEOUT &&
		   strstr(err.detail, "000000020000000000000004") != NULL,
	   "one that the server still has to archive may be another's");
	error_clear(&err);
	unlink(ready);
	parts[1].end_lsn++;
	ok(!backup_wait_wal(repo, &wait, &err) &&
		   strstr(err.detail, "000000020000000000000005") != NULL,
	   "a byte more takes one more");
	error_clear(&err);
	free(ready);
	free(status);
}

static void
test_config_path(void)
{
	ok(backup_config_path("pgdr_config") &&
		   backup_config_path("pgdr_config/etc/x") &&
		   !backup_config_path("pgdr_config2") && !backup_config_path("pgdr"),
	   "copies of configuration are told by their path");
}

int
main(void)
{
	Repo *repo;

	repo = make_repo();
	copy_changed(repo, 1, 20000, 20000);
	copy_changed(repo, 2, 2 * MIB + 8192, 2 * MIB + 16384);
	copy_changed(repo, 3, 3 * MIB, MIB + 100);
	copy_changed(repo, 4, 2 * MIB, 0);
	copy_changed(repo, 5, 0, 8192);
	test_vanished(repo);
	/* of "hello", by other programs */
	test_memory(repo, 11, "CRC32C", "4cbb719a");
	test_memory(repo, 12, "SHA256",
				"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98"
				"24");
	test_memory(repo, 13, "NONE", "");
	test_parts();
	test_wait(repo);
	test_config_path();
	repo_close(repo);
	free(repo_path);
	scratch_remove();
	return done_testing();
}
