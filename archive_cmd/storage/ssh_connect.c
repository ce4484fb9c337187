/*-------------------------------------------------------------------------
 *
 * ssh_connect.c
 *	  Making an SSH connection: name, socket, host key, login, SFTP.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <errno.h>
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

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static int init_result;

static void
init_library(void)
{
	init_result = libssh2_init(0);
}

/* ETIMEDOUT when time is up, ECANCELED when asked to stop. */
static int
finish_connect(int fd, int64_t until)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	while (poll(&pfd, 1, (int) (SSH_POLL_MAX / 1000)) <= 0)
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
	if (error_is_set(err))
		return false;
	if (ssh->ended)
	{
		ssh_fail(ssh, rc, "could not start SFTP", err);
		return error_hint(err, "If the server ends every session at once, its "
							   "log says why; often its ChrootDirectory, or a "
							   "directory above, is writable by others than "
							   "root.");
	}
	error_set(err, ERR_UNSUPPORTED, "could not start SFTP on the server");
	return error_hint(err, "The server must offer the subsystem \"sftp\" to "
						   "this user.");
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
	ssh = ssh_new(o, fd, deadline);
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

	if (!ssh_load(err))
		return false;
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
