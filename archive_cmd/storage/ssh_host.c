/*-------------------------------------------------------------------------
 *
 * ssh_host.c
 *	  Is the server the one that it should be?  Its host key must be among the
 *	  fingerprints of the configuration or in a file of known hosts.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

#define KNOWN_HOSTS_MAX ((size_t) 4 * 1024 * 1024)
#define FINGERPRINT_PREFIX "SHA256:"
#define FINGERPRINT_LEN 43 /* base64 of 32 bytes without padding */
#define REVOKED "@revoked"

/*
 * What to ask for, best first.  "ssh-rsa" is not among them: it signs with
 * SHA-1, and current servers refuse it.  libssh2 drops what it does not know.
 */
typedef struct KeyType
{
	const char *name;
	const char *blob; /* the type named in the key itself */
	int known_host;   /* in libssh2's list of known hosts */
} KeyType;

static const KeyType key_types[] = {
	{"ssh-ed25519", "ssh-ed25519", LIBSSH2_KNOWNHOST_KEY_ED25519},
	{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256",
	 LIBSSH2_KNOWNHOST_KEY_ECDSA_256},
	{"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384",
	 LIBSSH2_KNOWNHOST_KEY_ECDSA_384},
	{"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521",
	 LIBSSH2_KNOWNHOST_KEY_ECDSA_521},
	{"rsa-sha2-512", "ssh-rsa", LIBSSH2_KNOWNHOST_KEY_SSHRSA},
	{"rsa-sha2-256", "ssh-rsa", LIBSSH2_KNOWNHOST_KEY_SSHRSA},
};

#define KEY_TYPES (sizeof(key_types) / sizeof(key_types[0]))

/* Where the user learns what to configure. */
static bool
hint_fingerprint(const SshOptions *o, Error *err)
{
	return error_hint(err,
					  "To see the fingerprints of the server's keys: "
					  "\"ssh-keyscan -p %d %s | ssh-keygen -lf -\". Compare "
					  "them with what the server's administrator tells you "
					  "before you set host-key-sha256.",
					  o->port, o->host);
}

/* The key that the server showed, as it came. */
static const char *
shown_key(Ssh *ssh, size_t *len)
{
	int type;

	return libssh2_session_hostkey(ssh->session, len, &type);
}

/* The type of a key, which is a string at its begin; NULL if unknown. */
static const KeyType *
type_of_key(const char *key, size_t len)
{
	for (size_t i = 0; i < KEY_TYPES; i++)
	{
		size_t n = strlen(key_types[i].blob);

		if (len >= n + 4 && (unsigned char) key[3] == n &&
			memcmp(key + 4, key_types[i].blob, n) == 0)
			return &key_types[i];
	}
	return NULL;
}

const char *
ssh_host_key_type(Ssh *ssh)
{
	size_t len;
	const char *key = shown_key(ssh, &len);
	const KeyType *type = key != NULL ? type_of_key(key, len) : NULL;

	return type != NULL ? type->name : NULL;
}

/* The part after "SHA256:"; caller frees. */
static char *
fingerprint(const char *key, size_t len)
{
	uint8_t sum[SHA256_LEN];
	char *text;

	sha256_once(key, len, sum);
	text = base64_encode(sum, sizeof(sum));
	text[FINGERPRINT_LEN] = '\0';
	return text;
}

char *
ssh_host_key_text(Ssh *ssh)
{
	const char *type = ssh_host_key_type(ssh);
	size_t len;
	const char *key = shown_key(ssh, &len);
	char *sum;
	char *text;

	if (key == NULL || type == NULL)
		return NULL;
	sum = fingerprint(key, len);
	text = mem_printf("%s%s (%s)", FINGERPRINT_PREFIX, sum, type);
	free(sum);
	return text;
}

/*
 * Fingerprints of the configuration
 */

/* The next one of a list separated by commas and spaces; NULL at its end. */
static const char *
next_fingerprint(const char **list, size_t *len)
{
	const char *start = *list + strspn(*list, ", \t");

	*len = strcspn(start, ", \t");
	*list = start + *len;
	if (strncmp(start, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) == 0)
	{
		start += strlen(FINGERPRINT_PREFIX);
		*len -= strlen(FINGERPRINT_PREFIX);
	}
	/* Some tools write the padding. */
	if (*len == FINGERPRINT_LEN + 1 && start[FINGERPRINT_LEN] == '=')
		*len = FINGERPRINT_LEN;
	return **list != '\0' || *len > 0 ? start : NULL;
}

static bool
is_fingerprint(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '+' || c == '/'))
			return false;
	}
	return len == FINGERPRINT_LEN;
}

bool
ssh_check_fingerprints(const char *fingerprints, Error *err)
{
	const char *rest = fingerprints;
	const char *one;
	size_t count = 0;
	size_t len;

	while ((one = next_fingerprint(&rest, &len)) != NULL)
	{
		if (!is_fingerprint(one, len))
		{
			error_set(err, ERR_CONFIG,
					  "host-key-sha256 is no SHA-256 fingerprint: \"%.100s\"",
					  fingerprints);
			return error_hint(err, "\"ssh-keygen -lf\" prints it as "
								   "\"SHA256:\" and 43 characters.");
		}
		count++;
	}
	return count > 0 ||
		   error_set(err, ERR_CONFIG, "host-key-sha256 has no fingerprint");
}

static bool
is_configured(const char *fingerprints, const char *key, size_t len)
{
	char *text = fingerprint(key, len);
	const char *one;
	bool found = false;

	while (!found && (one = next_fingerprint(&fingerprints, &len)) != NULL)
		found = len == FINGERPRINT_LEN &&
				memcmp(one, text, FINGERPRINT_LEN) == 0;
	free(text);
	return found;
}

/*
 * A file of known hosts
 */

/*
 * Lines that libssh2 does not understand say nothing about our host.  Those
 * with a marker are kept apart: an authority's key is no host's key, and
 * revoked ones must not pass for known ones.
 */
static bool
read_known_hosts(Ssh *ssh, LIBSSH2_KNOWNHOSTS **out, StrBuf *revoked,
				 Error *err)
{
	StrBuf text = STRBUF_INIT;
	LIBSSH2_KNOWNHOSTS *hosts;
	char *rest;
	char *line;

	if (!file_slurp(ssh->options->known_hosts_file, KNOWN_HOSTS_MAX, &text,
					err))
	{
		if (err->code == ERR_NOT_FOUND || err->code == ERR_DAMAGED)
			err->code = ERR_CONFIG;
		strbuf_free(&text);
		return false;
	}
	hosts = libssh2_knownhost_init(ssh->session);
	if (hosts == NULL)
		mem_out_of_memory();
	rest = text.data;
	while (rest != NULL && (line = strsep(&rest, "\r\n")) != NULL)
	{
		if (strncmp(line, REVOKED, strlen(REVOKED)) == 0)
			strbuf_printf(revoked, "%s\n", line);
		else if (line[0] != '@')
			(void) libssh2_knownhost_readline(hosts, line, strlen(line),
											  LIBSSH2_KNOWNHOST_FILE_OPENSSH);
	}
	strbuf_free(&text);
	*out = hosts;
	return true;
}

static int
check_known(Ssh *ssh, LIBSSH2_KNOWNHOSTS *hosts, const char *key, size_t len,
			int type)
{
	return libssh2_knownhost_checkp(
		hosts, ssh->options->host, ssh->options->port, key, len,
		LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | type,
		NULL);
}

/* A key that nobody has is a mismatch if there is one of this type. */
static bool
knows_type(Ssh *ssh, LIBSSH2_KNOWNHOSTS *hosts, int type)
{
	return check_known(ssh, hosts, "x", 1, type) ==
		   LIBSSH2_KNOWNHOST_CHECK_MISMATCH;
}

static SshHostKey
look_up_key(Ssh *ssh, const char *key, size_t len, Error *err)
{
	const KeyType *type = type_of_key(key, len);
	StrBuf revoked = STRBUF_INIT;
	LIBSSH2_KNOWNHOSTS *hosts;
	SshHostKey verdict = SSH_HOST_KEY_OTHER;
	char *text;

	if (!read_known_hosts(ssh, &hosts, &revoked, err))
		return SSH_HOST_KEY_REFUSED;
	text = base64_encode((const uint8_t *) key, len);
	if (revoked.data != NULL && strstr(revoked.data, text) != NULL)
	{
		error_set(err, ERR_DENIED,
				  "the host key of \"%s\" is revoked in \"%s\"",
				  ssh->options->host, ssh->options->known_hosts_file);
		verdict = SSH_HOST_KEY_REFUSED;
	}
	else if (type != NULL &&
			 check_known(ssh, hosts, key, len, type->known_host) ==
				 LIBSSH2_KNOWNHOST_CHECK_MATCH)
		verdict = SSH_HOST_KEY_RIGHT;
	free(text);
	strbuf_free(&revoked);
	libssh2_knownhost_free(hosts);
	return verdict;
}

static bool
unknown_host(const SshOptions *o, Error *err)
{
	error_set(err, ERR_CONFIG, "\"%s\" has no usable key of host \"%s\"",
			  o->known_hosts_file, o->host);
	error_detail(err,
				 "A line for \"%s%s%s\" with a key of type ssh-ed25519 "
				 "or ecdsa-sha2-nistp256, 384 or 521 is needed.",
				 o->port == 22 ? "" : "[", o->host, o->port == 22 ? "" : "]");
	return hint_fingerprint(o, err);
}

/*
 * Both, for what comes next
 */

static void
add_type(StrBuf *list, const char *type)
{
	strbuf_printf(list, "%s%s", list->len > 0 ? "," : "", type);
}

bool
ssh_host_key_types(Ssh *ssh, char **types, Error *err)
{
	const SshOptions *o = ssh->options;
	StrBuf list = STRBUF_INIT;
	StrBuf revoked = STRBUF_INIT;
	LIBSSH2_KNOWNHOSTS *hosts = NULL;

	if (o->known_hosts_file != NULL &&
		!read_known_hosts(ssh, &hosts, &revoked, err))
		return false;
	if (o->key_type != NULL)
		add_type(&list, o->key_type);
	for (size_t i = 0; i < KEY_TYPES; i++)
	{
		if ((o->host_key_sha256 != NULL ||
			 knows_type(ssh, hosts, key_types[i].known_host)) &&
			(o->key_type == NULL ||
			 strcmp(o->key_type, key_types[i].name) != 0))
			add_type(&list, key_types[i].name);
	}
	strbuf_free(&revoked);
	if (hosts != NULL)
		libssh2_knownhost_free(hosts);
	if (list.len == 0)
		return unknown_host(o, err);
	*types = strbuf_steal(&list);
	return true;
}

SshHostKey
ssh_check_host_key(Ssh *ssh, Error *err)
{
	const SshOptions *o = ssh->options;
	SshHostKey verdict = SSH_HOST_KEY_OTHER;
	size_t len;
	const char *key = shown_key(ssh, &len);

	if (key == NULL)
	{
		error_set(err, ERR_DENIED, "the server showed no host key");
		return SSH_HOST_KEY_REFUSED;
	}
	if (o->known_hosts_file != NULL)
		verdict = look_up_key(ssh, key, len, err);
	if (verdict == SSH_HOST_KEY_OTHER && o->host_key_sha256 != NULL &&
		is_configured(o->host_key_sha256, key, len))
		verdict = SSH_HOST_KEY_RIGHT;
	return verdict;
}

bool
ssh_wrong_host_key(const SshOptions *o, const char *shown, Error *err)
{
	if (shown == NULL)
	{
		error_set(err, ERR_DENIED,
				  "the server at \"%s\" has no host key of a usable type",
				  o->host);
		return error_detail(err,
							"Keys of type ssh-ed25519 and "
							"ecdsa-sha2-nistp256, 384 and 521 can be used"
							"%s.",
							o->known_hosts_file != NULL ? ", and of these only "
														  "types that are in "
														  "the file of known "
														  "hosts"
														: "");
	}
	error_set(err, ERR_DENIED,
			  "the host key of \"%s\" is not the one that is "
			  "configured",
			  o->host);
	error_detail(err, "The server showed %s.", shown);
	return error_hint(err,
					  "Somebody may be between this host and the server. "
					  "Only if the server's administrator confirms that "
					  "the key was changed, change %s.",
					  o->host_key_sha256 != NULL ? "host-key-sha256"
												 : "the file of known hosts");
}
