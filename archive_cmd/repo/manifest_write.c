/*-------------------------------------------------------------------------
 *
 * manifest_write.c
 *	  Writes a manifest as JSON Lines (doc/repository-format.md, "Manifest").
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object.h"

#define FRAME_SIZE (1024 * 1024)
#define BATCH 65536 /* bytes handed to the object at once */

typedef struct Writer
{
	ObjectWriter *object;
	StrBuf text;
} Writer;

static bool
flush(Writer *w, size_t at_least, Error *err)
{
	if (w->text.len < at_least || w->text.len == 0)
		return true;
	if (!object_write(w->object, w->text.data, w->text.len, err))
		return false;
	strbuf_reset(&w->text);
	return true;
}

/* Takes obj over. */
static bool
put_line(Writer *w, Json *obj, Error *err)
{
	char *line = json_dump(obj);

	strbuf_puts(&w->text, line);
	strbuf_putc(&w->text, '\n');
	free(line);
	json_free(obj);
	return flush(w, BATCH, err);
}

/*
 * A path that is not UTF-8 would lose its bytes in JSON: then it is there
 * twice, as text for people and in hex, which counts.
 */
void
manifest_put_path(Json *obj, const char *key, const char *path)
{
	size_t len = strlen(path);
	char *hex;

	json_put_str(obj, key, path);
	if (json_is_utf8(path))
		return;
	hex = mem_alloc(2 * len + 1);
	hex_encode((const uint8_t *) path, len, hex);
	json_put_str(obj, "path_hex", hex);
	free(hex);
}

static void
copy_member(void *arg, const char *key, const Json *v)
{
	json_put(arg, key, json_dup(v));
}

static bool
put_header(Writer *w, const Manifest *m, Error *err)
{
	Json *obj = json_new_object();
	Json *info = backup_info_json(&m->info);

	json_put_int(obj, "manifest", MANIFEST_VERSION);
	json_each(info, copy_member, obj);
	json_put_str(obj, "checksum_algorithm", m->checksum_algorithm);
	json_free(info);
	return put_line(w, obj, err);
}

static bool
put_tablespace(Writer *w, const ManifestTablespace *t, Error *err)
{
	Json *obj = json_new_object();
	Json *item = json_new_object();

	json_put_int(item, "oid", t->oid);
	if (t->location != NULL)
		manifest_put_path(item, "location", t->location);
	json_put(obj, "tablespace", item);
	return put_line(w, obj, err);
}

static bool
put_database(Writer *w, const ManifestDatabase *d, Error *err)
{
	Json *obj = json_new_object();
	Json *item = json_new_object();

	json_put_int(item, "oid", d->oid);
	manifest_put_path(item, "name", d->name);
	json_put(obj, "database", item);
	return put_line(w, obj, err);
}

static bool
put_dir(Writer *w, const ManifestDir *d, Error *err)
{
	Json *obj = json_new_object();

	manifest_put_path(obj, "dir", d->path);
	json_put_int(obj, "mode", d->mode);
	if (d->mtime != 0)
		json_put_int(obj, "mtime", d->mtime);
	manifest_put_owner(obj, d->owner);
	return put_line(w, obj, err);
}

static Json *
pair(uint64_t a, uint64_t b)
{
	Json *array = json_new_array();

	json_append(array, json_new_int((int64_t) a));
	json_append(array, json_new_int((int64_t) b));
	return array;
}

static bool
put_pack(Writer *w, const Manifest *m, size_t i, Error *err)
{
	const ManifestPack *p = &m->packs[i];
	Json *obj = json_new_object();
	Json *item = json_new_object();
	Json *frames = json_new_array();
	char *name = manifest_pack_name(m, p);
	char hex[SHA256_HEX_LEN + 1];

	json_put_int(item, "n", (int64_t) i + 1);
	if (p->backup != NULL)
	{
		json_put_str(item, "backup", p->backup);
		json_put_int(item, "number", p->number);
	}
	json_put_str(item, "object", name);
	json_put_int(item, "size", (int64_t) p->payload_size);
	hex_encode(p->sha256, SHA256_LEN, hex);
	json_put_str(item, "payload_sha256", hex);
	json_put_int(item, "plain", (int64_t) p->plain_size);
	json_put_int(item, "zstd", (int64_t) p->zstd_size);
	for (size_t k = 0; k < p->frame_count; k++)
		json_append(frames, pair(p->frames[k].plain, p->frames[k].stored));
	json_put(item, "frames", frames);
	json_put(obj, "pack", item);
	free(name);
	return put_line(w, obj, err);
}

/* A file that lies in one piece, as a full backup has it. */
static Json *
whole_json(const Manifest *m, const ManifestFile *f)
{
	const ManifestExtent *e = manifest_extents(m, f);
	Json *at = json_new_array();
	Json *run = pair(0, f->size);

	json_append(run, json_new_int(e->pack));
	json_append(run, json_new_int((int64_t) e->pack_offset));
	json_append(at, run);
	return at;
}

/* "length:pack:offset,..." */
static void
runs_text(const Manifest *m, const ManifestFile *f, StrBuf *out)
{
	const ManifestExtent *e = manifest_extents(m, f);

	for (uint32_t i = 0; i < f->extent_count;)
	{
		uint32_t first = i;
		uint64_t length = e[i++].length;

		while (i < f->extent_count && manifest_touch(&e[i - 1], &e[i]))
			length += e[i++].length;
		strbuf_printf(out, "%s%" PRIu64 ":%" PRIu32 ":%" PRIu64,
					  first > 0 ? "," : "", length, e[first].pack,
					  e[first].pack_offset);
	}
}

static void
put_extents(Json *obj, const Manifest *m, const ManifestFile *f)
{
	StrBuf text = STRBUF_INIT;

	if (f->extent_count == 0)
		return;
	if (manifest_is_whole(m, f))
	{
		json_put(obj, "at", whole_json(m, f));
		return;
	}
	runs_text(m, f, &text);
	json_put_str(obj, "runs", text.data);
	strbuf_free(&text);
}

static bool
put_file(Writer *w, const Manifest *m, const ManifestFile *f, Error *err)
{
	Json *obj = json_new_object();
	char hex[CONTENT_HEX_LEN + 1];

	manifest_put_path(obj, "file", f->path);
	json_put_int(obj, "size", (int64_t) f->size);
	json_put_int(obj, "mode", f->mode);
	json_put_int(obj, "mtime", f->mtime);
	hex_encode(f->content, CONTENT_LEN, hex);
	json_put_str(obj, "hash", hex);
	if (f->checksum[0] != '\0')
		json_put_str(obj, "checksum", f->checksum);
	manifest_put_owner(obj, f->owner);
	if (f->sparse)
		json_put_bool(obj, "sparse", true);
	put_extents(obj, m, f);
	return put_line(w, obj, err);
}

static bool
put_damage(Writer *w, const ManifestDamage *d, Error *err)
{
	Json *obj = json_new_object();
	Json *item = json_new_object();

	manifest_put_path(item, "file", d->path);
	json_put_int(item, "block", d->block);
	json_put(obj, "damage", item);
	return put_line(w, obj, err);
}

/* Proves to a reader that it has seen every line. */
static bool
put_end(Writer *w, const Manifest *m, Error *err)
{
	Json *obj = json_new_object();
	Json *item = json_new_object();

	json_put_int(item, "tablespaces", (int64_t) m->tablespace_count);
	if (m->database_count > 0)
		json_put_int(item, "databases", (int64_t) m->database_count);
	json_put_int(item, "dirs", (int64_t) m->dir_count);
	json_put_int(item, "packs", (int64_t) m->pack_count);
	json_put_int(item, "files", (int64_t) m->file_count);
	json_put_int(item, "damage", (int64_t) m->damage_count);
	if (m->owner_count > 0)
		json_put_int(item, "ids", (int64_t) m->owner_count);
	if (m->link_count > 0)
		json_put_int(item, "links", (int64_t) m->link_count);
	json_put(obj, "end", item);
	return put_line(w, obj, err);
}

static bool
put_all(Writer *w, const Manifest *m, Error *err)
{
	bool ok = put_header(w, m, err);

	for (size_t i = 0; ok && i < m->tablespace_count; i++)
		ok = put_tablespace(w, &m->tablespaces[i], err);
	for (size_t i = 0; ok && i < m->database_count; i++)
		ok = put_database(w, &m->databases[i], err);
	for (size_t i = 0; ok && i < m->owner_count; i++)
		ok = put_line(w, manifest_owner_json(&m->owners[i]), err);
	for (size_t i = 0; ok && i < m->dir_count; i++)
		ok = put_dir(w, &m->dirs[i], err);
	for (size_t i = 0; ok && i < m->pack_count; i++)
		ok = put_pack(w, m, i, err);
	for (size_t i = 0; ok && i < m->file_count; i++)
		ok = put_file(w, m, &m->files[i], err);
	for (size_t i = 0; ok && i < m->link_count; i++)
		ok = put_line(w, manifest_link_json(&m->links[i]), err);
	for (size_t i = 0; ok && i < m->damage_count; i++)
		ok = put_damage(w, &m->damage[i], err);
	return ok && put_end(w, m, err) && flush(w, 0, err);
}

static int
compare_dirs(const void *a, const void *b)
{
	return strcmp(((const ManifestDir *) a)->path,
				  ((const ManifestDir *) b)->path);
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const ManifestFile *) a)->path,
				  ((const ManifestFile *) b)->path);
}

static int
compare_links(const void *a, const void *b)
{
	return strcmp(((const ManifestLink *) a)->path,
				  ((const ManifestLink *) b)->path);
}

static void
complete(Manifest *m)
{
	size_t own = 0;

	if (m->dir_count > 1)
		qsort(m->dirs, m->dir_count, sizeof(*m->dirs), compare_dirs);
	if (m->file_count > 1)
		qsort(m->files, m->file_count, sizeof(*m->files), compare_files);
	if (m->link_count > 1)
		qsort(m->links, m->link_count, sizeof(*m->links), compare_links);
	while (own < m->pack_count && m->packs[own].backup == NULL)
		own++;
	m->info.file_count = m->file_count;
	m->info.pack_count = (uint32_t) own;
	manifest_packs_sha256(m, m->info.packs_sha256);
	manifest_find_references(m);
}

static bool
write_object(Repo *repo, const Manifest *m, const Json *public, Error *err)
{
	char *name = repo_manifest_name(m->info.label);
	char *text = json_dump(public);
	ObjectSpec spec = {.name = name,
					   .kind = OBJECT_MANIFEST,
					   .extra_room = strlen(text),
					   .frame_size = FRAME_SIZE};
	Writer w = {.object = object_create(repo, &spec, err)};
	bool ok = w.object != NULL;

	free(text);
	free(name);
	if (!ok)
		return false;
	if (put_all(&w, m, err))
		ok = object_commit(w.object, public, NULL, err);
	else
	{
		object_abort(w.object);
		ok = false;
	}
	strbuf_free(&w.text);
	return ok;
}

bool
manifest_write(Repo *repo, Manifest *m, Error *err)
{
	Json *public;
	BackupInfo again;
	bool ok;

	complete(m);
	if (!manifest_check(m, err))
		return error_prefix(err, "could not write manifest of backup %s",
							m->info.label);
	public = backup_info_json(&m->info);
	ok = backup_info_parse(public, &again, err);
	if (ok)
	{
		backup_info_free(&again);
		ok = write_object(repo, m, public, err);
	}
	json_free(public);
	return ok || error_prefix(err, "could not write manifest of backup %s",
							  m->info.label);
}
