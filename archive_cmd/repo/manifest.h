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

/* Runs of a file begin and end at multiples of this, but for its end. */
#define MANIFEST_BLOCK 8192

typedef enum BackupType
{
	BACKUP_FULL,
	BACKUP_INCREMENTAL
} BackupType;

/*
 * Packs of another backup without which this one cannot be restored: all from
 * first to last.
 */
typedef struct BackupReference
{
	char *label;
	uint32_t first; /* number of the pack, from 1 */
	uint32_t last;
} BackupReference;

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
	uint64_t plain_bytes;             /* of the files */
	uint64_t stored_bytes;            /* of its own packs */
	uint32_t pack_count;              /* its own: those below backup/<label>/ */
	uint8_t packs_sha256[SHA256_LEN]; /* of its own packs' payload
											 * SHA-256s in order: completeness
											 * can be proved without the key */
	uint64_t damaged_pages;
	bool archival; /* kept for long, with its own WAL alone */
	char *parent;  /* label of the backup that it was compared with, or NULL
				   * for a full backup */
	BackupReference *references; /* by label and number; none touch */
	size_t reference_count;
	bool references_joined; /* there were too many: between those that it needs
							 * are some that it does not, which may be gone */
	char **members;         /* labels of the backups that a group is made of */
	size_t member_count;
	Json *annotations; /* object of strings, or NULL */
} BackupInfo;

/* Does it need this pack of another backup? */
extern bool backup_info_references(const BackupInfo *info, const char *label,
								   uint32_t pack);
/* Or any pack of it? */
extern bool backup_info_depends(const BackupInfo *info, const char *label);

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
	uint32_t number;    /* data/NNNNNN of its backup */
	const char *backup; /* label of the backup that it belongs to, NULL: this
						 * one; of manifest_label() */
	uint64_t plain_size;
	uint64_t zstd_size;
	uint64_t payload_size;
	uint8_t sha256[SHA256_LEN]; /* of the payload, as in its metadata */
	ManifestFrame *frames;
	size_t frame_count;
} ManifestPack;

/*
 * Where a run of a file's bytes lies.  The runs of a file follow each other
 * without a gap, so that where one begins in the file is the sum of the
 * lengths before it.  Kept small: there may be ten million.
 */
typedef struct ManifestExtent
{
	uint64_t pack_offset; /* in the pack's plaintext */
	uint32_t pack;        /* the manifest's packs[pack - 1], own or foreign */
	uint32_t length;      /* at most MANIFEST_EXTENT_MAX */
} ManifestExtent;

/* A longer run is several extents here, and one in the text. */
#define MANIFEST_EXTENT_MAX (UINT32_C(1) << 31)

typedef struct ManifestFile
{
	char *path; /* relative to the data directory */
	uint64_t size;
	int64_t mtime; /* microseconds since 1970 */
	uint32_t mode;
	uint32_t extent_count; /* 0 if size is 0 */
	size_t first_extent;   /* of manifest_extents() */
	uint32_t owner;        /* as of a directory */
	bool sparse;           /* it had holes */
	uint8_t content[CONTENT_LEN];
	char checksum[65]; /* of backup_manifest, hex; "" if none */
} ManifestFile;

typedef struct ManifestDir
{
	char *path;
	uint32_t mode;
	uint32_t owner; /* the manifest's owners[owner - 1]; 0: the same for all,
					 * and not told */
	int64_t mtime;  /* microseconds since 1970; 0: not told */
} ManifestDir;

/* Of backups of files, where each may be somebody else's. */
typedef struct ManifestOwner
{
	uint32_t uid;
	uint32_t gid;
	char *user; /* NULL: it had no name, or none in UTF-8 */
	char *group;
} ManifestOwner;

/* A symbolic link, or one more name of a file. */
typedef struct ManifestLink
{
	char *path;
	char *to; /* what it says; the path of the file if it is hard */
	bool hard;
	int64_t mtime;
	uint32_t owner;
} ManifestLink;

typedef struct ManifestTablespace
{
	uint32_t oid;
	char *location; /* absolute; NULL for an in-place one */
} ManifestTablespace;

/* So that a restore finds a database by name, without a server. */
typedef struct ManifestDatabase
{
	uint32_t oid;
	char *name;
} ManifestDatabase;

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
	ManifestDatabase *databases; /* none in backups of earlier versions */
	size_t database_count;
	ManifestPack *packs; /* info.pack_count of its own, by number from 1; then
						  * those of other backups, by label and number */
	size_t pack_count;   /* all of them */
	ManifestDir *dirs;   /* sorted by path: parents first */
	size_t dir_count;
	ManifestFile *files; /* sorted by path */
	size_t file_count;
	ManifestExtent *extents; /* of all files, those of one side by side */
	size_t extent_count;
	size_t extent_cap;
	ManifestOwner *owners;
	size_t owner_count;
	ManifestLink *links; /* sorted by path */
	size_t link_count;
	ManifestDamage *damage;
	size_t damage_count;
	char **labels; /* that packs point to */
	size_t label_count;
} Manifest;

/* The extents of a file, in the order of its bytes; file->extent_count. */
static inline const ManifestExtent *
manifest_extents(const Manifest *manifest, const ManifestFile *file)
{
	return manifest->extents + file->first_extent;
}

/*
 * One more run at the end of the file's: until the last one of this file is
 * added no other file may get any.
 */
extern void manifest_add_run(Manifest *manifest, ManifestFile *file,
							 uint64_t length, uint32_t pack,
							 uint64_t pack_offset);

/*
 * Is the file, which is not empty, one run of bytes in one pack, as every file
 * of a full backup is?  Its pack and offset are those of its first extent.
 */
extern bool manifest_is_whole(const Manifest *manifest,
							  const ManifestFile *file);

/* This label for ManifestPack.backup: lives as long as the manifest. */
extern const char *manifest_label(Manifest *manifest, const char *label);

/* The object's name; caller frees. */
extern char *manifest_pack_name(const Manifest *manifest,
								const ManifestPack *pack);

/*
 * Writes the manifest: the moment it is durable, the backup exists.  Sorts
 * files and directories, and fills in info.packs_sha256, pack_count,
 * file_count and references; the packs must be in order.
 */
extern bool manifest_write(Repo *repo, Manifest *manifest, Error *err);

/*
 * Reads and checks it (counts, order, extents inside their packs, and that
 * they cover each file).  ERR_KEY
 * without an identity.
 */
extern bool manifest_read(Repo *repo, const char *label, Manifest *out,
						  Error *err);
extern void manifest_free(Manifest *manifest);

/* The public part only; no key needed. */
extern bool manifest_stat(Repo *repo, const char *label, BackupInfo *out,
						  Error *err);

#endif
