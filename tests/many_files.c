/*-------------------------------------------------------------------------
 *
 * many_files.c
 *	  A manifest of an incremental backup of very many files in very many
 *	  pieces, of which nothing but the manifest exists: what it costs to
 *	  write and to read.
 *
 *		many_files write CONFIG LABEL FILES EXTENTS
 *		many_files read CONFIG LABEL
 *
 * Each file has so many extents of 64 kB or so, in turn in packs of its own and
 * in packs of another backup.  Prints seconds of the call alone, the largest
 * resident set in kB, files, extents and packs.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cmd/settings.h"
#include "repo/manifest.h"
#include "repo/target.h"

#define PARENT "20260101T000000Z"
#define BLOCKS 15          /* in an extent at most: 8 in the middle */
#define FOREIGN (1U << 31) /* until it is known how many packs are its own */
#define PACK (UINT64_C(256) * 1024 * 1024)
#define FRAMES 256
#define TIME INT64_C(1767225600000000)

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* Of this program alone: getrusage() also counts what ran before it. */
static long
peak_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[200];
	long kb = 0;

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
	{
		if (strncmp(line, "VmHWM:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	}
	if (status != NULL)
		fclose(status);
	return kb;
}

static void
make_info(BackupInfo *info, const char *label)
{
	info->label = mem_strdup(label);
	info->target = mem_strdup(TARGET_CLUSTER);
	info->type = BACKUP_INCREMENTAL;
	info->parent = mem_strdup(PARENT);
	info->sysid = UINT64_C(7000000000000000001);
	info->major = 15;
	info->version_num = 150000;
	info->timeline = 1;
	info->start_timeline = 1;
	info->start_lsn = UINT64_C(0x100000028);
	info->stop_lsn = UINT64_C(0x100000100);
	info->start_time = TIME;
	info->stop_time = TIME + 1000000;
	info->segment_size = 16 * 1024 * 1024;
	info->catalog_version = 202209061;
	info->page_checksums = true;
}

/* Lengths and offsets must not be regular, or they compress too well. */
static uint32_t
draw(uint32_t below)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t) (state >> 33) % below;
}

static void
make_pack(ManifestPack *p, uint32_t number, const char *backup)
{
	*p = (ManifestPack){.number = number,
						.backup = backup,
						.plain_size = PACK,
						.zstd_size = PACK / 4,
						.payload_size = PACK / 4 + 16384,
						.frames = mem_alloc(FRAMES * sizeof(ManifestFrame)),
						.frame_count = FRAMES};
	memcpy(p->sha256, &number, sizeof(number));
	for (uint64_t i = 0; i < FRAMES; i++)
		p->frames[i] = (ManifestFrame){
			.plain = i * (PACK / FRAMES),
			.stored = i == 0 ? 0 : i * (PACK / FRAMES / 4) + draw(100000)};
}

static void
make_packs(Manifest *m, uint32_t own, uint32_t foreign)
{
	const char *parent = manifest_label(m, PARENT);

	m->packs = mem_alloc(((size_t) own + foreign) * sizeof(ManifestPack));
	m->pack_count = (size_t) own + foreign;
	m->info.pack_count = own;
	for (uint32_t i = 0; i < own; i++)
		make_pack(&m->packs[i], i + 1, NULL);
	for (uint32_t i = 0; i < foreign; i++)
		make_pack(&m->packs[own + i], i + 1, parent);
	for (size_t i = 0; i < m->extent_count; i++)
	{
		if (m->extents[i].pack & FOREIGN)
			m->extents[i].pack = (m->extents[i].pack & ~FOREIGN) + own;
	}
}

/* The next run; at: how far its backup has come. */
static void
add_run(Manifest *m, ManifestFile *f, uint64_t *at, uint32_t flag)
{
	uint64_t length = UINT64_C(8192) * (1 + draw(BLOCKS));

	if (*at % PACK + length > PACK)
		*at += PACK - *at % PACK;
	manifest_add_run(m, f, length, ((uint32_t) (*at / PACK) + 1) | flag,
					 *at % PACK);
	f->size += length;
	*at += length;
}

static void
make_files(Manifest *m, size_t files, uint32_t extents)
{
	uint64_t own = 0;
	uint64_t foreign = 0;

	m->files = mem_zalloc(files * sizeof(ManifestFile));
	m->file_count = files;
	for (size_t i = 0; i < files; i++)
	{
		ManifestFile *f = &m->files[i];
		uint32_t hash[CONTENT_LEN / sizeof(uint32_t)];
		char path[64];

		for (size_t k = 0; k < CONTENT_LEN / sizeof(uint32_t); k++)
			hash[k] = draw(UINT32_C(1) << 31);
		memcpy(f->content, hash, sizeof(hash));
		snprintf(path, sizeof(path), "base/5/%zu", 10000000 + i);
		f->path = mem_strdup(path);
		f->mtime = TIME + draw(86400) * INT64_C(1000000);
		f->mode = 0600;
		snprintf(f->checksum, sizeof(f->checksum), "%08" PRIx32,
				 draw(UINT32_C(1) << 31));
		for (uint32_t e = 0; e < extents; e++)
			add_run(m, f, e % 2 == 0 ? &own : &foreign,
					e % 2 == 0 ? 0 : FOREIGN);
	}
	make_packs(m, (uint32_t) (own / PACK) + 1, (uint32_t) (foreign / PACK) + 1);
}

static void
report(const Manifest *m, double seconds)
{
	printf("%.3f %ld %zu %zu %zu\n", seconds, peak_kb(), m->file_count,
		   m->extent_count, m->pack_count);
}

static bool
write_one(Repo *repo, char **argv, Error *err)
{
	size_t files = strtoull(argv[4], NULL, 10);
	uint32_t extents = (uint32_t) strtoul(argv[5], NULL, 10);
	Manifest m = {.checksum_algorithm = mem_strdup("CRC32C")};
	double start;
	bool done;

	make_info(&m.info, argv[3]);
	make_files(&m, files, extents);
	start = now();
	done = manifest_write(repo, &m, err);
	if (done)
		report(&m, now() - start);
	manifest_free(&m);
	return done;
}

static bool
read_one(Repo *repo, const char *label, Error *err)
{
	double start = now();
	Manifest m;

	if (!manifest_read(repo, label, &m, err))
		return false;
	report(&m, now() - start);
	manifest_free(&m);
	return true;
}

static bool
run(char **argv, Error *err)
{
	bool writes = strcmp(argv[1], "write") == 0;
	Settings settings;
	RepoKeys keys = {0};
	RepoOptions options;
	Repo *repo = NULL;
	bool done;

	if (!settings_load(argv[2], &settings, err))
		return false;
	done = writes ? settings_load_write_keys(&settings, &keys, err)
				  : settings_load_keys(&settings, &keys, err);
	if (done)
	{
		options = settings_repo_options(&settings, &settings.repos[0], &keys);
		done = repo_open(&options, &repo, err) &&
			   (writes ? write_one(repo, argv, err)
					   : read_one(repo, argv[3], err));
		if (repo != NULL)
			repo_close(repo);
	}
	repo_keys_free(&keys);
	settings_free(&settings);
	return done;
}

int
main(int argc, char **argv)
{
	Error err = ERROR_INIT;

	if (!(argc == 6 && strcmp(argv[1], "write") == 0) &&
		!(argc == 4 && strcmp(argv[1], "read") == 0))
	{
		fprintf(stderr, "usage: many_files write CONFIG LABEL FILES EXTENTS | "
						"read CONFIG LABEL\n");
		return 2;
	}
	if (run(argv, &err))
		return 0;
	fprintf(stderr, "many_files: %s\n", err.message);
	return 1;
}
