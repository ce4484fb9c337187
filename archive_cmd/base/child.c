/*-------------------------------------------------------------------------
 *
 * child.c
 *	  Runs another program, and reads what it writes or writes what it reads.
 *
 * Its messages are read all the while, or it would wait for us for ever when
 * that pipe is full.  Everything waits in poll(), and looks ten times a second
 * whether it shall stop.
 *
 *-------------------------------------------------------------------------
 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#define POLL_MSECS 100
#define WORDS_MAX 2048 /* of its messages the last so many bytes are kept */

struct Child
{
	/* fixed */
	char *name;
	bool feed;
	pid_t pid;

	/* mutable */
	int data;  /* our end of its input or output; -1: closed */
	int words; /* of its messages; -1: at their end */
	StrBuf said;
};

/* ---- starting it ---- */

static bool
is_set_anew(const char *const *set, const char *variable)
{
	size_t len = strcspn(variable, "=");

	for (; set != NULL && *set != NULL; set++)
	{
		if (strncmp(*set, variable, len) == 0 && (*set)[len] == '=')
			return true;
	}
	return false;
}

/* The texts stay whose they are; the array is the caller's. */
static const char **
make_environment(const char *const *set)
{
	const char **env;
	size_t count = 0;
	size_t most = 1;

	for (char **p = environ; *p != NULL; p++)
		most++;
	for (size_t i = 0; set != NULL && set[i] != NULL; i++)
		most++;
	env = mem_zalloc(most * sizeof(*env));
	for (char **p = environ; *p != NULL; p++)
	{
		if (!is_set_anew(set, *p))
			env[count++] = *p;
	}
	for (; set != NULL && *set != NULL; set++)
		env[count++] = *set;
	return env;
}

/* Programs that look for others beside them go by the first: it is the path. */
static const char **
make_arguments(const ChildSpec *spec)
{
	const char **args;
	size_t count = 0;

	while (spec->args[count] != NULL)
		count++;
	args = mem_alloc((count + 2) * sizeof(*args));
	args[0] = spec->program;
	memcpy(args + 1, spec->args, (count + 1) * sizeof(*args));
	return args;
}

typedef struct Ends
{
	int data[2];
	int words[2];
} Ends;

/* Between fork and exec: what may be called in a signal handler, only. */
static void __attribute__((noreturn))
become(const ChildSpec *spec, const char **args, const char **env,
	   const Ends *ends, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);
	int in = spec->feed ? ends->data[0] : null;
	int out = spec->feed ? null : ends->data[1];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0 || dup2(in, STDIN_FILENO) < 0 ||
		dup2(out, STDOUT_FILENO) < 0 || dup2(ends->words[1], STDERR_FILENO) < 0)
		_exit(126);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	execve(spec->program, (char *const *) args, (char *const *) env);
	_exit(127);
}

static bool
open_pipes(Ends *ends, Error *err)
{
	if (pipe2(ends->data, O_CLOEXEC) == 0)
	{
		if (pipe2(ends->words, O_CLOEXEC) == 0)
			return true;
		close(ends->data[0]);
		close(ends->data[1]);
	}
	return error_set_errno(err, errno, "could not create a pipe");
}

static void
set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static Child *
make_child(const ChildSpec *spec, const Ends *ends, pid_t pid)
{
	Child *c = mem_zalloc(sizeof(*c));
	const char *slash = strrchr(spec->program, '/');

	c->name = mem_strdup(slash != NULL ? slash + 1 : spec->program);
	c->feed = spec->feed;
	c->pid = pid;
	c->data = ends->data[spec->feed ? 1 : 0];
	c->words = ends->words[0];
	set_nonblocking(c->data);
	set_nonblocking(c->words);
	return c;
}

bool
child_start(const ChildSpec *spec, Child **out, Error *err)
{
	Ends ends;
	const char **args;
	const char **env;
	pid_t parent = getpid();
	pid_t pid;
	int why;

	if (access(spec->program, X_OK) != 0)
		return error_set(err, ERR_CONFIG, "cannot execute \"%s\": %s",
						 spec->program, strerror(errno));
	if (!open_pipes(&ends, err))
		return false;
	args = make_arguments(spec);
	env = make_environment(spec->set);
	pid = fork();
	why = errno;
	if (pid == 0)
		become(spec, args, env, &ends, parent);
	free(env);
	free(args);
	close(ends.data[spec->feed ? 0 : 1]);
	close(ends.words[1]);
	if (pid > 0)
	{
		*out = make_child(spec, &ends, pid);
		return true;
	}
	close(ends.data[spec->feed ? 1 : 0]);
	close(ends.words[0]);
	return error_set_errno(err, why, "could not start \"%s\"", spec->program);
}

/* ---- talking with it ---- */

static void
hear(Child *c)
{
	char text[1024];
	ssize_t n;

	while ((n = read(c->words, text, sizeof(text))) > 0)
	{
		strbuf_add(&c->said, text, (size_t) n);
		if (c->said.len > 2 * WORDS_MAX)
		{
			size_t cut = c->said.len - WORDS_MAX;

			memmove(c->said.data, c->said.data + cut, WORDS_MAX + 1);
			c->said.len = WORDS_MAX;
		}
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(c->words);
	c->words = -1;
}

/* Until data is ready, or a tenth of a second. */
static bool
wait_for(Child *c, bool *ready, Error *err)
{
	struct pollfd fds[2] = {
		{.fd = c->data, .events = c->feed ? POLLOUT : POLLIN},
		{.fd = c->words, .events = POLLIN}};

	*ready = false;
	if (!thread_check_stop(err))
		return false;
	if (poll(fds, 2, POLL_MSECS) < 0 && errno != EINTR)
		return error_set_errno(err, errno, "could not wait for \"%s\"",
							   c->name);
	if (c->words >= 0 && fds[1].revents != 0)
		hear(c);
	*ready = fds[0].revents != 0;
	return true;
}

bool
child_read(Child *c, void *data, size_t len, size_t *got, Error *err)
{
	bool ready;

	*got = 0;
	while (*got < len)
	{
		ssize_t n;

		if (!wait_for(c, &ready, err))
			return false;
		if (!ready)
			continue;
		n = read(c->data, (char *) data + *got, len - *got);
		if (n == 0)
			return true;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_set_errno(err, errno, "could not read from \"%s\"",
								   c->name);
		if (n > 0)
			*got += (size_t) n;
	}
	return true;
}

bool
child_write(Child *c, const void *data, size_t len, Error *err)
{
	const char *p = data;
	bool ready;

	while (len > 0)
	{
		ssize_t n;

		if (!wait_for(c, &ready, err))
			return false;
		if (!ready)
			continue;
		n = write(c->data, p, len);
		if (n < 0 && errno == EPIPE)
			return error_set(err, ERR_SERVER, "\"%s\" does not read on",
							 c->name);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_set_errno(err, errno, "could not write to \"%s\"",
								   c->name);
		if (n > 0)
		{
			p += n;
			len -= (size_t) n;
		}
	}
	return true;
}

/* ---- the end ---- */

static void
close_data(Child *c)
{
	if (c->data >= 0)
		close(c->data);
	c->data = -1;
}

static void
child_free(Child *c)
{
	close_data(c);
	if (c->words >= 0)
		close(c->words);
	strbuf_free(&c->said);
	free(c->name);
	free(c);
}

/* One line after the other, without white space around it. */
static char *
next_line(char **at)
{
	char *line = *at + strspn(*at, " \t\n");
	size_t len = strcspn(line, "\n");

	if (*line == '\0')
		return NULL;
	*at = line + len + (line[len] == '\n');
	line[len] = '\0';
	return line;
}

static void
warn_of_words(Child *c)
{
	char *at = c->said.data;
	char *line;

	while (at != NULL && (line = next_line(&at)) != NULL)
		log_warning("%s", line);
}

static bool
child_failed(Child *c, int status, Error *err)
{
	char *at = c->said.data;
	char *line;

	if (WIFSIGNALED(status))
		error_set(err, ERR_SERVER, "%s was terminated by signal %d", c->name,
				  WTERMSIG(status));
	else
		error_set(err, ERR_SERVER, "%s failed with exit status %d", c->name,
				  WEXITSTATUS(status));
	while (at != NULL && (line = next_line(&at)) != NULL)
		error_detail(err, "%s", line);
	return false;
}

static bool
reap(Child *c, int *status, Error *err)
{
	pid_t done = 0;
	bool ready;

	while (c->words >= 0)
	{
		if (!wait_for(c, &ready, err))
			return false;
	}
	while ((done = waitpid(c->pid, status, WNOHANG)) == 0 ||
		   (done < 0 && errno == EINTR))
	{
		if (!thread_check_stop(err))
			return false;
		clock_sleep(USECS_PER_SEC / 1000);
	}
	return done == c->pid ||
		   error_set_errno(err, errno, "could not wait for \"%s\"", c->name);
}

bool
child_end(Child *c, Error *err)
{
	int status = 0;
	bool done;

	close_data(c);
	if (!reap(c, &status, err))
	{
		child_kill(c);
		return false;
	}
	done = status == 0;
	if (done)
		warn_of_words(c);
	else
		child_failed(c, status, err);
	child_free(c);
	return done;
}

void
child_kill(Child *c)
{
	int status;

	if (c == NULL)
		return;
	kill(c->pid, SIGTERM);
	for (int i = 0; waitpid(c->pid, &status, WNOHANG) == 0; i++)
	{
		if (i == 2000)
			kill(c->pid, SIGKILL);
		clock_sleep(USECS_PER_SEC / 1000);
	}
	child_free(c);
}
