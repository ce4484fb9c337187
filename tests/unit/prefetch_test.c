/*-------------------------------------------------------------------------
 *
 * prefetch_test.c
 *	  Look-ahead of recovery: what follows, what in the spool is good, and
 *	  what a fetcher does.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "job/prefetch.h"
#include "job/prefetch_plan.h"
#include "job/spool_lock.h"
#include "job/spool_note.h"
#include "job_fixture.h"
#include "tap.h"
#include "tmpdir.h"

#define SEGMENTS 8
#define MB ((uint32_t) 1 << 20)

static char *scratch;

static void
put_text(const char *dir, const char *name, const char *text)
{
	char *path = file_join(dir, name);
	Error err = ERROR_INIT;

	if (!file_write_durable(path, text, strlen(text), 0600, true, &err))
		printf("Bail out! %s\n", err.message);
	free(path);
}

static char *
new_dir(const char *name)
{
	char *path = file_join(scratch, name);
	Error err = ERROR_INIT;

	if (!file_mkdir_p(path, 0700, &err))
		printf("Bail out! %s\n", err.message);
	return path;
}

/* ---- the plan ---- */

static void
follows(const TimelineHistory *h, const char *after, const char *next)
{
	WalName name;
	WalName found;
	char text[WAL_FILE_NAME_MAX];

	ok(wal_name_parse(after, &name), "%s", after);
	prefetch_next(h, &name, 16 * MB, &found);
	wal_name_format(&found, text);
	is_str(text, next, "is followed by");
}

static void
test_plan(void)
{
	char *dir = new_dir("plan");
	TimelineHistory h;

	prefetch_history(dir, 1, &h);
	follows(&h, "000000010000000000000001", "000000010000000000000002");
	follows(&h, "0000000100000000000000FF", "000000010000000100000000");
	timeline_history_free(&h);

	/* 2 begins in segment 5, 4 at the very start of segment 8 of 2 */
	put_text(dir, "00000002.history", "1\t0/5000148\tx\n");
	put_text(dir, "00000003.history", "1\t0/3000000\tx\n");
	put_text(dir, "00000004.history", "1\t0/5000148\tx\n2\t0/8000000\tx\n");
	put_text(dir, "00000009.history", "damaged\n");
	prefetch_history(dir, 1, &h);
	is_int(h.timeline, 4, "the highest that descends from it, and is whole");
	follows(&h, "000000010000000000000003", "000000010000000000000004");
	follows(&h, "000000010000000000000004", "000000020000000000000005");
	follows(&h, "000000020000000000000005", "000000020000000000000006");
	follows(&h, "000000020000000000000007", "000000040000000000000008");
	follows(&h, "000000040000000000000008", "000000040000000000000009");
	timeline_history_free(&h);
	prefetch_history(dir, 3, &h);
	is_int(h.timeline, 3, "one from which no other descends");
	follows(&h, "000000030000000000000007", "000000030000000000000008");
	timeline_history_free(&h);
	prefetch_history("/nowhere", 7, &h);
	follows(&h, "000000070000000000000007", "000000070000000000000008");
	timeline_history_free(&h);
	free(dir);
}

/* ---- the spool ---- */

static const WalHome home = {.sysid = JOB_SYSID, .major = 15};

#define NAME "000000010000000000000001"

static bool
is_good(const PrefetchSpool *spool, const char *name)
{
	Json *warnings = NULL;
	bool good = prefetch_good_read(spool, name, &warnings);

	json_free(warnings);
	return good;
}

static void
test_good(void)
{
	char *dir = new_dir("good");
	PrefetchSpool spool = prefetch_spool(dir, &home, "one");
	PrefetchSpool other = spool;
	Json *warnings = json_new_array();
	Error err = ERROR_INIT;
	char *path;

	ok(prefetch_spool_make(&spool, &err), "a spool");
	path = prefetch_path(&spool, NAME);
	ok(!is_good(&spool, NAME), "nothing is there");
	put_text(spool.dir, NAME, "content");
	ok(!is_good(&spool, NAME), "a segment without a note");
	ok(prefetch_good_write(&spool, NAME, warnings, &err), "the note");
	ok(is_good(&spool, NAME), "it is good");
	other.print = "two";
	ok(!is_good(&other, NAME), "not with another configuration");
	other = spool;
	other.home.sysid++;
	ok(!is_good(&other, NAME), "nor in another cluster");
	other = spool;
	other.home.major++;
	ok(!is_good(&other, NAME), "nor another version");
	other = spool;
	other.boot = "another";
	ok(!is_good(&other, NAME), "nor after another start of the machine");
	other.boot = "";
	ok(!is_good(&other, NAME), "nor when that is not known");
	ok(!prefetch_spool_make(&other, &err), "where there is no look-ahead");
	error_clear(&err);
	put_text(spool.dir, NAME, "content");
	ok(!is_good(&spool, NAME), "nor the same content in another file");
	ok(prefetch_good_write(&spool, NAME, warnings, &err), "noted");
	chmod(path, 0644);
	ok(!is_good(&spool, NAME), "nor if anything about it has changed");
	prefetch_spool_remove(&spool);
	ok(access(spool.dir, F_OK) != 0, "the spool is removed");
	json_free(warnings);
	free(path);
	free(dir);
	prefetch_spool_free(&spool);
}

static void
test_not_ours(void)
{
	char *dir = new_dir("not-ours");
	PrefetchSpool spool = prefetch_spool(dir, &home, "one");
	Error err = ERROR_INIT;

	ok(symlink(scratch, spool.dir) == 0, "a symbolic link for the spool");
	ok(!prefetch_spool_make(&spool, &err), "is refused");
	is_int(err.code, ERR_DENIED, "with the code");
	error_clear(&err);
	unlink(spool.dir);
	ok(prefetch_spool_make(&spool, &err), "a directory");
	chmod(spool.dir, 0770);
	ok(!prefetch_spool_make(&spool, &err), "is refused if others can write");
	error_clear(&err);
	prefetch_spool_free(&spool);
	free(dir);
}

/* ---- a fetcher ---- */

typedef struct Trial
{
	Fixture f;
	char *pgdata;
	char *wal_dir;
	char *source;
	char *files[SEGMENTS];
	RepoSet sets[3];
	PrefetchSpool spool;
	int lock;
	int until;  /* segments in the spool: then recovery ends */
	int others; /* that may be in hand at the same time */
	bool held;  /* all that was fetched was right */
} Trial;

static void
trial_init(Trial *t, const char *name)
{
	PushResult result;
	Error err = ERROR_INIT;
	char *pid = mem_printf("%d\n", (int) getpid());

	*t = (Trial){.pgdata = new_dir(name), .held = true};
	t->wal_dir = file_join(t->pgdata, "pg_wal");
	t->source = file_join(t->pgdata, "source");
	if (!file_mkdir_p(t->wal_dir, 0700, &err) ||
		!file_mkdir_p(t->source, 0700, &err))
		printf("Bail out! %s\n", err.message);
	/* a postmaster works in its data directory */
	if (chdir(t->pgdata) != 0)
		printf("Bail out! chdir\n");
	put_text(t->pgdata, "postmaster.pid", pid);
	put_text(t->pgdata, "recovery.signal", "");
	free(pid);
	fixture_begin(&t->f, true);
	for (uint64_t i = 0; i < SEGMENTS; i++)
	{
		JobSegment segment = {.timeline = 1, .number = i + 3};

		t->files[i] = job_segment(t->source, &segment);
		is_int(job_push(&t->f, t->files[i], &result, &err), ERR_NONE,
			   "a segment is archived");
	}
	for (size_t i = 0; i < 3; i++)
		repo_set_add(&t->sets[i], &t->f.set.members[0].options, true);
	t->spool = prefetch_spool(t->wal_dir, &home, "one");
	ok(prefetch_spool_make(&t->spool, &err) &&
		   spool_try_lock(t->spool.dir, &t->lock, &err) && t->lock >= 0,
	   "%s: a spool, and its lock", name);
}

static void
trial_free(Trial *t)
{
	for (size_t i = 0; i < 3; i++)
		repo_set_free(&t->sets[i]);
	for (size_t i = 0; i < SEGMENTS; i++)
		free(t->files[i]);
	spool_unlock(t->lock);
	prefetch_spool_free(&t->spool);
	fixture_end(&t->f);
	free(t->source);
	free(t->wal_dir);
	free(t->pgdata);
}

static const char *
name_of(const Trial *t, int i)
{
	return strrchr(t->files[i], '/') + 1;
}

static RepoSet *
set_of(void *arg, int worker)
{
	return &((Trial *) arg)->sets[worker];
}

static int
count_good(const Trial *t)
{
	int count = 0;

	for (int i = 0; i < SEGMENTS; i++)
	{
		char *path = prefetch_path(&t->spool, name_of(t, i));

		if (is_good(&t->spool, name_of(t, i)))
		{
			count++;
			if (!job_same_file(path, t->files[i]))
				printf("Bail out! wrong content\n");
		}
		free(path);
	}
	return count;
}

static bool
run_fetcher(Trial *t, uint64_t limit, uint64_t *count, Error *err)
{
	PrefetchOptions o = {.spool = &t->spool,
						 .pgdata = t->pgdata,
						 .wal_dir = t->wal_dir,
						 .segment_size = JOB_SEGMENT,
						 .after = name_of(t, 0),
						 .lock = t->lock,
						 .workers = 2,
						 .limit = limit,
						 .open = set_of,
						 .arg = t};

	return prefetch_run(&o, count, err);
}

static void
end_recovery(const Trial *t)
{
	char *path = file_join(t->pgdata, "recovery.signal");

	unlink(path);
	free(path);
}

/* The server's side, beside the fetcher. */
static bool
wait_and_end(void *arg, int number, Error *err)
{
	Trial *t = arg;
	uint64_t count = 0;

	if (number == 0)
	{
		bool done = run_fetcher(t, (uint64_t) 4 * JOB_SEGMENT, &count, err);

		ok(count >= (uint64_t) t->until &&
			   count <= (uint64_t) (t->until + t->others),
		   "so many are fetched");
		return done;
	}
	for (int i = 0; i < 2000 && count_good(t) < t->until; i++)
		usleep(5000);
	t->held = count_good(t) >= t->until;
	end_recovery(t);
	return true;
}

static void
test_limit(void)
{
	Trial t;
	Error err = ERROR_INIT;

	trial_init(&t, "limit");
	t.until = 4;
	ok(thread_run(2, wait_and_end, &t, &err), "a fetcher, limited to 4");
	ok(t.held, "they lie in the spool");
	ok(access(t.spool.dir, F_OK) != 0, "which is removed with recovery's end");
	trial_free(&t);
}

/* None behind one that cannot be had, but what the other had in hand. */
static void
test_hole(void)
{
	Trial t;
	Error err = ERROR_INIT;
	char *object;

	trial_init(&t, "hole");
	object = job_object(&t.f, name_of(&t, 3));
	ok(unlink(object) == 0, "one of them is missing");
	t.until = 2;
	t.others = 1;
	ok(thread_run(2, wait_and_end, &t, &err), "a fetcher");
	ok(t.held, "those before it are fetched");
	free(object);
	trial_free(&t);
}

static bool
serve_all(void *arg, int number, Error *err)
{
	Trial *t = arg;
	char *to = file_join(t->wal_dir, "RECOVERYXLOG");
	uint64_t count = 0;
	bool done = true;

	if (number == 0)
		done = run_fetcher(t, (uint64_t) 3 * JOB_SEGMENT, &count, err);
	for (int i = 1; number == 1 && i < SEGMENTS; i++)
	{
		for (int n = 0; n < 2000 && !is_good(&t->spool, name_of(t, i)); n++)
			usleep(5000);
		if (!prefetch_deliver(&t->spool, name_of(t, i), to) ||
			!job_same_file(to, t->files[i]) || count_good(t) > 3)
			t->held = false;
	}
	if (number == 1)
		end_recovery(t);
	free(to);
	return done;
}

static void
test_serve(void)
{
	Trial t;
	Error err = ERROR_INIT;

	trial_init(&t, "serve");
	ok(thread_run(2, serve_all, &t, &err), "a fetcher, and who takes");
	ok(t.held, "each in its turn, as it was archived, and few ahead");
	trial_free(&t);
}

static void
test_tell(void)
{
	char *dir = new_dir("tell");
	PrefetchSpool spool = prefetch_spool(dir, &home, "one");
	char file[WAL_NAME_LEN + 1];
	Error err = ERROR_INIT;
	int first;
	int second;

	prefetch_tell(&spool, NAME, &first);
	ok(first >= 0, "without a fetcher one may be started");
	ok(prefetch_served_read(&spool, file), "which finds word");
	is_str(file, NAME, "of what was served");
	prefetch_tell(&spool, "000000010000000000000002", &second);
	is_int(second, -1, "there is one: not a second");
	ok(prefetch_served_read(&spool, file) &&
		   strcmp(file, "000000010000000000000002") == 0,
	   "but word for it");
	spool_unlock(first);
	prefetch_failed_write(&spool);
	prefetch_tell(&spool, NAME, &second);
	is_int(second, -1, "one has just failed: none is started");
	ok(spool_try_lock(spool.dir, &first, &err) && first >= 0,
	   "nobody has the lock");
	prefetch_spool_remove(&spool);
	ok(!spool_is_locked(spool.dir, first), "a lock that was removed is none");
	spool_unlock(first);
	ok(!prefetch_deliver(&spool, NAME, "/nowhere/RECOVERYXLOG"),
	   "without a spool nothing is delivered");
	prefetch_spool_free(&spool);
	free(dir);
}

int
main(void)
{
	scratch = tmpdir_make("pgdr-prefetch");
	test_plan();
	test_good();
	test_not_ours();
	test_limit();
	test_hole();
	test_serve();
	test_tell();
	if (chdir("/") == 0)
		tmpdir_remove(scratch);
	return done_testing();
}
