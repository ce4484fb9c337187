/*-------------------------------------------------------------------------
 *
 * restore_prune.c
 *	  Removes from the directories of a delta restore what is not in the
 *	  backup.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "job/restore_files.h"

typedef struct Pruner
{
	const RestorePlaces *places;
	const RestorePlace *place;
} Pruner;

static int
compare_dir(const void *key, const void *item)
{
	return strcmp(key, ((const ManifestDir *) item)->path);
}

static bool
is_dir_of_backup(const Manifest *m, const char *path)
{
	return m->dir_count > 0 && bsearch(path, m->dirs, m->dir_count,
									   sizeof(ManifestDir), compare_dir);
}

/*
 * A file with another name elsewhere (a snapshot made of hard links, say)
 * must not be written to, and neither can one of another user.
 */
static bool
keep_file(const Pruner *p, const char *path, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
		   st->st_uid == geteuid() && (st->st_mode & S_IRUSR) != 0 &&
		   (st->st_mode & S_IWUSR) != 0 &&
		   !restore_skips(p->places->manifest, path) &&
		   restore_find_file(p->places->manifest, path) != NULL;
}

static TreeVerdict
judge(void *arg, const char *rest, const struct stat *st)
{
	const Pruner *p = arg;
	bool is_data = p->place->kind == PLACE_DATA;
	char *path = is_data ? mem_strdup(rest)
						 : mem_printf("%s/%s", p->place->prefix, rest);
	const char *ignored;
	TreeVerdict verdict = TREE_REMOVE;

	if (is_data && strcmp(path, RESTORE_MARKER) == 0)
		verdict = TREE_KEEP;
	else if (restore_places_find(p->places, path, &ignored) != p->place)
		verdict = TREE_REMOVE; /* a link takes its place */
	else if (S_ISDIR(st->st_mode) && st->st_uid == geteuid() &&
			 is_dir_of_backup(p->places->manifest, path))
		verdict = TREE_DESCEND;
	else if (keep_file(p, path, st))
		verdict = TREE_KEEP;
	free(path);
	return verdict;
}

/* Of a tablespace only the directory of this version is looked at. */
static bool
prune_tablespace(const RestorePlaces *places, const RestorePlace *place,
				 const TreePrune *tree, Error *err)
{
	const char *name = places->version_dir;
	int fd = openat(place->fd, name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return errno == ENOENT ||
			   error_set_errno(err, errno, "could not open directory \"%s/%s\"",
							   place->path, name);
	done = tree_prune(tree, fd, name, err);
	close(fd);
	return done;
}

bool
restore_prune(const RestorePlaces *places, Error *err)
{
	for (size_t i = 0; i < places->count; i++)
	{
		const RestorePlace *place = &places->items[i];
		Pruner p = {places, place};
		TreePrune tree = {place->path, judge, &p};

		if (place->kind == PLACE_TABLESPACE
				? !prune_tablespace(places, place, &tree, err)
				: !tree_prune(&tree, place->fd, "", err))
			return false;
	}
	return true;
}
