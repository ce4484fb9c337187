/*-------------------------------------------------------------------------
 *
 * ssh.c
 *	  An SSH connection: what it sends and receives with, waiting for the
 *	  server, what the server says, and the end.
 *
 * libssh2 is used without blocking, and sends and receives through functions
 * of ours: these count what moves, and end a connection at once when it is
 * lost.  Taking one down must not wait for a server that may be gone.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

/*
 * A server that is asked whether it is alive has to have several chances, and
 * libssh2 asks every two seconds at most.
 */
#define PINGS_PER_STALL 4
#define DISK_STALL_MIN (5 * USECS_PER_SEC)

/*
 * When the server closes the channel in the middle of an answer, libssh2 1.10
 * looks for the rest of it in an endless loop.  No honest call finds nothing
 * so many times.
 */
#define EMPTY_MAX 100000

#define TEARDOWN_TRIES 100

/*
 * What libssh2 sends and receives with
 */

static ssize_t
receive_bytes(libssh2_socket_t fd, void *buf, size_t len, int flags,
			  void **abstract)
{
	Ssh *ssh = *abstract;
	ssize_t n;

	if (ssh->lost)
		return -ECONNRESET;
	n = recv(fd, buf, len, flags);
	if (n > 0)
	{
		ssh->moved += (uint64_t) n;
		ssh->empty = 0;
		return n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
	{
		if (++ssh->empty <= EMPTY_MAX)
			return -EAGAIN;
		errno = ECONNRESET;
	}
	ssh->ended = true;
	return n < 0 ? -errno : 0;
}

static ssize_t
send_bytes(libssh2_socket_t fd, const void *buf, size_t len, int flags,
		   void **abstract)
{
	Ssh *ssh = *abstract;
	ssize_t n;

	if (ssh->lost)
		return -EPIPE;
	n = send(fd, buf, len, flags | MSG_NOSIGNAL);
	if (n >= 0)
	{
		ssh->moved += (uint64_t) n;
		return n;
	}
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	ssh->ended = true;
	return -errno;
}

static void
set_callbacks(LIBSSH2_SESSION *session)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
	libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_RECV,
								  (libssh2_cb_generic *) receive_bytes);
	libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_SEND,
								  (libssh2_cb_generic *) send_bytes);
#else
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV,
								 (void *) receive_bytes);
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND,
								 (void *) send_bytes);
#endif
}

Ssh *
ssh_new(const SshOptions *o, int fd, int64_t deadline)
{
	Ssh *ssh = mem_zalloc(sizeof(*ssh));

	ssh->options = o;
	ssh->fd = fd;
	ssh->deadline = deadline;
	ssh->session = libssh2_session_init_ex(NULL, NULL, NULL, ssh);
	if (ssh->session == NULL)
		mem_out_of_memory();
	libssh2_session_set_blocking(ssh->session, 0);
	set_callbacks(ssh->session);
	return ssh;
}

/*
 * Waiting
 */

SshWait
ssh_wait_begin(Ssh *ssh, SshWaitKind kind)
{
	int64_t now = clock_monotonic();

	ssh->empty = 0;
	return (SshWait){.ssh = ssh,
					 .kind = kind,
					 .moved = ssh->moved,
					 .moved_at = now,
					 .pinged_at = now};
}

bool
ssh_lose(Ssh *ssh, ErrCode code, const char *why, Error *err)
{
	ssh->lost = true;
	if (error_is_set(err))
		return false;
	error_set(err, code, "%s", why);
	err->transient = true;
	return false;
}

static bool
timed_out(Ssh *ssh, int64_t stall, Error *err)
{
	char *why = stall > 0
					? mem_printf("no answer from the server for %.1f seconds",
								 (double) stall / USECS_PER_SEC)
					: mem_strdup(
						  "no answer from the server within the time limit");

	ssh_lose(ssh, ERR_TIMEOUT, why, err);
	free(why);
	return false;
}

/* Did the program at the other end of the channel go away? */
static bool
channel_ended(const Ssh *ssh)
{
	return ssh->sftp != NULL &&
		   libssh2_channel_eof(libssh2_sftp_get_channel(ssh->sftp)) == 1;
}

static short
wanted_events(const Ssh *ssh)
{
	int directions = libssh2_session_block_directions(ssh->session);
	short events = 0;

	if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND)
		events |= POLLOUT;
	if (directions & LIBSSH2_SESSION_BLOCK_INBOUND || events == 0)
		events |= POLLIN;
	return events;
}

static int64_t
stall_timeout(const SshWait *wait)
{
	int64_t stall = wait->ssh->options->stall_timeout;

	if (wait->kind == SSH_WAIT_DISK && stall < DISK_STALL_MIN)
		return DISK_STALL_MIN;
	return stall;
}

/*
 * A disk may take long over an fsync.  Whether the server is alive meanwhile
 * is seen from its answer to another message; only when nothing is half sent,
 * because that one would get mixed with it.
 */
static void
ping(SshWait *wait, int64_t now)
{
	int64_t interval = stall_timeout(wait) / PINGS_PER_STALL;
	int ignored;

	if (wait->kind != SSH_WAIT_DISK || now - wait->pinged_at < interval ||
		wanted_events(wait->ssh) != POLLIN)
		return;
	libssh2_keepalive_config(wait->ssh->session, 1, 1);
	libssh2_keepalive_send(wait->ssh->session, &ignored);
	/* What we send ourselves is no sign of life. */
	wait->moved = wait->ssh->moved;
	wait->pinged_at = now;
}

bool
ssh_wait(SshWait *wait, Error *err)
{
	Ssh *ssh = wait->ssh;
	int64_t stall = stall_timeout(wait);
	int64_t now = clock_monotonic();
	struct pollfd pfd = {.fd = ssh->fd, .events = wanted_events(ssh)};

	ssh->empty = 0;
	if (ssh->moved != wait->moved)
	{
		wait->moved = ssh->moved;
		wait->moved_at = now;
	}
	if (!ssh->last_words && !thread_check_stop(err))
	{
		ssh->lost = true;
		return false;
	}
	if (channel_ended(ssh))
		return ssh_lose(ssh, ERR_IO, "the server ended the session", err);
	if (now - wait->moved_at >= stall)
		return timed_out(ssh, stall, err);
	if (wait->kind != SSH_WAIT_DATA && ssh->deadline > 0 &&
		now >= ssh->deadline)
		return timed_out(ssh, 0, err);
	ping(wait, now);
	(void) poll(&pfd, 1, (int) (SSH_POLL_MAX / 1000));
	return true;
}

/*
 * What the server said
 */

typedef struct Answer
{
	unsigned long status;
	ErrCode code;
	const char *text;
} Answer;

static const Answer answers[] = {
	{LIBSSH2_FX_NO_SUCH_FILE, ERR_NOT_FOUND, "no such file"},
	{LIBSSH2_FX_NO_SUCH_PATH, ERR_NOT_FOUND, "no such path"},
	{LIBSSH2_FX_PERMISSION_DENIED, ERR_DENIED, "permission denied"},
	{LIBSSH2_FX_WRITE_PROTECT, ERR_DENIED, "write protected"},
	{LIBSSH2_FX_FAILURE, ERR_IO, "failure"},
	{LIBSSH2_FX_BAD_MESSAGE, ERR_IO, "bad message"},
	{LIBSSH2_FX_OP_UNSUPPORTED, ERR_UNSUPPORTED, "operation not supported"},
	{LIBSSH2_FX_INVALID_HANDLE, ERR_IO, "invalid handle"},
	{LIBSSH2_FX_FILE_ALREADY_EXISTS, ERR_EXISTS, "file already exists"},
	{LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM, ERR_FULL, "no space left"},
	{LIBSSH2_FX_QUOTA_EXCEEDED, ERR_FULL, "quota exceeded"},
	{LIBSSH2_FX_DIR_NOT_EMPTY, ERR_IO, "directory not empty"},
	{LIBSSH2_FX_NOT_A_DIRECTORY, ERR_IO, "not a directory"},
	{LIBSSH2_FX_INVALID_FILENAME, ERR_IO, "invalid file name"},
};

static bool
refused(Ssh *ssh, unsigned long status, const char *what, Error *err)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
	{
		if (answers[i].status == status)
			return error_set(err, answers[i].code, "%s: the server says: %s",
							 what, answers[i].text);
	}
	if (status == LIBSSH2_FX_NO_CONNECTION ||
		status == LIBSSH2_FX_CONNECTION_LOST)
		return ssh_lose(ssh, ERR_IO, "the server lost a connection", err);
	return error_set(err, ERR_IO, "%s: the server says: status %lu", what,
					 status);
}

static bool
broken(Ssh *ssh, const char *what, Error *err)
{
	char *text = NULL;
	char *why;

	libssh2_session_last_error(ssh->session, &text, NULL, 0);
	why = mem_printf("%s: the connection broke: %s", what,
					 text != NULL && text[0] != '\0' ? text : "unknown reason");
	ssh_lose(ssh, ERR_IO, why, err);
	free(why);
	return false;
}

bool
ssh_fail(Ssh *ssh, long rc, const char *what, Error *err)
{
	unsigned long status = 0;

	if (error_is_set(err))
		return false;
	if (rc == LIBSSH2_ERROR_SFTP_PROTOCOL && !ssh->ended && !ssh->lost &&
		ssh->sftp != NULL)
		status = libssh2_sftp_last_error(ssh->sftp);
	if (status != LIBSSH2_FX_OK)
		return refused(ssh, status, what, err);
	return broken(ssh, what, err);
}

/*
 * The end
 */

/*
 * Nothing is waited for: with lost set, libssh2 gets an error for whatever it
 * wants to send, and goes on to free its memory.  Before that, one try to tell
 * the server, for the sake of its log.
 */
void
ssh_close(Ssh *ssh)
{
	int rc = LIBSSH2_ERROR_EAGAIN;

	if (ssh == NULL)
		return;
	if (!ssh->lost && !ssh->ended)
		(void) libssh2_session_disconnect(ssh->session, "done");
	ssh->lost = true;
	ssh_drop_files(ssh);
	for (int i = 0;
		 ssh->sftp != NULL && i < TEARDOWN_TRIES && rc == LIBSSH2_ERROR_EAGAIN;
		 i++)
		rc = libssh2_sftp_shutdown(ssh->sftp);
	rc = LIBSSH2_ERROR_EAGAIN;
	for (int i = 0; i < TEARDOWN_TRIES && rc == LIBSSH2_ERROR_EAGAIN; i++)
		rc = libssh2_session_free(ssh->session);
	close(ssh->fd);
	free(ssh);
}

bool
ssh_is_lost(const Ssh *ssh)
{
	return ssh->lost;
}

void
ssh_set_deadline(Ssh *ssh, int64_t deadline)
{
	ssh->deadline = deadline;
}

void
ssh_set_last_words(Ssh *ssh, bool last_words)
{
	ssh->last_words = last_words;
}

const char *
ssh_server_version(const Ssh *ssh)
{
	const char *version = libssh2_session_banner_get(ssh->session);

	return version != NULL ? version : "";
}
