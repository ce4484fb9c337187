/*-------------------------------------------------------------------------
 *
 * verify_notes.c
 *	  Notes in the repository what was verified, and reads it again.
 *
 * Notes are written on the way: a run that is killed has not been for nothing.
 * First often, then once a minute, so that a long run does not leave thousands.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/verified.h"

#define WAIT_FIRST (USECS_PER_SEC)
#define WAIT_MOST (60 * USECS_PER_SEC)

/* Bytes of the directory in an item's name, without the slash. */
static size_t
dir_len(const VerifyItem *item)
{
	const char *slash = strrchr(item->name, '/');

	return slash != NULL ? (size_t) (slash - item->name) : 0;
}

static bool
same_dir(const VerifyItem *a, const VerifyItem *b)
{
	size_t len = dir_len(a);

	return len == dir_len(b) && strncmp(a->name, b->name, len) == 0;
}

/* ---- writing ---- */

static bool
is_to_note(const VerifyItem *item)
{
	return item->sound && !item->known && !item->noted;
}

static size_t
add_range(const Verify *v, size_t first, size_t last, Json *ranges)
{
	const VerifyItem *item = &v->items[first];
	size_t len = dir_len(item);
	char *dir = mem_strndup(item->name, len);
	VerifiedRange range = {.dir = dir,
						   .first = item->name + len + 1,
						   .last = v->items[last].name + len + 1,
						   .count = (int64_t) (last - first + 1)};
	size_t bytes = verified_add(ranges, &range);

	free(dir);
	return bytes;
}

/* As much as one note takes, and marks it as noted; under the lock. */
static Json *
collect(Verify *v)
{
	Json *ranges = json_new_array();
	size_t bytes = 0;

	for (size_t i = 0; i < v->item_count && bytes < VERIFIED_NOTE_MAX; i++)
	{
		size_t last = i;

		if (!is_to_note(&v->items[i]))
			continue;
		while (last + 1 < v->item_count && is_to_note(&v->items[last + 1]) &&
			   same_dir(&v->items[i], &v->items[last + 1]))
			last++;
		bytes += add_range(v, i, last, ranges);
		for (; i < last; i++)
			v->items[i].noted = true;
		v->items[last].noted = true;
	}
	if (json_array_len(ranges) > 0)
		return ranges;
	json_free(ranges);
	return NULL;
}

/* Notes that cannot be written take nothing from what is found. */
static void
put_note(Verify *v, Repo *repo, Json *ranges)
{
	Error why = ERROR_INIT;

	if (verified_put(repo, v->options->deep, ranges, &why))
		return;
	error_prefix(&why, "could not note what was verified");
	log_error_object(LOG_WARNING, &why);
	error_clear(&why);
	pthread_mutex_lock(&v->lock);
	v->notes.off = true;
	pthread_mutex_unlock(&v->lock);
}

/* Under the lock. */
static bool
is_due(Verify *v, bool last)
{
	VerifyNotes *n = &v->notes;
	int64_t now = clock_monotonic();

	if (n->off || n->busy || !v->options->mark)
		return false;
	if (n->next_at == 0)
	{
		n->wait = WAIT_FIRST;
		n->next_at = now + n->wait;
	}
	if (!last && now < n->next_at)
		return false;
	n->wait = n->wait + n->wait / 2 < WAIT_MOST ? n->wait + n->wait / 2
												: WAIT_MOST;
	n->next_at = now + n->wait;
	return true;
}

void
verify_note(Verify *v, Repo *repo, bool last)
{
	Json *ranges;

	do
	{
		ranges = NULL;
		pthread_mutex_lock(&v->lock);
		if (is_due(v, last))
			ranges = collect(v);
		v->notes.busy = ranges != NULL;
		pthread_mutex_unlock(&v->lock);
		if (ranges == NULL)
			return;
		put_note(v, repo, ranges);
		json_free(ranges);
		pthread_mutex_lock(&v->lock);
		v->notes.busy = false;
		pthread_mutex_unlock(&v->lock);
	} while (last);
}

/* ---- reading ---- */

/* The first item that is not before that name. */
static size_t
find_place(const Verify *v, const char *dir, const char *base)
{
	char *name = mem_printf("%s/%s", dir, base);
	size_t low = 0;
	size_t high = v->item_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;

		if (strcmp(v->items[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	free(name);
	return low;
}

/*
 * What has come into the range since was not verified, and what has gone tells
 * of a change: then all of it is looked at again.
 */
static void
take_range(void *arg, const VerifiedRange *range)
{
	Verify *v = arg;
	size_t first = find_place(v, range->dir, range->first);
	size_t last = find_place(v, range->dir, range->last);
	const char *base;

	if (last >= v->item_count || last < first ||
		(int64_t) (last - first + 1) != range->count ||
		!same_dir(&v->items[first], &v->items[last]) ||
		dir_len(&v->items[last]) != strlen(range->dir))
		return;
	base = v->items[last].name + strlen(range->dir) + 1;
	if (strcmp(base, range->last) != 0)
		return;
	for (size_t i = first; i <= last; i++)
		v->items[i].known = true;
}

bool
verify_read_notes(Verify *v, Error *err)
{
	return verified_each(v->repo, clock_now() - v->options->since,
						 v->options->deep, take_range, v, err);
}
