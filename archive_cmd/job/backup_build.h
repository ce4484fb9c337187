/*-------------------------------------------------------------------------
 *
 * backup_build.h
 *	  The manifest of a backup that is being taken, filled by many threads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_BUILD_H
#define PGDR_BACKUP_BUILD_H

#include <pthread.h>

#include "repo/manifest.h"
#include "repo/tar.h"

typedef struct BackupBuild
{
	pthread_mutex_t lock; /* of all that follows */
	Manifest manifest;
	size_t pack_cap;
	size_t dir_cap;
	size_t file_cap;
	size_t damage_cap;
	size_t owner_cap;
	size_t link_cap;
	TarOwner *tar_owners; /* of the manifest's owners */
	size_t tar_owner_cap;
	uint32_t packs_begun;
} BackupBuild;

extern void backup_build_init(BackupBuild *build);
extern void backup_build_free(BackupBuild *build);

/* The number of a new pack, from 1. */
extern uint32_t backup_build_next_pack(BackupBuild *build);

/*
 * In BuildRun.pack: the rest is the pack's place in the manifest of the backup
 * that this one is compared with.
 */
#define BUILD_BASE_PACK (UINT32_C(1) << 31)

/* Where bytes of a file lie; pack is its place in the manifest. */
typedef struct BuildRun
{
	uint64_t length;
	uint32_t pack;
	uint64_t pack_offset;
} BuildRun;

/* Each takes over what its argument points to, but for the runs. */
extern void backup_build_add_pack(BackupBuild *build, const ManifestPack *pack,
								  uint64_t stored);
extern void backup_build_add_file(BackupBuild *build, const ManifestFile *file,
								  const BuildRun *runs, size_t run_count);
extern void backup_build_add_damage(BackupBuild *build,
									const ManifestDamage *damage);

/* Copies path. */
extern void backup_build_add_dir(BackupBuild *build, const char *path,
								 uint32_t mode);

/* Takes it over. */
extern void backup_build_put_dir(BackupBuild *build, const ManifestDir *dir);
extern void backup_build_add_link(BackupBuild *build, const ManifestLink *link);

/*
 * The number of an owner, for directories, files and links, and the same for
 * tar; NULL for 0.  Those are looked for before any thread adds files.
 */
extern uint32_t backup_build_find_owner(BackupBuild *build, uint32_t uid,
										uint32_t gid);
extern const TarOwner *backup_build_owner(const BackupBuild *build,
										  uint32_t owner);

/*
 * Adds the packs of the other backup in which files lie.  When all own packs
 * are there, and no thread adds any more.
 */
extern void backup_build_adopt(BackupBuild *build, const Manifest *base);

/* Into the order that a manifest has; only when no thread adds any more. */
extern void backup_build_sort(BackupBuild *build);

#endif
