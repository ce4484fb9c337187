/*-------------------------------------------------------------------------
 *
 * control.c
 *	  What pg_control says, for the major versions 15 to 18.
 *
 * The file is the server's struct as it lies in memory, so the numbers below
 * are those of 64-bit machines, in the machine's byte order.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "common/wal_name.h"

#define READ_TRIES 10
#define READ_PAUSE (10 * USECS_PER_SEC / 1000)

/* Where things lie, in every version known here. */
enum
{
	AT_SYSID = 0,
	AT_CONTROL_VERSION = 8,
	AT_CATALOG_VERSION = 12,
	AT_STATE = 16,
	AT_CHECKPOINT = 32,
	AT_REDO = 40,
	AT_TIMELINE = 48,
	AT_MIN_RECOVERY_POINT = 136,
	AT_MIN_RECOVERY_TIMELINE = 144,
	AT_MAX_CONNECTIONS = 180,
	AT_MAX_WORKER_PROCESSES = 184,
	AT_MAX_WAL_SENDERS = 188,
	AT_MAX_PREPARED_XACTS = 192,
	AT_MAX_LOCKS_PER_XACT = 196,
	AT_BLOCK_SIZE = 216,
	AT_WAL_BLOCK_SIZE = 224,
	AT_SEGMENT_SIZE = 228,
	AT_CHECKSUM_VERSION = 252
};

/* What differs: where the CRC of all before it lies. */
typedef struct Layout
{
	int major;
	uint32_t control_version;
	size_t crc;
} Layout;

static const Layout layouts[] = {
	{15, 1300, 288},
	{16, 1300, 288},
	{17, 1700, 288},
	{18, 1800, 292},
};

static const char *const state_names[] = {
	"starting up",   "shut down",         "shut down in recovery",
	"shutting down", "in crash recovery", "in archive recovery",
	"in production",
};

static const Layout *
layout_of(int major, Error *err)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
	{
		if (layouts[i].major == major)
			return &layouts[i];
	}
	error_set(err, ERR_UNSUPPORTED, "PostgreSQL version %d is not supported",
			  major);
	error_detail(err, "Supported are the versions 15 to 18.");
	return NULL;
}

static uint32_t
u32_at(const void *data, size_t at)
{
	uint32_t v;

	memcpy(&v, (const char *) data + at, sizeof(v));
	return v;
}

static uint64_t
u64_at(const void *data, size_t at)
{
	uint64_t v;

	memcpy(&v, (const char *) data + at, sizeof(v));
	return v;
}

static void
take_fields(const void *data, PgControl *out)
{
	out->sysid = u64_at(data, AT_SYSID);
	out->control_version = u32_at(data, AT_CONTROL_VERSION);
	out->catalog_version = u32_at(data, AT_CATALOG_VERSION);
	out->state = (int) u32_at(data, AT_STATE);
	out->checkpoint_lsn = u64_at(data, AT_CHECKPOINT);
	out->redo_lsn = u64_at(data, AT_REDO);
	out->timeline = u32_at(data, AT_TIMELINE);
	out->min_recovery_point = u64_at(data, AT_MIN_RECOVERY_POINT);
	out->min_recovery_timeline = u32_at(data, AT_MIN_RECOVERY_TIMELINE);
	out->segment_size = u32_at(data, AT_SEGMENT_SIZE);
	out->block_size = u32_at(data, AT_BLOCK_SIZE);
	out->wal_block_size = u32_at(data, AT_WAL_BLOCK_SIZE);
	out->checksums = u32_at(data, AT_CHECKSUM_VERSION) > 0;
	out->max_connections = (int) u32_at(data, AT_MAX_CONNECTIONS);
	out->max_worker_processes = (int) u32_at(data, AT_MAX_WORKER_PROCESSES);
	out->max_wal_senders = (int) u32_at(data, AT_MAX_WAL_SENDERS);
	out->max_prepared_xacts = (int) u32_at(data, AT_MAX_PREPARED_XACTS);
	out->max_locks_per_xact = (int) u32_at(data, AT_MAX_LOCKS_PER_XACT);
}

bool
pg_control_parse(const void *data, size_t len, int major, PgControl *out,
				 Error *err)
{
	const Layout *layout = layout_of(major, err);
	uint32_t version;

	*out = (PgControl){.major = major};
	if (layout == NULL)
		return false;
	if (len < layout->crc + sizeof(uint32_t))
		return error_set(err, ERR_DAMAGED, "pg_control is too short");
	version = u32_at(data, AT_CONTROL_VERSION);
	if (crc32c(0, data, layout->crc) != u32_at(data, layout->crc))
	{
		error_set(err, ERR_DAMAGED, "pg_control has a wrong checksum");
		if (version != layout->control_version)
			error_detail(err,
						 "It says that its version is %" PRIu32
						 ", but PostgreSQL %d writes version %" PRIu32 ".",
						 version, major, layout->control_version);
		return false;
	}
	if (version != layout->control_version)
		return error_set(err, ERR_MISMATCH,
						 "pg_control is of version %" PRIu32
						 ", but PostgreSQL %d writes version %" PRIu32,
						 version, major, layout->control_version);
	take_fields(data, out);
	/* everybody divides by it */
	if (!wal_segment_size_ok(out->segment_size))
		return error_set(err, ERR_DAMAGED,
						 "pg_control has an invalid WAL segment size: %" PRIu32,
						 out->segment_size);
	return true;
}

bool
pg_version_read(const char *pgdata, int *major, Error *err)
{
	char *path = file_join(pgdata, "PG_VERSION");
	StrBuf text = STRBUF_INIT;
	char *end = NULL;
	long value = 0;
	bool done = file_slurp(path, 64, &text, err);

	if (done)
	{
		errno = 0;
		value = strtol(text.data, &end, 10);
		if (end == text.data || (*end != '\n' && *end != '\0') || errno != 0 ||
			value < 1 || value > 1000)
			done = error_set(err, ERR_DAMAGED,
							 "file \"%s\" does not hold a version", path);
	}
	*major = done ? (int) value : 0;
	strbuf_free(&text);
	free(path);
	return done;
}

/* One try; *torn when the next may go better. */
static bool
read_once(const char *path, int major, PgControl *out, bool *torn, Error *err)
{
	StrBuf data = STRBUF_INIT;
	bool done;

	*torn = false;
	done = file_slurp(path, PG_CONTROL_SIZE, &data, err);
	if (done)
	{
		done = pg_control_parse(data.data, data.len, major, out, err);
		*torn = !done && err->code == ERR_DAMAGED;
	}
	strbuf_free(&data);
	return done;
}

/*
 * The server writes the file in place, and not every file system gives all of
 * the old or all of the new to a reader.
 */
bool
pg_control_read(const char *pgdata, PgControl *out, Error *err)
{
	char *path;
	int major;
	bool done = false;
	bool torn = true;

	if (!pg_version_read(pgdata, &major, err))
		return false;
	path = file_join(pgdata, "global/pg_control");
	for (int i = 0; i < READ_TRIES && torn; i++)
	{
		Error why = ERROR_INIT;

		if (i > 0)
			clock_sleep(READ_PAUSE);
		done = read_once(path, major, out, &torn, &why);
		if (torn && i + 1 < READ_TRIES)
			error_clear(&why);
		else
			error_move(err, &why);
	}
	if (!done)
		error_prefix(err, "could not read \"%s\"", path);
	free(path);
	return done;
}

const char *
pg_control_state_name(int state)
{
	if (state < 0 ||
		(size_t) state >= sizeof(state_names) / sizeof(state_names[0]))
		return "unknown";
	return state_names[state];
}

/* Is there a directory at path, and is it the same as that of pgdata? */
static bool
is_same_dir(const char *path, const char *pgdata, bool *same)
{
	struct stat a;
	struct stat b;

	if (stat(path, &a) != 0 || stat(pgdata, &b) != 0)
		return false;
	*same = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	return true;
}

/*
 * The number in an old postmaster.pid may be another process's by now.  A
 * postmaster works in its data directory; where that cannot be seen, the
 * file's second line says which directory was meant (the file may have been
 * copied with the directory).  In doubt it is a postmaster: to take a running
 * server for stopped is what must not happen.
 */
static bool
is_postmaster_of(long pid, const char *file_dir, const char *pgdata)
{
	char cwd[64];
	bool same;

	if (kill((pid_t) pid, 0) != 0 && errno == ESRCH)
		return false;
	snprintf(cwd, sizeof(cwd), "/proc/%ld/cwd", pid);
	if (is_same_dir(cwd, pgdata, &same))
		return same;
	if (file_dir[0] == '/' && is_same_dir(file_dir, pgdata, &same))
		return same;
	return true;
}

/* The text of postmaster.pid: the process, then the data directory, ... */
static bool
lock_file_is_live(char *text, const char *pgdata)
{
	char *second = strchr(text, '\n');
	char *end;
	long pid;

	if (second != NULL)
	{
		*second++ = '\0';
		second[strcspn(second, "\n")] = '\0';
	}
	errno = 0;
	pid = strtol(text, &end, 10);
	/* empty or cut off: just being made, perhaps */
	if (end == text || *end != '\0' || errno != 0 || pid == 0)
		return true;
	/* a negative number is that of a single-user server */
	return is_postmaster_of(pid < 0 ? -pid : pid, second != NULL ? second : "",
							pgdata);
}

bool
pg_server_is_running(const char *pgdata, bool *out, Error *err)
{
	char *path = file_join(pgdata, "postmaster.pid");
	StrBuf text = STRBUF_INIT;
	Error why = ERROR_INIT;
	bool done = file_slurp(path, 64 * 1024, &text, &why);

	*out = false;
	if (done)
		*out = lock_file_is_live(text.data, pgdata);
	else if (why.code == ERR_NOT_FOUND)
	{
		error_clear(&why);
		done = true;
	}
	else
		error_move(err, &why);
	strbuf_free(&text);
	free(path);
	return done;
}
