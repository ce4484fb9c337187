/*-------------------------------------------------------------------------
 *
 * manifest_read.c
 *	  Reads a manifest line by line.
 *
 * It may come from a hostile store: nothing is taken from it unchecked, and
 * memory grows only with what was really there.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object.h"

#define LINE_MAX_BYTES (64 * 1024 * 1024) /* a pack of 2 million frames */

#define FRAME_MAX_BYTES (UINT64_C(1) << 27) /* of plaintext */

/* The sections of a manifest, in their order. */
typedef enum Section
{
	SECTION_START,
	SECTION_HEADER,
	SECTION_TABLESPACES,
	SECTION_DATABASES,
	SECTION_OWNERS,
	SECTION_DIRS,
	SECTION_PACKS,
	SECTION_FILES,
	SECTION_LINKS,
	SECTION_DAMAGE,
	SECTION_END
} Section;

typedef struct Parser
{
	Manifest *m;
	Section section;
	uint64_t line_no;
	StrBuf line; /* begun by an earlier piece */
	size_t tablespace_cap;
	size_t database_cap;
	size_t dir_cap;
	size_t pack_cap;
	size_t file_cap;
	size_t damage_cap;
	size_t owner_cap;
	size_t link_cap;
} Parser;

/* ---- values ---- */

static bool
bad(const char *key, Error *err)
{
	return error_set(err, ERR_DAMAGED, "value of \"%s\" is not valid", key);
}

static bool
get_u64(const Json *obj, const char *key, uint64_t *out, Error *err)
{
	int64_t value = 0;

	if (!json_require_int(obj, key, &value, err))
		return false;
	*out = (uint64_t) value;
	return value >= 0 || bad(key, err);
}

static bool
get_u32(const Json *obj, const char *key, uint32_t *out, Error *err)
{
	uint64_t value = 0;

	if (!get_u64(obj, key, &value, err))
		return false;
	*out = (uint32_t) value;
	return value <= UINT32_MAX || bad(key, err);
}

static bool
get_hex(const Json *obj, const char *key, uint8_t *out, size_t len, Error *err)
{
	const char *text;

	if (!json_require_str(obj, key, &text, err))
		return false;
	return hex_decode(text, out, len) || bad(key, err);
}

/* See manifest_put_path() in manifest_write.c. */
bool
manifest_get_path(const Json *obj, const char *key, char **out, Error *err)
{
	const char *hex = json_get_str(obj, "path_hex", NULL);
	const char *text;
	size_t len;

	if (!json_require_str(obj, key, &text, err))
		return false;
	if (hex == NULL)
	{
		*out = mem_strdup(text);
		return true;
	}
	len = strlen(hex) / 2;
	*out = mem_zalloc(len + 1);
	if (hex_decode(hex, (uint8_t *) *out, len) && strlen(*out) == len)
		return true;
	free(*out);
	*out = NULL;
	return bad("path_hex", err);
}

static bool
number_at(const Json *array, size_t i, uint64_t *out)
{
	int64_t value = json_int(json_array_at(array, i), -1);

	*out = (uint64_t) value;
	return value >= 0;
}

/* ---- lines ---- */

static bool
add_header(Parser *p, const Json *obj, Error *err)
{
	int64_t version;
	const char *algorithm;

	if (!json_require_int(obj, "manifest", &version, err))
		return false;
	if (version != MANIFEST_VERSION)
		return error_set(err, ERR_UNSUPPORTED,
						 "version %" PRId64 " of the manifest is not known",
						 version);
	if (!json_require_str(obj, "checksum_algorithm", &algorithm, err))
		return false;
	p->m->checksum_algorithm = mem_strdup(algorithm);
	return backup_info_parse(obj, &p->m->info, err);
}

static bool
add_tablespace(Parser *p, const Json *obj, Error *err)
{
	const Json *item = json_get(obj, "tablespace");
	Manifest *m = p->m;
	ManifestTablespace t = {0};

	if (!get_u32(item, "oid", &t.oid, err))
		return false;
	if (json_get(item, "location") != NULL &&
		!manifest_get_path(item, "location", &t.location, err))
		return false;
	m->tablespaces = mem_grow(m->tablespaces, m->tablespace_count,
							  &p->tablespace_cap, sizeof(t));
	m->tablespaces[m->tablespace_count++] = t;
	return true;
}

static bool
add_database(Parser *p, const Json *obj, Error *err)
{
	const Json *item = json_get(obj, "database");
	Manifest *m = p->m;
	ManifestDatabase d = {0};

	if (!get_u32(item, "oid", &d.oid, err) ||
		!manifest_get_path(item, "name", &d.name, err))
		return false;
	m->databases = mem_grow(m->databases, m->database_count, &p->database_cap,
							sizeof(d));
	m->databases[m->database_count++] = d;
	return true;
}

static bool
add_owner(Parser *p, const Json *obj, Error *err)
{
	Manifest *m = p->m;
	ManifestOwner o;

	if (!manifest_owner_parse(obj, &o, err))
		return false;
	m->owners = mem_grow(m->owners, m->owner_count, &p->owner_cap, sizeof(o));
	m->owners[m->owner_count++] = o;
	return true;
}

static bool
add_link(Parser *p, const Json *obj, Error *err)
{
	Manifest *m = p->m;
	ManifestLink l;

	if (!manifest_link_parse(m, obj, &l, err))
		return false;
	m->links = mem_grow(m->links, m->link_count, &p->link_cap, sizeof(l));
	m->links[m->link_count++] = l;
	return true;
}

/* Of a directory it is told only where files may be anybody's. */
static bool
get_time(const Json *obj, int64_t *out, Error *err)
{
	return json_get(obj, "mtime") == NULL ||
		   json_require_int(obj, "mtime", out, err);
}

static bool
add_dir(Parser *p, const Json *obj, Error *err)
{
	Manifest *m = p->m;
	ManifestDir d = {0};

	if (!get_u32(obj, "mode", &d.mode, err) || !get_time(obj, &d.mtime, err) ||
		!manifest_get_owner(m, obj, &d.owner, err) ||
		!manifest_get_path(obj, "dir", &d.path, err))
		return false;
	m->dirs = mem_grow(m->dirs, m->dir_count, &p->dir_cap, sizeof(d));
	m->dirs[m->dir_count++] = d;
	return true;
}

static bool
get_frames(const Json *item, ManifestPack *pack, Error *err)
{
	const Json *frames = json_get(item, "frames");
	size_t count = json_array_len(frames);

	if (!json_is_array(frames))
		return bad("frames", err);
	pack->frames = mem_alloc((count + 1) * sizeof(ManifestFrame));
	for (size_t i = 0; i < count; i++)
	{
		const Json *frame = json_array_at(frames, i);

		if (!number_at(frame, 0, &pack->frames[i].plain) ||
			!number_at(frame, 1, &pack->frames[i].stored))
			return bad("frames", err);
	}
	pack->frame_count = count;
	return pack->plain_size / FRAME_MAX_BYTES <= count || bad("plain", err);
}

/* "n" counts the lines; of another backup's pack "number" is its own. */
static bool
get_place(Parser *p, const Json *item, ManifestPack *pack, Error *err)
{
	const char *backup = json_get_str(item, "backup", NULL);
	uint32_t n = 0;

	if (!get_u32(item, "n", &n, err))
		return false;
	if (n != p->m->pack_count + 1)
		return error_set(err, ERR_DAMAGED, "pack %u is out of order", n);
	pack->number = n;
	if (backup == NULL)
		return json_get(item, "backup") == NULL || bad("backup", err);
	/* before it takes memory: a name as long as the line would do */
	if (!repo_label_ok(backup))
		return bad("backup", err);
	pack->backup = manifest_label(p->m, backup);
	return get_u32(item, "number", &pack->number, err);
}

static bool
get_pack(Parser *p, const Json *item, ManifestPack *pack, Error *err)
{
	const char *object;
	char *name;
	bool same;

	if (!get_place(p, item, pack, err) ||
		!json_require_str(item, "object", &object, err) ||
		!get_u64(item, "size", &pack->payload_size, err) ||
		!get_hex(item, "payload_sha256", pack->sha256, SHA256_LEN, err) ||
		!get_u64(item, "plain", &pack->plain_size, err) ||
		!get_u64(item, "zstd", &pack->zstd_size, err))
		return false;
	name = manifest_pack_name(p->m, pack);
	same = strcmp(name, object) == 0;
	free(name);
	return (same || bad("object", err)) && get_frames(item, pack, err);
}

static bool
add_pack(Parser *p, const Json *obj, Error *err)
{
	Manifest *m = p->m;
	ManifestPack pack = {0};

	if (!get_pack(p, json_get(obj, "pack"), &pack, err))
	{
		free(pack.frames);
		return false;
	}
	m->packs = mem_grow(m->packs, m->pack_count, &p->pack_cap, sizeof(pack));
	m->packs[m->pack_count++] = pack;
	return true;
}

bool
manifest_take_number(const char **at, char end, uint64_t *out)
{
	const char *p = *at;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		if (value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t) (*p - '0');
	}
	*out = value;
	*at = p;
	if (*p == '\0')
		return end == ',';
	*at = p + 1;
	return *p == end && (end != ',' || p[1] != '\0');
}

/*
 * In memory a long run is many, so its length must not be believed before
 * the pack is seen to have so many bytes.
 */
static bool
add_run(Parser *p, ManifestFile *f, uint64_t length, uint64_t pack,
		uint64_t offset)
{
	if (pack < 1 || pack > p->m->pack_count || length > f->size ||
		length > p->m->packs[pack - 1].plain_size)
		return false;
	manifest_add_run(p->m, f, length, (uint32_t) pack, offset);
	return true;
}

/* Several runs are one text, which takes a tenth of the time of arrays. */
static bool
get_runs(Parser *p, const char *text, ManifestFile *f, Error *err)
{
	uint64_t length;
	uint64_t pack;
	uint64_t offset;

	while (*text != '\0')
	{
		if (!manifest_take_number(&text, ':', &length) ||
			!manifest_take_number(&text, ':', &pack) ||
			!manifest_take_number(&text, ',', &offset) || length == 0 ||
			!add_run(p, f, length, pack, offset))
			return bad("runs", err);
	}
	return f->extent_count > 0 || bad("runs", err);
}

/* manifest_check() sees to it that the runs are the whole file. */
static bool
get_extents(Parser *p, const Json *obj, ManifestFile *f, Error *err)
{
	const Json *at = json_get(obj, "at");
	const Json *runs = json_get(obj, "runs");
	const Json *run = json_array_at(at, 0);
	uint64_t file_offset = 0;
	uint64_t length = 0;
	uint64_t pack = 0;
	uint64_t offset = 0;

	if (f->size == 0)
		return (at == NULL && runs == NULL) || bad("at", err);
	if (runs != NULL)
		return (at == NULL && json_is_string(runs) &&
				get_runs(p, json_str(runs), f, err)) ||
			   bad("runs", err);
	if (json_array_len(at) != 1 || json_array_len(run) != 4 ||
		!number_at(run, 0, &file_offset) || !number_at(run, 1, &length) ||
		!number_at(run, 2, &pack) || !number_at(run, 3, &offset) ||
		file_offset != 0 || length != f->size ||
		!add_run(p, f, length, pack, offset))
		return bad("at", err);
	return true;
}

static bool
add_file(Parser *p, const Json *obj, Error *err)
{
	Manifest *m = p->m;
	ManifestFile f = {0};
	const char *checksum = json_get_str(obj, "checksum", "");

	if (strlen(checksum) >= sizeof(f.checksum))
		return bad("checksum", err);
	memcpy(f.checksum, checksum, strlen(checksum) + 1);
	f.sparse = json_get_bool(obj, "sparse", false);
	if (!get_u64(obj, "size", &f.size, err) ||
		!get_u32(obj, "mode", &f.mode, err) ||
		!json_require_int(obj, "mtime", &f.mtime, err) ||
		!manifest_get_owner(m, obj, &f.owner, err) ||
		!get_hex(obj, "hash", f.content, CONTENT_LEN, err) ||
		!get_extents(p, obj, &f, err) ||
		!manifest_get_path(obj, "file", &f.path, err))
		return false;
	m->files = mem_grow(m->files, m->file_count, &p->file_cap, sizeof(f));
	m->files[m->file_count++] = f;
	return true;
}

static bool
add_damage(Parser *p, const Json *obj, Error *err)
{
	const Json *item = json_get(obj, "damage");
	Manifest *m = p->m;
	ManifestDamage d = {0};

	if (!get_u32(item, "block", &d.block, err) ||
		!manifest_get_path(item, "file", &d.path, err))
		return false;
	m->damage = mem_grow(m->damage, m->damage_count, &p->damage_cap, sizeof(d));
	m->damage[m->damage_count++] = d;
	return true;
}

static bool
check_count(const Json *item, const char *key, size_t count, Error *err)
{
	uint64_t expected = 0;

	if (!get_u64(item, key, &expected, err))
		return false;
	return expected == count ||
		   error_set(err, ERR_DAMAGED, "it has %zu %s instead of %" PRIu64,
					 count, key, expected);
}

/* Lines that most backups do not have are not counted there either. */
static bool
check_rare(const Json *item, const char *key, size_t count, Error *err)
{
	return (json_get(item, key) == NULL && count == 0) ||
		   check_count(item, key, count, err);
}

static bool
add_end(Parser *p, const Json *obj, Error *err)
{
	const Json *item = json_get(obj, "end");
	const Manifest *m = p->m;

	/* a backup of an earlier version does not name its databases */
	if ((m->database_count > 0 || json_get(item, "databases") != NULL) &&
		!check_count(item, "databases", m->database_count, err))
		return false;
	return check_count(item, "tablespaces", m->tablespace_count, err) &&
		   check_count(item, "dirs", m->dir_count, err) &&
		   check_count(item, "packs", m->pack_count, err) &&
		   check_count(item, "files", m->file_count, err) &&
		   check_count(item, "damage", m->damage_count, err) &&
		   check_rare(item, "ids", m->owner_count, err) &&
		   check_rare(item, "links", m->link_count, err);
}

static const struct
{
	const char *key; /* which tells the line */
	bool (*add)(Parser *p, const Json *obj, Error *err);
} sections[] = {
	[SECTION_START] = {NULL, NULL},
	[SECTION_HEADER] = {"manifest", add_header},
	[SECTION_TABLESPACES] = {"tablespace", add_tablespace},
	[SECTION_DATABASES] = {"database", add_database},
	[SECTION_OWNERS] = {"ids", add_owner},
	[SECTION_DIRS] = {"dir", add_dir},
	[SECTION_PACKS] = {"pack", add_pack},
	[SECTION_FILES] = {"file", add_file},
	[SECTION_LINKS] = {"link", add_link},
	[SECTION_DAMAGE] = {"damage", add_damage},
	[SECTION_END] = {"end", add_end},
};

static Section
line_section(const Json *obj)
{
	Section found = SECTION_START;

	for (Section s = SECTION_HEADER; s <= SECTION_END; s++)
	{
		/* "file" is also where a damaged block lies, but below "damage" */
		if (json_get(obj, sections[s].key) != NULL)
			found = found == SECTION_START ? s : SECTION_END + 1;
	}
	return found > SECTION_END ? SECTION_START : found;
}

static bool
add_object(Parser *p, const Json *obj, Error *err)
{
	Section section = line_section(obj);
	bool once = section == SECTION_HEADER || section == SECTION_END;

	if (section == SECTION_START)
		return error_set(err, ERR_DAMAGED, "line is of no known kind");
	if (section < p->section || (once && section == p->section) ||
		(p->section == SECTION_START && section != SECTION_HEADER))
		return error_set(err, ERR_DAMAGED, "line is out of order");
	p->section = section;
	return sections[section].add(p, obj, err);
}

static bool
add_line(Parser *p, const char *text, size_t len, Error *err)
{
	Json *obj;
	bool ok;

	p->line_no++;
	obj = json_parse(text, len, err);
	if (obj == NULL)
		return error_prefix(err, "line %" PRIu64, p->line_no);
	ok = json_is_object(obj)
			 ? add_object(p, obj, err)
			 : error_set(err, ERR_DAMAGED, "line is not an object");
	json_free(obj);
	return ok || error_prefix(err, "line %" PRIu64, p->line_no);
}

/* Cuts what comes into lines. */
static bool
take(void *arg, const void *data, size_t len, Error *err)
{
	Parser *p = arg;
	const char *at = data;
	const char *end = at + len;

	while (at < end)
	{
		const char *nl = memchr(at, '\n', (size_t) (end - at));
		size_t n = (size_t) ((nl != NULL ? nl : end) - at);
		bool ok;

		if (p->line.len + n > LINE_MAX_BYTES)
			return error_set(err, ERR_DAMAGED, "line is too long");
		if (nl != NULL && p->line.len == 0)
			ok = add_line(p, at, n, err);
		else
		{
			strbuf_add(&p->line, at, n);
			ok = nl == NULL || add_line(p, p->line.data, p->line.len, err);
			if (nl != NULL)
				strbuf_reset(&p->line);
		}
		if (!ok)
			return false;
		at += n + (nl != NULL);
	}
	return true;
}

/* ---- the whole ---- */

/*
 * Without the key one believes the public part: it must be what the manifest
 * itself says.
 */
static bool
check_public(const Manifest *m, const ObjectMeta *meta, Error *err)
{
	BackupInfo public;
	Json *a;
	Json *b;
	char *x;
	char *y;
	bool same;

	if (!backup_info_parse(meta->extra, &public, err))
		return false;
	a = backup_info_json(&public);
	b = backup_info_json(&m->info);
	x = json_dump(a);
	y = json_dump(b);
	same = strcmp(x, y) == 0;
	free(x);
	free(y);
	json_free(a);
	json_free(b);
	backup_info_free(&public);
	return same || error_set(err, ERR_DAMAGED,
							 "its public part differs from its contents");
}

static bool
check_whole(const Parser *p, const char *label, const ObjectMeta *meta,
			Error *err)
{
	if (strcmp(meta->kind, OBJECT_MANIFEST) != 0)
		return error_set(err, ERR_MISMATCH, "object is not a manifest");
	if (p->section != SECTION_END || p->line.len > 0)
		return error_set(err, ERR_DAMAGED, "it does not end where it should");
	if (strcmp(p->m->info.label, label) != 0)
		return error_set(err, ERR_MISMATCH, "it is that of backup %s",
						 p->m->info.label);
	return check_public(p->m, meta, err) && manifest_check(p->m, err);
}

bool
manifest_read(Repo *repo, const char *label, Manifest *out, Error *err)
{
	Parser p = {.m = out};
	char *name = repo_manifest_name(label);
	Stage *sink = stage_sink(take, &p);
	ObjectMeta meta = {0};
	bool ok;

	memset(out, 0, sizeof(*out));
	ok = object_read(repo, name, sink, &meta, err) &&
		 check_whole(&p, label, &meta, err);
	object_meta_free(&meta);
	stage_free(sink);
	strbuf_free(&p.line);
	free(name);
	if (ok)
		return true;
	manifest_free(out);
	return error_prefix(err, "could not read manifest of backup %s", label);
}
