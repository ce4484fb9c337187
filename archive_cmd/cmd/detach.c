/*-------------------------------------------------------------------------
 *
 * detach.c
 *	  Starting a process that works ahead of the server's calls.
 *
 * Such a process is a session of its own, so that what the server sends to the
 * group of its archiver or its startup process does not reach it, and it holds
 * none of the server's descriptors: the log collector waits for the last
 * writer.  It may be killed at any time.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/spool_lock.h"

#define ARGS_MAX 14
#define ARGUMENTS_MAX 2

/* Between fork and exec: what may be called in a signal handler, only. */
static void
become(const char *program, char *const *args, int lock)
{
	int null;

	if (setsid() < 0 || fork() != 0)
		_exit(0);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(0);
	if (lock == SPOOL_LOCK_FD)
		fcntl(lock, F_SETFD, 0);
	else if (dup2(lock, SPOOL_LOCK_FD) < 0)
		_exit(0);
	close_range(SPOOL_LOCK_FD + 1, ~0U, 0);
	execv(program, args);
	_exit(0);
}

void
detach_ahead(Context *ctx, const char *command, int lock)
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
	args[count++] = command;
	args[count++] = "--ahead";
	args[count++] = "--";
	for (int i = 0; i < ARGUMENTS_MAX && ctx_argument(ctx, i) != NULL; i++)
		args[count++] = ctx_argument(ctx, i);
	pid = fork();
	if (pid == 0)
		become(ctx_program(ctx), (char *const *) args, lock);
	if (pid < 0)
		log_info("could not start a process that works ahead");
	/* that process ends at once; what it leaves is init's child */
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* ---- workers ---- */

/*
 * What a worker needs at most, in megabytes: for itself, and for each store
 * that is not a directory, with which it deals by way of memory.  All together
 * must do with what a push or a get may have.
 */
#define MEMORY_MAX 54
#define MEMORY_WORKER 5
#define MEMORY_CONNECTION 16

/* More would need more memory than that. */
#define WORKERS_MAX 8

int
detach_workers(const Settings *settings, int waiting)
{
	int each = MEMORY_WORKER;
	int count;

	for (size_t i = 0; i < settings->repo_count; i++)
	{
		if (strcmp(settings->repos[i].type, "posix") != 0)
			each += MEMORY_CONNECTION;
	}
	count = MEMORY_MAX / each;
	if (count > WORKERS_MAX)
		count = WORKERS_MAX;
	if (count > settings->process_max + waiting)
		count = settings->process_max + waiting;
	return count > 0 ? count : 1;
}

static void
copy_set(const RepoSet *from, RepoSet *to)
{
	for (size_t i = 0; i < from->count; i++)
		repo_set_add(to, &from->members[i].options, from->members[i].required);
	to->quorum = from->quorum;
	to->spool = from->spool;
}

void
detach_copy_sets(const RepoSet *from, int workers, RepoSet **sets)
{
	*sets = mem_zalloc((size_t) workers * sizeof(RepoSet));
	for (int i = 0; i < workers; i++)
		copy_set(from, &(*sets)[i]);
}

RepoSet *
detach_set(void *arg, int worker)
{
	return &((RepoSet *) arg)[worker];
}

void
detach_free_sets(int workers, RepoSet *sets)
{
	for (int i = 0; i < workers; i++)
		repo_set_free(&sets[i]);
	free(sets);
}
