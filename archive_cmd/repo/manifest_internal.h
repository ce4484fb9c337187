/*-------------------------------------------------------------------------
 *
 * manifest_internal.h
 *	  What the manifest*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MANIFEST_INTERNAL_H
#define PGDR_MANIFEST_INTERNAL_H

#include "repo/manifest.h"

#define MANIFEST_VERSION 1
#define MAP_VERSION 1

/* A path, which may not be UTF-8, as a member; and back, for the caller to
 * free. */
extern void manifest_put_path(Json *obj, const char *key, const char *path);
extern bool manifest_get_path(const Json *obj, const char *key, char **out,
							  Error *err);

/*
 * Takes a decimal number and the byte behind it, which ends it; a comma may be
 * the end of the text instead.
 */
extern bool manifest_take_number(const char **at, char end, uint64_t *out);

/* Who owns a directory, a file or a link: of backups of files only. */
extern void manifest_put_owner(Json *obj, uint32_t owner);
extern bool manifest_get_owner(const Manifest *manifest, const Json *obj,
							   uint32_t *out, Error *err);

/* Lines for owners and links; nothing is left in out on failure. */
extern Json *manifest_owner_json(const ManifestOwner *owner);
extern bool manifest_owner_parse(const Json *obj, ManifestOwner *out,
								 Error *err);
extern Json *manifest_link_json(const ManifestLink *link);
extern bool manifest_link_parse(const Manifest *manifest, const Json *obj,
								ManifestLink *out, Error *err);
extern bool manifest_check_links(const Manifest *manifest, Error *err);
extern void manifest_free_links(Manifest *manifest);

/* A safe relative path, behind the one before (or NULL). */
extern bool manifest_check_path(const char *path, const char *before,
								Error *err);

/*
 * Is the whole consistent?  Both ends ask this: a manifest that could not be
 * read must not be written.  ERR_DAMAGED.
 */
extern bool manifest_check(const Manifest *manifest, Error *err);

/* Does b go on where a ends? */
static inline bool
manifest_touch(const ManifestExtent *a, const ManifestExtent *b)
{
	return a->pack == b->pack && a->pack_offset + a->length == b->pack_offset;
}

/* The member "references" of the public part. */
extern Json *backup_references_json(const BackupInfo *info);
extern bool backup_references_parse(const Json *public, BackupInfo *out,
									Error *err);
extern void backup_references_free(BackupInfo *info);

/* Sets info.references to what the packs of other backups need. */
extern void manifest_find_references(Manifest *manifest);

/* What packs_sha256 must be for these packs. */
extern void manifest_packs_sha256(const Manifest *manifest,
								  uint8_t out[SHA256_LEN]);

#endif
