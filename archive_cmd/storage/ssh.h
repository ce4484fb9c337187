/*-------------------------------------------------------------------------
 *
 * ssh.h
 *	  An SSH connection and what SFTP can do over it (libssh2 is included by
 *	  ssh_*.c only).  Nothing is tried again here: that is the driver's work.
 *
 * A server is talked to only if its host key is one that was named beforehand;
 * there is no trust on first use.
 *
 * Every function waits until the server has answered, at most the stall
 * time-out without a byte in either direction and at most until the deadline
 * set by ssh_set_deadline(), and ends early when the process is asked to stop.
 * After any of these, or when the connection broke, the connection is *lost*:
 * whether the server did what it was asked for is not known, all files opened
 * on it are dead, and every further call fails.  Such errors are transient
 * (but not ERR_CANCELED).
 *
 * If the server did answer, the code says what: ERR_NOT_FOUND, ERR_DENIED,
 * ERR_EXISTS, ERR_FULL, ERR_UNSUPPORTED, or ERR_IO for "failure", which is all
 * that most servers say of most things.
 *
 * One thread uses a connection at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SSH_H
#define PGDR_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct Ssh Ssh;
typedef struct SshFile SshFile;

typedef struct SshOptions
{
	const char *host;
	int port;
	const char *user;

	/* Who we are: a file of mode 0600, or keys of the agent. */
	const char *private_key_file;
	const char *passphrase_file; /* NULL: the key is not encrypted */
	bool agent;

	/* Who the server is: at least one. */
	const char *host_key_sha256; /* fingerprints, separated by commas */
	const char *known_hosts_file;

	int64_t connect_timeout; /* microseconds, from the name to SFTP's start */
	int64_t stall_timeout;

	/* The type of host key that fitted last time; kept by ssh_connect(). */
	const char *key_type;
} SshOptions;

/*
 * ERR_CONFIG for keys that are missing or wrong, ERR_DENIED for a wrong host
 * key or when the server refuses the user's key.  The options must outlive
 * the connection.
 */
extern bool ssh_connect(SshOptions *options, Ssh **out, Error *err);
/* Files that are still open become dead.  NULL is fine. */
extern void ssh_close(Ssh *ssh);

/* ERR_CONFIG unless fingerprints reads like that of the option above. */
extern bool ssh_check_fingerprints(const char *fingerprints, Error *err);

extern bool ssh_is_lost(const Ssh *ssh);
extern void ssh_set_deadline(Ssh *ssh, int64_t deadline); /* monotonic */
/* For cleaning up: go on although the process was asked to stop. */
extern void ssh_set_last_words(Ssh *ssh, bool last_words);
/* "SSH-2.0-OpenSSH_9.2p1 Debian-2" */
extern const char *ssh_server_version(const Ssh *ssh);

typedef enum SshKind
{
	SSH_FILE,
	SSH_DIR,
	SSH_OTHER /* a link, a device, ... */
} SshKind;

typedef struct SshAttrs
{
	SshKind kind;
	uint64_t size;
	int64_t mtime; /* seconds since 1970: SFTP has no finer time */
} SshAttrs;

typedef struct SshSpace
{
	uint64_t bytes; /* free for us */
	uint64_t files; /* likewise; UINT64_MAX if there is no limit */
	bool read_only;
} SshSpace;

extern bool ssh_lstat(Ssh *ssh, const char *path, SshAttrs *out, Error *err);
/* Follows a symbolic link. */
extern bool ssh_stat(Ssh *ssh, const char *path, SshAttrs *out, Error *err);
extern bool ssh_mkdir(Ssh *ssh, const char *path, int mode, Error *err);
extern bool ssh_rmdir(Ssh *ssh, const char *path, Error *err);
extern bool ssh_unlink(Ssh *ssh, const char *path, Error *err);
/* The plain rename of SFTP 3, which must not replace (but see the server). */
extern bool ssh_rename(Ssh *ssh, const char *from, const char *to, Error *err);
/* ERR_UNSUPPORTED where the server has no statvfs@openssh.com. */
extern bool ssh_space(Ssh *ssh, const char *path, SshSpace *out, Error *err);

typedef struct SshEntry
{
	char *name;
	SshAttrs attrs;
} SshEntry;

typedef struct SshEntries
{
	SshEntry *item;
	size_t count;
	size_t cap;
} SshEntries;

/* The whole of a directory, without "." and ".."; adds to *out. */
extern bool ssh_read_dir(Ssh *ssh, const char *path, SshEntries *out,
						 Error *err);
extern void ssh_entries_free(SshEntries *entries);

typedef enum SshOpen
{
	SSH_READ,
	SSH_CREATE, /* to write; must not exist */
	SSH_REOPEN  /* to read and write; must exist */
} SshOpen;

/* The mode is for SSH_CREATE. */
extern bool ssh_open(Ssh *ssh, const char *path, SshOpen how, int mode,
					 SshFile **out, Error *err);
/* Also of a dead file; NULL is fine. */
extern void ssh_file_close(SshFile *file);
extern bool ssh_file_is_dead(const SshFile *file);
extern bool ssh_fstat(SshFile *file, SshAttrs *out, Error *err);

/*
 * All of it; true means that the server has taken it.  No deadline holds, as
 * long as bytes move.  The connection is lost after any error, also one that
 * is the server's answer.
 */
extern bool ssh_write(SshFile *file, uint64_t offset, const void *data,
					  size_t len, Error *err);

/*
 * 1..cap bytes, or *got = 0 at the end.  left says how much will be read from
 * here on: what is asked for ahead does not go past it.
 */
typedef struct SshRange
{
	uint64_t offset;
	uint64_t left;
} SshRange;
extern bool ssh_read(SshFile *file, const SshRange *range, void *buf,
					 size_t cap, size_t *got, Error *err);

/*
 * ERR_UNSUPPORTED where the server has no fsync@openssh.com.  May last until
 * the deadline, as long as the server is alive otherwise.
 */
extern bool ssh_fsync(SshFile *file, Error *err);

#endif
