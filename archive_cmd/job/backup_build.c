/*-------------------------------------------------------------------------
 *
 * backup_build.c
 *	  The manifest of a backup that is being taken, filled by many threads.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_build.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_BUFFER 4096

void
backup_build_init(BackupBuild *build)
{
	memset(build, 0, sizeof(*build));
	pthread_mutex_init(&build->lock, NULL);
}

void
backup_build_free(BackupBuild *build)
{
	manifest_free(&build->manifest);
	free(build->tar_owners);
	pthread_mutex_destroy(&build->lock);
}

uint32_t
backup_build_next_pack(BackupBuild *build)
{
	uint32_t number;

	pthread_mutex_lock(&build->lock);
	number = ++build->packs_begun;
	pthread_mutex_unlock(&build->lock);
	return number;
}

void
backup_build_add_pack(BackupBuild *build, const ManifestPack *pack,
					  uint64_t stored)
{
	Manifest *m = &build->manifest;

	pthread_mutex_lock(&build->lock);
	m->packs = mem_grow(m->packs, m->pack_count, &build->pack_cap,
						sizeof(ManifestPack));
	m->packs[m->pack_count++] = *pack;
	m->info.stored_bytes += stored;
	pthread_mutex_unlock(&build->lock);
}

void
backup_build_add_file(BackupBuild *build, const ManifestFile *file,
					  const BuildRun *runs, size_t run_count)
{
	Manifest *m = &build->manifest;

	pthread_mutex_lock(&build->lock);
	m->files = mem_grow(m->files, m->file_count, &build->file_cap,
						sizeof(ManifestFile));
	m->files[m->file_count] = *file;
	for (size_t i = 0; i < run_count; i++)
		manifest_add_run(m, &m->files[m->file_count], runs[i].length,
						 runs[i].pack, runs[i].pack_offset);
	m->file_count++;
	m->info.plain_bytes += file->size;
	pthread_mutex_unlock(&build->lock);
}

void
backup_build_add_damage(BackupBuild *build, const ManifestDamage *damage)
{
	Manifest *m = &build->manifest;

	pthread_mutex_lock(&build->lock);
	m->damage = mem_grow(m->damage, m->damage_count, &build->damage_cap,
						 sizeof(ManifestDamage));
	m->damage[m->damage_count++] = *damage;
	m->info.damaged_pages++;
	pthread_mutex_unlock(&build->lock);
}

void
backup_build_put_dir(BackupBuild *build, const ManifestDir *dir)
{
	Manifest *m = &build->manifest;

	pthread_mutex_lock(&build->lock);
	m->dirs = mem_grow(m->dirs, m->dir_count, &build->dir_cap,
					   sizeof(ManifestDir));
	m->dirs[m->dir_count++] = *dir;
	pthread_mutex_unlock(&build->lock);
}

void
backup_build_add_dir(BackupBuild *build, const char *path, uint32_t mode)
{
	ManifestDir dir = {.path = mem_strdup(path), .mode = mode};

	backup_build_put_dir(build, &dir);
}

void
backup_build_add_link(BackupBuild *build, const ManifestLink *link)
{
	Manifest *m = &build->manifest;

	pthread_mutex_lock(&build->lock);
	m->links = mem_grow(m->links, m->link_count, &build->link_cap,
						sizeof(ManifestLink));
	m->links[m->link_count++] = *link;
	pthread_mutex_unlock(&build->lock);
}

/* ---- owners ---- */

/* A name that is not UTF-8 would be another one in the manifest. */
static char *
good_name(const char *name)
{
	return json_is_utf8(name) ? mem_strdup(name) : NULL;
}

static void
find_names(ManifestOwner *o)
{
	char buffer[NAME_BUFFER];
	struct passwd user;
	struct passwd *user_found = NULL;
	struct group group;
	struct group *group_found = NULL;

	if (getpwuid_r(o->uid, &user, buffer, sizeof(buffer), &user_found) == 0 &&
		user_found != NULL)
		o->user = good_name(user.pw_name);
	if (getgrgid_r(o->gid, &group, buffer, sizeof(buffer), &group_found) == 0 &&
		group_found != NULL)
		o->group = good_name(group.gr_name);
}

uint32_t
backup_build_find_owner(BackupBuild *build, uint32_t uid, uint32_t gid)
{
	Manifest *m = &build->manifest;
	ManifestOwner o = {.uid = uid, .gid = gid};

	/* the one before is mostly the same */
	for (size_t i = m->owner_count; i > 0; i--)
	{
		if (m->owners[i - 1].uid == uid && m->owners[i - 1].gid == gid)
			return (uint32_t) i;
	}
	find_names(&o);
	build->tar_owners = mem_grow(build->tar_owners, m->owner_count,
								 &build->tar_owner_cap, sizeof(TarOwner));
	build->tar_owners[m->owner_count] = (TarOwner){uid, gid, o.user, o.group};
	m->owners = mem_grow(m->owners, m->owner_count, &build->owner_cap,
						 sizeof(ManifestOwner));
	m->owners[m->owner_count++] = o;
	return (uint32_t) m->owner_count;
}

const TarOwner *
backup_build_owner(const BackupBuild *build, uint32_t owner)
{
	return owner > 0 ? &build->tar_owners[owner - 1] : NULL;
}

/* ---- order ---- */

static int
compare_packs(const void *a, const void *b)
{
	uint32_t x = ((const ManifestPack *) a)->number;
	uint32_t y = ((const ManifestPack *) b)->number;

	return (x > y) - (x < y);
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
compare_damage(const void *a, const void *b)
{
	const ManifestDamage *x = a;
	const ManifestDamage *y = b;
	int order = strcmp(x->path, y->path);

	return order != 0 ? order : (x->block > y->block) - (x->block < y->block);
}

/* qsort's array must not be NULL, even when it is empty */
static void
sort(void *items, size_t count, size_t size,
	 int (*compare)(const void *, const void *))
{
	if (count > 1)
		qsort(items, count, size, compare);
}

void
backup_build_sort(BackupBuild *build)
{
	Manifest *m = &build->manifest;

	sort(m->packs, m->pack_count, sizeof(ManifestPack), compare_packs);
	sort(m->dirs, m->dir_count, sizeof(ManifestDir), compare_dirs);
	sort(m->files, m->file_count, sizeof(ManifestFile), compare_files);
	sort(m->damage, m->damage_count, sizeof(ManifestDamage), compare_damage);
}

/* ---- packs of another backup ---- */

static const char *
pack_backup(const Manifest *base, const ManifestPack *pack)
{
	return pack->backup != NULL ? pack->backup : base->info.label;
}

static void
copy_pack(Manifest *m, const Manifest *base, const ManifestPack *from,
		  ManifestPack *to)
{
	size_t size = from->frame_count * sizeof(ManifestFrame);

	*to = *from;
	to->backup = manifest_label(m, pack_backup(base, from));
	to->frames = mem_alloc(size);
	memcpy(to->frames, from->frames, size);
}

static bool *
find_used(const Manifest *m, const Manifest *base)
{
	bool *used = mem_zalloc(base->pack_count + 1);

	for (size_t i = 0; i < m->extent_count; i++)
	{
		if (m->extents[i].pack & BUILD_BASE_PACK)
			used[(m->extents[i].pack & ~BUILD_BASE_PACK) - 1] = true;
	}
	return used;
}

/*
 * The base's own packs belong among those that it has from others, by label.
 * places: where each pack of the base is now.
 */
static void
append_used(BackupBuild *build, const Manifest *base, const bool *used,
			uint32_t *places)
{
	Manifest *m = &build->manifest;
	size_t own = base->info.pack_count;
	size_t i = own; /* a foreign pack of the base */
	size_t k = 0;   /* an own one */

	while (i < base->pack_count || k < own)
	{
		bool foreign = k == own ||
					   (i < base->pack_count &&
						strcmp(base->packs[i].backup, base->info.label) < 0);
		size_t from = foreign ? i++ : k++;

		if (!used[from])
			continue;
		m->packs = mem_grow(m->packs, m->pack_count, &build->pack_cap,
							sizeof(ManifestPack));
		copy_pack(m, base, &base->packs[from], &m->packs[m->pack_count++]);
		places[from] = (uint32_t) m->pack_count;
	}
}

void
backup_build_adopt(BackupBuild *build, const Manifest *base)
{
	Manifest *m = &build->manifest;
	bool *used = find_used(m, base);
	uint32_t *places = mem_zalloc((base->pack_count + 1) * sizeof(uint32_t));

	append_used(build, base, used, places);
	for (size_t i = 0; i < m->extent_count; i++)
	{
		uint32_t pack = m->extents[i].pack;

		if (pack & BUILD_BASE_PACK)
			m->extents[i].pack = places[(pack & ~BUILD_BASE_PACK) - 1];
	}
	free(places);
	free(used);
}
