/*-------------------------------------------------------------------------
 *
 * manifest_test.c
 *	  Manifests: what is written comes back, and nothing that is wrong is
 *	  taken.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "repo/manifest.h"
#include "repo/object.h"
#include "repo/target.h"
#include "restore_fixture.h"
#include "tap.h"

#define LABEL "20261121T000100Z"
#define ODD_PATH "base/\xff\xfe odd\n\"name\""

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

static ManifestFile
make_file(Manifest *m, const char *path, uint64_t size, uint64_t offset)
{
	ManifestFile f = {.path = mem_strdup(path),
					  .size = size,
					  .mtime = FIX_TIME(3) + 7,
					  .mode = 0600};

	manifest_add_run(m, &f, size, 1, offset);

	memset(f.content, (int) size, sizeof(f.content));
	memcpy(f.checksum, "0a1b2c3d", 9);
	return f;
}

static void
make_info(BackupInfo *info)
{
	info->label = mem_strdup(LABEL);
	info->target = mem_strdup("cluster");
	info->sysid = UINT64_C(18000000000000000001); /* above what int64 holds */
	info->major = 15;
	info->version_num = 150020;
	info->timeline = 2;
	info->start_timeline = 1;
	info->start_lsn = FIX_LSN(3, 40);
	info->stop_lsn = FIX_LSN(4, 312);
	info->start_time = FIX_TIME(60);
	info->stop_time = FIX_TIME(70) + 1;
	info->segment_size = FIX_SEGMENT;
	info->catalog_version = 202209061;
	info->page_checksums = true;
	info->plain_bytes = 1000;
	info->stored_bytes = 500;
	info->damaged_pages = 1;
	info->annotations = json_new_object();
	json_put_str(info->annotations, "ticket", "42");
}

/* Files and directories out of order, as a caller may have them. */
static void
make_manifest(Manifest *m)
{
	memset(m, 0, sizeof(*m));
	make_info(&m->info);
	m->checksum_algorithm = mem_strdup("CRC32C");
	m->tablespace_count = 2;
	m->tablespaces = mem_zalloc(2 * sizeof(ManifestTablespace));
	m->tablespaces[0].oid = 16400;
	m->tablespaces[0].location = mem_strdup("/srv/t\xff");
	m->tablespaces[1].oid = 16401;
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
	memset(m->packs[0].sha256, 9, SHA256_LEN);
	m->dir_count = 2;
	m->dirs = mem_zalloc(2 * sizeof(ManifestDir));
	m->dirs[0] = (ManifestDir){.path = mem_strdup("base/5"), .mode = 0750};
	m->dirs[1] = (ManifestDir){.path = mem_strdup("base"), .mode = 0700};
	m->file_count = 3;
	m->files = mem_zalloc(3 * sizeof(ManifestFile));
	m->files[0] = make_file(m, "global/pg_control", 100, 512);
	m->files[1] = make_file(m, ODD_PATH, 0, 0);
	m->files[2] = make_file(m, "PG_VERSION", 3, 8189);
	m->damage_count = 1;
	m->damage = mem_zalloc(sizeof(ManifestDamage));
	m->damage[0] = (ManifestDamage){mem_strdup("base/5/1259"), 77};
}

static void
compare(const Manifest *m)
{
	const ManifestFile *f = &m->files[2];

	is_int((int64_t) m->file_count, 3, "files are read");
	is_str(m->files[0].path, "PG_VERSION", "files are sorted");
	is_str(m->files[1].path, ODD_PATH, "a path that is not UTF-8 survives");
	is_int((int64_t) m->files[1].size, 0, "an empty file has no extent");
	is_str(f->path, "global/pg_control", "path of the last file");
	ok(f->size == 100 && f->mode == 0600 && f->mtime == FIX_TIME(3) + 7 &&
		   f->content[15] == 100 && strcmp(f->checksum, "0a1b2c3d") == 0,
	   "size, mode, time, hash and checksum of a file");
	ok(f->extent_count == 1 && manifest_extents(m, f)->pack == 1 &&
		   manifest_extents(m, f)->pack_offset == 512 &&
		   manifest_extents(m, f)->length == 100,
	   "extent of a file");
	is_str(m->dirs[0].path, "base", "parents come first");
	is_int(m->dirs[1].mode, 0750, "mode of a directory");
	is_str(m->tablespaces[0].location, "/srv/t\xff",
		   "location that is not UTF-8");
	ok(m->tablespaces[1].oid == 16401 && m->tablespaces[1].location == NULL,
	   "in-place tablespace");
	ok(m->packs[0].frame_count == 2 && m->packs[0].frames[1].stored == 2000 &&
		   m->packs[0].frames[1].plain == 4096 && m->packs[0].sha256[31] == 9,
	   "pack with its frames");
	ok(m->damage_count == 1 && m->damage[0].block == 77, "damaged page");
	is_str(m->checksum_algorithm, "CRC32C", "checksum algorithm");
	ok(m->info.sysid == UINT64_C(18000000000000000001), "system identifier");
	is_str(json_get_str(m->info.annotations, "ticket", ""), "42", "annotation");
}

static void
test_round_trip(bool encrypted)
{
	Fixture f;
	Manifest m;
	Manifest again;
	BackupInfo info;
	Error err = ERROR_INIT;
	RepoKeys writer = {0};
	Repo *other = NULL;

	fixture_begin(&f, encrypted);
	make_manifest(&m);
	check(manifest_write(f.repo, &m, &err), &err, "manifest is written");
	check(manifest_read(f.repo, LABEL, &again, &err), &err, "and read");
	compare(&again);
	manifest_free(&again);
	ok(!manifest_write(f.repo, &m, &err) && err.code == ERR_EXISTS,
	   "a manifest is written once");
	error_clear(&err);

	/* a host without the identity */
	writer = f.keys;
	writer.identities = NULL;
	f.repo->options.keys = &writer;
	check(repo_open_again(f.repo, &other, &err), &err, "no identity");
	check(manifest_stat(other, LABEL, &info, &err), &err,
		  "public part is read without the key");
	ok(info.start_lsn == FIX_LSN(3, 40) && info.stop_lsn == FIX_LSN(4, 312) &&
		   info.start_timeline == 1 && info.timeline == 2 &&
		   info.stop_time == FIX_TIME(70) + 1 && info.file_count == 3 &&
		   info.pack_count == 1 && info.damaged_pages == 1,
	   "and is right");
	backup_info_free(&info);
	if (encrypted)
	{
		ok(!manifest_read(other, LABEL, &again, &err) && err.code == ERR_KEY,
		   "the manifest itself needs the key");
		error_clear(&err);
	}
	repo_close(other);
	manifest_free(&m);
	fixture_end(&f);
}

/* ---- other targets ---- */

static void
test_other_targets(void)
{
	char *members[] = {(char *) "20261121T000101Z",
					   (char *) "20261121T000102Z"};
	BackupInfo info = {.label = (char *) LABEL,
					   .target = (char *) "files:app",
					   .version_num = 150020,
					   .start_time = FIX_TIME(1),
					   .stop_time = FIX_TIME(2)};
	BackupInfo again;
	Json *json;
	Error err = ERROR_INIT;

	check(backup_info_copy(&info, &again, &err), &err,
		  "a backup of files is read back");
	is_str(again.target, "files:app", "its target");
	ok(again.sysid == 0 && again.start_lsn == 0 && again.timeline == 0 &&
		   again.version_num == 150020 && again.stop_time == FIX_TIME(2),
	   "it has times and a version, but no positions");
	backup_info_free(&again);
	json = backup_info_json(&info);
	ok(json_get(json, "sysid") == NULL && json_get(json, "stop_lsn") == NULL,
	   "nor are there any to be seen");
	json_put_str(json, "target", "tapes:1");
	ok(!backup_info_parse(json, &again, &err) && err.code == ERR_UNSUPPORTED,
	   "an unknown target is refused");
	error_clear(&err);
	json_put_str(json, "target", "full_system");
	ok(!backup_info_parse(json, &again, &err) && err.code == ERR_DAMAGED,
	   "so is a group without members");
	error_clear(&err);
	json_free(json);

	info.target = (char *) "full_system";
	info.members = members;
	info.member_count = 2;
	check(backup_info_copy(&info, &again, &err), &err, "a group is read back");
	ok(again.member_count == 2 &&
		   backup_has_member(&again, "20261121T000102Z") &&
		   !backup_has_member(&again, LABEL),
	   "with its members");
	backup_info_free(&again);
	info.target = (char *) "config";
	ok(!backup_info_copy(&info, &again, &err), "nothing else has members");
	error_clear(&err);
	info.target = (char *) "full_system";
	members[1] = members[0];
	ok(!backup_info_copy(&info, &again, &err), "and none of them twice");
	error_clear(&err);
}

static void
test_target_names(void)
{
	ok(target_ok("cluster") && target_ok("config") && target_ok("full_system"),
	   "targets without a name");
	ok(target_ok("files:a-b_1") && target_ok("logical:x"), "targets with one");
	ok(!target_ok("files:") && !target_ok("files:a/b") && !target_ok("files") &&
		   !target_ok("cluster:x") && !target_ok(""),
	   "what is none");
	is_str(target_name("files:app", TARGET_FILES), "app", "name of a target");
	ok(target_name("logical:app", TARGET_FILES) == NULL, "of another kind");
}

static void
make_files(Manifest *m)
{
	make_manifest(m);
	m->owner_count = 1;
	m->owners = mem_zalloc(sizeof(ManifestOwner));
	m->owners[0] = (ManifestOwner){1000, 1001, mem_strdup("app"), NULL};
	m->dirs[0].owner = 1;
	m->dirs[0].mtime = FIX_TIME(9) + 1;
	m->files[0].owner = 1;
	m->files[0].sparse = true;
	m->link_count = 2;
	m->links = mem_zalloc(2 * sizeof(ManifestLink));
	m->links[0] = (ManifestLink){.path = mem_strdup("base/name"),
								 .to = mem_strdup("global/pg_control"),
								 .hard = true,
								 .mtime = 5};
	m->links[1] = (ManifestLink){.path = mem_strdup("base/link"),
								 .to = mem_strdup("/x\xff"),
								 .mtime = 7,
								 .owner = 1};
}

/* What only backups of files have. */
static void
test_links(void)
{
	Fixture f;
	Manifest m;
	Manifest again;
	Error err = ERROR_INIT;

	fixture_begin(&f, true);
	make_files(&m);
	check(manifest_write(f.repo, &m, &err), &err, "manifest with links");
	check(manifest_read(f.repo, LABEL, &again, &err), &err, "is read");
	ok(again.owner_count == 1 && again.owners[0].uid == 1000 &&
		   again.owners[0].gid == 1001 && again.owners[0].group == NULL,
	   "owner by number");
	is_str(again.owners[0].user, "app", "and by name");
	ok(again.dirs[1].owner == 1 && again.dirs[1].mtime == FIX_TIME(9) + 1 &&
		   again.dirs[0].owner == 0 && again.dirs[0].mtime == 0,
	   "owner and time of a directory, where there are");
	ok(again.files[2].owner == 1 && again.files[2].sparse &&
		   !again.files[1].sparse,
	   "owner and holes of a file");
	is_str(again.links[0].path, "base/link", "links are sorted");
	ok(strcmp(again.links[0].to, "/x\xff") == 0 && !again.links[0].hard &&
		   again.links[0].owner == 1 && again.links[0].mtime == 7,
	   "a symbolic link says any bytes");
	ok(again.links[1].hard &&
		   strcmp(again.links[1].to, "global/pg_control") == 0,
	   "another name of a file");
	manifest_free(&again);
	manifest_free(&m);
	fixture_end(&f);
}

static void
set_text(char **text, const char *to)
{
	free(*text);
	*text = mem_strdup(to);
}

static void
test_bad_links(void)
{
	static const char *const what[] = {
		"a link out of the directory", "a link where a file is",
		"a link where a directory is", "another name of nothing",
		"an owner that there is not",  "a link that says nothing"};

	for (int i = 0; i < 6; i++)
	{
		Fixture f;
		Manifest m;
		Error err = ERROR_INIT;

		fixture_begin(&f, false);
		make_files(&m);
		if (i == 0)
			set_text(&m.links[0].path, "../x");
		else if (i == 1)
			set_text(&m.links[0].path, "PG_VERSION");
		else if (i == 2)
			set_text(&m.links[0].path, "base/5");
		else if (i == 3)
			set_text(&m.links[0].to, "base/none");
		else if (i == 4)
			m.files[0].owner = 2;
		else
			set_text(&m.links[1].to, "");
		ok(!manifest_write(f.repo, &m, &err) && err.code == ERR_DAMAGED,
		   "%s is refused: %s", what[i], err.message ? err.message : "");
		error_clear(&err);
		manifest_free(&m);
		fixture_end(&f);
	}
}

/* ---- what must not be written ---- */

static void
bad_path(Manifest *m)
{
	free(m->files[2].path);
	m->files[2].path = mem_strdup("base/../../etc/passwd");
}

static void
absolute_path(Manifest *m)
{
	free(m->dirs[0].path);
	m->dirs[0].path = mem_strdup("/etc");
}

static void
empty_component(Manifest *m)
{
	free(m->dirs[0].path);
	m->dirs[0].path = mem_strdup("base//5");
}

static void
twice(Manifest *m)
{
	free(m->files[2].path);
	m->files[2].path = mem_strdup("global/pg_control");
}

static void
file_and_dir(Manifest *m)
{
	free(m->files[2].path);
	m->files[2].path = mem_strdup("base/5");
}

static ManifestExtent *
last_extent(Manifest *m)
{
	return &m->extents[m->files[2].first_extent];
}

static void
beyond_pack(Manifest *m)
{
	last_extent(m)->pack_offset = 8190;
}

static void
wrapping_extent(Manifest *m)
{
	last_extent(m)->pack_offset = UINT64_MAX - 1;
}

static void
no_such_pack(Manifest *m)
{
	last_extent(m)->pack = 2;
}

static void
bad_checksum(Manifest *m)
{
	m->files[2].checksum[7] = '\0';
}

static void
bad_frames(Manifest *m)
{
	m->packs[0].frames[1].stored = 4000;
}

static void
bad_algorithm(Manifest *m)
{
	free(m->checksum_algorithm);
	m->checksum_algorithm = mem_strdup("MD5");
}

static void
relative_tablespace(Manifest *m)
{
	free(m->tablespaces[0].location);
	m->tablespaces[0].location = mem_strdup("srv/t");
}

static void
backwards(Manifest *m)
{
	m->info.stop_lsn = m->info.start_lsn;
}

static const struct
{
	const char *name;
	void (*spoil)(Manifest *m);
} spoiled[] = {
	{"a path that leads out", bad_path},
	{"an absolute path", absolute_path},
	{"an empty component", empty_component},
	{"a file twice", twice},
	{"a file that is a directory too", file_and_dir},
	{"an extent beyond its pack", beyond_pack},
	{"an extent whose end wraps around", wrapping_extent},
	{"an extent in no pack", no_such_pack},
	{"a short checksum", bad_checksum},
	{"a frame beyond the pack", bad_frames},
	{"an unknown checksum algorithm", bad_algorithm},
	{"a relative tablespace", relative_tablespace},
	{"a backup that ends where it began", backwards},
};

static void
test_not_written(void)
{
	Fixture f;

	fixture_begin(&f, false);
	for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++)
	{
		Manifest m;
		Error err = ERROR_INIT;

		make_manifest(&m);
		spoiled[i].spoil(&m);
		ok(!manifest_write(f.repo, &m, &err) && err.code == ERR_DAMAGED,
		   "%s is not written: %s", spoiled[i].name,
		   err.message ? err.message : "it was");
		error_clear(&err);
		manifest_free(&m);
	}
	fixture_end(&f);
}

/* ---- what must not be read ---- */

/* The text of a manifest with the first `from` replaced by `to`. */
static char *
replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (at == NULL)
		return NULL;
	return mem_printf("%.*s%s%s", (int) (at - text), text, to,
					  at + strlen(from));
}

static const struct
{
	const char *name;
	const char *from;
	const char *to;
	ErrCode code;
} mutations[] = {
	{"nothing", "\"n\":1", "\"n\":1", ERR_NONE},
	{"newer version", "{\"manifest\":1", "{\"manifest\":2", ERR_UNSUPPORTED},
	{"no header", "{\"manifest\":1", "{\"manifesto\":1", ERR_DAMAGED},
	{"other label", "\"label\":\"20261121T000100Z\"",
	 "\"label\":\"20261121T000101Z\"", ERR_DAMAGED},
	{"not JSON", "{\"dir\":\"base\"", "{\"dir\":\"base\"\"", ERR_DAMAGED},
	{"an array", "{\"dir\":\"base\",\"mode\":448}", "[1]", ERR_DAMAGED},
	{"an empty line", "{\"dir\":\"base\",\"mode\":448}", "", ERR_DAMAGED},
	{"unknown line", "{\"dir\":\"base\",", "{\"link\":\"base\",", ERR_DAMAGED},
	{"line of two kinds", "{\"dir\":\"base\",", "{\"dir\":\"base\",\"end\":{},",
	 ERR_DAMAGED},
	{"missing line", "{\"dir\":\"base\",\"mode\":448}\n", "", ERR_DAMAGED},
	{"sections out of order", "{\"dir\":\"base\",\"mode\":448}\n",
	 "{\"file\":\"a\",\"size\":0,\"mode\":384,\"mtime\":1,\"hash\":"
	 "\"00000000000000000000000000000000\",\"checksum\":\"00000000\"}\n"
	 "{\"dir\":\"base\",\"mode\":448}\n",
	 ERR_DAMAGED},
	{"path with ..", "\"file\":\"PG_VERSION\"", "\"file\":\"../PG\"",
	 ERR_DAMAGED},
	{"path with ..in hex", "\"path_hex\":\"", "\"path_hex\":\"2e2e2f",
	 ERR_DAMAGED},
	{"zero byte in hex", "\"path_hex\":\"62", "\"path_hex\":\"6200",
	 ERR_DAMAGED},
	{"negative size", "\"size\":3,", "\"size\":-3,", ERR_DAMAGED},
	{"size as text", "\"size\":3,", "\"size\":\"3\",", ERR_DAMAGED},
	{"size that is not the extent's", "\"size\":3,", "\"size\":2,",
	 ERR_DAMAGED},
	{"mode too large", "\"mode\":384", "\"mode\":4294967296", ERR_DAMAGED},
	{"two runs in an array", "\"at\":[[0,3,1,8189]]",
	 "\"at\":[[0,2,1,8189],[2,1,1,0]]", ERR_DAMAGED},
	{"one run as text", "\"at\":[[0,3,1,8189]]", "\"runs\":\"3:1:8189\"",
	 ERR_NONE},
	{"runs of a part of the file", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"2:1:8189\"", ERR_DAMAGED},
	{"runs longer than the file", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"4:1:1000\"", ERR_DAMAGED},
	{"a run that ends inside a block", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"2:1:0,1:1:9\"", ERR_DAMAGED},
	{"an empty run", "\"at\":[[0,3,1,8189]]", "\"runs\":\"3:1:8189,0:1:0\"",
	 ERR_DAMAGED},
	{"no run", "\"at\":[[0,3,1,8189]]", "\"runs\":\"\"", ERR_DAMAGED},
	{"runs that are no text", "\"at\":[[0,3,1,8189]]", "\"runs\":[]",
	 ERR_DAMAGED},
	{"a run of two numbers", "\"at\":[[0,3,1,8189]]", "\"runs\":\"3:1\"",
	 ERR_DAMAGED},
	{"a run of four numbers", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"3:1:8189:0\"", ERR_DAMAGED},
	{"runs that end with a comma", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"3:1:8189,\"", ERR_DAMAGED},
	{"a run with a sign", "\"at\":[[0,3,1,8189]]", "\"runs\":\"+3:1:8189\"",
	 ERR_DAMAGED},
	{"a run whose number overflows", "\"at\":[[0,3,1,8189]]",
	 "\"runs\":\"3:1:99999999999999999999\"", ERR_DAMAGED},
	{"a run in no pack", "\"at\":[[0,3,1,8189]]", "\"runs\":\"3:2:0\"",
	 ERR_DAMAGED},
	{"runs and an array", "\"at\":[[0,3,1,8189]]",
	 "\"at\":[[0,3,1,8189]],\"runs\":\"3:1:8189\"", ERR_DAMAGED},
	{"pack of a backup that is not referenced",
	 "\"n\":1,\"object\":\"backup/20261121T000100Z",
	 "\"n\":1,\"backup\":\"20261121T000000Z\",\"number\":1,\"object\":\"backup/20261121T000000Z",
	 ERR_DAMAGED},
	{"extent of three numbers", "[[0,3,1,8189]]", "[[0,3,1]]", ERR_DAMAGED},
	{"no extent", ",\"at\":[[0,3,1,8189]]", "", ERR_DAMAGED},
	{"short hash", "\"hash\":\"00", "\"hash\":\"0", ERR_DAMAGED},
	{"upper-case hash", "\"hash\":\"00", "\"hash\":\"0A", ERR_DAMAGED},
	{"pack of another name", "data/000001\"", "data/000002\"", ERR_DAMAGED},
	{"pack of another checksum", "\"payload_sha256\":\"09",
	 "\"payload_sha256\":\"08", ERR_DAMAGED},
	{"frame twice", "[4096,2000]", "[0,0]", ERR_DAMAGED},
	{"no frames", "[[0,0],[4096,2000]]", "[]", ERR_DAMAGED},
	{"wrong count", "\"files\":3,\"damage\"", "\"files\":4,\"damage\"",
	 ERR_DAMAGED},
	{"no end", "{\"end\":", "{\"dne\":", ERR_DAMAGED},
	{"something behind the end", "\"damage\":1}}\n",
	 "\"damage\":1}}\n{\"dir\":\"x\",\"mode\":1}\n", ERR_DAMAGED},
	{"two ends", "\"damage\":1}}\n",
	 "\"damage\":1}}\n{\"end\":{\"tablespaces\":2,\"dirs\":2,\"packs\":1,"
	 "\"files\":3,\"damage\":1}}\n",
	 ERR_DAMAGED},
	{"last line cut off", "\"damage\":1}}\n", "\"damage\":1}}", ERR_DAMAGED},
	{"header that differs from the public part", "\"major\":15", "\"major\":16",
	 ERR_DAMAGED},
	{"label as path", "\"label\":\"20261121T000100Z\"",
	 "\"label\":\"../../20261121\"", ERR_DAMAGED},
	{"segment size of no server", "\"segment_size\":1048576",
	 "\"segment_size\":1048577", ERR_DAMAGED},
	{"tablespace twice", "{\"oid\":16401}", "{\"oid\":16400}", ERR_DAMAGED},
};

static bool
put_text(Repo *repo, const char *text, const Json *extra, Error *err)
{
	char *name = repo_manifest_name(LABEL);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_MANIFEST, .extra_room = 4096};
	bool done = object_put(repo, &spec, text, strlen(text), extra, err);

	free(name);
	return done;
}

static void
test_mutation(size_t i, const char *good, const Json *extra)
{
	char *text = replace(good, mutations[i].from, mutations[i].to);
	Fixture f;
	Manifest m;
	Error err = ERROR_INIT;
	bool done;

	if (!ok(text != NULL, "\"%s\" is in the manifest", mutations[i].from))
		return;
	fixture_begin(&f, false);
	if (!put_text(f.repo, text, extra, &err))
		ok(false, "%s", err.message);
	done = manifest_read(f.repo, LABEL, &m, &err);
	ok(done == (mutations[i].code == ERR_NONE) && err.code == mutations[i].code,
	   "manifest with %s: %s", mutations[i].name,
	   err.message ? err.message : "read");
	if (done)
		manifest_free(&m);
	error_clear(&err);
	fixture_end(&f);
	free(text);
}

static void
test_not_read(void)
{
	Fixture f;
	Manifest m;
	StrBuf text = STRBUF_INIT;
	ObjectMeta meta;
	Error err = ERROR_INIT;
	char *name = repo_manifest_name(LABEL);

	fixture_begin(&f, false);
	make_manifest(&m);
	check(manifest_write(f.repo, &m, &err) &&
			  object_get(f.repo, name, OBJECT_MANIFEST, 1 << 20, &text, &err) &&
			  object_stat(f.repo, name, &meta, &err),
		  &err, "text of a good manifest");
	for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++)
		test_mutation(i, text.data, meta.extra);
	object_meta_free(&meta);
	strbuf_free(&text);
	manifest_free(&m);
	fixture_end(&f);
	free(name);
}

/* ---- incremental backups ---- */

#define BASE "20261121T000000Z"
#define OLDER "20261120T000000Z"

static ManifestPack
make_pack(const char *backup, uint32_t number)
{
	ManifestPack pack = {.number = number,
						 .backup = backup,
						 .plain_size = UINT64_C(6) << 30,
						 .zstd_size = 4000,
						 .payload_size = 4048,
						 .frames = mem_zalloc(64 * sizeof(ManifestFrame)),
						 .frame_count = 64};

	for (size_t i = 1; i < 64; i++)
		pack.frames[i] = (ManifestFrame){i << 26, i * 60};
	return pack;
}

/* One pack of its own, three of its base and one of an older backup. */
static void
make_incremental(Manifest *m)
{
	const char *base;
	const char *older;

	make_manifest(m);
	base = manifest_label(m, BASE);
	older = manifest_label(m, OLDER);
	m->info.type = BACKUP_INCREMENTAL;
	m->info.parent = mem_strdup(BASE);
	m->packs = mem_realloc(m->packs, 5 * sizeof(ManifestPack));
	m->packs[1] = make_pack(older, 7);
	m->packs[2] = make_pack(base, 2);
	m->packs[3] = make_pack(base, 3);
	m->packs[4] = make_pack(base, 9);
	m->pack_count = 5;
	m->files = mem_realloc(m->files, 5 * sizeof(ManifestFile));
	m->files[3] = make_file(m, "base/5/2", 0, 0);
	m->files[3].size = 3 * MANIFEST_BLOCK + 5;
	manifest_add_run(m, &m->files[3], MANIFEST_BLOCK, 2, 8);
	manifest_add_run(m, &m->files[3], MANIFEST_BLOCK, 1, 0);
	manifest_add_run(m, &m->files[3], MANIFEST_BLOCK + 5, 5, 77);
	/* longer than an extent can be, but in one piece */
	m->files[4] = make_file(m, "base/5/3", UINT64_C(5) << 30, 512);
	m->extents[m->files[4].first_extent].pack = 4;
	m->extents[m->files[4].first_extent + 1].pack = 4;
	m->extents[m->files[4].first_extent + 2].pack = 4;
	m->file_count = 5;
}

static void
compare_incremental(const Manifest *m)
{
	const ManifestFile *f = &m->files[1];
	const ManifestExtent *e = manifest_extents(m, f);
	char *name = manifest_pack_name(m, &m->packs[4]);

	is_str(f->path, "base/5/2", "file of several runs");
	ok(f->extent_count == 3 && e[0].pack == 2 && e[0].pack_offset == 8 &&
		   e[1].pack == 1 && e[2].pack == 5 && e[2].pack_offset == 77 &&
		   e[2].length == MANIFEST_BLOCK + 5,
	   "its runs");
	ok(!manifest_is_whole(m, f), "it is not one piece");
	f = &m->files[2];
	e = manifest_extents(m, f);
	ok(f->extent_count == 3 && manifest_is_whole(m, f) &&
		   e[0].length == MANIFEST_EXTENT_MAX &&
		   e[1].length == MANIFEST_EXTENT_MAX && e[1].pack == 4,
	   "a long file is one piece in extents of bounded length");
	ok(m->pack_count == 5 && m->info.pack_count == 1,
	   "own packs are counted apart");
	is_str(m->packs[1].backup, OLDER, "backup of another's pack");
	is_str(name, "backup/" BASE "/data/000009", "name of another's pack");
	free(name);
	is_str(m->info.parent, BASE, "its parent");
	ok(m->info.reference_count == 3 &&
		   backup_info_references(&m->info, OLDER, 7) &&
		   backup_info_references(&m->info, BASE, 2) &&
		   backup_info_references(&m->info, BASE, 3) &&
		   backup_info_references(&m->info, BASE, 9),
	   "packs that it needs are in the public part");
	ok(!backup_info_references(&m->info, BASE, 1) &&
		   !backup_info_references(&m->info, BASE, 4) &&
		   !backup_info_references(&m->info, OLDER, 2) &&
		   !backup_info_references(&m->info, LABEL, 1) &&
		   backup_info_depends(&m->info, OLDER) &&
		   !backup_info_depends(&m->info, LABEL),
	   "and no others");
}

static void
foreign_first(Manifest *m)
{
	ManifestPack own = m->packs[0];

	m->packs[0] = m->packs[4];
	m->packs[4] = own;
}

static void
foreign_twice(Manifest *m)
{
	m->packs[3].number = 2;
}

static void
own_as_foreign(Manifest *m)
{
	m->packs[1].backup = manifest_label(m, LABEL);
}

static void
gap_in_file(Manifest *m)
{
	m->extents[m->files[3].first_extent + 1].length -= 8;
	m->files[3].size -= 8;
}

static void
test_incremental(void)
{
	void (*const spoils[])(Manifest *) = {foreign_first, foreign_twice,
										  own_as_foreign, gap_in_file};
	Fixture f;
	Manifest m;
	Manifest again;
	BackupInfo info;
	Error err = ERROR_INIT;

	fixture_begin(&f, true);
	make_incremental(&m);
	check(manifest_write(f.repo, &m, &err), &err, "incremental is written");
	check(manifest_read(f.repo, LABEL, &again, &err), &err, "and read");
	compare_incremental(&again);
	manifest_free(&again);
	check(manifest_stat(f.repo, LABEL, &info, &err), &err, "its public part");
	ok(info.reference_count == 3 && info.type == BACKUP_INCREMENTAL &&
		   backup_info_references(&info, BASE, 9),
	   "names what it needs");
	backup_info_free(&info);
	manifest_free(&m);
	fixture_end(&f);

	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
	{
		fixture_begin(&f, false);
		make_incremental(&m);
		spoils[i](&m);
		ok(!manifest_write(f.repo, &m, &err) && err.code == ERR_DAMAGED,
		   "not written: %s", err.message ? err.message : "it was");
		error_clear(&err);
		manifest_free(&m);
		fixture_end(&f);
	}
}

/* So many scattered packs that the metadata could not hold their ranges. */
static void
test_many_references(void)
{
	Fixture f;
	Manifest m;
	BackupInfo info;
	Error err = ERROR_INIT;
	const uint32_t count = 4000;
	bool all = true;

	fixture_begin(&f, false);
	make_incremental(&m);
	for (size_t i = 1; i < m.pack_count; i++)
		free(m.packs[i].frames);
	m.packs = mem_realloc(m.packs, (count + 1) * sizeof(ManifestPack));
	for (uint32_t i = 1; i <= count; i++)
		m.packs[i] = make_pack(
			manifest_label(&m, i <= count / 2 ? OLDER : BASE),
			5 * i + i * i % 7);
	m.pack_count = count + 1;
	check(manifest_write(f.repo, &m, &err) &&
			  manifest_stat(f.repo, LABEL, &info, &err),
		  &err, "references to thousands of packs");
	for (uint32_t i = 1; i <= count; i++)
		all = all && backup_info_references(&info, m.packs[i].backup,
											m.packs[i].number);
	ok(all && info.reference_count < 1300, "are joined to %zu ranges",
	   info.reference_count);
	ok(info.references_joined, "which is said");
	backup_info_free(&info);
	manifest_free(&m);
	fixture_end(&f);
}

int
main(void)
{
	test_target_names();
	test_other_targets();
	test_links();
	test_bad_links();
	test_round_trip(false);
	test_round_trip(true);
	test_not_written();
	test_not_read();
	test_incremental();
	test_many_references();
	return done_testing();
}
