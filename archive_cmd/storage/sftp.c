/*-------------------------------------------------------------------------
 *
 * sftp.c
 *	  A store in a directory of an SFTP server: its options, its connection,
 *	  and the operations that are one request.
 *
 * The connection is made at the first use: a repository that is only there for
 * when another one fails must not cost every call a login.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sftp.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEFAULT_PORT 22
#define MAX_PORT 65535

static const StorageKey sftp_keys[] = {
	{"host", STORAGE_KEY_TEXT, true, NULL, "name or address of the server"},
	{"port", STORAGE_KEY_INT, false, NULL, "its port (22)"},
	{"user", STORAGE_KEY_TEXT, true, NULL, "user on the server"},
	{"private-key-file", STORAGE_KEY_PATH, false, NULL,
	 "private key to log in with (ed25519 or ecdsa)"},
	{"passphrase-file", STORAGE_KEY_PATH, false, NULL,
	 "file with the passphrase of the private key"},
	{"agent", STORAGE_KEY_BOOL, false, NULL,
	 "log in with the keys of the SSH agent (no)"},
	{"host-key-sha256", STORAGE_KEY_TEXT, false, NULL,
	 "fingerprint of the server's key, as ssh-keygen -l prints it"},
	{"known-hosts-file", STORAGE_KEY_PATH, false, NULL,
	 "file with the server's key, as OpenSSH has it"},
	{"fsync", STORAGE_KEY_BOOL, false, NULL,
	 "\"no\" does without, for servers that cannot (yes)"},
	{"write-once", STORAGE_KEY_BOOL, false, NULL,
	 "make objects read-only on the server (no)"},
	RETRY_KEYS,
	LIMIT_KEYS,
	{NULL, 0, false, NULL, NULL}};

/*
 * The connection
 */

static void
drop_connection(SftpStorage *ss)
{
	ssh_close(ss->ssh);
	ss->ssh = NULL;
}

bool
sftp_connect(SftpStorage *ss, Error *err)
{
	if (ss->ssh != NULL && ssh_is_lost(ss->ssh))
		drop_connection(ss);
	return ss->ssh != NULL || ssh_connect(&ss->server, &ss->ssh, err);
}

static bool
try_step(SftpStorage *ss, SftpStep step, void *arg, int64_t deadline,
		 Error *err)
{
	if (!sftp_connect(ss, err))
		return false;
	ssh_set_deadline(ss->ssh, deadline);
	return step(ss, arg, err);
}

bool
sftp_run(SftpStorage *ss, SftpStep step, void *arg, Error *err)
{
	Error cause = ERROR_INIT;
	Retry retry;
	bool done;

	retry_begin(&retry, &ss->policy);
	ss->final = false;
	do
	{
		ss->waited = limit_request(ss->limit);
		done = try_step(ss, step, arg, retry.deadline + ss->waited, &cause);
		retry_extend(&retry, ss->waited);
	} while (!done && !ss->final && retry_again(&retry, 0, &cause));
	if (!done)
		error_move(err, &cause);
	return done;
}

void
sftp_pass_upload(SftpStorage *ss, size_t bytes)
{
	ss->waited += limit_upload(ss->limit, bytes);
}

void
sftp_pass_download(SftpStorage *ss, size_t bytes)
{
	ss->waited += limit_download(ss->limit, bytes);
}

/*
 * Opening
 */

static bool
missing(const char *key, Error *err)
{
	return error_set(err, ERR_CONFIG,
					 "key \"%s\" is needed for an sftp "
					 "repository",
					 key);
}

/*
 * There is no trust on first use: the first use may well be the day of the
 * disaster, on a new host, with a stranger at the other end.
 */
static bool
check_host_key(const SshOptions *o, Error *err)
{
	if (o->host_key_sha256 != NULL)
		return ssh_check_fingerprints(o->host_key_sha256, err);
	if (o->known_hosts_file != NULL)
		return true;
	error_set(err, ERR_CONFIG, "the host key of \"%s\" is not configured",
			  o->host);
	error_detail(err, "One of the keys \"host-key-sha256\" and "
					  "\"known-hosts-file\" is needed; a key is never trusted "
					  "because it is the first one seen.");
	return error_hint(err,
					  "To see the fingerprints of the server's keys: "
					  "\"ssh-keyscan -p %d %s | ssh-keygen -lf -\"; compare "
					  "them with what the server's administrator tells you "
					  "over a channel that you trust.",
					  o->port, o->host);
}

static bool
check_options(const StorageOptions *options, const SshOptions *o, Error *err)
{
	if (o->host == NULL || o->user == NULL)
		return missing(o->host == NULL ? "host" : "user", err);
	if (o->port < 1 || o->port > MAX_PORT)
		return error_set(err, ERR_CONFIG, "port %d is out of range", o->port);
	if (options->path == NULL || options->path[0] != '/')
	{
		error_set(err, ERR_CONFIG,
				  "path of an sftp repository must be absolute");
		return error_detail(err, "The path is \"%s\".",
							options->path ? options->path : "");
	}
	if (o->private_key_file == NULL && !o->agent)
	{
		missing("private-key-file", err);
		return error_hint(err, "Or set \"agent = yes\".");
	}
	if (o->private_key_file != NULL && o->agent)
		return error_set(err, ERR_CONFIG,
						 "\"private-key-file\" and \"agent = "
						 "yes\" exclude each other");
	return check_host_key(o, err);
}

static char *
copy_param(const StorageOptions *options, const char *key)
{
	const char *value = storage_param(options, key);

	return value != NULL ? mem_strdup(value) : NULL;
}

static void
read_options(SftpStorage *ss, const StorageOptions *options)
{
	ss->policy = retry_policy(options);
	ss->limit = limit_of(options);
	ss->sync = storage_param_bool(options, "fsync", true);
	ss->write_once = storage_param_bool(options, "write-once", false);
	ss->server = (SshOptions){
		.host = copy_param(options, "host"),
		.port = (int) storage_param_int(options, "port", DEFAULT_PORT),
		.user = copy_param(options, "user"),
		.private_key_file = copy_param(options, "private-key-file"),
		.passphrase_file = copy_param(options, "passphrase-file"),
		.agent = storage_param_bool(options, "agent", false),
		.host_key_sha256 = copy_param(options, "host-key-sha256"),
		.known_hosts_file = copy_param(options, "known-hosts-file"),
		.connect_timeout = ss->policy.connect_timeout,
		.stall_timeout = ss->policy.stall_timeout};
}

static void
set_names(SftpStorage *ss, const StorageOptions *options)
{
	const SshOptions *o = &ss->server;
	size_t len = strlen(options->path);

	while (len > 0 && options->path[len - 1] == '/')
		len--;
	ss->root = mem_strndup(options->path, len);
	ss->base.where = o->port == DEFAULT_PORT
						 ? mem_printf("sftp://%s@%s%s", o->user, o->host,
									  ss->root)
						 : mem_printf("sftp://%s@%s:%d%s", o->user, o->host,
									  o->port, ss->root);
}

static void
sftp_close(Storage *st)
{
	SftpStorage *ss = (SftpStorage *) st;

	drop_connection(ss);
	free((char *) ss->server.host);
	free((char *) ss->server.user);
	free((char *) ss->server.private_key_file);
	free((char *) ss->server.passphrase_file);
	free((char *) ss->server.host_key_sha256);
	free((char *) ss->server.known_hosts_file);
	free(ss->root);
	free(ss->base.where);
	free(ss);
}

/* Better that a new repository is refused than its first segment. */
static bool
step_create(SftpStorage *ss, void *arg, Error *err)
{
	(void) arg;
	ss->rename_safe = false;
	if (!sftp_make_dirs(ss, ss->root, 0, err) || !sftp_check_root(ss, err))
		return false;
	return sftp_check_rename(ss, err);
}

static bool
sftp_open(const StorageOptions *options, Storage **out, Error *err)
{
	SftpStorage *ss = mem_zalloc(sizeof(*ss));

	ss->base.driver = &storage_sftp;
	read_options(ss, options);
	if (!check_options(options, &ss->server, err))
	{
		sftp_close(&ss->base);
		return false;
	}
	set_names(ss, options);
	if (options->create && !sftp_run(ss, step_create, NULL, err))
	{
		sftp_close(&ss->base);
		return false;
	}
	*out = &ss->base;
	return true;
}

/*
 * Operations of one request
 */

typedef struct StatCall
{
	char *path;
	SshAttrs attrs;
} StatCall;

static bool
step_stat(SftpStorage *ss, void *arg, Error *err)
{
	StatCall *call = arg;

	return sftp_find(ss, call->path, &call->attrs, err);
}

static bool
sftp_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
		  Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	StatCall call = {.path = sftp_path(ss, name)};
	bool done = sftp_run(ss, step_stat, &call, err);

	free(call.path);
	if (done)
	{
		*size = call.attrs.size;
		*mtime = call.attrs.mtime * USECS_PER_SEC;
	}
	return done;
}

typedef struct RemoveCall
{
	char *path;
	bool sent; /* in a try whose answer did not arrive */
} RemoveCall;

/* What is gone after the answer got lost was removed by that try. */
static bool
step_remove(SftpStorage *ss, void *arg, Error *err)
{
	RemoveCall *call = arg;
	Error cause = ERROR_INIT;
	SshAttrs attrs;
	bool done = sftp_find(ss, call->path, &attrs, &cause);

	if (done)
	{
		done = ssh_unlink(ss->ssh, call->path, &cause);
		call->sent = call->sent || ssh_is_lost(ss->ssh);
		if (cause.code == ERR_NOT_FOUND)
		{
			error_clear(&cause);
			sftp_absent(ss, &cause);
		}
	}
	if (cause.code == ERR_NOT_FOUND && call->sent)
	{
		error_clear(&cause);
		done = true;
	}
	if (done)
		sftp_prune(ss, call->path);
	else
		error_move(err, &cause);
	return done;
}

static bool
sftp_remove(Storage *st, const char *name, Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	RemoveCall call = {.path = sftp_path(ss, name)};
	bool done = sftp_run(ss, step_remove, &call, err);

	free(call.path);
	return done;
}

static bool
step_settle(SftpStorage *ss, void *arg, Error *err)
{
	SshAttrs attrs;

	return sftp_find(ss, arg, &attrs, err) && sftp_sync_object(ss, arg, err);
}

static bool
sftp_settle(Storage *st, const char *name, Error *err)
{
	SftpStorage *ss = (SftpStorage *) st;
	char *path = sftp_path(ss, name);
	bool done = sftp_run(ss, step_settle, path, err);

	free(path);
	return done;
}

const StorageDriver storage_sftp = {
	.type = "sftp",
	.keys = sftp_keys,
	.open = sftp_open,
	.close = sftp_close,
	.list = sftp_list,
	.stat = sftp_stat,
	.read_open = sftp_read_open,
	.read = sftp_read,
	.read_close = sftp_read_close,
	.write_open = sftp_write_open,
	.write = sftp_write,
	.commit = sftp_commit,
	.abort = sftp_abort,
	.replace = sftp_replace,
	.puts_aside = true,
	.remove = sftp_remove,
	.settle = sftp_settle,
	.sweep = sftp_sweep,
};
