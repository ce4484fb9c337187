/*-------------------------------------------------------------------------
 *
 * sftp_server.h
 *	  A real OpenSSH server for the tests of the sftp driver.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SFTP_SERVER_H
#define PGDR_SFTP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "storage/storage.h"

typedef struct SftpServer
{
	char *dir;  /* keys, configuration, log */
	char *root; /* where repositories are */
	int port;
	pid_t pid;                /* also of its process group; 0: not running */
	const char *sftp;         /* another program for SFTP, or NULL */
	const char *host_keys;    /* as SSHD_HOST_KEYS, or NULL */
	const char *options;      /* as SSHD_OPTIONS, or NULL */
	const char *small_disk;   /* a directory to mount this much on: "8m" */
	const char *mount_option; /* likewise: "ro" */
} SftpServer;

#define SFTP_PARAMS_MAX 24

/* Options of a repository on such a server; the texts live until free. */
typedef struct SftpTarget
{
	StorageOptions options;
	StorageParam params[SFTP_PARAMS_MAX];
	char *path;
	char *texts[SFTP_PARAMS_MAX];
} SftpTarget;

/* Makes keys below dir and a free port; does not start it. */
extern void sftp_server_init(SftpServer *s, const char *dir);
/* Starts it and waits until it answers; false if it does not. */
extern bool sftp_server_start(SftpServer *s);
/* All its processes, those of the sessions too. */
extern void sftp_server_signal(const SftpServer *s, int signo);
extern void sftp_server_stop(SftpServer *s);
extern void sftp_server_free(SftpServer *s);

/* Content of a file in its directory, without the line break; caller frees. */
extern char *sftp_server_file(const SftpServer *s, const char *name);

/*
 * Key id_ed25519, pinned fingerprint, short time-outs; more are added, or
 * replace these, by set (a NULL value takes a key out).
 */
extern void sftp_target_init(SftpTarget *t, const SftpServer *s,
							 const char *name);
extern void sftp_target_set(SftpTarget *t, const char *key, const char *value);
extern void sftp_target_free(SftpTarget *t);

#endif
