/*-------------------------------------------------------------------------
 *
 * archive_ahead.c
 *	  The pusher of look-ahead: starting it, and being it.
 *
 * The pusher is a session of its own, so that what the server sends to the
 * group of its archiver does not reach it, and it holds none of the server's
 * descriptors: the log collector waits for the last writer.  It may be killed
 * at any time.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/archive_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- starting it ---- */

#define ARGS_MAX 12

/* Between fork and exec: what may be called in a signal handler, only. */
static void
become_pusher(const char *program, char *const *args, int lock)
{
	int null;

	if (setsid() < 0 || fork() != 0)
		_exit(0);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(0);
	if (lock == AHEAD_LOCK_FD)
		fcntl(lock, F_SETFD, 0);
	else if (dup2(lock, AHEAD_LOCK_FD) < 0)
		_exit(0);
	close_range(AHEAD_LOCK_FD + 1, ~0U, 0);
	execv(program, args);
	_exit(0);
}

void
archive_ahead_start(Context *ctx, const char *path, int lock)
{
	const char *repos = ctx_option(ctx, "repo");
	Error ignored = ERROR_INIT;
	const Settings *settings = ctx_settings(ctx, &ignored);
	const char *args[ARGS_MAX] = {"pgdr", "--config", settings->file};
	size_t count = 3;
	int status;
	pid_t pid;

	if (repos != NULL)
	{
		args[count++] = "--repo";
		args[count++] = repos;
	}
	args[count++] = "archive-push";
	args[count++] = "--ahead";
	args[count++] = "--";
	args[count++] = path;
	pid = fork();
	if (pid == 0)
		become_pusher(ctx_program(ctx), (char *const *) args, lock);
	if (pid < 0)
		log_info("could not start a pusher");
	/* that process ends at once; what it leaves is init's child */
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* ---- being it ---- */

typedef struct Pushers
{
	Context *ctx;
	RepoSet *sets; /* by worker */
} Pushers;

static RepoSet *
set_of(void *arg, int worker)
{
	return &((Pushers *) arg)->sets[worker];
}

/* Options and keys are shared, connections are not. */
static void
copy_set(const RepoSet *from, RepoSet *to)
{
	for (size_t i = 0; i < from->count; i++)
		repo_set_add(to, &from->members[i].options, from->members[i].required);
	to->quorum = from->quorum;
	to->spool = from->spool;
}

static bool
push_all(Context *ctx, AheadOptions *options, Error *err)
{
	const RepoSet *set = ctx_repo_set(ctx, err);
	Pushers pushers = {.ctx = ctx};
	uint64_t count = 0;
	bool done;
	Json *obj;

	if (set == NULL)
		return false;
	pushers.sets = mem_zalloc((size_t) options->workers * sizeof(RepoSet));
	for (int i = 0; i < options->workers; i++)
		copy_set(set, &pushers.sets[i]);
	options->open = set_of;
	options->arg = &pushers;
	done = ahead_run(options, &count, err);
	for (int i = 0; i < options->workers; i++)
		repo_set_free(&pushers.sets[i]);
	free(pushers.sets);
	if (!done)
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "archive-push");
	json_put_int(obj, "acknowledged", (int64_t) count);
	ctx_emit(ctx, "result", obj);
	return true;
}

/*
 * What a worker needs at most, in megabytes: for itself, and for each store
 * that is not a directory, to which it sends from memory.  All together must
 * do with what a push may have.
 */
#define MEMORY_MAX 54
#define MEMORY_WORKER 5
#define MEMORY_CONNECTION 16

static int
count_workers(const Settings *settings)
{
	int each = MEMORY_WORKER;
	int count;

	for (size_t i = 0; i < settings->repo_count; i++)
	{
		if (strcmp(settings->repos[i].type, "posix") != 0)
			each += MEMORY_CONNECTION;
	}
	count = MEMORY_MAX / each;
	if (count > AHEAD_WORKERS_MAX)
		count = AHEAD_WORKERS_MAX;
	if (count > settings->process_max)
		count = settings->process_max;
	return count > 0 ? count : 1;
}

bool
archive_ahead_run(Context *ctx, const AheadSpool *spool,
				  const PgControl *control, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	AheadOptions options = {.spool = spool,
							.control = control,
							.pgdata = settings->pgdata,
							.after = ctx_argument(ctx, 0),
							.workers = count_workers(settings),
							.limit = (uint32_t) settings->push_ahead};
	int lock;
	bool done;

	if (settings->push_ahead == 0)
		return error_set(err, ERR_USAGE, "push-ahead is 0: no look-ahead");
	if (!ahead_spool_make(spool, err) || !ahead_take_lock(spool, &lock, err))
		return false;
	if (lock < 0)
		return error_set(err, ERR_BUSY, "another pusher is at work");
	ctx_only_writes(ctx);
	done = push_all(ctx, &options, err);
	ahead_unlock(lock);
	return done;
}
