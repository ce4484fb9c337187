/*-------------------------------------------------------------------------
 *
 * ssh_internal.h
 *	  What the files of the SSH connection share; nobody else includes this.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SSH_INTERNAL_H
#define PGDR_SSH_INTERNAL_H

#include "base/clock.h"
#include "storage/ssh.h"
#include "storage/ssh_lib.h"

struct Ssh
{
	const SshOptions *options;
	int fd;
	LIBSSH2_SESSION *session;
	LIBSSH2_SFTP *sftp;
	SshFile *files; /* all that are open */

	int64_t deadline; /* monotonic; 0: none */
	bool last_words;
	bool lost;      /* nothing may be sent or received any more */
	bool ended;     /* the socket said so: closed or broken */
	uint64_t moved; /* bytes in both directions */
	unsigned empty; /* times in a row that there was nothing to receive */
};

struct SshFile
{
	SshFile *next;
	Ssh *ssh; /* NULL: dead */
	LIBSSH2_SFTP_HANDLE *handle;
	uint64_t offset; /* where reading would go on; UINT64_MAX after a write */
};

/* How late a request to stop may be noticed. */
#define SSH_POLL_MAX (USECS_PER_SEC / 10)

/* A session that has not begun, on a connected socket, which it takes. */
extern Ssh *ssh_new(const SshOptions *o, int fd, int64_t deadline);

/* What a wait is for, which says when it has lasted too long. */
typedef enum SshWaitKind
{
	SSH_WAIT_ANSWER, /* stall time-out and deadline */
	SSH_WAIT_DATA,   /* stall time-out only */
	SSH_WAIT_DISK    /* likewise; asks the server whether it is alive */
} SshWaitKind;

typedef struct SshWait
{
	Ssh *ssh;
	SshWaitKind kind;
	uint64_t moved;    /* when last looked at */
	int64_t moved_at;  /* monotonic */
	int64_t pinged_at; /* likewise */
} SshWait;

/*
 * do
 *		rc = libssh2_...();
 * while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
 *
 * A function of libssh2 that was begun must be called until it is done, with
 * the same arguments, and no other one in between.  So whoever ends early
 * loses the connection.
 */
extern SshWait ssh_wait_begin(Ssh *ssh, SshWaitKind kind);
extern bool ssh_wait(SshWait *wait, Error *err);

/*
 * Error for a call that gave rc and did not work: what the server said, or
 * that the connection is lost.  Nothing if *err is set (ssh_wait() did).
 */
extern bool ssh_fail(Ssh *ssh, long rc, const char *what, Error *err);
extern bool ssh_lose(Ssh *ssh, ErrCode code, const char *why, Error *err);

/* ssh_file.c: makes all open files dead. */
extern void ssh_drop_files(Ssh *ssh);

/* ssh_host.c: which server this is. */

/*
 * The types of host key to ask the server for, as libssh2 wants them; caller
 * frees.  ERR_CONFIG if none is known for this host.
 */
extern bool ssh_host_key_types(Ssh *ssh, char **types, Error *err);

/* Is the key that the server showed one that was named beforehand? */
typedef enum SshHostKey
{
	SSH_HOST_KEY_RIGHT,
	SSH_HOST_KEY_OTHER,  /* another type may fit */
	SSH_HOST_KEY_REFUSED /* *err is set */
} SshHostKey;
extern SshHostKey ssh_check_host_key(Ssh *ssh, Error *err);

/* "SHA256:... (ssh-ed25519)" of the key that was shown; caller frees. */
extern char *ssh_host_key_text(Ssh *ssh);
/* The type of that key as in a list of types, or NULL. */
extern const char *ssh_host_key_type(Ssh *ssh);

/* Error for a server that has shown these keys and no right one. */
extern bool ssh_wrong_host_key(const SshOptions *options, const char *shown,
							   Error *err);

/* ssh_auth.c: who we are. */
extern bool ssh_authenticate(Ssh *ssh, Error *err);

#endif
