/*-------------------------------------------------------------------------
 *
 * unpack_attributes.c
 *	  What remains to be done when the contents of files are there: links,
 *	  owners, modes and times.
 *
 * Symbolic links are made when all files are there, so that nothing is ever
 * written through one.
 *
 *-------------------------------------------------------------------------
 */
#include "job/unpack_attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/restore_tree.h"

#define NAME_BUFFER 4096

typedef struct Ids
{
	uid_t uid;
	gid_t gid;
} Ids;

typedef struct Finish
{
	const Manifest *manifest;
	const RestorePlace *place;
	Ids *ids; /* by owner; NULL: not root */
	TreeCache cache;
} Finish;

/* What is to become of one path. */
typedef struct Attributes
{
	const char *path;
	uint32_t owner;
	mode_t mode;
	int64_t mtime; /* 0: left alone */
} Attributes;

static bool
failed(const Finish *f, const char *what, const char *path, Error *err)
{
	return error_set_errno(err, errno, "could not %s \"%s/%s\"", what,
						   f->place->path, path);
}

/* ---- who ---- */

static Ids
find_ids(const ManifestOwner *o)
{
	Ids ids = {o->uid, o->gid};
	char buffer[NAME_BUFFER];
	struct passwd user;
	struct passwd *user_found = NULL;
	struct group group;
	struct group *group_found = NULL;

	if (o->user != NULL &&
		getpwnam_r(o->user, &user, buffer, sizeof(buffer), &user_found) == 0 &&
		user_found != NULL)
		ids.uid = user.pw_uid;
	if (o->group != NULL &&
		getgrnam_r(o->group, &group, buffer, sizeof(buffer), &group_found) ==
			0 &&
		group_found != NULL)
		ids.gid = group.gr_gid;
	return ids;
}

static Ids *
find_all_ids(const Manifest *m)
{
	Ids *ids;

	if (geteuid() != 0)
		return NULL;
	ids = mem_alloc((m->owner_count + 1) * sizeof(*ids));
	for (size_t i = 0; i < m->owner_count; i++)
		ids[i] = find_ids(&m->owners[i]);
	return ids;
}

/* ---- one path ---- */

static bool
set_owner(const Finish *f, int fd, const char *leaf, const Attributes *a,
		  Error *err)
{
	const Ids *ids;

	if (f->ids == NULL || a->owner == 0)
		return true;
	ids = &f->ids[a->owner - 1];
	return fchownat(fd, leaf, ids->uid, ids->gid, AT_SYMLINK_NOFOLLOW) == 0 ||
		   failed(f, "set owner of", a->path, err);
}

static bool
set_time(const Finish *f, int fd, const char *leaf, const Attributes *a,
		 Error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	int64_t secs = a->mtime / USECS_PER_SEC;
	int64_t usecs = a->mtime % USECS_PER_SEC;

	if (a->mtime == 0)
		return true;
	if (usecs < 0)
	{
		usecs += USECS_PER_SEC;
		secs--;
	}
	times[1] = (struct timespec){.tv_sec = secs, .tv_nsec = usecs * 1000};
	return utimensat(fd, leaf, times, AT_SYMLINK_NOFOLLOW) == 0 ||
		   failed(f, "set time of", a->path, err);
}

/*
 * What would let a file act as its owner is set only if that is the owner
 * that it had.
 */
static bool
set_mode(const Finish *f, int fd, const char *leaf, const Attributes *a,
		 Error *err)
{
	mode_t mode = a->mode & (f->ids != NULL && a->owner > 0 ? 07777 : 01777);

	return fchmodat(fd, leaf, mode, 0) == 0 ||
		   failed(f, "set permissions of", a->path, err);
}

/* Never a link: nothing but what was made here is in the directory. */
static bool
apply(Finish *f, const Attributes *a, Error *err)
{
	const char *leaf;
	int fd;

	return thread_check_stop(err) &&
		   tree_parent(f->place->fd, f->place->path, a->path, &f->cache, &fd,
					   &leaf, err) &&
		   set_owner(f, fd, leaf, a, err) && set_mode(f, fd, leaf, a, err) &&
		   set_time(f, fd, leaf, a, err);
}

/* ---- links ---- */

static bool
make_hard(Finish *f, const ManifestLink *l, int fd, const char *leaf,
		  Error *err)
{
	TreeCache cache = TREE_CACHE_INIT;
	const char *from;
	int from_fd;
	bool done = tree_parent(f->place->fd, f->place->path, l->to, &cache,
							&from_fd, &from, err);

	if (done && linkat(from_fd, from, fd, leaf, 0) != 0)
		done = failed(f, "create link", l->path, err);
	tree_cache_free(&cache);
	return done;
}

static bool
make_link(Finish *f, const ManifestLink *l, Error *err)
{
	Attributes a = {.path = l->path, .owner = l->owner, .mtime = l->mtime};
	const char *leaf;
	int fd;

	if (!thread_check_stop(err) ||
		!tree_parent(f->place->fd, f->place->path, l->path, &f->cache, &fd,
					 &leaf, err))
		return false;
	if (l->hard)
		return make_hard(f, l, fd, leaf, err);
	if (symlinkat(l->to, fd, leaf) != 0)
		return failed(f, "create symbolic link", l->path, err);
	return set_owner(f, fd, leaf, &a, err) && set_time(f, fd, leaf, &a, err);
}

/* ---- all ---- */

static bool
finish(Finish *f, Error *err)
{
	const Manifest *m = f->manifest;
	bool done = true;

	for (size_t i = 0; done && i < m->file_count; i++)
	{
		const ManifestFile *file = &m->files[i];
		Attributes a = {file->path, file->owner, file->mode, file->mtime};

		done = apply(f, &a, err);
	}
	for (size_t i = 0; done && i < m->link_count; i++)
		done = make_link(f, &m->links[i], err);
	/* what is inside first: it may forbid to enter it */
	for (size_t i = m->dir_count; done && i > 0; i--)
	{
		const ManifestDir *dir = &m->dirs[i - 1];
		Attributes a = {dir->path, dir->owner, dir->mode, dir->mtime};

		done = apply(f, &a, err);
	}
	return done;
}

bool
unpack_attributes(const RestorePlaces *places, Error *err)
{
	Finish f = {.manifest = places->manifest,
				.place = &places->items[0],
				.ids = find_all_ids(places->manifest),
				.cache = TREE_CACHE_INIT};
	bool done = finish(&f, err);

	tree_cache_free(&f.cache);
	free(f.ids);
	return done;
}
