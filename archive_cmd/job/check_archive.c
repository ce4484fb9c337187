/*-------------------------------------------------------------------------
 *
 * check_archive.c
 *	  Ships a segment through the real server and reads it back.
 *
 *-------------------------------------------------------------------------
 */
#include "job/check_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/object.h"

#define POLL (USECS_PER_SEC / 5)

/*
 * A restore point, so that there is something in the segment, and the switch
 * that makes the server archive it.  The point's own segment is the one.
 */
static bool
send_segment(Check *c, Error *err)
{
	char *name = NULL;
	bool done;

	done = server_value(c->server,
						"SELECT pg_walfile_name("
						"pg_create_restore_point('pgdr check'))",
						&name, err) &&
		   server_exec(c->server, "SELECT pg_switch_wal()", err);
	if (done && strlen(name) < sizeof(c->out->segment))
		memcpy(c->out->segment, name, strlen(name) + 1);
	free(name);
	return done;
}

/* *arrived stays false when the deadline passes. */
static bool
wait_for_it(Check *c, const char *object, int64_t deadline, bool *arrived,
			Error *err)
{
	*arrived = false;
	while (!*arrived)
	{
		if (!thread_check_stop(err) ||
			!storage_exists(c->repo->storage, object, arrived, err))
			return false;
		if (!*arrived && clock_monotonic() >= deadline)
			return true;
		if (!*arrived)
			clock_sleep(POLL);
	}
	return true;
}

static bool
ignore_piece(void *arg, const void *data, size_t len, Error *err)
{
	(void) arg;
	(void) data;
	(void) len;
	(void) err;
	return true;
}

static bool
read_back(Check *c, const char *object, Error *err)
{
	bool can_decode = !c->repo->encrypted ||
					  c->repo->options.keys->identities != NULL;
	Stage *sink = stage_sink(ignore_piece, NULL);
	bool done;

	if (can_decode)
		done = object_read(c->repo, object, sink, NULL, err);
	else
		done = object_check_stored(c->repo, object, NULL, err);
	stage_free(sink);
	return done;
}

static void
not_archived(Check *c, Error *why)
{
	char *failure = NULL;
	Error ignored = ERROR_INIT;

	error_set(why, ERR_TIMEOUT,
			  "segment \"%s\" did not reach the repository within %lld "
			  "seconds",
			  c->out->segment,
			  (long long) (c->options->archive_timeout / USECS_PER_SEC));
	if (server_value(c->server,
					 "SELECT coalesce(max(last_failed_wal), '')"
					 " FROM pg_catalog.pg_stat_archiver"
					 " WHERE last_failed_time >"
					 " coalesce(last_archived_time, '-infinity')",
					 &failure, &ignored) &&
		failure[0] != '\0')
		error_detail(why, "The server fails to archive \"%s\".", failure);
	error_hint(why, "The server's log has the reason; if it is only slow, "
					"raise archive-timeout.");
	error_clear(&ignored);
	free(failure);
}

static bool
may_not_read(const Check *c, Error *why)
{
	if (!check_may_be_denied(c, why))
		return false;
	log_info("what was archived in repository \"%s\" may not be read from here",
			 c->repo->options.storage.repo);
	error_clear(why);
	return true;
}

static bool
ship(Check *c, const char *object, int64_t start, Error *why)
{
	int64_t deadline = start + c->options->archive_timeout;
	int64_t usecs;
	bool arrived;

	if (!wait_for_it(c, object, deadline, &arrived, why))
		return false;
	if (!arrived)
	{
		not_archived(c, why);
		return false;
	}
	usecs = clock_monotonic() - start;
	if (usecs > c->out->archive_usecs)
		c->out->archive_usecs = usecs;
	return read_back(c, object, why) || may_not_read(c, why);
}

/* In each repository that is open; false only when asked to stop. */
static bool
ship_to_all(Check *c, const char *object, Error *err)
{
	int64_t start = clock_monotonic();

	for (size_t i = 0; i < c->set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!check_enter(c, i) || ship(c, object, start, &why))
			continue;
		if (why.code == ERR_CANCELED)
		{
			error_move(err, &why);
			break;
		}
		check_member(c, "archive", object, &why);
	}
	check_leave(c);
	return !error_is_set(err);
}

bool
check_archive(Check *c, Error *err)
{
	const WalHome home = check_home(c);
	Error why = ERROR_INIT;
	WalName wal;
	char *object;
	bool done;

	if (c->info.in_recovery)
	{
		error_set(&why, ERR_UNSUPPORTED,
				  "archiving was not tried: the server is a standby");
		error_hint(&why, "Run the check on the primary.");
		check_warning(c, "archive", "server", &why);
		return true;
	}
	if (!send_segment(c, &why) || !wal_name_parse(c->out->segment, &wal))
	{
		error_set(&why, ERR_SERVER, "could not tell which segment was sent");
		error_hint(&why, "The user of the connection needs the right to run "
						 "pg_create_restore_point and pg_switch_wal.");
		check_error(c, "archive", "server", &why);
		return true;
	}
	object = repo_wal_name(&home, &wal);
	done = ship_to_all(c, object, err);
	free(object);
	return done;
}
