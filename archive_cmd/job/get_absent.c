/*-------------------------------------------------------------------------
 *
 * get_absent.c
 *	  Why a WAL file is not in the repository.
 *
 *-------------------------------------------------------------------------
 */
#include "job/get_absent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "repo/history.h"

/* Looks for the file nearest behind the one that is wanted. */
typedef struct Search
{
	const WalName *wanted;
	bool found;
	WalName nearest;
	uint32_t from_log; /* directories from here on */
	char *next_dir;    /* the nearest of them */
} Search;

static const char *
base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

static bool
is_before(const WalName *a, const WalName *b)
{
	if (a->timeline != b->timeline)
		return a->timeline < b->timeline;
	return a->log != b->log ? a->log < b->log : a->seg < b->seg;
}

static void
offer(Search *s, const WalName *name)
{
	if (!is_before(s->wanted, name) ||
		(s->found && !is_before(name, &s->nearest)))
		return;
	s->found = true;
	s->nearest = *name;
}

static bool
see_history(void *arg, const StorageEntry *entry, Error *err)
{
	WalName name;

	(void) err;
	if (!entry->is_dir && wal_name_parse(base_of(entry->name), &name) &&
		name.kind == WAL_TIMELINE_HISTORY)
		offer(arg, &name);
	return true;
}

static bool
see_segment(void *arg, const StorageEntry *entry, Error *err)
{
	WalName name;

	(void) err;
	if (!entry->is_dir && wal_name_parse(base_of(entry->name), &name) &&
		name.kind != WAL_TIMELINE_HISTORY)
		offer(arg, &name);
	return true;
}

/* The eight digits of a directory of segments. */
static bool
log_of_dir(const char *dir, uint32_t *log)
{
	const char *text = base_of(dir);
	char *end;

	*log = (uint32_t) strtoul(text, &end, 16);
	return strlen(text) == 8 && *end == '\0';
}

/* An empty directory may show, so the caller goes on from one to the next. */
static bool
see_dir(void *arg, const StorageEntry *entry, Error *err)
{
	Search *s = arg;
	uint32_t log;
	uint32_t best;

	(void) err;
	if (!entry->is_dir || !log_of_dir(entry->name, &log) || log < s->from_log)
		return true;
	if (s->next_dir != NULL && log_of_dir(s->next_dir, &best) && best <= log)
		return true;
	free(s->next_dir);
	s->next_dir = mem_strdup(entry->name);
	return true;
}

/* Directory by directory, because a timeline can have a million segments. */
static bool
search_segments(Repo *repo, const WalHome *home, Search *s, Error *err)
{
	char *dir = repo_timeline_dir(home, s->wanted->timeline);
	bool more = true;
	bool done = true;
	uint32_t log;

	s->from_log = s->wanted->log;
	while (more)
	{
		done = storage_list(repo->storage, dir, false, see_dir, s, err);
		if (!done || s->next_dir == NULL)
			break;
		done = storage_list(repo->storage, s->next_dir, false, see_segment, s,
							err);
		log_of_dir(s->next_dir, &log);
		free(s->next_dir);
		s->next_dir = NULL;
		s->from_log = log + 1;
		more = done && !s->found && log < UINT32_MAX;
	}
	free(s->next_dir);
	free(dir);
	return done;
}

static bool
search_histories(Repo *repo, const WalHome *home, Search *s, Error *err)
{
	char *dir = repo_wal_dir(home);
	bool done = storage_list(repo->storage, dir, false, see_history, s, err);

	free(dir);
	return done;
}

static const char hole_hint[] =
	"Bring the file from another copy of the archive or from the old server's "
	"pg_wal, or choose a recovery target before it.";

static bool
hole(const Repo *repo, const char *text, const WalName *later, Error *err)
{
	char name[WAL_FILE_NAME_MAX];

	wal_name_format(later, name);
	error_set(err, ERR_INCOMPLETE, "\"%s\" is missing in %s", text,
			  repo->storage->where);
	error_detail(err,
				 "Later WAL is there (\"%s\"): this is a hole, not the "
				 "end of the archive.",
				 name);
	return error_hint(err, "%s", hole_hint);
}

/* ---- timelines ---- */

typedef struct Branches
{
	uint32_t from;
	uint32_t *timelines;
	size_t count;
	size_t cap;
} Branches;

static bool
collect_timeline(void *arg, const StorageEntry *entry, Error *err)
{
	Branches *b = arg;
	uint32_t timeline;

	(void) err;
	if (!entry->is_dir || !log_of_dir(entry->name, &timeline) ||
		timeline < b->from)
		return true;
	b->timelines = mem_grow(b->timelines, b->count, &b->cap, sizeof(uint32_t));
	b->timelines[b->count++] = timeline;
	return true;
}

/*
 * A server takes the first timeline without a history for one that was never
 * used, and would begin it a second time.  Segments of it, or of a later one,
 * prove that the history is lost.
 */
static bool
search_used_timelines(Repo *repo, const WalHome *home, const WalName *name,
					  Search *s, Error *err)
{
	char *dir = repo_wal_dir(home);
	Branches b = {.from = name->timeline};
	bool done = storage_list(repo->storage, dir, false, collect_timeline, &b,
							 err);

	for (size_t i = 0; done && !s->found && i < b.count; i++)
	{
		const WalName first = {.kind = WAL_SEGMENT, .timeline = b.timelines[i]};

		s->wanted = &first;
		done = search_segments(repo, home, s, err);
	}
	s->wanted = name;
	free(b.timelines);
	free(dir);
	return done;
}

static bool
collect_branch(void *arg, const StorageEntry *entry, Error *err)
{
	Branches *b = arg;
	WalName name;

	(void) err;
	if (entry->is_dir || !wal_name_parse(base_of(entry->name), &name) ||
		name.kind != WAL_TIMELINE_HISTORY || name.timeline <= b->from)
		return true;
	b->timelines = mem_grow(b->timelines, b->count, &b->cap, sizeof(uint32_t));
	b->timelines[b->count++] = name.timeline;
	return true;
}

static bool
branched(const Repo *repo, const char *text, uint32_t branch, uint64_t end,
		 Error *err)
{
	char lsn[LSN_TEXT_LEN];

	lsn_format(end, lsn);
	error_set(err, ERR_INCOMPLETE, "\"%s\" is missing in %s", text,
			  repo->storage->where);
	error_detail(err,
				 "Timeline %" PRIu32 " branched off behind it, at %s: this is "
				 "a hole, not the end of the archive.",
				 branch, lsn);
	return error_hint(err, "%s", hole_hint);
}

/*
 * A timeline that branched off from this one behind the segment proves that
 * the segment was written.  (The segment with the branch in it may never have
 * been completed on this timeline.)
 */
static bool
check_branches(Repo *repo, const GetOptions *options, const WalName *name,
			   const char *text, Error *err)
{
	char *dir = repo_wal_dir(&options->home);
	Branches b = {.from = name->timeline};
	bool done = storage_list(repo->storage, dir, false, collect_branch, &b,
							 err);

	for (size_t i = 0; done && i < b.count; i++)
	{
		TimelineHistory history = {0};
		Error why = ERROR_INIT;
		uint64_t end;

		if (!repo_read_history(repo, &options->home, b.timelines[i], &history,
							   &why))
		{
			/* that one cannot prove anything any more */
			done = history_is_lost(&why);
			if (done)
				log_error_object(LOG_WARNING, &why);
			else
				error_move(err, &why);
			error_clear(&why);
			continue;
		}
		end = timeline_end(&history, name->timeline);
		timeline_history_free(&history);
		if (end / options->segment_size >
			wal_segment_number(name, options->segment_size))
			done = branched(repo, text, b.timelines[i], end, err);
	}
	free(b.timelines);
	free(dir);
	return done;
}

/* A repository of another cluster has an answer for nothing. */
static bool
check_home(Repo *repo, const WalHome *home, Error *err)
{
	WalHome *homes = NULL;
	size_t count = 0;
	bool known = false;

	if (!repo_list_homes(repo, &homes, &count, err))
		return false;
	for (size_t i = 0; i < count; i++)
		known |= homes[i].sysid == home->sysid && homes[i].major == home->major;
	free(homes);
	if (known || count == 0)
		return true;
	error_set(err, ERR_MISMATCH,
			  "%s holds no WAL of the cluster with system identifier %" PRIu64
			  ", version %d",
			  repo->storage->where, home->sysid, home->major);
	return error_hint(err, "Check that the configuration is that of the "
						   "cluster being recovered.");
}

bool
get_explain_absence(Repo *repo, const GetOptions *options, const WalName *name,
					Error *err)
{
	const WalHome *home = &options->home;
	Search s = {.wanted = name};
	char text[WAL_FILE_NAME_MAX];
	bool done;

	wal_name_format(name, text);
	done = check_home(repo, home, err);
	if (done && name->kind == WAL_SEGMENT)
		done = search_segments(repo, home, &s, err);
	/* the first timeline has no history */
	if (done && name->kind == WAL_TIMELINE_HISTORY && name->timeline > 1)
		done = search_histories(repo, home, &s, err);
	/* its own timeline a server recovers along without the history as well */
	if (done && !s.found && name->kind == WAL_TIMELINE_HISTORY &&
		name->timeline > 1 && name->timeline != options->timeline)
		done = search_used_timelines(repo, home, name, &s, err);
	if (!done)
		return false;
	if (s.found)
		return hole(repo, text, &s.nearest, err);
	if (name->kind == WAL_SEGMENT && options->segment_size != 0 &&
		!check_branches(repo, options, name, text, err))
		return false;
	return error_set(err, ERR_NOT_FOUND, "\"%s\" is not in %s", text,
					 repo->storage->where);
}
