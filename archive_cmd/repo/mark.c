/*-------------------------------------------------------------------------
 *
 * mark.c
 *	  Marks of a backup.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/mark.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/object.h"
#include "repo/stamp.h"

#define MARK_TRIES 10

static bool
put_object(Repo *repo, const char *name, const Json *content, Error *err)
{
	char *text = json_dump(content);
	size_t len = strlen(text);
	ObjectSpec spec = {.name = name, .kind = OBJECT_MARK, .extra_room = len};
	bool ok = object_put(repo, &spec, text, len, content, err);

	free(text);
	return ok;
}

bool
mark_put(Repo *repo, const char *label, const char *kind, const Json *content,
		 char **out, Error *err)
{
	char *dir = repo_mark_dir(label);
	int64_t now = clock_now();
	bool ok = false;

	for (int i = 0; i < MARK_TRIES; i++)
	{
		char stamp[STAMP_LEN];
		char *name = mem_printf("%s/%s-%s", dir, stamp_format(now + i, stamp),
								kind);
		bool last = i == MARK_TRIES - 1;
		Error problem = ERROR_INIT;
		bool again;

		ok = put_object(repo, name, content, &problem);
		/* another host did the same in this microsecond: take the next */
		again = problem.code == ERR_EXISTS && !last;
		if (again)
			error_clear(&problem);
		if (ok)
			*out = name;
		else
			free(name);
		if (again)
			continue;
		if (!ok)
			error_move(err, &problem);
		break;
	}
	free(dir);
	return ok;
}

bool
mark_add(Repo *repo, const char *label, const char *kind, const Json *content,
		 Error *err)
{
	char *name;

	if (!mark_put(repo, label, kind, content, &name, err))
		return false;
	free(name);
	return true;
}

typedef struct Search
{
	MarkFound *marks;
	size_t count;
} Search;

static bool
note_mark(void *arg, const StorageEntry *entry, Error *err)
{
	const Search *search = arg;
	const char *base = strrchr(entry->name, '/');
	const char *dash = base != NULL ? strchr(base, '-') : NULL;
	int64_t t;

	(void) err;
	if (entry->is_dir || dash == NULL ||
		!stamp_parse(base + 1, (size_t) (dash - base - 1), &t))
		return true;
	for (size_t i = 0; i < search->count; i++)
	{
		MarkFound *mark = &search->marks[i];

		if (strcmp(dash + 1, mark->kind) != 0 ||
			(mark->name != NULL && t <= mark->time))
			continue;
		free(mark->name);
		mark->name = mem_strdup(entry->name);
		mark->time = t;
	}
	return true;
}

static bool
mark_read(Repo *repo, const char *name, Json **content, Error *err)
{
	ObjectMeta meta;

	if (!object_stat(repo, name, &meta, err))
		return false;
	if (strcmp(meta.kind, OBJECT_MARK) != 0)
		error_set(err, ERR_MISMATCH, "object \"%s\" is not a mark", name);
	else if (meta.extra == NULL)
		error_set(err, ERR_DAMAGED, "mark \"%s\" says nothing", name);
	else
		*content = json_dup(meta.extra);
	object_meta_free(&meta);
	return !error_is_set(err);
}

bool
mark_find(Repo *repo, const char *label, MarkFound *marks, size_t count,
		  Error *err)
{
	Search search = {.marks = marks, .count = count};
	char *dir = repo_mark_dir(label);
	bool ok = storage_list(repo->storage, dir, false, note_mark, &search, err);

	free(dir);
	for (size_t i = 0; ok && i < count; i++)
	{
		if (marks[i].name != NULL)
			mark_read(repo, marks[i].name, &marks[i].content,
					  &marks[i].problem);
	}
	return ok;
}

void
mark_found_free(MarkFound *marks, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		free(marks[i].name);
		json_free(marks[i].content);
		error_clear(&marks[i].problem);
	}
}

bool
mark_latest(Repo *repo, const char *label, const char *kind, bool *found,
			int64_t *time, Json **content, Error *err)
{
	MarkFound mark = {.kind = kind};
	bool ok = mark_find(repo, label, &mark, 1, err);

	*found = ok && mark.name != NULL;
	*time = mark.time;
	*content = mark.content;
	mark.content = NULL;
	if (error_is_set(&mark.problem))
	{
		error_move(err, &mark.problem);
		ok = false;
	}
	mark_found_free(&mark, 1);
	return ok;
}
