/*-------------------------------------------------------------------------
 *
 * backup_wal.c
 *	  The WAL that a backup cannot be recovered without.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_wal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/push.h"
#include "pg/timeline.h"

#define POLL_MIN INT64_C(50000) /* microseconds */
#define POLL_MAX INT64_C(1000000)
#define HISTORY_MAX ((size_t) 16 * 1024 * 1024)

/* ---- which WAL ---- */

static char *
history_path(const char *pgdata, uint32_t timeline, char *name)
{
	WalName wal = {.kind = WAL_TIMELINE_HISTORY, .timeline = timeline};

	wal_name_format(&wal, name);
	return mem_printf("%s/pg_wal/%s", pgdata, name);
}

static bool
read_history(const char *pgdata, uint32_t timeline, TimelineHistory *out,
			 Error *err)
{
	char name[WAL_FILE_NAME_MAX];
	char *path = history_path(pgdata, timeline, name);
	StrBuf text = STRBUF_INIT;
	bool done;

	done = file_slurp(path, HISTORY_MAX, &text, err) &&
		   timeline_history_parse(timeline, text.data, text.len, out, err);
	strbuf_free(&text);
	free(path);
	return done;
}

/*
 * A backup that began on an ancestor's timeline used its WAL to the point
 * where that timeline was left, and so on up to the one it stopped on.
 */
static int
cut_by_history(const TimelineHistory *history, const ServerBackupStart *start,
			   const ServerBackupStop *stop, WalPart *parts)
{
	uint64_t lsn = start->start_lsn;
	int count = 0;

	for (size_t i = 0; i < history->count; i++)
	{
		const TimelineSwitch *item = &history->items[i];

		if (item->timeline < start->timeline || item->lsn <= lsn)
			continue;
		parts[count++] = (WalPart){item->timeline, lsn, item->lsn};
		lsn = item->lsn;
	}
	parts[count++] = (WalPart){stop->timeline, lsn, stop->stop_lsn};
	return count;
}

bool
backup_wal_parts(const char *pgdata, const ServerBackupStart *start,
				 const ServerBackupStop *stop, WalPart **parts, int *count,
				 Error *err)
{
	TimelineHistory history = {0};

	if (start->timeline != stop->timeline &&
		!read_history(pgdata, stop->timeline, &history, err))
		return false;
	*parts = mem_alloc((history.count + 1) * sizeof(WalPart));
	*count = cut_by_history(&history, start, stop, *parts);
	timeline_history_free(&history);
	return true;
}

/* ---- waiting for it ---- */

/*
 * One after the last segment that is needed of a part.  The segment in which
 * a timeline was left is taken from its successor: on the old timeline it may
 * exist as .partial only.
 */
static uint64_t
segments_end(const WalWait *wait, int i)
{
	const WalPart *part = &wait->parts[i];

	if (i < wait->count - 1)
		return part->end_lsn / wait->segment_size;
	return (part->end_lsn - 1) / wait->segment_size + 1;
}

/*
 * Somebody may have added it a moment ago: only when it is settled does it
 * survive a power failure, and this backup must not rest on less.
 */
static bool
is_archived(Repo *repo, const char *object, bool *out, Error *err)
{
	return storage_exists(repo->storage, object, out, err) &&
		   (!*out || storage_settle(repo->storage, object, err));
}

/*
 * That there is a segment of this name proves little: a server that was set
 * back to an earlier state (a snapshot of its machine, say) writes other WAL
 * under the same names, which the archiver then tries in vain to push.  Only
 * when it is done with a segment, it is the server's own that is archived.
 */
static bool
is_waiting(const WalWait *wait, const char *name, bool *out, Error *err)
{
	char *path = mem_printf("%s/pg_wal/archive_status/%s.ready", wait->pgdata,
							name);
	bool done = file_exists(path, out, err);

	free(path);
	return done;
}

/* Why it did not come: the server knows best. */
static void
explain(const WalWait *wait, Error *err)
{
	Error ignored = ERROR_INIT;
	char *failed = NULL;

	if (wait->server != NULL &&
		server_value(wait->server,
					 "SELECT coalesce((SELECT last_failed_wal || ' at ' ||"
					 " last_failed_time FROM pg_stat_archiver"
					 " WHERE last_archived_time IS NULL OR"
					 " last_failed_time > last_archived_time), '')",
					 &failed, &ignored) &&
		failed[0] != '\0')
		error_hint(err,
				   "The server's archiver failed last with %s; the reason is "
				   "in the server's log.",
				   failed);
	else if (wait->standby && wait->server == NULL)
		error_hint(err, "Set primary-connection, so that the primary can be "
						"asked to end its segment.");
	else
		error_hint(err, "Check archive_command, and that the archiver keeps "
						"up with the WAL; a longer archive-timeout waits "
						"longer.");
	error_clear(&ignored);
	free(failed);
}

static bool
too_late(const WalWait *wait, const char *name, bool exists, const char *where,
		 Error *err)
{
	error_set(err, ERR_TIMEOUT,
			  "the WAL of the backup was not archived in time");
	if (exists)
		error_detail(err,
					 "There is a segment %s in %s, but %" PRId64
					 " s after the end of the backup the server still has to "
					 "archive its own.",
					 name, where, wait->timeout / USECS_PER_SEC);
	else
		error_detail(err,
					 "Segment %s is not in %s %" PRId64
					 " s after the end of the backup.",
					 name, where, wait->timeout / USECS_PER_SEC);
	explain(wait, err);
	return false;
}

static bool
wait_segment(Repo *repo, const WalWait *wait, const WalName *name, Error *err)
{
	char *object = repo_wal_name(&wait->home, name);
	char text[WAL_FILE_NAME_MAX];
	int64_t pause = POLL_MIN;
	bool done = true;

	wal_name_format(name, text);
	while (done)
	{
		bool last = clock_monotonic() >= wait->deadline;
		bool exists = false;
		bool waiting = false;

		done = thread_check_stop(err) &&
			   is_archived(repo, object, &exists, err) &&
			   (!exists || is_waiting(wait, text, &waiting, err));
		if (!done || (exists && !waiting))
			break;
		if (last)
		{
			done = too_late(wait, text, exists, repo->storage->where, err);
			break;
		}
		clock_sleep(pause);
		pause = pause * 2 < POLL_MAX ? pause * 2 : POLL_MAX;
	}
	free(object);
	return done;
}

bool
backup_wait_wal(Repo *repo, const WalWait *wait, Error *err)
{
	for (int i = 0; i < wait->count; i++)
	{
		const WalPart *part = &wait->parts[i];
		uint64_t end = segments_end(wait, i);

		for (uint64_t seg = part->start_lsn / wait->segment_size; seg < end;
			 seg++)
		{
			WalName name;

			wal_segment_name(part->timeline, seg, wait->segment_size, &name);
			if (!wait_segment(repo, wait, &name, err))
				return false;
		}
	}
	return true;
}

static bool
is_waited_for(const RepoMember *m, bool required)
{
	return m->repo != NULL && !error_is_set(&m->why) && m->required == required;
}

/* The others are waited for only until there are enough. */
static void
look_at_rest(RepoSet *set, const WalWait *wait, size_t *have)
{
	for (size_t i = 0; i < set->count; i++)
	{
		RepoMember *m = &set->members[i];
		bool needed = *have < repo_set_needed(set);
		WalWait look = *wait;
		Error why = ERROR_INIT;

		if (!is_waited_for(m, false))
			continue;
		if (!needed)
			look.deadline = 0;
		if (backup_wait_wal(m->repo, &look, &why))
		{
			*have += 1;
			continue;
		}
		if (needed)
			error_move(&m->why, &why);
		else
		{
			error_prefix(&why, "repository \"%s\" lacks WAL of the backup",
						 repo_set_name(set, i));
			log_error_object(LOG_WARNING, &why);
		}
		error_clear(&why);
	}
}

bool
backup_wait_wal_in(RepoSet *set, const WalWait *wait, Error *err)
{
	size_t have = 0;

	for (size_t i = 0; i < set->count; i++)
	{
		RepoMember *m = &set->members[i];

		if (!is_waited_for(m, true))
			continue;
		if (backup_wait_wal(m->repo, wait, &m->why))
			have++;
	}
	if (thread_check_stop(err))
		look_at_rest(set, wait, &have);
	if (!thread_check_stop(err))
		return false;
	return have > 0 || repo_set_verdict(set, err);
}

/* ---- histories ---- */

static bool
push_history(RepoSet *set, const char *path, const PgControl *control,
			 Error *err)
{
	PushResult result = {0};
	bool exists;

	if (!file_exists(path, &exists, err))
		return false;
	if (!exists)
	{
		log_warning("history file \"%s\" does not exist", path);
		return true;
	}
	return push_file(set, path, control, &result, err);
}

/* Is there a member that takes part and lacks it? */
static bool
is_missed(RepoSet *set, const char *object, bool *missed, Error *err)
{
	*missed = false;
	for (size_t i = 0; i < set->count; i++)
	{
		RepoMember *m = &set->members[i];
		bool exists = true;

		if (m->repo != NULL && !error_is_set(&m->why))
			is_archived(m->repo, object, &exists, &m->why);
		*missed |= !exists;
	}
	return set->count > 1 || repo_set_verdict(set, err);
}

bool
backup_push_history(RepoSet *set, const char *pgdata, const PgControl *control,
					uint32_t timeline, Error *err)
{
	WalHome home = {control->sysid, control->major};
	WalName wal = {.kind = WAL_TIMELINE_HISTORY, .timeline = timeline};
	char name[WAL_FILE_NAME_MAX];
	char *path;
	char *object;
	bool missed;
	bool done;

	if (timeline <= 1)
		return true;
	path = history_path(pgdata, timeline, name);
	object = repo_wal_name(&home, &wal);
	done = is_missed(set, object, &missed, err);
	if (done && missed)
		done = push_history(set, path, control, err);
	free(object);
	free(path);
	return done;
}
