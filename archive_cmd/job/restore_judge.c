/*-------------------------------------------------------------------------
 *
 * restore_judge.c
 *	  Can a recovery reach its target from one of these backups?
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The verdict that stands; the first one counts. */
static bool
unreachable(RestoreJudge *j, char *verdict)
{
	j->reachable = false;
	if (j->verdict == NULL)
		j->verdict = verdict;
	else
		free(verdict);
	return true;
}

static const char *
missing_name(const RestoreJudge *j, char buf[WAL_FILE_NAME_MAX])
{
	wal_name_format(&j->reach.missing, buf);
	return buf;
}

static uint64_t
segment_of(const RestoreJudge *j, uint64_t lsn)
{
	return lsn / j->path.segment_size;
}

/* Segments from the start of the backup to the one that ends before end. */
static void
count_segments(RestoreJudge *j, uint64_t end)
{
	uint64_t first = segment_of(j, j->backup->start_lsn);

	if (end > j->reach.end_lsn)
		end = j->reach.end_lsn;
	j->wal_segments = 0;
	if (end > j->backup->start_lsn)
		j->wal_segments = segment_of(j, end - 1) - first + 1;
}

/* How far the WAL behind a backup goes. */
static bool
follow(RestoreJudge *j, const BackupInfo *b, WalReach *reach, Error *err)
{
	memset(reach, 0, sizeof(*reach));
	reach->end_lsn = b->start_lsn;
	reach->end_timeline = b->start_timeline;
	if (j->path.wal != NULL && j->path.wal->segment_size != 0)
		return wal_catalog_reach(j->path.wal, b->start_timeline, b->start_lsn,
								 j->path.timeline, reach, err);
	wal_segment_name(b->start_timeline, segment_of(j, b->start_lsn),
					 j->path.segment_size, &reach->missing);
	return true;
}

/* Without this WAL no recovery from the backup gets consistent. */
static bool
has_own_wal(RestoreJudge *j)
{
	char name[WAL_FILE_NAME_MAX];

	if (j->reach.end_lsn >= j->backup->stop_lsn)
		return true;
	unreachable(j, mem_printf("WAL segment %s, which backup \"%s\" itself "
							  "needs, is not in the repository.",
							  missing_name(j, name), j->backup->label));
	return false;
}

/* ---- the kinds of target ---- */

/*
 * Where the WAL ends within a segment, that was taken from an ancestor, and
 * what its metadata says is of commits behind the end too: it cannot count.
 */
static bool
find_reach_time(RestoreJudge *j, Error *err)
{
	uint64_t first = segment_of(j, j->backup->start_lsn);
	uint64_t end = segment_of(j, j->reach.end_lsn);

	if (end <= first)
		return true;
	return restore_wal_last_commit(&j->path, first, end - 1, &j->reach_time,
								   err);
}

/*
 * Where a timeline has a history but no WAL yet, a server takes for its first
 * segment that of the timeline it left, and goes on along that one: what was
 * undone by the recovery that began the new timeline would be done again.
 */
static bool
ends_at_branch(const RestoreJudge *j)
{
	const WalReach *r = &j->reach;

	return !r->hole && j->path.history != NULL &&
		   r->end_timeline != j->path.timeline &&
		   r->end_lsn == timeline_end(j->path.history, r->end_timeline) &&
		   wal_catalog_has(j->path.wal, r->end_timeline, r->end_lsn);
}

static bool
judge_latest(RestoreJudge *j)
{
	char name[WAL_FILE_NAME_MAX];

	if (ends_at_branch(j))
	{
		j->branch_lsn = j->reach.end_lsn;
		/* it cannot stop there and yet follow */
		return !j->standby ||
			   unreachable(j,
						   mem_printf("Timeline %" PRIu32
									  " has no WAL yet, and a standby would "
									  "go on along timeline %" PRIu32 ".",
									  j->path.timeline, j->reach.end_timeline));
	}
	if (!j->reach.hole)
		return true;
	return unreachable(j, mem_printf("WAL segment %s is missing, and there is "
									 "later WAL behind it.",
									 missing_name(j, name)));
}

/* What ends the WAL, for the end of a sentence. */
static char *
end_text(const RestoreJudge *j)
{
	char name[WAL_FILE_NAME_MAX];

	if (j->reach.hole)
		return mem_printf(" because segment %s is missing",
						  missing_name(j, name));
	return mem_strdup("");
}

/*
 * The server stops at the first commit behind the target (or on it, if the
 * target is exclusive), and needs one to stop.
 */
static bool
judge_time(RestoreJudge *j)
{
	const RestoreTarget *t = j->target;
	char last[CLOCK_TEXT_LEN];
	char stop[CLOCK_TEXT_LEN];
	char *end;

	if (j->backup->stop_time > t->time)
		return unreachable(
			j, mem_printf("Backup \"%s\" ends at %s, after the target.",
						  j->backup->label,
						  clock_format(j->backup->stop_time, stop)));
	if (t->inclusive ? j->reach_time > t->time : j->reach_time >= t->time)
		return true;
	end = end_text(j);
	if (j->reach_time == 0)
		unreachable(j, mem_printf("The WAL behind backup \"%s\" ends%s without "
								  "any commit, before the target.",
								  j->backup->label, end));
	else
		unreachable(
			j, mem_printf("The WAL ends%s with the commit at %s, %s "
						  "the target.",
						  end, clock_format(j->reach_time, last),
						  j->reach_time == t->time ? "not after" : "before"));
	free(end);
	return true;
}

/*
 * The server stops at the first record that begins at or behind the target.
 * The last segment may have been left early: then none does.
 */
static bool
judge_lsn(RestoreJudge *j, Error *err)
{
	uint64_t lsn = j->target->lsn;
	char buf[LSN_TEXT_LEN];
	char *end;
	bool ends = false;

	if (j->backup->stop_lsn > lsn)
	{
		lsn_format(j->backup->stop_lsn, buf);
		return unreachable(
			j, mem_printf("Backup \"%s\" ends at %s, after the target.",
						  j->backup->label, buf));
	}
	if (lsn < j->reach.end_lsn)
	{
		if (segment_of(j, lsn) < segment_of(j, j->reach.end_lsn - 1))
			return true;
		if (!restore_wal_switched_before(&j->path, lsn, &ends, err))
			return false;
		if (!ends)
			return true;
	}
	lsn_format(j->reach.end_lsn, buf);
	end = end_text(j);
	if (ends)
		unreachable(j, mem_printf("The WAL ends%s in the segment of the "
								  "target, before the target.",
								  end));
	else
		unreachable(j, mem_printf("The WAL ends%s at %s, before the target.",
								  end, buf));
	free(end);
	return true;
}

/* ---- targets that must be looked for ---- */

static bool
not_found(RestoreJudge *j)
{
	const RestoreTarget *t = j->target;
	const char *what = t->type == TARGET_XID ? "Transaction" : "Restore point";
	char *end = end_text(j);

	unreachable(j, mem_printf("%s \"%s\" is nowhere in the WAL behind the "
							  "backup on timeline %" PRIu32 "%s%s.",
							  what, t->text, j->path.timeline,
							  j->reach.hole ? ", which ends" : "", end));
	free(end);
	return true;
}

static uint64_t
stop_position(const RestoreJudge *j, const RestoreFind *f)
{
	/* recovery to a name always replays the point itself */
	if (j->target->type == TARGET_XID && !j->target->inclusive)
		return f->lsn;
	return f->end_lsn;
}

static void
take(RestoreJudge *j, const BackupInfo *b, const WalReach *reach)
{
	j->backup = b;
	j->reach = *reach;
}

/*
 * From the newest backup to the oldest, each looks only through the WAL that
 * the newer ones have not: f holds what was found so far, which is the first
 * match behind the older ones too, unless they find one of their own.  A match
 * before a backup's end is of no use to it, because the server does not stop
 * before it is consistent.
 */
static bool
judge_search(RestoreJudge *j, Error *err)
{
	RestoreFind f = {0};
	uint64_t limit = UINT64_MAX;
	WalReach reach;

	for (size_t i = 0; i < j->count; i++)
	{
		const BackupInfo *b = j->backups[i];
		RestoreFind here;
		uint64_t to;

		if (!follow(j, b, &reach, err))
			return false;
		to = reach.end_lsn < limit ? reach.end_lsn : limit;
		if (!restore_wal_find(&j->path, b->start_lsn, to, j->target, &here,
							  err))
			return false;
		if (here.found)
			f = here;
		limit = b->start_lsn;
		if (!f.found || stop_position(j, &f) < b->stop_lsn ||
			f.end_lsn > reach.end_lsn)
			continue;
		take(j, b, &reach);
		count_segments(j, f.end_lsn);
		return true;
	}
	if (!f.found)
		return not_found(j);
	return unreachable(
		j, mem_printf("%s \"%s\" cannot be reached from any backup: it comes "
					  "before their ends, or WAL is missing in between.",
					  j->target->type == TARGET_XID ? "Transaction"
													: "Restore point",
					  j->target->text));
}

/* ---- all ---- */

static bool
judge_one(RestoreJudge *j, Error *err)
{
	if (!find_reach_time(j, err))
		return false;
	count_segments(j, j->reach.end_lsn);
	if (!has_own_wal(j))
		return true;
	switch (j->target->type)
	{
		case TARGET_LATEST:
			return judge_latest(j);
		case TARGET_IMMEDIATE:
			count_segments(j, j->backup->stop_lsn);
			return true;
		case TARGET_TIME:
			return judge_time(j);
		case TARGET_LSN:
			if (j->target->lsn < UINT64_MAX)
				count_segments(j, j->target->lsn + 1);
			return judge_lsn(j, err);
		case TARGET_XID:
		case TARGET_NAME:
			return judge_search(j, err);
	}
	return true;
}

bool
restore_judge(RestoreJudge *j, Error *err)
{
	j->reachable = true;
	j->backup = j->backups[0];
	return follow(j, j->backup, &j->reach, err) && judge_one(j, err);
}
