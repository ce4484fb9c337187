/*-------------------------------------------------------------------------
 *
 * child.c
 *	  A child process that a backend runs and watches over.
 *
 * Not OpenPipeStream(): that goes through a shell, tells no pid, cannot be
 * cancelled, and on PostgreSQL 15 its child inherits every open data file.
 *
 *-------------------------------------------------------------------------
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compat.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A line longer than this is no line of ours. */
#define LINE_MAX_BYTES (4 * 1024 * 1024)
#define MESSAGES_MAX_BYTES 8192
#define CHUNK_BYTES 65536

#define CLIENT_CHECK_MS 1000
/* After SIGTERM: time to end what it began at the server. */
#define TERM_GRACE_MS 5000
/* After SIGKILL: only a process stuck in the kernel takes longer. */
#define KILL_GRACE_MS 60000

/* Like a shell's: the program was not there, or did not say how it ended. */
#define EXIT_UNKNOWN 127

/* The pipes between us; the first three are its standard streams. */
enum
{
	IN,
	OUT,
	ERR,
	EXEC, /* tells why execve() failed */
	PIPES
};

typedef struct Child
{
	/* fixed */
	const DrChildOptions *options;

	/* mutable */
	pid_t pid;         /* 0 when there is none, or none any more */
	int ours[PIPES];   /* -1 when closed */
	int theirs[PIPES]; /* -1 once it has them */
	int written;       /* of the input */
	StringInfoData line;
	int scanned; /* of line: holds no line end */
	StringInfo messages;
	TimestampTz client_checked;
} Child;

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- the end ---- */

/* Is it dead?  It stays a zombie, so that its group cannot be another's. */
static bool
has_exited(const Child *child)
{
	siginfo_t info;

	info.si_pid = 0;
	if (waitid(P_PID, child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return errno != EINTR;
	return info.si_pid == child->pid;
}

static bool
wait_for_exit(const Child *child, int ms)
{
	for (int waited = 0; !has_exited(child); waited += 10)
	{
		if (waited >= ms)
			return false;
		pg_usleep(10 * 1000L);
	}
	return true;
}

/* Takes the dead child's status, and with it whatever it left running. */
static int
reap(Child *child)
{
	int status = 0;

	kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0)
	{
		if (errno == EINTR)
			continue;
		status = W_EXITCODE(EXIT_UNKNOWN, 0);
		break;
	}
	child->pid = 0;
	return status;
}

static void
close_pipes(Child *child)
{
	for (int i = 0; i < PIPES; i++)
	{
		close_fd(&child->ours[i]);
		close_fd(&child->theirs[i]);
	}
}

/*
 * Runs when anything but the end of the child ended the wait, also on the way
 * out of the process: it must not raise errors nor look for interrupts.
 */
static void
end_child(int code, Datum arg)
{
	Child *child = (Child *) DatumGetPointer(arg);

	close_pipes(child);
	if (child->pid == 0)
		return;
	kill(-child->pid, SIGTERM);
	if (!wait_for_exit(child, TERM_GRACE_MS))
		kill(-child->pid, SIGKILL);
	if (wait_for_exit(child, KILL_GRACE_MS))
		reap(child);
	else
		elog(LOG, "process %d does not end although it was killed",
			 (int) child->pid);
}

/* ---- the beginning ---- */

static void
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not set up pipe: %m")));
}

static void
make_pipes(Child *child)
{
	for (int i = 0; i < PIPES; i++)
	{
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) != 0)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not create pipe: %m")));
		child->ours[i] = ends[i == IN ? 1 : 0];
		child->theirs[i] = ends[i == IN ? 0 : 1];
		if (i != EXEC)
			set_nonblocking(child->ours[i]);
	}
}

/* A descriptor out of the way of those that dup2() will fill. */
static int
move_up(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, PIPES);
}

static void
close_from(unsigned int first)
{
	long max;

	if (close_range(first, ~0U, 0) == 0)
		return;
	max = sysconf(_SC_OPEN_MAX);
	for (long fd = first; fd < max; fd++)
		close((int) fd);
}

static bool
arrange_descriptors(const int theirs[PIPES])
{
	int moved[PIPES];

	for (int i = 0; i < PIPES; i++)
	{
		moved[i] = move_up(theirs[i]);
		if (moved[i] < 0)
			return false;
	}
	for (int i = 0; i < PIPES; i++)
	{
		if (dup2(moved[i], i) < 0)
			return false;
	}
	if (fcntl(EXEC, F_SETFD, FD_CLOEXEC) != 0)
		return false;
	close_from(PIPES);
	return true;
}

static void
reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * In the child, where nothing of the server may be called any more.  All
 * signals are blocked until their handlers, which are the server's, are gone.
 */
static void
become_program(const Child *child, pid_t parent)
{
	const DrChildOptions *options = child->options;
	ssize_t ignored pg_attribute_unused();
	int failed;

	setpgid(0, 0);
	if (!arrange_descriptors(child->theirs))
		_exit(EXIT_UNKNOWN);
	/* to die with the backend; it may have died before this took effect */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(EXIT_UNKNOWN);
	reset_signals();
	execve(options->path, options->argv, options->envp);
	failed = errno;
	ignored = write(EXEC, &failed, sizeof(failed));
	_exit(EXIT_UNKNOWN);
}

/* With all signals blocked: no handler of the server may run in the child. */
static void
fork_child(Child *child)
{
	sigset_t all;
	sigset_t before;
	pid_t parent = getpid();
	pid_t pid;
	int errnum;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become_program(child, parent);
	errnum = errno;
	if (pid > 0)
	{
		child->pid = pid;
		/* as the child does: whoever comes first */
		setpgid(pid, pid);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = errnum;
	if (pid < 0)
		ereport(ERROR, (errmsg("could not fork process for program \"%s\": %m",
							   child->options->path)));
}

static void
check_exec(Child *child)
{
	int errnum = 0;
	ssize_t got;

	do
		got = read(child->ours[EXEC], &errnum, sizeof(errnum));
	while (got < 0 && errno == EINTR);
	close_fd(&child->ours[EXEC]);
	if (got != sizeof(errnum))
		return;
	errno = errnum;
	ereport(ERROR, (errcode_for_file_access(),
					errmsg("could not execute program \"%s\": %m",
						   child->options->path),
					errhint("The program is installed with the extension, "
							"beside the server's own programs.")));
}

static void
start_child(Child *child)
{
	make_pipes(child);
	fork_child(child);
	for (int i = 0; i < PIPES; i++)
		close_fd(&child->theirs[i]);
	check_exec(child);
}

/* ---- between ---- */

/*
 * Interrupts come through the latch.  A client that has vanished does not
 * interrupt anything until somebody looks.
 */
static void
check_interrupts(Child *child)
{
	TimestampTz now = GetCurrentTimestamp();

	if (TimestampDifferenceExceeds(child->client_checked, now,
								   CLIENT_CHECK_MS) &&
		whereToSendOutput == DestRemote && MyProcPort != NULL)
	{
		child->client_checked = now;
		if (!pq_check_connection())
		{
			ClientConnectionLost = true;
			InterruptPending = true;
		}
	}
	CHECK_FOR_INTERRUPTS();
}

/* Waits until there is something to do; made anew as pipes come to their end. */
static void
wait_for_event(Child *child, long timeout)
{
	WaitEventSet *set = dr_create_wait_event_set(5);
	WaitEvent event;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	if (child->ours[IN] >= 0)
		AddWaitEventToSet(set, WL_SOCKET_WRITEABLE, child->ours[IN], NULL,
						  NULL);
	if (child->ours[OUT] >= 0)
		AddWaitEventToSet(set, WL_SOCKET_READABLE, child->ours[OUT], NULL,
						  NULL);
	if (child->ours[ERR] >= 0)
		AddWaitEventToSet(set, WL_SOCKET_READABLE, child->ours[ERR], NULL,
						  NULL);
	WaitEventSetWait(set, timeout, &event, 1, dr_wait_event());
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
}

static void
write_input(Child *child)
{
	const DrChildOptions *options = child->options;
	ssize_t put;

	if (child->ours[IN] < 0)
		return;
	put = write(child->ours[IN], options->input + child->written,
				(size_t) (options->input_len - child->written));
	if (put > 0)
		child->written += (int) put;
	/* EPIPE: it wants no more, and its exit status will say why */
	if (child->written == options->input_len ||
		(put < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(&child->ours[IN]);
}

/* False when there is nothing to be had now; closes *fd at the end. */
static bool
read_some(int *fd, char *buf, ssize_t *got)
{
	if (*fd < 0)
		return false;
	*got = read(*fd, buf, CHUNK_BYTES);
	if (*got > 0)
		return true;
	if (*got == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
	return false;
}

static void
take_lines(Child *child)
{
	StringInfo sb = &child->line;
	int begin = 0;
	char *end;

	while ((end = memchr(sb->data + begin + child->scanned, '\n',
						 (size_t) (sb->len - begin - child->scanned))))
	{
		*end = '\0';
		child->options->line(child->options->arg, sb->data + begin,
							 (int) (end - (sb->data + begin)));
		begin = (int) (end - sb->data) + 1;
		child->scanned = 0;
	}
	sb->len -= begin;
	memmove(sb->data, sb->data + begin, (size_t) sb->len);
	child->scanned = sb->len;
	if (sb->len > LINE_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("program \"%s\" wrote a line that is too long",
							   child->options->path)));
}

static void
read_output(Child *child, char *buf)
{
	ssize_t got;

	while (read_some(&child->ours[OUT], buf, &got))
	{
		appendBinaryStringInfo(&child->line, buf, (int) got);
		take_lines(child);
		check_interrupts(child);
	}
}

static void
read_messages(Child *child, char *buf)
{
	StringInfo sb = child->messages;
	ssize_t got;

	while (read_some(&child->ours[ERR], buf, &got))
	{
		ssize_t room = Max(0, MESSAGES_MAX_BYTES - sb->len);

		appendBinaryStringInfo(sb, buf, (int) Min(got, room));
		check_interrupts(child);
	}
}

/*
 * Until its output has ended and it has.  One that something else keeps the
 * pipes of open is over when it has exited; then what the pipes hold is read.
 */
static int
attend_child(Child *child)
{
	char *buf = palloc(CHUNK_BYTES);
	long pause = 1;

	for (;;)
	{
		bool exited = has_exited(child);
		bool open;

		write_input(child);
		read_output(child, buf);
		read_messages(child, buf);
		if (exited)
			break;
		check_interrupts(child);
		InvalidateCatalogSnapshotConditionally();
		open = child->ours[OUT] >= 0 || child->ours[ERR] >= 0;
		/* without pipes nothing wakes us when it exits */
		wait_for_event(child, open ? CLIENT_CHECK_MS : pause);
		if (!open)
			pause = Min(pause * 2, CLIENT_CHECK_MS / 4);
	}
	pfree(buf);
	return reap(child);
}

int
dr_child_run(const DrChildOptions *options, StringInfo messages)
{
	Child child = {.options = options,
				   .ours = {-1, -1, -1, -1},
				   .theirs = {-1, -1, -1, -1},
				   .messages = messages,
				   .client_checked = GetCurrentTimestamp()};
	volatile int status = 0;

	initStringInfo(&child.line);
	/* PG_FINALLY would not do: it does not run on FATAL */
	PG_ENSURE_ERROR_CLEANUP(end_child, PointerGetDatum(&child));
	{
		start_child(&child);
		status = attend_child(&child);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_child, PointerGetDatum(&child));
	end_child(0, PointerGetDatum(&child));
	pfree(child.line.data);
	return status;
}
