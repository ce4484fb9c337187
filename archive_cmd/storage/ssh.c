/*-------------------------------------------------------------------------
 *
 * ssh.c
 *	  An SSH connection: making it, waiting for the server, losing it.
 *
 * libssh2 is used without blocking, and sends and receives through functions
 * of ours: these count what moves, and end a connection at once when it is
 * lost.  Taking one down must not wait for a server that may be gone.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

/* How late a request to stop may be noticed. */
#define POLL_MAX (USECS_PER_SEC / 10)

/* A server that is asked whether it is alive has to have several chances. */
#define PINGS_PER_STALL 4

/*
 * When the server closes the channel in the middle of an answer, libssh2 1.10
 * looks for the rest of it in an endless loop.  No honest call finds nothing
 * so many times.
 */
#define EMPTY_MAX 100000

#define TEARDOWN_TRIES 100

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static int init_result;

static void
init_library(void)
{
	init_result = libssh2_init(0);
}

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
	if (n < 0 && (errno == EAGAIN || errno == EINTR) &&
		++ssh->empty <= EMPTY_MAX)
		return -EAGAIN;
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

/*
 * A disk may take long over an fsync.  Whether the server is alive meanwhile
 * is seen from its answer to another message; only when nothing is half sent,
 * because that one would get mixed with it.
 */
static void
ping(SshWait *wait, int64_t now)
{
	int64_t interval = wait->ssh->options->stall_timeout / PINGS_PER_STALL;
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
	int64_t stall = ssh->options->stall_timeout;
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
	(void) poll(&pfd, 1, (int) (POLL_MAX / 1000));
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
 * Connecting
 */

/* ETIMEDOUT when time is up, ECANCELED when asked to stop. */
static int
finish_connect(int fd, int64_t until)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	while (poll(&pfd, 1, (int) (POLL_MAX / 1000)) <= 0)
	{
		if (thread_should_stop())
			return ECANCELED;
		if (clock_monotonic() >= until)
			return ETIMEDOUT;
	}
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) == 0 ? errnum
																	: errno;
}

static int
connect_address(const struct addrinfo *address, int64_t until, int *errnum)
{
	int fd = socket(address->ai_family,
					SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
	{
		*errnum = errno;
		return -1;
	}
	*errnum = 0;
	if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
		*errnum = errno == EINPROGRESS ? finish_connect(fd, until) : errno;
	if (*errnum != 0)
	{
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return fd;
}

static bool
name_failed(const SshOptions *o, int code, Error *err)
{
	error_set(err, ERR_IO, "could not look up host \"%s\": %s", o->host,
			  gai_strerror(code));
	if (code == EAI_NONAME || code == EAI_FAMILY || code == EAI_SERVICE)
		return error_hint(err, "Check the key \"host\" of the repository.");
	err->transient = true;
	return false;
}

/* The time is shared among the addresses, so that a dead one leaves some. */
static bool
connect_host(const SshOptions *o, int64_t deadline, int *fd, Error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
							 .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char *port = mem_printf("%d", o->port);
	int code = getaddrinfo(o->host, port, &hints, &list);
	int left = 0;
	int errnum = ETIMEDOUT;

	free(port);
	if (code != 0)
		return name_failed(o, code, err);
	for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
		left++;
	*fd = -1;
	for (struct addrinfo *a = list; *fd < 0 && a != NULL; a = a->ai_next)
	{
		int64_t now = clock_monotonic();

		*fd = connect_address(a, now + (deadline - now) / left--, &errnum);
	}
	freeaddrinfo(list);
	if (*fd >= 0 || !thread_check_stop(err))
		return *fd >= 0;
	error_set_errno(err, errnum, "could not connect to \"%s\", port %d",
					o->host, o->port);
	if (errnum == ETIMEDOUT)
		err->code = ERR_TIMEOUT;
	err->transient = true;
	return false;
}

/*
 * *other is set, without an error, if the server showed a key that is not the
 * right one while another of its keys may be.
 */
static bool
shake_hands(Ssh *ssh, const char *types, bool *other, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	SshHostKey verdict;
	int rc;

	if (libssh2_session_method_pref(ssh->session, LIBSSH2_METHOD_HOSTKEY,
									types) != 0)
	{
		*other = true;
		return false;
	}
	do
		rc = libssh2_session_handshake(ssh->session, ssh->fd);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc == LIBSSH2_ERROR_KEX_FAILURE && !ssh->ended && !ssh->lost)
	{
		*other = true; /* it has none of these types */
		return false;
	}
	if (rc != 0)
		return ssh_fail(ssh, rc, "could not start SSH", err);
	verdict = ssh_check_host_key(ssh, err);
	*other = verdict == SSH_HOST_KEY_OTHER;
	return verdict == SSH_HOST_KEY_RIGHT;
}

static bool
start_sftp(Ssh *ssh, Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	do
	{
		ssh->sftp = libssh2_sftp_init(ssh->session);
		rc = ssh->sftp != NULL ? 0 : libssh2_session_last_errno(ssh->session);
	} while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc == 0)
		return true;
	if (error_is_set(err) || ssh->ended)
		return ssh_fail(ssh, rc, "could not start SFTP", err);
	error_set(err, ERR_UNSUPPORTED, "could not start SFTP on the server");
	return error_hint(err, "The server must offer the subsystem \"sftp\" to "
						   "this user.");
}

static Ssh *
new_session(const SshOptions *o, int fd, int64_t deadline)
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

/* Takes one type out of a list "a,b,c". */
static void
drop_type(char *types, const char *type)
{
	size_t len = strlen(type);
	char *p = types;

	while (*p != '\0')
	{
		size_t n = strcspn(p, ",");

		if (n == len && strncmp(p, type, n) == 0)
		{
			size_t gone = n + (p[n] == ',');

			memmove(p, p + gone, strlen(p + gone) + 1);
		}
		else
			p += n + (p[n] == ',');
	}
	if (p > types && p[-1] == ',')
		p[-1] = '\0';
}

/*
 * One connection up to the server's key.  *types is the list of those to ask
 * for; what the server showed in vain leaves it and goes to *shown.
 */
static bool
reach_server(SshOptions *o, char **types, StrBuf *shown, Ssh **out, Error *err)
{
	int64_t deadline = clock_monotonic() + o->connect_timeout;
	bool other = false;
	char *text;
	Ssh *ssh;
	int fd = -1;

	if (!connect_host(o, deadline, &fd, err))
		return false;
	ssh = new_session(o, fd, deadline);
	if ((*types == NULL && !ssh_host_key_types(ssh, types, err)) ||
		!shake_hands(ssh, *types, &other, err))
	{
		text = other ? ssh_host_key_text(ssh) : NULL;
		if (text != NULL)
		{
			strbuf_printf(shown, "%s%s", shown->len > 0 ? ", " : "", text);
			drop_type(*types, ssh_host_key_type(ssh));
		}
		else if (other)
			*types[0] = '\0';
		free(text);
		ssh_close(ssh);
		return false;
	}
	*out = ssh;
	return true;
}

/*
 * A server has several host keys and shows one, of a type that we choose.  If
 * only the fingerprint is known, the type has to be found by trying.
 */
bool
ssh_connect(SshOptions *options, Ssh **out, Error *err)
{
	StrBuf shown = STRBUF_INIT;
	char *types = NULL;
	Ssh *ssh = NULL;

	pthread_once(&init_once, init_library);
	if (init_result != 0)
		return error_set(err, ERR_INTERNAL, "could not initialize libssh2");
	while (!reach_server(options, &types, &shown, &ssh, err) &&
		   !error_is_set(err))
	{
		if (types[0] == '\0')
			ssh_wrong_host_key(options, shown.data, err);
		else
			options->key_type = NULL;
		if (error_is_set(err))
			break;
	}
	free(types);
	strbuf_free(&shown);
	if (ssh == NULL)
		return false;
	options->key_type = ssh_host_key_type(ssh);
	if (!ssh_authenticate(ssh, err) || !start_sftp(ssh, err))
	{
		ssh_close(ssh);
		return false;
	}
	ssh->deadline = 0;
	*out = ssh;
	return true;
}

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
