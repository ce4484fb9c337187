/*-------------------------------------------------------------------------
 *
 * push_lineage.c
 *	  Refuses WAL of a timeline that others have left behind.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_lineage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "repo/history.h"

typedef struct Later
{
	uint32_t than;
	uint32_t *timelines;
	size_t count;
	size_t cap;
} Later;

static bool
collect_later(void *arg, const StorageEntry *entry, Error *err)
{
	Later *later = arg;
	const char *slash = strrchr(entry->name, '/');
	WalName name;

	(void) err;
	if (entry->is_dir || slash == NULL || !wal_name_parse(slash + 1, &name) ||
		name.kind != WAL_TIMELINE_HISTORY || name.timeline <= later->than)
		return true;
	later->timelines = mem_grow(later->timelines, later->count, &later->cap,
								sizeof(uint32_t));
	later->timelines[later->count++] = name.timeline;
	return true;
}

static bool
superseded(uint32_t timeline, uint64_t lsn, uint32_t by, uint64_t end,
		   Error *err)
{
	char begins[LSN_TEXT_LEN];
	char ended[LSN_TEXT_LEN];

	lsn_format(lsn, begins);
	lsn_format(end, ended);
	error_set(err, ERR_MISMATCH,
			  "timeline %" PRIu32 " was superseded by timeline %" PRIu32,
			  timeline, by);
	error_detail(err,
				 "Timeline %" PRIu32 " ended at %s, this segment begins at "
				 "%s: two servers write as primary.",
				 timeline, ended, begins);
	return error_hint(err, "Stop the server that should not be primary.  If it "
						   "is this one, make it a standby with pg_rewind or "
						   "restore it.");
}

/*
 * A history that is damaged proves nothing; refusing WAL for it would lose
 * what can still be saved.  One that could not be read now is another matter.
 */
static bool
check_one(Repo *repo, const WalHome *home, Later *segment, size_t i,
		  uint64_t lsn, Error *err)
{
	TimelineHistory history = {0};
	Error why = ERROR_INIT;
	uint32_t by = segment->timelines[i];
	uint64_t end;

	if (!repo_read_history(repo, home, by, &history, &why))
	{
		/* what may only be written to, another host has to look after */
		if (!history_is_lost(&why) && why.code != ERR_DENIED)
		{
			error_move(err, &why);
			return false;
		}
		if (why.code == ERR_DENIED)
			log_info("history of timeline %" PRIu32 " may not be read: %s", by,
					 why.message);
		else
			log_warning("could not check the history of timeline %" PRIu32
						": %s",
						by, why.message);
		error_clear(&why);
		return true;
	}
	end = timeline_end(&history, segment->than);
	timeline_history_free(&history);
	if (end != 0 && lsn >= end)
		return superseded(segment->than, lsn, by, end, err);
	return true;
}

bool
push_check_lineage(Repo *repo, const WalHome *home, uint32_t timeline,
				   uint64_t lsn, Error *err)
{
	Later later = {.than = timeline};
	char *dir = repo_wal_dir(home);
	bool done = storage_list(repo->storage, dir, false, collect_later, &later,
							 err);

	for (size_t i = 0; done && i < later.count; i++)
		done = check_one(repo, home, &later, i, lsn, err);
	free(later.timelines);
	free(dir);
	return done;
}
