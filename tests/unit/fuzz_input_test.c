/*-------------------------------------------------------------------------
 *
 * fuzz_input_test.c
 *	  Mutations of what is inside of objects and on the host: manifests, the
 *	  files of PostgreSQL, configuration, JSON, names.  None crashes a reader,
 *	  and what is taken keeps the promises that its reader makes.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "fuzz.h"
#include "pg/control.h"
#include "pg/timeline.h"
#include "pg/wal_page.h"
#include "pg/wal_scan.h"
#include "pg_vectors.h"
#include "repo/manifest.h"
#include "repo/object.h"
#include "repo/stamp.h"
#include "storage/memory.h"
#include "tap.h"
#include "tmpdir.h"
#include "wal_writer.h"

#define CONTENT_MAX (4 * 1024 * 1024)
#define LABEL "20261121T000100Z"

static char *scratch;

static void
need(bool done, const Error *err, const char *what)
{
	if (done)
		return;
	printf("Bail out! %s: %s\n", what, err->message ? err->message : "?");
	exit(1);
}

/* ---- the manifest ---- */

/* Not encrypted, in memory. */
static RepoKeys keys;
static Repo *repo;

static void
make_repo(void)
{
	Error err = ERROR_INIT;
	RepoOptions options = {
		.storage = {.repo = "r", .type = "memory", .path = "fuzz"},
		.cluster = "main",
		.compress_level = 1,
		.keys = &keys};

	keys.has_content_key = true;
	memory_create("fuzz");
	need(repo_create(&options, &err) && repo_open(&options, &repo, &err), &err,
		 "repository");
}

static StrBuf manifest_text;
static Json *manifest_extra;

static ManifestFile
make_file(Manifest *m, const char *path, uint64_t size, uint64_t offset)
{
	ManifestFile f = {.path = mem_strdup(path),
					  .size = size,
					  .mtime = 1795219200000000,
					  .mode = 0600};

	manifest_add_run(m, &f, size, 1, offset);

	memcpy(f.checksum, "0a1b2c3d", 9);
	return f;
}

static void
fill_manifest(Manifest *m)
{
	BackupInfo *info = &m->info;

	info->label = mem_strdup(LABEL);
	info->target = mem_strdup("cluster");
	info->sysid = UINT64_C(7000000000000000001);
	info->major = 15;
	info->version_num = 150020;
	info->timeline = info->start_timeline = 1;
	info->start_lsn = 0x2000028;
	info->stop_lsn = 0x2000100;
	info->start_time = INT64_C(1795219200000000);
	info->stop_time = INT64_C(1795219260000000);
	info->segment_size = 16 * 1024 * 1024;
	info->catalog_version = 202209061;
	m->checksum_algorithm = mem_strdup("CRC32C");
	m->tablespace_count = 1;
	m->tablespaces = mem_zalloc(sizeof(ManifestTablespace));
	m->tablespaces[0] = (ManifestTablespace){16400, mem_strdup("/srv/t")};
	m->pack_count = 1;
	m->packs = mem_zalloc(sizeof(ManifestPack));
	m->packs[0] = (ManifestPack){
		.number = 1,
		.plain_size = 8192,
		.zstd_size = 4000,
		.payload_size = 4048,
		.frames = mem_zalloc(2 * sizeof(ManifestFrame)),
		.frame_count = 2};
	m->packs[0].frames[1] = (ManifestFrame){4096, 2000};
	m->dir_count = 2;
	m->dirs = mem_zalloc(2 * sizeof(ManifestDir));
	m->dirs[0] = (ManifestDir){.path = mem_strdup("base"), .mode = 0700};
	m->dirs[1] = (ManifestDir){.path = mem_strdup("base/5"), .mode = 0750};
	m->file_count = 3;
	m->files = mem_zalloc(3 * sizeof(ManifestFile));
	m->files[0] = make_file(m, "PG_VERSION", 3, 8189);
	m->files[1] = make_file(m, "base/5/1259", 0, 0);
	m->files[2] = make_file(m, "global/pg_control", 100, 512);
	m->damage_count = 1;
	m->damage = mem_zalloc(sizeof(ManifestDamage));
	m->damage[0] = (ManifestDamage){mem_strdup("base/5/1259"), 77};
}

static void
make_manifest(void)
{
	Error err = ERROR_INIT;
	Manifest m = {0};
	ObjectMeta meta = {0};
	char *name = repo_manifest_name(LABEL);

	fill_manifest(&m);
	need(manifest_write(repo, &m, &err) &&
			 object_stat(repo, name, &meta, &err) &&
			 object_get(repo, name, OBJECT_MANIFEST, CONTENT_MAX,
						&manifest_text, &err),
		 &err, "manifest");
	manifest_extra = json_dup(meta.extra);
	object_meta_free(&meta);
	manifest_free(&m);
	free(name);
}

/* In the place of the one before: its head is authentic, whatever it says. */
static bool
put_manifest(const char *data, size_t len, const Json *extra)
{
	Error err = ERROR_INIT;
	char *name = repo_manifest_name(LABEL);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_MANIFEST, .extra_room = 20000};
	bool done = storage_remove(repo->storage, name, &err) &&
				object_put(repo, &spec, data, len, extra, &err);

	error_clear(&err);
	free(name);
	return done;
}

static bool
path_is_inside(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[0] != '/' && strcmp(path, "..") != 0 &&
		   strncmp(path, "../", 3) != 0 && strstr(path, "/../") == NULL &&
		   (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static const char *
manifest_flaw(const Manifest *m)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (!path_is_inside(m->dirs[i].path))
			return "a directory outside";
	}
	for (size_t i = 0; i < m->file_count; i++)
	{
		const ManifestFile *f = &m->files[i];
		const ManifestExtent *e = manifest_extents(m, f);
		uint64_t covered = 0;

		if (!path_is_inside(f->path))
			return "a file outside";
		if (i > 0 && strcmp(f[-1].path, f->path) >= 0)
			return "files out of order";
		for (uint32_t k = 0; k < f->extent_count; k++, e++)
		{
			if (e->pack == 0 || e->pack > m->pack_count ||
				e->length > m->packs[e->pack - 1].plain_size ||
				e->pack_offset > m->packs[e->pack - 1].plain_size - e->length)
				return "an extent outside of its pack";
			covered += e->length;
		}
		if (covered != f->size)
			return "a file that its extents do not cover";
	}
	return NULL;
}

static bool
take_manifest(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	Manifest m = {0};
	bool taken = put_manifest(data, len, manifest_extra) &&
				 manifest_read(repo, LABEL, &m, &err);

	if (taken)
	{
		*wrong = manifest_flaw(&m);
		manifest_free(&m);
	}
	error_clear(&err);
	return taken;
}

/* The public part. */
static bool
take_info(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	BackupInfo info = {0};
	Json *json = json_parse(data, len, &err);
	bool taken = json != NULL && json_is_object(json) &&
				 backup_info_parse(json, &info, &err);

	if (taken && (info.label == NULL || info.stop_lsn < info.start_lsn))
		*wrong = "a backup that cannot be";
	backup_info_free(&info);
	json_free(json);
	error_clear(&err);
	return taken;
}

/* ---- PostgreSQL's files ---- */

#define WAL_PIECE (128 * 1024)

static StrBuf wal;
static StrBuf wal_page;
static StrBuf control;
static size_t control_crc_at;
static PgControl control_good;
static StrBuf history;

static void
make_wal(void)
{
	size_t len;
	uint8_t *data = vector_load("15/00000001000000000000001A", &len);

	strbuf_add(&wal, data, WAL_PIECE);
	strbuf_add(&wal_page, data, WAL_LONG_HEADER_LEN + 8);
	free(data);
}

static bool
take_wal(const char *data, size_t len, const char **wrong)
{
	const uint64_t start = UINT64_C(0x1A) * WAL_TEST_SEGMENT;
	WalScan *scan = wal_scan_new(start, WAL_TEST_SEGMENT, WAL_TEST_BLOCK, NULL,
								 NULL);
	WalScanResult result = {0};

	for (size_t at = 0; at < len;)
	{
		size_t n = 1 + fuzz_below(len - at);

		wal_scan_add(scan, data + at, n);
		at += n;
	}
	wal_scan_finish(scan, &result);
	wal_scan_free(scan);
	/* records end at multiples of 8 */
	if (result.stop_lsn < start || result.stop_lsn > start + (len + 7) / 8 * 8)
		*wrong = "WAL was read beyond its end";
	return result.records > 0;
}

static bool
take_wal_page(const char *data, size_t len, const char **wrong)
{
	const WalExpect expect = {.major = 15};
	Error err = ERROR_INIT;
	WalPageHeader page;
	WalName name;
	bool taken = wal_page_parse(data, len, &page, &err);

	wal_name_parse("00000001000000000000001A", &name);
	if (taken &&
		(!wal_segment_size_ok(page.segment_size) || len < WAL_LONG_HEADER_LEN))
		*wrong = "a page that cannot be";
	if (taken)
		wal_page_check(&page, &name, &expect, &err);
	error_clear(&err);
	return taken;
}

static void
make_control(void)
{
	size_t len;
	uint8_t *data = vector_load("15/pg_control", &len);
	Error err = ERROR_INIT;

	strbuf_add(&control, data, len);
	free(data);
	for (size_t at = 100; at < 512 && control_crc_at == 0; at += 4)
	{
		uint32_t crc = crc32c(0, control.data, at);

		if (memcmp(control.data + at, &crc, sizeof(crc)) == 0)
			control_crc_at = at;
	}
	need(control_crc_at > 0, &err, "the place of the CRC in pg_control");
	need(pg_control_parse(control.data, control.len, 15, &control_good, &err),
		 &err, "pg_control");
}

/* Its CRC protects all in front of it. */
static bool
take_control(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	PgControl c = {0};
	bool taken = pg_control_parse(data, len, 15, &c, &err);

	if (taken && (len < control_crc_at ||
				  memcmp(data, control.data, control_crc_at) != 0))
		*wrong = "another pg_control was read";
	error_clear(&err);
	return taken;
}

/* The same with a right CRC, as a server with a fault would write it. */
static bool
take_control_resealed(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	PgControl c = {0};
	char *copy = mem_alloc(len + 1);
	uint32_t crc;
	bool taken;

	memcpy(copy, data, len);
	if (len >= control_crc_at + sizeof(crc))
	{
		crc = crc32c(0, copy, control_crc_at);
		memcpy(copy + control_crc_at, &crc, sizeof(crc));
	}
	taken = pg_control_parse(copy, len, 15, &c, &err);
	if (taken && !wal_segment_size_ok(c.segment_size))
		*wrong = "a segment size that cannot be";
	free(copy);
	error_clear(&err);
	return taken;
}

static bool
take_history(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	TimelineHistory h = {0};
	bool taken = timeline_history_parse(9, data, len, &h, &err);

	for (size_t i = 0; taken && i < h.count; i++)
	{
		if (h.items[i].timeline >= 9 || h.items[i].timeline == 0 ||
			(i > 0 && h.items[i].timeline <= h.items[i - 1].timeline))
			*wrong = "a history that cannot be";
	}
	if (taken && h.count == 0)
		*wrong = "a history without an ancestor";
	timeline_history_free(&h);
	error_clear(&err);
	return taken;
}

/* ---- texts ---- */

static StrBuf config;
static StrBuf json_text;
static StrBuf names;
static StrBuf info_text;

static bool
take_config(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	Config cfg = {0};
	char *path = file_join(scratch, "pgdr.conf");
	FILE *f = fopen(path, "w");
	bool taken;

	fwrite(data, 1, len, f);
	fclose(f);
	taken = config_read_file(path, &cfg, &err);
	for (size_t i = 0; taken && i < cfg.count; i++)
	{
		if (cfg.entries[i].section == NULL || cfg.entries[i].key == NULL ||
			cfg.entries[i].value == NULL || cfg.entries[i].key[0] == '\0')
			*wrong = "an entry without section, key or value";
	}
	if (!taken && err.code != ERR_CONFIG)
		*wrong = "refused with another code";
	config_free(&cfg);
	free(path);
	error_clear(&err);
	return taken;
}

/* What is taken is the same when it is written and read again. */
static bool
take_json(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	Json *json = json_parse(data, len, &err);
	bool taken = json != NULL;

	if (taken)
	{
		char *once = json_dump(json);
		Json *again = json_parse(once, strlen(once), &err);
		char *twice = again != NULL ? json_dump(again) : NULL;

		if (twice == NULL || strcmp(once, twice) != 0)
			*wrong = "JSON that changes when it is written";
		free(once);
		free(twice);
		json_free(again);
	}
	json_free(json);
	error_clear(&err);
	return taken;
}

/* Names, positions, times: on lines of their own. */
static bool
take_name(const char *line, const char **wrong)
{
	Error err = ERROR_INIT;
	char buf[WAL_FILE_NAME_MAX + CLOCK_TEXT_LEN + LSN_TEXT_LEN];
	WalName wal_name;
	uint64_t lsn;
	int64_t t;
	bool taken = false;

	if (wal_name_parse(line, &wal_name))
	{
		taken = true;
		wal_name_format(&wal_name, buf);
		if (strcmp(buf, line) != 0)
			*wrong = "a name of a WAL file that has another form";
	}
	if (lsn_parse(line, &lsn))
	{
		uint64_t again;

		taken = true;
		lsn_format(lsn, buf);
		if (!lsn_parse(buf, &again) || again != lsn)
			*wrong = "a position that changes when it is written";
	}
	taken |= clock_parse(line, &t, &err);
	error_clear(&err);
	taken |= clock_parse_duration(line, &t, &err);
	error_clear(&err);
	taken |= stamp_parse(line, strlen(line), &t);
	taken |= repo_label_ok(line);
	return taken;
}

static bool
take_names(const char *data, size_t len, const char **wrong)
{
	char *text = mem_strndup(data, len);
	bool taken = false;

	for (char *line = text; line != NULL;)
	{
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';
		taken |= take_name(line, wrong);
		line = end != NULL ? end + 1 : NULL;
	}
	free(text);
	return taken;
}

static void
make_texts(void)
{
	char *text;

	strbuf_puts(&history, "1\t0/2000000\tno recovery target specified\n\n"
						  "# a comment\n4\t1/A0\tbefore 2026-11-21\n");
	strbuf_puts(&config, "# a comment\n[global]\ncluster = main\n; another\n"
						 "recipient = age1a\nrecipient: age1b ; said twice\n"
						 "[repo:local]\ntype = posix\npath = /srv/r\n");
	strbuf_puts(&json_text,
				"{\"a\":[1,-2,3.5,true,null,\"\\u00e9\\n\"],\"b\":{\"c\":{}}}");
	strbuf_puts(&names, "00000001000000000000001A\n"
						"00000001000000000000001A.partial\n"
						"00000001000000000000001A.00000028.backup\n"
						"00000002.history\n16/B374D848\n"
						"2026-11-21 00:01:02.5+01:30\n15min\n"
						"20261121T000100Z-2\n20261121T000100.123456Z\n");
	text = json_dump(manifest_extra);
	strbuf_puts(&info_text, text);
	free(text);
}

/* ---- all ---- */

static const FuzzTarget targets[] = {
	{"manifest", &manifest_text, true, 0, take_manifest},
	{"public part of a manifest", &info_text, true, 0, take_info},
	{"WAL", &wal, false, 10, take_wal},
	{"first page of WAL", &wal_page, false, 0, take_wal_page},
	{"pg_control", &control, false, 0, take_control},
	{"pg_control with its CRC", &control, false, 0, take_control_resealed},
	{"timeline history", &history, true, 0, take_history},
	{"configuration", &config, true, 2, take_config},
	{"JSON", &json_text, true, 0, take_json},
	{"names and times", &names, true, 0, take_names},
};

static void
free_all(void)
{
	StrBuf *all[] = {&manifest_text, &wal,       &wal_page, &control,  &history,
					 &config,        &json_text, &names,    &info_text};

	repo_close(repo);
	memory_drop("fuzz");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		strbuf_free(all[i]);
	json_free(manifest_extra);
	tmpdir_remove(scratch);
	free(scratch);
}

int
main(void)
{
	Error err = ERROR_INIT;

	need(age_init(&err), &err, "libsodium");
	scratch = tmpdir_make("fuzz");
	make_repo();
	make_manifest();
	make_wal();
	make_control();
	make_texts();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
	{
		char *text;
		bool good = fuzz_run(&targets[i], &text);

		ok(good, "%s", text);
		free(text);
	}
	free_all();
	return done_testing();
}
