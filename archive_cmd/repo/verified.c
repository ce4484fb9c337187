/*-------------------------------------------------------------------------
 *
 * verified.c
 *	  Notes of which objects were verified when.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/verified.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/object.h"
#include "repo/stamp.h"

#define PUT_TRIES 10
/* quotes, commas and brackets around the texts of a range, and its count */
#define RANGE_EXTRA 32

bool
verified_parse(const char *name, int64_t *t)
{
	const char *stamp = name + strlen(VERIFIED_DIR "/");

	return strncmp(name, VERIFIED_DIR "/", strlen(VERIFIED_DIR "/")) == 0 &&
		   stamp_parse(stamp, strlen(stamp), t);
}

/* ---- writing ---- */

size_t
verified_add(Json *ranges, const VerifiedRange *range)
{
	Json *array = json_new_array();

	json_append(array, json_new_string(range->dir));
	json_append(array, json_new_string(range->first));
	json_append(array, json_new_string(range->last));
	json_append(array, json_new_int(range->count));
	json_append(ranges, array);
	return strlen(range->dir) + strlen(range->first) + strlen(range->last) +
		   RANGE_EXTRA;
}

static bool
put_at(Repo *repo, int64_t t, const Json *content, Error *err)
{
	char stamp[STAMP_LEN];
	char *name = mem_printf(VERIFIED_DIR "/%s", stamp_format(t, stamp));
	char *text = json_dump(content);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_MARK, .extra_room = strlen(text)};
	bool done = object_put(repo, &spec, "", 0, content, err);

	free(text);
	free(name);
	return done;
}

bool
verified_put(Repo *repo, bool deep, const Json *ranges, Error *err)
{
	Json *content = json_new_object();
	int64_t now = clock_now();
	bool done = false;

	json_put_bool(content, "deep", deep);
	json_put(content, "ranges", json_dup(ranges));
	/* another host did the same in this microsecond: take the next */
	for (int i = 0; !done && i < PUT_TRIES; i++)
	{
		Error why = ERROR_INIT;

		done = put_at(repo, now + i, content, &why);
		if (!done && (why.code != ERR_EXISTS || i + 1 == PUT_TRIES))
		{
			error_move(err, &why);
			break;
		}
		error_clear(&why);
	}
	json_free(content);
	return done;
}

/* ---- reading ---- */

typedef struct Notes
{
	int64_t since;
	char **names;
	size_t count;
	size_t cap;
} Notes;

static bool
add_note(void *arg, const StorageEntry *entry, Error *err)
{
	Notes *notes = arg;
	int64_t t;

	(void) err;
	if (entry->is_dir || !verified_parse(entry->name, &t) || t < notes->since)
		return true;
	notes->names = mem_grow(notes->names, notes->count, &notes->cap,
							sizeof(char *));
	notes->names[notes->count++] = mem_strdup(entry->name);
	return true;
}

static void
tell_range(const Json *array, VerifiedFn fn, void *arg)
{
	VerifiedRange range = {.dir = json_str(json_array_at(array, 0)),
						   .first = json_str(json_array_at(array, 1)),
						   .last = json_str(json_array_at(array, 2)),
						   .count = json_int(json_array_at(array, 3), 0)};

	if (range.dir != NULL && range.first != NULL && range.last != NULL &&
		range.count > 0)
		fn(arg, &range);
}

static void
tell_note(const ObjectMeta *meta, bool deep, VerifiedFn fn, void *arg)
{
	const Json *ranges = json_get(meta->extra, "ranges");

	if (strcmp(meta->kind, OBJECT_MARK) != 0 ||
		(deep && !json_get_bool(meta->extra, "deep", false)))
		return;
	for (size_t i = 0; i < json_array_len(ranges); i++)
	{
		const Json *array = json_array_at(ranges, i);

		if (json_is_array(array) && json_array_len(array) == 4)
			tell_range(array, fn, arg);
	}
}

/* Damaged, removed meanwhile, or a newer pgdr's: it says nothing then. */
static bool
is_no_note(const Error *why)
{
	return why->code == ERR_DAMAGED || why->code == ERR_MISMATCH ||
		   why->code == ERR_NOT_FOUND || why->code == ERR_UNSUPPORTED;
}

bool
verified_each(Repo *repo, int64_t since, bool deep, VerifiedFn fn, void *arg,
			  Error *err)
{
	Notes notes = {.since = since};
	bool done = storage_list(repo->storage, VERIFIED_DIR, false, add_note,
							 &notes, err);

	for (size_t i = 0; done && i < notes.count; i++)
	{
		ObjectMeta meta = {0};
		Error why = ERROR_INIT;

		if (object_stat(repo, notes.names[i], &meta, &why))
			tell_note(&meta, deep, fn, arg);
		else if (is_no_note(&why))
			error_clear(&why);
		object_meta_free(&meta);
		error_move(err, &why);
		done = !error_is_set(err) && thread_check_stop(err);
	}
	for (size_t i = 0; i < notes.count; i++)
		free(notes.names[i]);
	free(notes.names);
	return done;
}
