/*-------------------------------------------------------------------------
 *
 * ssh_auth.c
 *	  Telling the server who we are: with a private key in a file, or with the
 *	  keys of an agent.  There are no passwords: nobody is there to type one.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

#define KEY_FILE_MAX ((size_t) 64 * 1024)
#define PASSPHRASE_MAX ((size_t) 4096)

/* libssh2 that can sign with an RSA key and SHA-2. */
#define RSA_SHA2_VERSION 0x010b00

#define OPENSSH_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_END "-----END OPENSSH PRIVATE KEY-----"
#define OPENSSH_MAGIC "openssh-key-v1"

/* What can be seen of a private key without opening it. */
typedef struct KeyFile
{
	bool encrypted;
	bool rsa;
} KeyFile;

/*
 * Looking at the key, to be able to say what is wrong with it
 */

/* The text between the lines of dashes without its line breaks. */
static char *
armor_body(const char *text)
{
	const char *start = strstr(text, OPENSSH_BEGIN) + strlen(OPENSSH_BEGIN);
	const char *end = strstr(start, OPENSSH_END);
	StrBuf body = STRBUF_INIT;

	strbuf_reserve(&body, strlen(start));
	for (; *start != '\0' && start != end; start++)
	{
		if (strchr(" \t\r\n", *start) == NULL)
			strbuf_putc(&body, *start);
	}
	return strbuf_steal(&body);
}

/* The next string of SSH's encoding in data; NULL when there is none. */
static const uint8_t *
next_string(const uint8_t **data, size_t *left, size_t *len)
{
	const uint8_t *p = *data;

	if (*left < 4)
		return NULL;
	*len = (size_t) p[0] << 24 | (size_t) p[1] << 16 | (size_t) p[2] << 8 |
		   p[3];
	if (*len > *left - 4)
		return NULL;
	*data += 4 + *len;
	*left -= 4 + *len;
	return p + 4;
}

static bool
is_text(const uint8_t *data, size_t len, const char *text)
{
	return data != NULL && len == strlen(text) && memcmp(data, text, len) == 0;
}

/* Magic, cipher, kdf, its options, number of keys, public key. */
static void
look_at_openssh(const uint8_t *data, size_t left, KeyFile *out)
{
	const uint8_t *part;
	size_t len;

	if (left <= sizeof(OPENSSH_MAGIC) ||
		memcmp(data, OPENSSH_MAGIC, sizeof(OPENSSH_MAGIC)) != 0)
		return;
	data += sizeof(OPENSSH_MAGIC);
	left -= sizeof(OPENSSH_MAGIC);
	part = next_string(&data, &left, &len);
	out->encrypted = part != NULL && !is_text(part, len, "none");
	if (next_string(&data, &left, &len) == NULL ||
		next_string(&data, &left, &len) == NULL || left < 4)
		return;
	data += 4;
	left -= 4;
	part = next_string(&data, &left, &len);
	if (part == NULL)
		return;
	left = len;
	part = next_string(&part, &left, &len);
	out->rsa = is_text(part, len, "ssh-rsa");
}

static KeyFile
look_at_key(const char *text)
{
	KeyFile out = {.encrypted = strstr(text, "ENCRYPTED") != NULL,
				   .rsa = strstr(text, "BEGIN RSA PRIVATE KEY") != NULL};
	uint8_t *data;
	size_t len;
	char *body;

	if (strstr(text, OPENSSH_BEGIN) == NULL)
		return out;
	body = armor_body(text);
	if (base64_decode(body, &data, &len))
	{
		look_at_openssh(data, len, &out);
		explicit_bzero(data, len);
		free(data);
	}
	explicit_bzero(body, strlen(body));
	free(body);
	return out;
}

/*
 * With a key from a file
 */

static bool
hint_rsa(Error *err)
{
	return error_hint(err,
					  "libssh2 %s can use an RSA key only with SHA-1, "
					  "which servers refuse (OpenSSH since 8.8); make a "
					  "key with \"ssh-keygen -t ed25519\".",
					  libssh2_version(0));
}

static bool
key_refused(const SshOptions *o, bool rsa, Error *err)
{
	error_set(err, ERR_DENIED,
			  "the server \"%s\" refused the key of user "
			  "\"%s\"",
			  o->host, o->user);
	if (o->agent)
		return error_detail(err, "None of the agent's keys is accepted.");
	error_detail(err, "The private key is in \"%s\".", o->private_key_file);
	if (rsa && libssh2_version(RSA_SHA2_VERSION) == NULL)
		return hint_rsa(err);
	return error_hint(err, "The public key must be in the file "
						   "authorized_keys of that user, which nobody else "
						   "may be able to write to.");
}

static bool
key_unusable(const SshOptions *o, const KeyFile *key, Error *err)
{
	if (key->encrypted)
	{
		error_set(err, ERR_KEY,
				  "could not open private key \"%s\" with the "
				  "passphrase",
				  o->private_key_file);
		return error_detail(err, "The passphrase is the first line of \"%s\".",
							o->passphrase_file);
	}
	error_set(err, ERR_KEY, "could not use private key \"%s\"",
			  o->private_key_file);
	return error_hint(err, "A key made by \"ssh-keygen -t ed25519\" or "
						   "\"ssh-keygen -t ecdsa\" is needed.");
}

/* The first line, as an editor leaves a line break. */
static bool
read_passphrase(const SshOptions *o, const KeyFile *key, StrBuf *out,
				Error *err)
{
	if (!key->encrypted)
		return true;
	if (o->passphrase_file == NULL)
	{
		error_set(err, ERR_KEY, "private key \"%s\" is encrypted",
				  o->private_key_file);
		return error_hint(err, "Set passphrase-file, or use the agent, or a "
							   "key without a passphrase.");
	}
	if (!file_slurp_secret(o->passphrase_file, PASSPHRASE_MAX, out, err))
		return false;
	if (out->data != NULL)
		out->data[strcspn(out->data, "\r\n")] = '\0';
	return true;
}

static bool
offer_key(Ssh *ssh, const StrBuf *text, const KeyFile *key, const char *phrase,
		  Error *err)
{
	const SshOptions *o = ssh->options;
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	do
		rc = libssh2_userauth_publickey_frommemory(
			ssh->session, o->user, strlen(o->user), NULL, 0, text->data,
			text->len, phrase);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	if (rc == 0)
		return true;
	if (error_is_set(err) || ssh->ended)
		return ssh_fail(ssh, rc, "could not log in", err);
	if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
		rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return key_refused(o, key->rsa, err);
	return key_unusable(o, key, err);
}

static void
wipe(StrBuf *secret)
{
	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->cap);
	strbuf_free(secret);
}

static bool
log_in_with_file(Ssh *ssh, Error *err)
{
	const SshOptions *o = ssh->options;
	StrBuf text = STRBUF_INIT;
	StrBuf phrase = STRBUF_INIT;
	KeyFile key;
	bool done = false;

	if (file_slurp_secret(o->private_key_file, KEY_FILE_MAX, &text, err))
	{
		key = look_at_key(text.data != NULL ? text.data : "");
		done = read_passphrase(o, &key, &phrase, err) &&
			   offer_key(ssh, &text, &key, phrase.data, err);
	}
	wipe(&phrase);
	wipe(&text);
	return done;
}

/*
 * With an agent
 */

static bool
no_agent(Error *err)
{
	error_set(err, ERR_CONFIG, "could not reach the SSH agent");
	return error_hint(err, "The variable SSH_AUTH_SOCK of the environment "
						   "must name the agent's socket; the server's "
						   "archiver has the environment that the server was "
						   "started with.");
}

/* libssh2 without SHA-2 for RSA would only use up the server's patience. */
static bool
is_usable(const struct libssh2_agent_publickey *identity)
{
	return libssh2_version(RSA_SHA2_VERSION) != NULL ||
		   identity->blob_len < 11 ||
		   memcmp(identity->blob + 4, "ssh-rsa", 7) != 0;
}

/* True with *accepted = false if the server wants another one. */
static bool
offer_identity(Ssh *ssh, LIBSSH2_AGENT *agent,
			   struct libssh2_agent_publickey *identity, bool *accepted,
			   Error *err)
{
	SshWait wait = ssh_wait_begin(ssh, SSH_WAIT_ANSWER);
	int rc;

	do
		rc = libssh2_agent_userauth(agent, ssh->options->user, identity);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_wait(&wait, err));
	*accepted = rc == 0;
	if (rc != 0 && (error_is_set(err) || ssh->ended))
		return ssh_fail(ssh, rc, "could not log in", err);
	return true;
}

static bool
offer_identities(Ssh *ssh, LIBSSH2_AGENT *agent, Error *err)
{
	struct libssh2_agent_publickey *identity = NULL;
	bool accepted = false;

	if (libssh2_agent_connect(agent) != 0 ||
		libssh2_agent_list_identities(agent) != 0)
		return no_agent(err);
	while (!accepted &&
		   libssh2_agent_get_identity(agent, &identity, identity) == 0)
	{
		if (is_usable(identity) &&
			!offer_identity(ssh, agent, identity, &accepted, err))
			return false;
	}
	return accepted || key_refused(ssh->options, false, err);
}

static bool
log_in_with_agent(Ssh *ssh, Error *err)
{
	LIBSSH2_AGENT *agent = libssh2_agent_init(ssh->session);
	bool done;

	if (agent == NULL)
		mem_out_of_memory();
	done = offer_identities(ssh, agent, err);
	libssh2_agent_disconnect(agent);
	libssh2_agent_free(agent);
	return done;
}

bool
ssh_authenticate(Ssh *ssh, Error *err)
{
	return ssh->options->agent ? log_in_with_agent(ssh, err)
							   : log_in_with_file(ssh, err);
}
