/*-------------------------------------------------------------------------
 *
 * manifest.h
 *	  The manifest of a backup: what was backed up and where it lies.
 *
 * On disk it is JSON Lines in an object (doc/repository-format.md); here it
 * is read line by line into compact arrays, so that a million files fit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MANIFEST_H
#define PGDR_MANIFEST_H

#include "base/json.h"
#include "repo/repo.h"

typedef enum BackupType
{
	BACKUP_FULL,
	BACKUP_INCREMENTAL
} BackupType;

/* What everybody may see (also in the object's metadata). */
typedef struct BackupInfo
{
	char *label;
	char *target; /* see repo/target.h */
	BackupType type;
	uint64_t sysid;
	int major;
	uint32_t version_num; /* 150020 */
	uint32_t timeline;    /* on which it stopped */
	uint32_t start_timeline;
	uint64_t start_lsn;
	uint64_t stop_lsn;
	int64_t start_time; /* microseconds since 1970 */
	int64_t stop_time;
	uint32_t segment_size;
	uint32_t catalog_version;
	bool page_checksums;
	uint64_t file_count;
	uint64_t plain_bytes;  /* of the files */
	uint64_t stored_bytes; /* of the packs */
	uint32_t pack_count;
	uint8_t packs_sha256[SHA256_LEN]; /* of the packs' payload SHA-256s
											 * in order: completeness can be
											 * proved without the key */
	uint64_t damaged_pages;
	char *parent;   /* label, or NULL for a full backup */
	char **members; /* labels of the backups that a group is made of */
	size_t member_count;
	Json *annotations; /* object of strings, or NULL */
} BackupInfo;

extern void backup_info_free(BackupInfo *info);
extern bool backup_info_copy(const BackupInfo *from, BackupInfo *to,
							 Error *err);
/* To and from the metadata's extra object; also used by info --output=json. */
extern Json *backup_info_json(const BackupInfo *info);
extern bool backup_info_parse(const Json *obj, BackupInfo *out, Error *err);

typedef struct ManifestFrame
{
	uint64_t plain;  /* offset of the frame in the pack's plaintext */
	uint64_t stored; /* offset of the frame in the zstd stream */
} ManifestFrame;

typedef struct ManifestPack
{
	uint32_t number; /* data/NNNNNN */
	uint64_t plain_size;
	uint64_t zstd_size;
	uint64_t payload_size;
	uint8_t sha256[SHA256_LEN]; /* of the payload, as in its metadata */
	ManifestFrame *frames;
	size_t frame_count;
} ManifestPack;

/* Where a run of a file's bytes lies. */
typedef struct ManifestExtent
{
	uint64_t file_offset;
	uint64_t length;
	uint32_t pack;        /* number */
	uint64_t pack_offset; /* in the pack's plaintext */
} ManifestExtent;

typedef struct ManifestFile
{
	char *path; /* relative to the data directory */
	uint64_t size;
	int64_t mtime; /* microseconds since 1970 */
	uint32_t mode;
	uint8_t content[CONTENT_LEN];
	char checksum[65];     /* of backup_manifest, hex; "" if none */
	ManifestExtent extent; /* of a full backup: the whole file in one run;
								 * unused if size is 0 */
} ManifestFile;

typedef struct ManifestDir
{
	char *path;
	uint32_t mode;
} ManifestDir;

typedef struct ManifestTablespace
{
	uint32_t oid;
	char *location; /* absolute; NULL for an in-place one */
} ManifestTablespace;

typedef struct ManifestDamage
{
	char *path;
	uint32_t block; /* within the relation's fork */
} ManifestDamage;

typedef struct Manifest
{
	BackupInfo info;
	char *checksum_algorithm; /* "CRC32C", "SHA256" or "NONE" */
	ManifestTablespace *tablespaces;
	size_t tablespace_count;
	ManifestPack *packs; /* by number, from 1 */
	size_t pack_count;
	ManifestDir *dirs; /* sorted by path: parents first */
	size_t dir_count;
	ManifestFile *files; /* sorted by path */
	size_t file_count;
	ManifestDamage *damage;
	size_t damage_count;
} Manifest;

/*
 * Writes the manifest: the moment it is durable, the backup exists.  Fills in
 * info.packs_sha256, pack_count, file_count.
 */
extern bool manifest_write(Repo *repo, Manifest *manifest, Error *err);

/*
 * Reads and checks it (counts, order, extents inside their packs).  ERR_KEY
 * without an identity.
 */
extern bool manifest_read(Repo *repo, const char *label, Manifest *out,
						  Error *err);
extern void manifest_free(Manifest *manifest);

/* The public part only; no key needed. */
extern bool manifest_stat(Repo *repo, const char *label, BackupInfo *out,
						  Error *err);

#endif
