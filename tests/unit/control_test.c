/*-------------------------------------------------------------------------
 *
 * control_test.c
 *	  pg_control of every major version, and the lock file of a server.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/control.h"
#include "pg_vectors.h"

/* What pg_controldata, or pg_control_system() and so on, said of the file. */
typedef struct Expected
{
	int major;
	uint32_t control_version;
	uint32_t catalog_version;
	uint64_t sysid;
	uint64_t checkpoint_lsn;
	uint64_t redo_lsn;
	int limits[5]; /* connections, workers, senders, prepared
								 * transactions, locks */
	size_t crc_at;
} Expected;

static const Expected expected[] = {
	{15,
	 1300,
	 202209061,
	 UINT64_C(7710416418137187561),
	 0x1F00098,
	 0x1F00060,
	 {100, 8, 10, 20, 64},
	 288},
	{16,
	 1300,
	 202307071,
	 UINT64_C(7710420068528466345),
	 0x1000190,
	 0x1000158,
	 {77, 9, 11, 20, 70},
	 288},
	{17,
	 1700,
	 202406281,
	 UINT64_C(7710420078077659680),
	 0x1000160,
	 0x1000108,
	 {77, 9, 11, 20, 70},
	 288},
	{18,
	 1800,
	 202506291,
	 UINT64_C(7710420088650795774),
	 0x1000198,
	 0x1000140,
	 {77, 9, 11, 20, 70},
	 292},
};

static uint8_t *
load(int major, size_t *len)
{
	char *name = mem_printf("%d/pg_control", major);
	uint8_t *data = vector_load(name, len);

	free(name);
	return data;
}

static void
test_real(void)
{
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
	{
		const Expected *e = &expected[i];
		size_t len;
		uint8_t *data = load(e->major, &len);
		PgControl c;
		Error err = ERROR_INIT;

		is_int((int64_t) len, PG_CONTROL_SIZE, "size of the file");
		ok(pg_control_parse(data, len, e->major, &c, &err), "version %d",
		   e->major);
		is_int(c.major, e->major, "major");
		is_int(c.control_version, e->control_version, "control version");
		is_int(c.catalog_version, e->catalog_version, "catalog version");
		is_int((int64_t) c.sysid, (int64_t) e->sysid, "system identifier");
		is_str(pg_control_state_name(c.state), "in production", "state");
		is_int((int64_t) c.checkpoint_lsn, (int64_t) e->checkpoint_lsn,
			   "checkpoint");
		is_int((int64_t) c.redo_lsn, (int64_t) e->redo_lsn, "redo");
		is_int(c.timeline, 1, "timeline");
		ok(c.min_recovery_point == 0 && c.min_recovery_timeline == 0,
		   "no recovery");
		ok(c.segment_size == 1024 * 1024 && c.block_size == 8192 &&
			   c.wal_block_size == 8192 && c.checksums,
		   "sizes");
		ok(c.max_connections == e->limits[0] &&
			   c.max_worker_processes == e->limits[1] &&
			   c.max_wal_senders == e->limits[2] &&
			   c.max_prepared_xacts == e->limits[3] &&
			   c.max_locks_per_xact == e->limits[4],
		   "limits");
		free(data);
	}
}

/* Changes four bytes and makes the CRC right again. */
static void
patch(uint8_t *data, size_t at, uint32_t value, size_t crc_at)
{
	uint32_t crc;

	memcpy(data + at, &value, sizeof(value));
	crc = crc32c(0, data, crc_at);
	memcpy(data + crc_at, &crc, sizeof(crc));
}

static void
test_fields(void)
{
	size_t len;
	uint8_t *data = load(18, &len);
	PgControl c;
	Error err = ERROR_INIT;

	patch(data, 16, 5, 292);
	patch(data, 136, 0x4000028, 292);
	patch(data, 140, 7, 292);
	patch(data, 144, 3, 292);
	patch(data, 252, 0, 292);
	ok(pg_control_parse(data, len, 18, &c, &err), "as of a standby");
	is_str(pg_control_state_name(c.state), "in archive recovery", "state");
	is_int((int64_t) c.min_recovery_point, INT64_C(0x704000028),
		   "minimum recovery point");
	is_int(c.min_recovery_timeline, 3, "and its timeline");
	ok(!c.checksums, "without page checksums");
	is_str(pg_control_state_name(-1), "unknown", "a state below");
	is_str(pg_control_state_name(7), "unknown", "a state above");
	free(data);
}

static void
test_damaged(void)
{
	size_t len;
	uint8_t *data = load(15, &len);
	PgControl c;
	Error err = ERROR_INIT;

	for (size_t at = 0; at < 292; at += 7)
	{
		data[at] ^= 1;
		ok(!pg_control_parse(data, len, 15, &c, &err) &&
			   err.code == ERR_DAMAGED,
		   "byte %zu flipped", at);
		error_clear(&err);
		data[at] ^= 1;
	}
	ok(pg_control_parse(data, 292, 15, &c, &err), "no more is needed");
	ok(!pg_control_parse(data, 291, 15, &c, &err) && err.code == ERR_DAMAGED,
	   "cut off");
	error_clear(&err);
	ok(!pg_control_parse(data, len, 14, &c, &err) &&
		   err.code == ERR_UNSUPPORTED,
	   "version 14");
	error_clear(&err);
	ok(!pg_control_parse(data, len, 17, &c, &err) && err.code == ERR_MISMATCH,
	   "taken for version 17");
	is_str(err.message,
		   "pg_control is of version 1300, but PostgreSQL 17 writes version "
		   "1700",
		   "says so");
	error_clear(&err);
	free(data);
}

static void
put(const char *dir, const char *name, const void *data, size_t len)
{
	char *path = file_join(dir, name);
	Error err = ERROR_INIT;

	if (!file_write_durable(path, data, len, 0600, true, &err))
		printf("Bail out! %s\n", err.message);
	free(path);
}

static void
test_read(const char *dir)
{
	char *global = file_join(dir, "global");
	size_t len;
	uint8_t *data = load(16, &len);
	PgControl c;
	int major;
	Error err = ERROR_INIT;

	ok(!pg_control_read(dir, &c, &err) && err.code == ERR_NOT_FOUND,
	   "no data directory");
	error_clear(&err);
	put(dir, "PG_VERSION", "16\n", 3);
	mkdir(global, 0700);
	ok(!pg_control_read(dir, &c, &err) && err.code == ERR_NOT_FOUND,
	   "no pg_control");
	error_clear(&err);
	put(dir, "global/pg_control", data, len);
	ok(pg_version_read(dir, &major, &err) && major == 16, "PG_VERSION");
	ok(pg_control_read(dir, &c, &err) && c.major == 16, "the file is read");
	data[100] ^= 1;
	put(dir, "global/pg_control", data, len);
	ok(!pg_control_read(dir, &c, &err) && err.code == ERR_DAMAGED,
	   "a damaged file stays damaged");
	error_clear(&err);
	put(dir, "PG_VERSION", "16devel\n", 8);
	ok(!pg_version_read(dir, &major, &err) && err.code == ERR_DAMAGED,
	   "no version");
	error_clear(&err);
	free(data);
	free(global);
}

/* A process that works in dir, as a postmaster does. */
static pid_t
start_process(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0)
	{
		if (chdir(dir) != 0)
			_exit(1);
		for (;;)
			pause();
	}
	return pid;
}

static bool
is_running(const char *dir, const char *lock_file)
{
	bool running = false;
	Error err = ERROR_INIT;

	put(dir, "postmaster.pid", lock_file, strlen(lock_file));
	ok(pg_server_is_running(dir, &running, &err), "postmaster.pid is read");
	return running;
}

/* Waits until the process has changed its directory. */
static void
await_cwd(pid_t pid, const char *dir)
{
	char *link = mem_printf("/proc/%d/cwd", (int) pid);
	struct stat a;
	struct stat b;

	stat(dir, &a);
	for (int i = 0; i < 1000; i++)
	{
		if (stat(link, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			break;
		usleep(10000);
	}
	free(link);
}

static void
test_running(const char *dir)
{
	pid_t pid = start_process(dir);
	char *live = mem_printf("%d\n%s\n1700000000\n5432\n", (int) pid, dir);
	char *single = mem_printf("-%d\n%s\n", (int) pid, dir);
	char *other = mem_printf("%d\n/somewhere\n", (int) getpid());
	bool running = true;
	Error err = ERROR_INIT;

	await_cwd(pid, dir);
	ok(pg_server_is_running(dir, &running, &err) && !running, "no lock file");
	ok(is_running(dir, live), "a live process that works here");
	ok(is_running(dir, single), "a single-user server");
	ok(!is_running(dir, other), "a live process that works elsewhere");
	ok(is_running(dir, ""), "an empty lock file: in doubt it runs");
	ok(is_running(dir, "12x\n"), "a strange lock file, likewise");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(!is_running(dir, live), "the process has gone");
	free(live);
	free(single);
	free(other);
}

static void
remove_below(const char *dir, const char *name)
{
	char *path = file_join(dir, name);

	remove(path);
	free(path);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = mem_printf("%s/control_test.XXXXXX",
						   tmp != NULL ? tmp : "/tmp");

	test_real();
	test_fields();
	test_damaged();
	if (mkdtemp(dir) == NULL)
		return 1;
	test_read(dir);
	test_running(dir);
	remove_below(dir, "global/pg_control");
	remove_below(dir, "global");
	remove_below(dir, "PG_VERSION");
	remove_below(dir, "postmaster.pid");
	ok(rmdir(dir) == 0, "nothing else was left behind");
	free(dir);
	return done_testing();
}
