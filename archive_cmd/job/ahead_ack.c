/*-------------------------------------------------------------------------
 *
 * ahead_ack.c
 *	  Acknowledgements and failures in the spool.
 *
 * Each is a note of its own (job/spool_note.h).
 *
 *-------------------------------------------------------------------------
 */
#include "job/ahead_ack.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "job/spool_lock.h"
#include "job/spool_note.h"

#define ACK_SUFFIX ".ack"
#define FAILED_SUFFIX ".failed"

#define STILL_TICKS INT64_C(20000000)     /* nanoseconds */
#define STILL_SECONDS INT64_C(2000000000) /* likewise */

/* A copy of the cluster on this host has a pusher of its own. */
AheadSpool
ahead_spool(const char *spool_path, const PgControl *control,
			const char *pgdata, const char *print)
{
	char hash[CONTENT_HEX_LEN + 1];

	plain_hash(pgdata, strlen(pgdata), hash);
	return (AheadSpool){.dir = mem_printf("%s/ahead/%" PRIu64 "-%.8s",
										  spool_path, control->sysid, hash),
						.print = print};
}

void
ahead_spool_free(AheadSpool *spool)
{
	free(spool->dir);
	*spool = (AheadSpool){0};
}

/* Whoever may write here could have WAL thrown away. */
bool
ahead_spool_make(const AheadSpool *spool, Error *err)
{
	/* each call comes here, and making sure costs some fsyncs */
	if (access(spool->dir, F_OK) != 0 && !file_mkdir_p(spool->dir, 0700, err))
		return false;
	return spool_check_dir(spool->dir, err);
}

/* ---- one file ---- */

static char *
path_of(const AheadSpool *spool, const char *file, const char *suffix)
{
	return mem_printf("%s/%s%s", spool->dir, file, suffix);
}

/* ---- acknowledgements ---- */

void
ahead_ack_free(AheadAck *ack)
{
	json_free(ack->repositories);
	*ack = (AheadAck){.repositories = NULL};
}

static int64_t
nanoseconds(const struct timespec *t)
{
	return (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
}

bool
ahead_is_still(const struct stat *st, int64_t at)
{
	int64_t last = nanoseconds(&st->st_ctim);
	bool fine = st->st_mtim.tv_nsec != 0 || st->st_ctim.tv_nsec != 0;

	if (last < nanoseconds(&st->st_mtim))
		last = nanoseconds(&st->st_mtim);
	return at * 1000 - last >= (fine ? STILL_TICKS : STILL_SECONDS);
}

bool
ahead_ack_write(const AheadSpool *spool, const PushResult *result,
				const Json *repositories, Error *err)
{
	char *path = path_of(spool, result->name, ACK_SUFFIX);
	Json *obj = json_new_object();
	bool done;

	json_put_str(obj, "name", result->name);
	json_put_str(obj, "configuration", spool->print);
	json_put_int(obj, "at", clock_now());
	json_put(obj, "file", note_identity(&result->source));
	json_put_bool(obj, "already", result->already);
	json_put_int(obj, "plain_size", (int64_t) result->plain_size);
	json_put_int(obj, "stored_size", (int64_t) result->stored_size);
	json_put(obj, "repositories", json_dup(repositories));
	done = note_write_durable(path, obj, err);
	json_free(obj);
	free(path);
	return done;
}

static bool
is_good(const AheadSpool *spool, const Json *obj, const char *file,
		const struct stat *now)
{
	int64_t age = clock_now() - json_get_int(obj, "at", 0);

	return strcmp(json_get_str(obj, "name", ""), file) == 0 &&
		   strcmp(json_get_str(obj, "configuration", ""), spool->print) == 0 &&
		   age >= 0 && age <= AHEAD_ACK_VALID &&
		   note_is_identity(json_get(obj, "file"), now) &&
		   json_is_array(json_get(obj, "repositories"));
}

bool
ahead_ack_read(const AheadSpool *spool, const char *file,
			   const struct stat *now, AheadAck *out)
{
	char *path = path_of(spool, file, ACK_SUFFIX);
	Json *obj = note_read(path);
	bool good = obj != NULL && is_good(spool, obj, file, now);

	free(path);
	if (good)
	{
		*out = (AheadAck){
			.result = {.already = json_get_bool(obj, "already", false),
					   .plain_size = (uint64_t) json_get_int(obj, "plain_size",
															 0),
					   .stored_size = (uint64_t) json_get_int(obj,
															  "stored_size", 0),
					   .source = *now},
			.repositories = json_dup(json_get(obj, "repositories"))};
		snprintf(out->result.name, sizeof(out->result.name), "%s", file);
	}
	json_free(obj);
	return good;
}

void
ahead_ack_remove(const AheadSpool *spool, const char *file)
{
	char *path = path_of(spool, file, ACK_SUFFIX);

	unlink(path);
	free(path);
}

static bool
has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text);

	return len > strlen(suffix) &&
		   strcmp(text + len - strlen(suffix), suffix) == 0;
}

void
ahead_ack_each(const AheadSpool *spool, AheadAckFn fn, void *arg)
{
	DIR *dir = opendir(spool->dir);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char *file;

		if (!has_suffix(entry->d_name, ACK_SUFFIX))
			continue;
		file = mem_strndup(entry->d_name,
						   strlen(entry->d_name) - strlen(ACK_SUFFIX));
		fn(arg, file);
		free(file);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ---- failures ---- */

void
ahead_failure_write(const AheadSpool *spool, const char *file, const Error *why)
{
	char *path = path_of(spool, file, FAILED_SUFFIX);
	Json *obj = note_error(why);
	Error ignored = ERROR_INIT;

	json_put_int(obj, "at", clock_now());
	/* its own call will find out for itself */
	note_write_durable(path, obj, &ignored);
	error_clear(&ignored);
	json_free(obj);
	free(path);
}

bool
ahead_failure_take(const AheadSpool *spool, const char *file, int64_t since,
				   Error *why)
{
	char *path = path_of(spool, file, FAILED_SUFFIX);
	Json *obj = note_read(path);
	int64_t at = json_get_int(obj, "at", 0);
	bool fresh = obj != NULL && at >= since && at <= clock_now();

	unlink(path);
	if (fresh)
		note_take_error(obj, why);
	json_free(obj);
	free(path);
	return fresh;
}
