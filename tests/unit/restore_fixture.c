/*-------------------------------------------------------------------------
 *
 * restore_fixture.c
 *	  A repository with backups and WAL made up for the tests of restores.
 *
 *-------------------------------------------------------------------------
 */
#include "restore_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "repo/object.h"
#include "repo/pack.h"
#include "tmpdir.h"

#define PAGE 8192
#define PAGE_HEADER 24
#define LONG_HEADER 40
#define RECORD_HEADER 24
#define XLOG_RMGR 0
#define XACT_RMGR 1

/* A fixture that cannot be made ends the test. */
static void
need(bool done, const Error *err, const char *what)
{
	if (done)
		return;
	printf("Bail out! could not make %s: %s\n", what,
		   err->message ? err->message : "?");
	exit(1);
}

void
fixture_begin(Fixture *f, bool encrypted)
{
	Error err = ERROR_INIT;
	RepoOptions options = {.storage = {.repo = "r", .type = "posix"},
						   .cluster = "main",
						   .compress_level = 1,
						   .keys = &f->keys};

	memset(f, 0, sizeof(*f));
	f->dir = tmpdir_make("restore");
	f->repo_path = file_join(f->dir, "repo");
	options.storage.path = f->repo_path;
	need(mkdir(f->repo_path, 0700) == 0 && age_init(&err), &err, "directory");
	memset(f->keys.content_key, 7, sizeof(f->keys.content_key));
	f->keys.has_content_key = true;
	if (encrypted)
	{
		AgeRecipient recipient;
		char text[AGE_RECIPIENT_TEXT];
		char *secret;

		f->keys.identities = age_identities_new();
		need(age_identity_generate(&secret, &recipient, &err) &&
				 age_identities_add_text(f->keys.identities, secret,
										 strlen(secret), &err),
			 &err, "key");
		age_secret_free(secret);
		age_recipient_text(&recipient, text);
		need(age_recipient_add(&f->keys.recipients, text, &err), &err,
			 "recipient");
	}
	need(repo_create(&options, &err) && repo_open(&options, &f->repo, &err),
		 &err, "repository");
	repo_set_borrow(&f->set, f->repo);
}

void
fixture_end(Fixture *f)
{
	repo_set_free(&f->set);
	repo_close(f->repo);
	repo_keys_free(&f->keys);
	tmpdir_remove(f->dir);
	free(f->repo_path);
	free(f->dir);
}

/* ---- WAL ---- */

typedef struct WalMaker
{
	uint8_t *data; /* one segment */
	uint32_t timeline;
	uint64_t lsn; /* of data */
	size_t at;
	uint64_t prev;
} WalMaker;

static void
put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void
put_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void
page_header(WalMaker *m)
{
	uint8_t *p = m->data + m->at;
	bool first = m->at == 0;
	uint16_t magic = 0xD110;
	uint16_t info = first ? 2 : 0;

	memcpy(p, &magic, 2);
	memcpy(p + 2, &info, 2);
	put_u32(p + 4, m->timeline);
	put_u64(p + 8, m->lsn + m->at);
	if (first)
	{
		put_u64(p + 24, FIX_SYSID);
		put_u32(p + 32, FIX_SEGMENT);
		put_u32(p + 36, PAGE);
	}
	m->at += first ? LONG_HEADER : PAGE_HEADER;
}

/* A record that fits on the page. */
static void
put_record(WalMaker *m, uint8_t rmgr, uint8_t info, uint32_t xid,
		   const StrBuf *body)
{
	uint8_t *p = m->data + m->at;
	uint32_t total = RECORD_HEADER + (uint32_t) body->len;

	put_u32(p, total);
	put_u32(p + 4, xid);
	put_u64(p + 8, m->prev);
	p[16] = info;
	p[17] = rmgr;
	if (body->len > 0)
		memcpy(p + RECORD_HEADER, body->data, body->len);
	put_u32(p + 20, crc32c(crc32c(0, p + RECORD_HEADER, body->len), p, 20));
	m->prev = m->lsn + m->at;
	m->at += (total + 7) / 8 * 8;
}

static void
put_event(WalMaker *m, const FixRecord *r)
{
	StrBuf body = STRBUF_INIT;
	int64_t time = r->time - CLOCK_PG_EPOCH;
	char name[64] = "";

	if (r->kind == FIX_COMMIT || r->kind == FIX_ABORT)
	{
		strbuf_add(&body, "\377\010", 2); /* short main data of 8 bytes */
		strbuf_add(&body, &time, 8);
		put_record(m, XACT_RMGR, r->kind == FIX_COMMIT ? 0x00 : 0x20, r->xid,
				   &body);
	}
	else if (r->kind == FIX_POINT)
	{
		snprintf(name, sizeof(name), "%s", r->name);
		strbuf_add(&body, "\377\110", 2); /* of 72 bytes */
		strbuf_add(&body, &time, 8);
		strbuf_add(&body, name, sizeof(name));
		put_record(m, XLOG_RMGR, 0x70, 0, &body);
	}
	else
		put_record(m, XLOG_RMGR, 0x40, 0, &body);
	strbuf_free(&body);
}

/* One NOOP that fills the page. */
static void
fill_page(WalMaker *m)
{
	size_t room = (PAGE - m->at % PAGE) % PAGE;
	uint32_t len = (uint32_t) (room - RECORD_HEADER - 5);
	StrBuf body = STRBUF_INIT;

	if (room == 0)
		return;
	strbuf_putc(&body, (char) 0xFE); /* long main data */
	strbuf_add(&body, &len, 4);
	while (body.len < room - RECORD_HEADER)
		strbuf_putc(&body, 'n');
	put_record(m, XLOG_RMGR, 0x20, 0, &body);
	strbuf_free(&body);
}

static void
store_wal(Fixture *f, const WalMaker *m, uint64_t segment, int64_t first,
		  int64_t last)
{
	WalHome home = {FIX_SYSID, 15};
	WalName name;
	char text[CLOCK_TEXT_LEN];
	Json *extra = json_new_object();
	ObjectSpec spec = {.kind = OBJECT_WAL, .extra_room = 1024};
	char *object;
	Error err = ERROR_INIT;

	wal_segment_name(m->timeline, segment, FIX_SEGMENT, &name);
	object = repo_wal_name(&home, &name);
	spec.name = object;
	if (first != 0)
		json_put_str(extra, "first_commit", clock_format(first, text));
	if (last != 0)
		json_put_str(extra, "last_commit", clock_format(last, text));
	need(object_put(f->repo, &spec, m->data, FIX_SEGMENT, extra, &err), &err,
		 object);
	json_free(extra);
	free(object);
}

void
fixture_wal(Fixture *f, uint32_t timeline, uint64_t segment,
			const FixRecord *records, uint64_t *at)
{
	WalMaker m = {.data = mem_zalloc(FIX_SEGMENT),
				  .timeline = timeline,
				  .lsn = FIX_LSN(segment, 0),
				  /* where the one before has put its last record */
				  .prev = FIX_LSN(segment, 0) - PAGE + PAGE_HEADER};
	int64_t first = 0;
	int64_t last = 0;
	bool switched = false;
	size_t n = 0;

	if (f->prev_lsn != 0 && f->prev_segment + 1 == segment)
		m.prev = f->prev_lsn;
	page_header(&m);
	for (; records != NULL && records[n].kind != FIX_END; n++)
	{
		const FixRecord *r = &records[n];

		if (at != NULL)
			at[n] = m.lsn + m.at;
		put_event(&m, r);
		switched |= r->kind == FIX_SWITCH;
		if (r->kind != FIX_COMMIT && r->kind != FIX_ABORT)
			continue;
		first = first == 0 || r->time < first ? r->time : first;
		last = r->time > last ? r->time : last;
	}
	if (at != NULL)
		at[n] = m.lsn + m.at;
	while (!switched)
	{
		fill_page(&m);
		if (m.at == FIX_SEGMENT)
			break;
		page_header(&m);
	}
	f->prev_segment = segment;
	f->prev_lsn = m.prev;
	store_wal(f, &m, segment, first, last);
	free(m.data);
}

void
fixture_history(Fixture *f, uint32_t timeline, const char *text)
{
	WalHome home = {FIX_SYSID, 15};
	WalName name = {.kind = WAL_TIMELINE_HISTORY, .timeline = timeline};
	char *object = repo_wal_name(&home, &name);
	Json *extra = json_new_object();
	ObjectSpec spec = {
		.name = object, .kind = OBJECT_HISTORY, .extra_room = 4096};
	Error err = ERROR_INIT;

	json_put_str(extra, "history", text);
	need(object_put(f->repo, &spec, text, strlen(text), extra, &err), &err,
		 object);
	json_free(extra);
	free(object);
}

void
fixture_remove(Fixture *f, const char *object)
{
	Error err = ERROR_INIT;

	need(storage_remove(f->repo->storage, object, &err), &err, "hole");
}

void
fixture_remove_wal(Fixture *f, uint32_t timeline, uint64_t segment)
{
	WalHome home = {FIX_SYSID, 15};
	WalName name;
	char *object;

	wal_segment_name(timeline, segment, FIX_SEGMENT, &name);
	object = repo_wal_name(&home, &name);
	fixture_remove(f, object);
	free(object);
}

/* ---- backups ---- */

/* Sorted by path. */
const FixFile fixture_files[] = {
	{"PG_VERSION", 0600, 3, "15\n"},
	{"backup_label", 0600, 6, "label\n"},
	{"base/16500/112", 0600, 9 * 1024 * 1024, NULL},
	{"base/16500/PG_VERSION", 0600, 3, "15\n"},
	{"base/5/1259", 0600, 3 * 1024 * 1024 + 8192, NULL},
	{"base/5/2619", 0640, 0, ""},
	{"base/5/2619_fsm", 0600, 24576, NULL},
	{"global/1262", 0600, 8192, NULL},
	{"global/pg_control", 0600, 8192, NULL},
	{FIX_TABLESPACE_FILE, 0600, 16384, NULL},
	{"postgresql.auto.conf", 0600, 0,
	 "# Do not edit this file manually!\n"
	 "work_mem = '8MB'\n"
	 "restore_command = 'false'\n"
	 "Recovery_Target_Time='2020-01-01'\n"},
	{"postgresql.conf", 0600, 12, "port = 5433\n"},
};
const size_t fixture_file_count = sizeof(fixture_files) /
								  sizeof(fixture_files[0]);

static const char *const dirs[] = {"base",
								   "base/16500",
								   "base/5",
								   "global",
								   "pg_tblspc",
								   "pg_tblspc/16400",
								   "pg_tblspc/16400/" FIX_VERSION_DIR,
								   "pg_tblspc/16400/" FIX_VERSION_DIR "/5",
								   "pg_wal",
								   "pg_wal/archive_status"};

/* As much of it as a restore looks at. */
static void
make_control(char *data)
{
	uint8_t *p = (uint8_t *) data;

	put_u64(p, FIX_SYSID);
	put_u32(p + 8, 1300);
	put_u32(p + 12, 202209061);
	put_u32(p + 228, FIX_SEGMENT);
	put_u32(p + 288, crc32c(0, p, 288));
}

static char *
content_of(const FixFile *file, size_t *len)
{
	size_t size = file->text ? strlen(file->text) : file->size;
	char *data = mem_zalloc(size + 1);
	uint32_t state = (uint32_t) strlen(file->path) + 99;

	for (size_t i = 0; i < size; i++)
	{
		state = state * 1664525 + 1013904223;
		data[i] = file->text ? file->text[i] : (char) (state >> 24);
	}
	if (strcmp(file->path, "global/pg_control") == 0)
		make_control(data);
	/* a large file has pages that were never written */
	if (size > (size_t) 8 * 1024 * 1024)
		memset(data + size / 4 / 8192 * 8192, 0, size / 2);
	*len = size;
	return data;
}

char *
fixture_content(const char *path, size_t *len)
{
	for (size_t i = 0; i < fixture_file_count; i++)
	{
		if (strcmp(fixture_files[i].path, path) == 0)
			return content_of(&fixture_files[i], len);
	}
	return NULL;
}

static void
add_file(Fixture *f, PackWriter *w, const FixFile *file, Manifest *m,
		 Error *err)
{
	ManifestFile *out = &m->files[m->file_count];
	size_t len;
	char *data = content_of(file, &len);
	ContentHash *h = content_hash_new(&f->repo->content);
	TarEntry entry = {.path = file->path, .size = len, .mode = file->mode};
	uint64_t offset = 0;

	*out = (ManifestFile){.path = mem_strdup(file->path),
						  .size = len,
						  .mtime = FIX_TIME(12) + 345678,
						  .mode = file->mode};
	content_hash_add(h, data, len);
	content_hash_final(h, out->content);
	need(pack_begin_file(w, &entry, &offset, err) &&
			 pack_write(w, data, len, err) &&
			 pack_end_file(w, out->content, err),
		 err, file->path);
	manifest_add_run(m, out, len, pack_number(w), offset);
	content_hash_free(h);
	free(data);
}

/* Three packs, files dealt out in turn. */
static void
add_files(Fixture *f, const FixBackup *b, Manifest *m, Error *err)
{
	PackWriter *packs[3];
	uint64_t stored;

	m->pack_count = 3;
	m->packs = mem_zalloc(3 * sizeof(ManifestPack));
	m->files = mem_zalloc(fixture_file_count * sizeof(ManifestFile));
	for (uint32_t i = 0; i < 3; i++)
	{
		packs[i] = pack_create(f->repo, b->label, i + 1, NULL, err);
		need(packs[i] != NULL, err, "pack");
	}
	for (size_t i = 0; i < fixture_file_count; i++)
	{
		if (b->tablespace == NULL &&
			strncmp(fixture_files[i].path, "pg_tblspc", 9) == 0)
			continue;
		add_file(f, packs[i % 3], &fixture_files[i], m, err);
		m->info.plain_bytes += m->files[m->file_count++].size;
	}
	for (uint32_t i = 0; i < 3; i++)
	{
		need(pack_commit(packs[i], &m->packs[i], &stored, err), err, "pack");
		m->info.stored_bytes += stored;
	}
}

static void
add_databases(Manifest *m)
{
	m->database_count = 2;
	m->databases = mem_zalloc(2 * sizeof(ManifestDatabase));
	m->databases[0] = (ManifestDatabase){5, mem_strdup("postgres")};
	m->databases[1] = (ManifestDatabase){16500, mem_strdup("shop")};
}

static void
add_dirs(const FixBackup *b, Manifest *m)
{
	size_t count = sizeof(dirs) / sizeof(dirs[0]);

	m->dirs = mem_zalloc(count * sizeof(ManifestDir));
	for (size_t i = 0; i < count; i++)
	{
		if (b->tablespace == NULL && strncmp(dirs[i], "pg_tblspc/", 10) == 0)
			continue;
		m->dirs[m->dir_count++] = (ManifestDir){.path = mem_strdup(dirs[i]),
												.mode = 0700};
	}
	if (b->tablespace == NULL)
		return;
	m->tablespace_count = 1;
	m->tablespaces = mem_zalloc(sizeof(ManifestTablespace));
	m->tablespaces[0] = (ManifestTablespace){
		.oid = 16400, .location = mem_strdup(b->tablespace)};
}

void
fixture_backup(Fixture *f, const FixBackup *b)
{
	Error err = ERROR_INIT;
	Manifest m = {.info = {.label = mem_strdup(b->label),
						   .target = mem_strdup("cluster"),
						   .sysid = FIX_SYSID,
						   .major = 15,
						   .version_num = 150020,
						   .timeline = b->timeline,
						   .start_timeline = b->timeline,
						   .start_lsn = b->start_lsn,
						   .stop_lsn = b->stop_lsn,
						   .start_time = b->stop_time - 5000000,
						   .stop_time = b->stop_time,
						   .segment_size = FIX_SEGMENT,
						   .catalog_version = 202209061,
						   .damaged_pages = b->damaged_pages},
				  .checksum_algorithm = mem_strdup("NONE")};

	add_files(f, b, &m, &err);
	add_dirs(b, &m);
	add_databases(&m);
	need(manifest_write(f->repo, &m, &err), &err, "manifest");
	manifest_free(&m);
}
