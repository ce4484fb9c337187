/*-------------------------------------------------------------------------
 *
 * manifest.c
 *	  What a manifest must fulfil, wherever it comes from.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object.h"

/* A PostgreSQL path is far shorter; longer ones no system call would take. */
#define PATH_BYTES_MAX 4095

void
manifest_free(Manifest *m)
{
	for (size_t i = 0; i < m->tablespace_count; i++)
		free(m->tablespaces[i].location);
	for (size_t i = 0; i < m->database_count; i++)
		free(m->databases[i].name);
	for (size_t i = 0; i < m->pack_count; i++)
		free(m->packs[i].frames);
	for (size_t i = 0; i < m->dir_count; i++)
		free(m->dirs[i].path);
	for (size_t i = 0; i < m->file_count; i++)
		free(m->files[i].path);
	for (size_t i = 0; i < m->damage_count; i++)
		free(m->damage[i].path);
	for (size_t i = 0; i < m->label_count; i++)
		free(m->labels[i]);
	manifest_free_links(m);
	free(m->labels);
	free(m->extents);
	free(m->tablespaces);
	free(m->databases);
	free(m->packs);
	free(m->dirs);
	free(m->files);
	free(m->damage);
	free(m->checksum_algorithm);
	backup_info_free(&m->info);
	memset(m, 0, sizeof(*m));
}

/* ---- runs and packs ---- */

void
manifest_add_run(Manifest *m, ManifestFile *f, uint64_t length, uint32_t pack,
				 uint64_t pack_offset)
{
	if (f->extent_count == 0)
		f->first_extent = m->extent_count;
	while (length > 0)
	{
		uint32_t part = length < MANIFEST_EXTENT_MAX ? (uint32_t) length
													 : MANIFEST_EXTENT_MAX;

		m->extents = mem_grow(m->extents, m->extent_count, &m->extent_cap,
							  sizeof(ManifestExtent));
		m->extents[m->extent_count++] = (ManifestExtent){
			.pack_offset = pack_offset, .pack = pack, .length = part};
		f->extent_count++;
		pack_offset += part;
		length -= part;
	}
}

bool
manifest_is_whole(const Manifest *m, const ManifestFile *f)
{
	const ManifestExtent *e = manifest_extents(m, f);

	for (uint32_t i = 1; i < f->extent_count; i++)
	{
		if (!manifest_touch(&e[i - 1], &e[i]))
			return false;
	}
	return true;
}

const char *
manifest_label(Manifest *m, const char *label)
{
	/* of one backup there are many in a row */
	for (size_t i = m->label_count; i > 0; i--)
	{
		if (strcmp(m->labels[i - 1], label) == 0)
			return m->labels[i - 1];
	}
	m->labels = mem_realloc(m->labels, (m->label_count + 1) * sizeof(char *));
	m->labels[m->label_count] = mem_strdup(label);
	return m->labels[m->label_count++];
}

char *
manifest_pack_name(const Manifest *m, const ManifestPack *pack)
{
	return repo_pack_name(pack->backup != NULL ? pack->backup : m->info.label,
						  pack->number);
}

void
manifest_packs_sha256(const Manifest *m, uint8_t out[SHA256_LEN])
{
	Sha256 *h = sha256_new();

	for (size_t i = 0; i < m->pack_count && m->packs[i].backup == NULL; i++)
		sha256_add(h, m->packs[i].sha256, SHA256_LEN);
	sha256_final(h, out);
	sha256_free(h);
}

/* A component that names nothing, itself or what is above it. */
static bool
bad_component(const char *s, size_t len)
{
	return len == 0 || (len == 1 && s[0] == '.') ||
		   (len == 2 && s[0] == '.' && s[1] == '.');
}

/* The restore creates this below its target directory, and nowhere else. */
static bool
path_ok(const char *path)
{
	const char *at = path;

	if (strlen(path) > PATH_BYTES_MAX)
		return false;
	for (;;)
	{
		size_t len = strcspn(at, "/");

		if (bad_component(at, len))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

bool
manifest_check_path(const char *path, const char *before, Error *err)
{
	if (!path_ok(path))
		return error_set(err, ERR_DAMAGED,
						 "path \"%s\" is not a safe relative path", path);
	if (before != NULL && strcmp(before, path) >= 0)
		return error_set(err, ERR_DAMAGED,
						 "path \"%s\" is out of order or twice there", path);
	return true;
}

static bool
check_tablespaces(const Manifest *m, Error *err)
{
	for (size_t i = 0; i < m->tablespace_count; i++)
	{
		const ManifestTablespace *t = &m->tablespaces[i];

		if (t->oid == 0 || (t->location != NULL && t->location[0] != '/'))
			return error_set(err, ERR_DAMAGED,
							 "tablespace %" PRIu32 " is not valid", t->oid);
		for (size_t j = 0; j < i; j++)
		{
			if (m->tablespaces[j].oid == t->oid)
				return error_set(err, ERR_DAMAGED,
								 "tablespace %" PRIu32 " is twice there",
								 t->oid);
		}
	}
	return true;
}

static bool
check_databases(const Manifest *m, Error *err)
{
	for (size_t i = 0; i < m->database_count; i++)
	{
		if (m->databases[i].oid == 0 ||
			(i > 0 && m->databases[i].oid <= m->databases[i - 1].oid))
			return error_set(err, ERR_DAMAGED,
							 "database %" PRIu32 " is out of order",
							 m->databases[i].oid);
	}
	return true;
}

static bool
frames_ok(const ManifestPack *p)
{
	if (p->frame_count == 0 || p->frames[0].plain != 0 ||
		p->frames[0].stored != 0)
		return false;
	for (size_t i = 1; i < p->frame_count; i++)
	{
		if (p->frames[i].plain <= p->frames[i - 1].plain ||
			p->frames[i].stored <= p->frames[i - 1].stored)
			return false;
	}
	return p->frames[p->frame_count - 1].stored < p->zstd_size &&
		   (p->frame_count == 1 ||
			p->frames[p->frame_count - 1].plain < p->plain_size);
}

/* Packs of other backups follow the own ones, by label and number. */
static bool
pack_in_order(const Manifest *m, size_t i)
{
	const ManifestPack *p = &m->packs[i];
	const ManifestPack *before = i > 0 ? &m->packs[i - 1] : NULL;
	int order;

	if (i < m->info.pack_count)
		return p->backup == NULL && p->number == i + 1;
	if (p->backup == NULL || p->number == 0 || !repo_label_ok(p->backup) ||
		strcmp(p->backup, m->info.label) == 0)
		return false;
	if (before == NULL || before->backup == NULL)
		return true;
	order = strcmp(before->backup, p->backup);
	return order < 0 || (order == 0 && before->number < p->number);
}

static bool
check_packs(const Manifest *m, Error *err)
{
	if (m->pack_count < m->info.pack_count)
		return error_set(err, ERR_DAMAGED, "it has %zu packs instead of %u",
						 m->pack_count, m->info.pack_count);
	for (size_t i = 0; i < m->pack_count; i++)
	{
		const ManifestPack *p = &m->packs[i];

		if (!pack_in_order(m, i))
			return error_set(err, ERR_DAMAGED, "pack %zu is out of order",
							 i + 1);
		if (p->backup != NULL &&
			!backup_info_references(&m->info, p->backup, p->number))
			return error_set(err, ERR_DAMAGED,
							 "pack %u of backup %s is not referenced",
							 p->number, p->backup);
		if (p->zstd_size > p->payload_size || !frames_ok(p))
			return error_set(err, ERR_DAMAGED,
							 "frame table of pack %zu is not valid", i + 1);
	}
	return true;
}

static bool
check_dirs(const Manifest *m, Error *err)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (!manifest_check_path(m->dirs[i].path,
								 i > 0 ? m->dirs[i - 1].path : NULL, err))
			return false;
	}
	return true;
}

static bool
extent_ok(const Manifest *m, const ManifestExtent *e)
{
	uint64_t room;

	if (e->pack < 1 || e->pack > m->pack_count || e->length == 0)
		return false;
	room = m->packs[e->pack - 1].plain_size;
	return e->pack_offset <= room && e->length <= room - e->pack_offset;
}

/* Together the runs are the file, and only the last one ends inside a block. */
static bool
extents_ok(const Manifest *m, const ManifestFile *f)
{
	const ManifestExtent *e = manifest_extents(m, f);
	uint64_t left = f->size;

	for (uint32_t i = 0; i < f->extent_count; i++)
	{
		if (!extent_ok(m, &e[i]) || e[i].length > left)
			return false;
		left -= e[i].length;
		if (left > 0 && e[i].length % MANIFEST_BLOCK != 0)
			return false;
	}
	return left == 0;
}

static bool
checksum_ok(const Manifest *m, const ManifestFile *f)
{
	size_t len = strlen(f->checksum);
	uint8_t bytes[SHA256_LEN];

	if (strcmp(m->checksum_algorithm, "NONE") == 0)
		return len == 0;
	if (len !=
		(strcmp(m->checksum_algorithm, "CRC32C") == 0 ? 8 : SHA256_HEX_LEN))
		return false;
	return hex_decode(f->checksum, bytes, len / 2);
}

static bool
check_files(const Manifest *m, Error *err)
{
	size_t d = 0;

	for (size_t i = 0; i < m->file_count; i++)
	{
		const ManifestFile *f = &m->files[i];

		if (!manifest_check_path(f->path, i > 0 ? m->files[i - 1].path : NULL,
								 err))
			return false;
		while (d < m->dir_count && strcmp(m->dirs[d].path, f->path) < 0)
			d++;
		if (d < m->dir_count && strcmp(m->dirs[d].path, f->path) == 0)
			return error_set(err, ERR_DAMAGED,
							 "\"%s\" is both a file and a directory", f->path);
		if (!extents_ok(m, f))
			return error_set(err, ERR_DAMAGED,
							 "file \"%s\" does not lie within its packs",
							 f->path);
		if (!checksum_ok(m, f))
			return error_set(err, ERR_DAMAGED,
							 "checksum of file \"%s\" is not valid", f->path);
	}
	return true;
}

static bool
check_header(const Manifest *m, Error *err)
{
	const char *algorithm = m->checksum_algorithm;

	if (algorithm == NULL ||
		(strcmp(algorithm, "CRC32C") != 0 && strcmp(algorithm, "SHA256") != 0 &&
		 strcmp(algorithm, "NONE") != 0))
		return error_set(err, ERR_DAMAGED, "checksum algorithm is not known");
	if (m->file_count != m->info.file_count)
		return error_set(err, ERR_DAMAGED,
						 "it has %zu files instead of %" PRIu64, m->file_count,
						 m->info.file_count);
	return true;
}

bool
manifest_check(const Manifest *m, Error *err)
{
	uint8_t sha256[SHA256_LEN];

	if (!check_header(m, err) || !check_tablespaces(m, err) ||
		!check_databases(m, err) || !check_packs(m, err) ||
		!check_dirs(m, err) || !check_files(m, err) ||
		!manifest_check_links(m, err))
		return false;
	for (size_t i = 0; i < m->damage_count; i++)
	{
		if (!manifest_check_path(m->damage[i].path, NULL, err))
			return false;
	}
	manifest_packs_sha256(m, sha256);
	if (memcmp(sha256, m->info.packs_sha256, SHA256_LEN) != 0)
		return error_set(err, ERR_DAMAGED,
						 "checksum of its packs is not that of its head");
	return true;
}

/* ---- the public part ---- */

static bool
stat_parse(const char *label, const ObjectMeta *meta, BackupInfo *out,
		   Error *err)
{
	if (strcmp(meta->kind, OBJECT_MANIFEST) != 0)
		return error_set(err, ERR_MISMATCH, "object is not a manifest");
	if (!backup_info_parse(meta->extra, out, err))
		return false;
	if (strcmp(out->label, label) == 0)
		return true;
	error_set(err, ERR_MISMATCH, "manifest is that of backup %s", out->label);
	backup_info_free(out);
	return false;
}

bool
manifest_stat(Repo *repo, const char *label, BackupInfo *out, Error *err)
{
	char *name = repo_manifest_name(label);
	ObjectMeta meta;
	bool ok = object_stat(repo, name, &meta, err);

	memset(out, 0, sizeof(*out));
	free(name);
	if (!ok)
		return false;
	ok = stat_parse(label, &meta, out, err);
	object_meta_free(&meta);
	return ok || error_prefix(err, "manifest of backup %s", label);
}
