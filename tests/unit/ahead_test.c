/*-------------------------------------------------------------------------
 *
 * ahead_test.c
 *	  Look-ahead: acknowledgements, the lock, and the order of a pusher.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "job/ahead.h"
#include "job/ahead_queue.h"
#include "job/spool_lock.h"
#include "job_fixture.h"
#include "tap.h"
#include "tmpdir.h"

#define SEGMENTS 6

static char *scratch;

static AheadSpool
new_spool(const char *name, const char *print)
{
	char *path = file_join(scratch, name);
	PgControl control = job_control();
	AheadSpool spool = ahead_spool(path, &control, "/data", print);

	free(path);
	return spool;
}

/* ---- acknowledgements ---- */

static void
test_ack(void)
{
	AheadSpool spool = new_spool("acks", "one");
	AheadSpool other = new_spool("acks", "two");
	PushResult result = {
		.name = "000000010000000000000001", .plain_size = 7, .stored_size = 5};
	Json *outcomes = json_new_array();
	AheadAck ack = {.repositories = NULL};
	Error err = ERROR_INIT;
	struct stat st;

	ok(ahead_spool_make(&spool, &err), "the spool is made");
	ok(stat(spool.dir, &result.source) == 0, "some file");
	st = result.source;
	ok(!ahead_ack_read(&spool, result.name, &st, &ack), "nothing is there");
	ok(ahead_ack_write(&spool, &result, outcomes, &err), "one is written");
	ok(ahead_ack_read(&spool, result.name, &st, &ack), "and read");
	is_int(ack.result.stored_size, 5, "with what was said");
	is_str(ack.result.name, result.name, "of the file");
	ahead_ack_free(&ack);
	ok(!ahead_ack_read(&other, result.name, &st, &ack),
	   "not with another configuration");
	ok(!ahead_ack_read(&spool, "000000010000000000000002", &st, &ack),
	   "not for another file");
	st.st_ino++;
	ok(!ahead_ack_read(&spool, result.name, &st, &ack), "nor another inode");
	st = result.source;
	st.st_ctim.tv_nsec ^= 1;
	ok(!ahead_ack_read(&spool, result.name, &st, &ack),
	   "nor a change of a nanosecond");
	st = result.source;
	st.st_mtim.tv_sec--;
	ok(!ahead_ack_read(&spool, result.name, &st, &ack), "or another time");
	st = result.source;
	st.st_size++;
	ok(!ahead_ack_read(&spool, result.name, &st, &ack), "or size");
	ahead_ack_remove(&spool, result.name);
	ok(!ahead_ack_read(&spool, result.name, &result.source, &ack),
	   "nor when it is removed");
	json_free(outcomes);
	ahead_spool_free(&spool);
	ahead_spool_free(&other);
}

static void
test_still(void)
{
	int64_t now = INT64_C(1700000000) * USECS_PER_SEC;
	struct stat st = {.st_size = 1};

	st.st_mtim = st.st_ctim = (struct timespec){1700000000, 0};
	ok(!ahead_is_still(&st, now + USECS_PER_SEC), "whole seconds: not after 1");
	ok(ahead_is_still(&st, now + 2 * USECS_PER_SEC), "after 2");
	st.st_ctim.tv_nsec = 5000;
	ok(!ahead_is_still(&st, now + 10000), "fractions: not after 10 ms");
	ok(ahead_is_still(&st, now + 30000), "after 30 ms");
	st.st_mtim.tv_sec++;
	ok(!ahead_is_still(&st, now + 30000), "the later of both times counts");
}

static void
test_failure(void)
{
	AheadSpool spool = new_spool("failures", "one");
	const char *file = "000000010000000000000001";
	int64_t begun = clock_now();
	Error why = ERROR_INIT;
	Error err = ERROR_INIT;

	ok(ahead_spool_make(&spool, &err), "a spool");
	error_set(&why, ERR_FULL, "no room");
	error_detail(&why, "Not a bit.");
	why.transient = true;
	ahead_failure_write(&spool, file, &why);
	ok(ahead_failure_take(&spool, file, begun, &err), "a failure is kept");
	is_int(err.code, ERR_FULL, "with its code");
	is_str(err.message, "no room", "its message");
	is_str(err.detail, "Not a bit.", "its detail");
	ok(err.transient, "and whether it passes");
	error_clear(&err);
	ok(!ahead_failure_take(&spool, file, begun, &err), "it is told once");
	ahead_failure_write(&spool, file, &why);
	ok(!ahead_failure_take(&spool, file, clock_now() + USECS_PER_SEC, &err),
	   "an old one is not told");
	error_clear(&why);
	ahead_spool_free(&spool);
}

/* ---- the lock ---- */

static void
test_lock(void)
{
	AheadSpool spool = new_spool("lock", "one");
	Error err = ERROR_INIT;
	int first;
	int second;

	ok(ahead_spool_make(&spool, &err), "a spool");
	ok(spool_try_lock(spool.dir, &first, &err) && first >= 0,
	   "one has the lock");
	ok(spool_try_lock(spool.dir, &second, &err) && second < 0,
	   "a second has not");
	spool_unlock(first);
	ok(spool_try_lock(spool.dir, &second, &err) && second >= 0,
	   "until the first lets go");
	spool_unlock(second);
	ok(chmod(spool.dir, 0770) == 0 && !ahead_spool_make(&spool, &err),
	   "a directory for others to write to is refused");
	is_int(err.code, ERR_DENIED, "with the code");
	error_clear(&err);
	ahead_spool_free(&spool);
}

/* ---- a pusher ---- */

typedef struct Trial
{
	Fixture f;
	char *pgdata;
	char *wal_dir;
	char *status;
	char files[SEGMENTS][WAL_NAME_LEN + 1];
	char *first; /* path */
	RepoSet sets[4];
	AheadSpool spool;
} Trial;

static void
put_file(const char *dir, const char *name, const char *suffix)
{
	char *path = mem_printf("%s/%s%s", dir, name, suffix);
	char *text = mem_printf("%d\n", (int) getpid());
	Error err = ERROR_INIT;

	if (!file_write_durable(path, text, strlen(text), 0600, true, &err))
		printf("Bail out! %s\n", err.message);
	free(text);
	free(path);
}

static void
trial_init(Trial *t, const char *name)
{
	Error err = ERROR_INIT;

	*t = (Trial){.pgdata = file_join(scratch, name)};
	t->wal_dir = file_join(t->pgdata, "pg_wal");
	t->status = file_join(t->wal_dir, "archive_status");
	if (!file_mkdir_p(t->status, 0700, &err))
		printf("Bail out! %s\n", err.message);
	fixture_begin(&t->f, true);
	t->spool = new_spool(name, "one");
	ok(ahead_spool_make(&t->spool, &err), "%s: a spool", name);
	put_file(t->pgdata, "postmaster.pid", "");
	for (uint64_t i = 0; i < SEGMENTS; i++)
	{
		JobSegment segment = {.timeline = 1, .number = i + 3};
		char *path = job_segment(t->wal_dir, &segment);

		memcpy(t->files[i], strrchr(path, '/') + 1, WAL_NAME_LEN + 1);
		put_file(t->status, t->files[i], ".ready");
		if (i == 0)
			t->first = mem_strdup(path);
		free(path);
	}
	usleep(30000);
	for (size_t i = 0; i < 4; i++)
		repo_set_add(&t->sets[i], &t->f.set.members[0].options, true);
}

static void
trial_free(Trial *t)
{
	for (size_t i = 0; i < 4; i++)
		repo_set_free(&t->sets[i]);
	ahead_spool_free(&t->spool);
	fixture_end(&t->f);
	free(t->first);
	free(t->status);
	free(t->wal_dir);
	free(t->pgdata);
}

static RepoSet *
set_of(void *arg, int worker)
{
	return &((Trial *) arg)->sets[worker];
}

static bool
run_pusher(Trial *t, uint32_t limit, uint64_t *count, Error *err)
{
	PgControl control = job_control();
	AheadOptions o = {.spool = &t->spool,
					  .control = &control,
					  .pgdata = t->pgdata,
					  .after = t->first,
					  .workers = 4,
					  .preparing = 2,
					  .limit = limit,
					  .open = set_of,
					  .arg = t};

	return ahead_run(&o, count, err);
}

static bool
is_stored(const Trial *t, int i)
{
	char *object = job_object(&t->f, t->files[i]);
	bool there = access(object, F_OK) == 0;

	free(object);
	return there;
}

static void
test_pusher(void)
{
	Trial t;
	Error err = ERROR_INIT;
	uint64_t count = 0;
	int stored = 0;

	trial_init(&t, "all");
	ok(run_pusher(&t, 4, &count, &err), "a pusher, limited to 4");
	is_int(count, 4, "acknowledges so many");
	for (int i = 0; i < SEGMENTS; i++)
		stored += is_stored(&t, i);
	is_int(stored, 4, "and stores no more");
	ok(run_pusher(&t, 64, &count, &err), "and another, without a limit");
	is_int(count, SEGMENTS - 4, "acknowledges the rest");
	trial_free(&t);
}

static void
test_order(void)
{
	Trial t;
	Error err = ERROR_INIT;
	uint64_t count = 0;
	char *second;

	trial_init(&t, "order");
	second = file_join(t.wal_dir, t.files[1]);
	job_resize(second, JOB_SEGMENT - 8192);
	usleep(30000);
	ok(!run_pusher(&t, 64, &count, &err), "the second of six is damaged");
	is_int(err.code, ERR_DAMAGED, "which is the error");
	for (int i = 2; i < SEGMENTS; i++)
		ok(!is_stored(&t, i), "the one at %d, behind it, is not stored", i);
	error_clear(&err);
	ok(ahead_failure_take(&t.spool, t.files[1], 0, &err), "it is noted");
	error_clear(&err);
	free(second);
	trial_free(&t);
}

static void
test_no_server(void)
{
	Trial t;
	Error err = ERROR_INIT;
	uint64_t count = 0;
	char *pid_file;

	trial_init(&t, "gone");
	pid_file = file_join(t.pgdata, "postmaster.pid");
	unlink(pid_file);
	ok(run_pusher(&t, 64, &count, &err), "without a server");
	is_int(count, 0, "a pusher does nothing");
	free(pid_file);
	trial_free(&t);
}

static void
test_ask(void)
{
	Trial t;
	AheadCall call;
	AheadAck ack = {.repositories = NULL};
	Error err = ERROR_INIT;
	uint64_t count = 0;
	int lock;

	trial_init(&t, "ask");
	call = (AheadCall){.spool = &t.spool, .path = t.first};
	is_int(ahead_ask(&call, &ack, &lock, &err), AHEAD_PUSH,
		   "not archived: to be pushed");
	ok(lock >= 0, "with the lock");
	spool_unlock(lock);
	ok(run_pusher(&t, 64, &count, &err), "a pusher runs");
	is_int(ahead_ask(&call, &ack, &lock, &err), AHEAD_DONE, "archived: done");
	ok(push_outcomes_stored(ack.repositories, repo_set_name(&t.sets[0], 0)),
	   "and says where");
	ahead_ack_free(&ack);
	call.path = "/elsewhere/000000010000000000000003";
	is_int(ahead_ask(&call, &ack, &lock, &err), AHEAD_PUSH,
		   "one that no server has ready: to be pushed");
	is_int(lock, -1, "without the lock");
	trial_free(&t);
}

int
main(void)
{
	scratch = tmpdir_make("pgdr-ahead");
	test_ack();
	test_still();
	test_failure();
	test_lock();
	test_pusher();
	test_order();
	test_no_server();
	test_ask();
	tmpdir_remove(scratch);
	return done_testing();
}
