/*-------------------------------------------------------------------------
 *
 * incremental_test.c
 *	  Files compared with those of an earlier backup: whatever became of them,
 *	  the runs of the new manifest give the file as it is now, and what did not
 *	  change is not stored again.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "job/backup_delta.h"
#include "repo/file_reader.h"
#include "repo/object.h"
#include "restore_fixture.h"
#include "tap.h"

#define BLOCK MANIFEST_BLOCK
#define MIB ((size_t) 1024 * 1024)
#define BIG (5 * MIB + 3 * BLOCK + 100)

typedef struct World
{
	Fixture f;
	char *pgdata;
	Manifest base;
	const char *base_label;
	int taken;
} World;

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

static uint32_t state = 1;

static uint32_t
roll(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t) ((uint64_t) (state >> 8) * n >> 24);
}

static void
fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t) roll(256);
}

static void
put_file(const World *w, const char *path, const uint8_t *data, size_t len)
{
	char *full = file_join(w->pgdata, path);
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	Error err = ERROR_INIT;

	if (fd < 0 || !file_write_all(fd, data, len, full, &err) || close(fd) != 0)
		ok(false, "file \"%s\" is written", full);
	free(full);
}

/* ---- a backup of one file after the other ---- */

typedef struct Taking
{
	World *w;
	char *label;
	BackupBuild build;
	Progress progress;
	PackWriter *pack;
	uint64_t stored;
} Taking;

static PackWriter *
open_pack(void *arg, Error *err)
{
	Taking *t = arg;

	if (t->pack == NULL)
		t->pack = pack_create(t->w->f.repo, t->label,
							  backup_build_next_pack(&t->build), NULL, err);
	return t->pack;
}

static void
copy_one(Taking *t, const FileCopySpec *spec, FileDelta *delta,
		 const char *path, Error *err)
{
	FileCopier *c = file_copier_new(spec);
	DataFile file = {.path = (char *) (uintptr_t) path};
	bool vanished = true;
	bool done = file_copier_open(c, &file, &vanished, err) && !vanished;

	if (done && delta != NULL)
		done = file_delta_run(delta, c, err);
	else if (done)
		done = open_pack(t, err) != NULL && file_copier_run(c, t->pack, err);
	ok(done, "\"%s\" is copied: %s", path, err->message ? err->message : "");
	file_copier_free(c);
}

static void
fill_info(World *w, Taking *t)
{
	BackupInfo *info = &t->build.manifest.info;

	info->label = mem_strdup(t->label);
	info->target = mem_strdup("cluster");
	info->type = w->base_label == NULL ? BACKUP_FULL : BACKUP_INCREMENTAL;
	if (w->base_label != NULL)
		info->parent = mem_strdup(w->base_label);
	info->sysid = FIX_SYSID;
	info->major = 15;
	info->version_num = 150020;
	info->timeline = info->start_timeline = 1;
	info->start_lsn = FIX_LSN(3, 40);
	info->stop_lsn = FIX_LSN(4, 312);
	info->start_time = FIX_TIME(60);
	info->stop_time = FIX_TIME(70);
	info->segment_size = FIX_SEGMENT;
	info->catalog_version = 202209061;
	t->build.manifest.checksum_algorithm = mem_strdup("CRC32C");
}

/* The new backup is the base of the next one; returns bytes of its packs. */
static uint64_t
take(World *w, const char *const *paths, size_t count)
{
	Taking t = {.w = w, .label = mem_printf("20261121T0001%02dZ", w->taken++)};
	FileCopySpec spec = {.pgdata = w->pgdata,
						 .algorithm = "CRC32C",
						 .content = &w->f.repo->content,
						 .build = &t.build,
						 .progress = &t.progress};
	DeltaTarget target = {.pack = open_pack, .arg = &t};
	BaseMaps *maps = NULL;
	FileDelta *delta = NULL;
	ManifestPack pack;
	uint64_t plain = 0;
	Error err = ERROR_INIT;

	backup_build_init(&t.build);
	fill_info(w, &t);
	if (w->base_label != NULL)
	{
		maps = base_maps_new(&w->base);
		delta = file_delta_new(&spec, maps, w->f.repo, &target);
	}
	for (size_t i = 0; i < count; i++)
		copy_one(&t, &spec, delta, paths[i], &err);
	check(open_pack(&t, &err) != NULL &&
			  pack_commit(t.pack, &pack, &t.stored, &err),
		  &err, "pack is durable");
	plain = pack.plain_size;
	backup_build_add_pack(&t.build, &pack, t.stored);
	backup_build_sort(&t.build);
	if (w->base_label != NULL)
		backup_build_adopt(&t.build, &w->base);
	check(manifest_write(w->f.repo, &t.build.manifest, &err), &err,
		  "manifest is written");
	file_delta_free(delta);
	base_maps_free(maps);
	backup_build_free(&t.build);
	manifest_free(&w->base);
	check(manifest_read(w->f.repo, t.label, &w->base, &err), &err, "and read");
	w->base_label = w->base.info.label;
	free(t.label);
	return plain;
}

static bool
keep(void *arg, const void *data, size_t len, Error *err)
{
	(void) err;
	strbuf_add(arg, data, len);
	return true;
}

/* What the newest backup has as this file. */
static void
expect(const World *w, const char *path, const uint8_t *data, size_t len,
	   const char *what)
{
	FileReader *r = file_reader_new(w->f.repo, &w->base);
	const ManifestFile *f = NULL;
	StrBuf got = STRBUF_INIT;
	uint32_t pack;
	Error err = ERROR_INIT;
	ContentHash *h = content_hash_new(&w->f.repo->content);
	uint8_t content[CONTENT_LEN];

	for (size_t i = 0; i < w->base.file_count; i++)
	{
		if (strcmp(w->base.files[i].path, path) == 0)
			f = &w->base.files[i];
	}
	content_hash_add(h, data, len);
	content_hash_final(h, content);
	content_hash_free(h);
	ok(f != NULL && file_reader_read(r, f, keep, &got, &pack, &err) &&
		   got.len == len && (len == 0 || memcmp(got.data, data, len) == 0) &&
		   memcmp(f->content, content, CONTENT_LEN) == 0,
	   "%s: \"%s\" is whole%s%s", what, path, err.message ? ": " : "",
	   err.message ? err.message : "");
	error_clear(&err);
	strbuf_free(&got);
	file_reader_free(r);
}

static void
world_begin(World *w)
{
	memset(w, 0, sizeof(*w));
	fixture_begin(&w->f, true);
	w->pgdata = file_join(w->f.dir, "pgdata");
	mkdir(w->pgdata, 0700);
}

static void
world_end(World *w)
{
	manifest_free(&w->base);
	free(w->pgdata);
	fixture_end(&w->f);
}

/* ---- what may become of a file ---- */

static void
test_changes(void)
{
	static const char *const paths[] = {"16384"};
	World w;
	uint8_t *data = mem_alloc(BIG + 2 * MIB);
	uint64_t stored;

	world_begin(&w);
	fill(data, BIG + 2 * MIB);
	put_file(&w, paths[0], data, BIG);
	take(&w, paths, 1);

	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "not changed");
	ok(stored <= 4096, "nothing is stored: %d bytes", (int) stored);

	data[3 * BLOCK + 17] ^= 1;
	data[BIG - 1] ^= 1;
	put_file(&w, paths[0], data, BIG);
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "two blocks changed");
	ok(stored < 3 * BLOCK, "which are stored: %d bytes", (int) stored);
	is_int((int64_t) w.base.info.reference_count, 1,
		   "the empty pack between is not referenced");

	put_file(&w, paths[0], data, 2 * MIB + 5);
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, 2 * MIB + 5, "truncated");
	ok(stored < 2 * BLOCK, "one block is stored: %d bytes", (int) stored);

	put_file(&w, paths[0], data, BIG + 2 * MIB);
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG + 2 * MIB, "extended");
	ok(stored > 5 * MIB && stored < 5 * MIB + 20 * BLOCK,
	   "what is new is stored: %d bytes", (int) stored);

	memmove(data + BLOCK, data, BIG);
	put_file(&w, paths[0], data, BIG);
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "moved by a block");
	ok(stored > BIG - BLOCK, "all of it is stored");

	put_file(&w, paths[0], data, 0);
	take(&w, paths, 1);
	expect(&w, paths[0], data, 0, "emptied");
	put_file(&w, paths[0], data, BIG);
	take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "filled again");
	world_end(&w);
	free(data);
}

static void
test_small(void)
{
	static const char *const paths[] = {"PG_VERSION", "16385", "16386"};
	World w;
	uint8_t data[9 * BLOCK];
	uint64_t stored;

	world_begin(&w);
	fill(data, sizeof(data));
	put_file(&w, paths[0], data, 3);
	put_file(&w, paths[1], data, 9 * BLOCK);
	put_file(&w, paths[2], data, 0);
	take(&w, paths, 3);
	stored = take(&w, paths, 3);
	ok(stored <= 4096, "nothing changed, nothing is stored");
	for (size_t i = 0; i < 3; i++)
		expect(&w, paths[i], data, i == 0 ? 3 : i == 1 ? 9 * BLOCK : 0, "same");
	data[5 * BLOCK] ^= 1;
	data[0] ^= 1;
	put_file(&w, paths[0], data, 3);
	put_file(&w, paths[1], data, 9 * BLOCK);
	put_file(&w, paths[2], data, 7);
	stored = take(&w, paths, 3);
	for (size_t i = 0; i < 3; i++)
		expect(&w, paths[i], data,
			   i == 0   ? 3
			   : i == 1 ? 9 * BLOCK
						: 7,
			   "other");
	ok(stored < 4 * BLOCK, "blocks of a middling file: %d bytes", (int) stored);
	world_end(&w);
}

/* Long chains of all kinds of changes, a file that comes and goes. */
static void
test_random(void)
{
	static const char *const paths[] = {"16384", "16385"};
	World w;
	uint8_t *data[2];
	size_t len[2] = {BIG, 40 * BLOCK};

	world_begin(&w);
	for (size_t i = 0; i < 2; i++)
	{
		data[i] = mem_alloc(BIG + MIB);
		fill(data[i], BIG + MIB);
		put_file(&w, paths[i], data[i], len[i]);
	}
	for (int round = 0; round < 12; round++)
	{
		size_t count = 1 + (round % 4 != 2);

		for (size_t i = 0; i < 2; i++)
		{
			for (uint32_t k = roll(60); k > 0; k--)
				data[i][roll((uint32_t) len[i])] ^= 0x55;
			if (roll(3) == 0)
				len[i] = 1 + roll(BIG + MIB);
			put_file(&w, paths[i], data[i], len[i]);
		}
		take(&w, paths, count);
		for (size_t i = 0; i < count; i++)
			expect(&w, paths[i], data[i], len[i], "random changes");
	}
	free(data[0]);
	free(data[1]);
	world_end(&w);
}

/* ---- maps that are not there, or not right ---- */

static void
test_no_map(void)
{
	static const char *const paths[] = {"16384"};
	World w;
	uint8_t *data = mem_alloc(BIG);
	char *name;
	BlockMap map;
	uint64_t bytes;
	uint64_t stored;
	Error err = ERROR_INIT;

	world_begin(&w);
	fill(data, BIG);
	put_file(&w, paths[0], data, BIG);
	take(&w, paths, 1);
	name = repo_map_name(w.base_label, 1);
	check(block_map_read(w.f.repo, w.base_label, 1, true, &map, &err) &&
			  storage_remove(w.f.repo->storage, name, &err),
		  &err, "map is lost");
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "without a map");
	ok(stored > BIG, "all of it is stored again");
	free(name);

	/* all blocks look the same in this one */
	name = repo_map_name(w.base_label, 1);
	check(storage_remove(w.f.repo->storage, name, &err) &&
			  block_map_write(w.f.repo, w.base_label, &map, &bytes, &err),
		  &err, "map of another pack");
	data[7] ^= 1;
	put_file(&w, paths[0], data, BIG);
	stored = take(&w, paths, 1);
	expect(&w, paths[0], data, BIG, "with the map of another pack");
	ok(stored > BIG, "which is not used");
	free(name);
	block_map_free(&map);
	world_end(&w);
	free(data);
}

int
main(void)
{
	test_changes();
	test_small();
	test_random();
	test_no_map();
	return done_testing();
}
