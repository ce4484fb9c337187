/*-------------------------------------------------------------------------
 *
 * s3_credentials.c
 *	  Keys for S3 from files and the environment, and when to renew them.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3_credentials.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

#define FILE_MAX 65536

/* Renewed so long before they expire. */
#define MARGIN (300 * USECS_PER_SEC)

typedef bool (*LoadFn)(S3Credentials *c, S3Keys *out, Error *err);

struct S3Credentials
{
	StorageOptions options; /* with params of its own */
	char *region;
	LoadFn load; /* NULL: of the environment, they stay as they are */
	S3Keys keys;
	bool stale; /* the server refused them */
	bool same;  /* loading them again brought no others */
};

static void
wipe(char **text)
{
	if (*text != NULL)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void
s3_keys_free(S3Keys *keys)
{
	wipe(&keys->access_key);
	wipe(&keys->secret_key);
	wipe(&keys->token);
	keys->expires_at = 0;
}

/* ---- files ---- */

/* The one word that a file consists of. */
static bool
load_word(const char *path, char **out, Error *err)
{
	StrBuf text = STRBUF_INIT;
	bool done = false;

	if (file_slurp_secret(path, FILE_MAX, &text, err))
	{
		const char *start = text.data ? text.data : "";
		size_t len;

		start += strspn(start, " \t\r\n");
		len = strcspn(start, " \t\r\n");
		done = len > 0 && start[len + strspn(start + len, " \t\r\n")] == '\0';
		if (done)
			*out = mem_strndup(start, len);
		else
			error_set(err, ERR_KEY, "file \"%s\" does not hold one key", path);
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	strbuf_free(&text);
	return done;
}

static bool
load_files(S3Credentials *c, S3Keys *out, Error *err)
{
	const char *token = storage_param(&c->options, "session-token-file");

	return load_word(storage_param(&c->options, "access-key-file"),
					 &out->access_key, err) &&
		   load_word(storage_param(&c->options, "secret-key-file"),
					 &out->secret_key, err) &&
		   (token == NULL || load_word(token, &out->token, err));
}

/* ---- ~/.aws/credentials ---- */

static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char) end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* "name = value" of the right section. */
static void
take_line(char *line, S3Keys *out)
{
	char *equals = strchr(line, '=');
	char **field = NULL;
	const char *name;

	if (equals == NULL)
		return;
	*equals = '\0';
	name = trim(line);
	if (strcmp(name, "aws_access_key_id") == 0)
		field = &out->access_key;
	else if (strcmp(name, "aws_secret_access_key") == 0)
		field = &out->secret_key;
	else if (strcmp(name, "aws_session_token") == 0)
		field = &out->token;
	if (field == NULL)
		return;
	wipe(field);
	*field = mem_strdup(trim(equals + 1));
}

static void
take_profile(char *text, const char *profile, S3Keys *out)
{
	bool inside = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		 line = strtok_r(NULL, "\n", &save))
	{
		line = trim(line);
		if (line[0] == '[')
		{
			size_t len = strcspn(line, "]");

			line[len] = '\0';
			inside = strcmp(trim(line + 1), profile) == 0;
		}
		else if (inside && line[0] != '#' && line[0] != ';')
			take_line(line, out);
	}
}

static bool
load_profile(S3Credentials *c, S3Keys *out, Error *err)
{
	const char *path = storage_param(&c->options, "credentials-file");
	const char *profile = storage_param(&c->options, "profile");
	StrBuf text = STRBUF_INIT;
	bool done = file_slurp_secret(path, FILE_MAX, &text, err);

	if (profile == NULL)
		profile = "default";
	if (done && text.data != NULL)
		take_profile(text.data, profile, out);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	strbuf_free(&text);
	if (!done)
		return false;
	if (out->access_key != NULL && out->access_key[0] != '\0' &&
		out->secret_key != NULL && out->secret_key[0] != '\0')
		return true;
	error_set(err, ERR_KEY, "file \"%s\" has no keys in section [%s]", path,
			  profile);
	return error_hint(err, "There must be aws_access_key_id and "
						   "aws_secret_access_key.");
}

/* ---- over HTTP ---- */

static bool
load_web_identity(S3Credentials *c, S3Keys *out, Error *err)
{
	return s3_keys_of_web_identity(&c->options, c->region, out, err);
}

/* The last resort: whoever has configured nothing at all ends here too. */
static bool
load_instance(S3Credentials *c, S3Keys *out, Error *err)
{
	if (s3_keys_of_instance(&c->options, out, err))
		return true;
	error_detail(err, "The instance was asked because no other source of keys "
					  "is configured.");
	return error_hint(
		err, "Set access-key-file and secret-key-file, or credentials-file; or "
			 "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.");
}

/* ---- choosing ---- */

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Sets load; or keys, if they come from the environment. */
static bool
choose_source(S3Credentials *c, Error *err)
{
	const char *access_file = storage_param(&c->options, "access-key-file");
	const char *secret_file = storage_param(&c->options, "secret-key-file");
	const char *access_key = variable("AWS_ACCESS_KEY_ID");
	const char *secret_key = variable("AWS_SECRET_ACCESS_KEY");

	if ((access_file == NULL) != (secret_file == NULL))
		return error_set(err, ERR_CONFIG,
						 "access-key-file and secret-key-file must be set "
						 "together");
	if (access_file != NULL)
		c->load = load_files;
	else if (storage_param(&c->options, "credentials-file") != NULL)
		c->load = load_profile;
	else if (access_key != NULL && secret_key != NULL)
	{
		const char *token = variable("AWS_SESSION_TOKEN");

		c->keys.access_key = mem_strdup(access_key);
		c->keys.secret_key = mem_strdup(secret_key);
		c->keys.token = token ? mem_strdup(token) : NULL;
	}
	else if (variable("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL &&
			 variable("AWS_ROLE_ARN") != NULL)
		c->load = load_web_identity;
	else
		c->load = load_instance;
	return true;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool
load(S3Credentials *c, Error *err)
{
	S3Keys keys = {0};

	if (!c->load(c, &keys, err))
	{
		s3_keys_free(&keys);
		return false;
	}
	c->same = same_text(c->keys.access_key, keys.access_key) &&
			  same_text(c->keys.token, keys.token);
	s3_keys_free(&c->keys);
	c->keys = keys;
	c->stale = false;
	return true;
}

/* What is still needed of the options when the caller's are gone. */
static void
copy_options(S3Credentials *c, const StorageOptions *options)
{
	StorageParam *params = mem_zalloc((options->param_count + 1) *
									  sizeof(StorageParam));

	for (size_t i = 0; i < options->param_count; i++)
	{
		params[i].key = mem_strdup(options->params[i].key);
		params[i].value = mem_strdup(options->params[i].value);
	}
	c->options.repo = mem_strdup(options->repo ? options->repo : "");
	c->options.params = params;
	c->options.param_count = options->param_count;
}

bool
s3_credentials_open(const StorageOptions *options, const char *region,
					S3Credentials **out, Error *err)
{
	S3Credentials *c = mem_zalloc(sizeof(*c));
	bool in_files;

	copy_options(c, options);
	c->region = mem_strdup(region);
	if (!choose_source(c, err))
	{
		s3_credentials_free(c);
		return false;
	}
	in_files = c->load == load_files || c->load == load_profile;
	if (in_files && !load(c, err))
	{
		s3_credentials_free(c);
		return false;
	}
	*out = c;
	return true;
}

void
s3_credentials_free(S3Credentials *c)
{
	if (c == NULL)
		return;
	s3_keys_free(&c->keys);
	for (size_t i = 0; i < c->options.param_count; i++)
	{
		free((char *) (uintptr_t) c->options.params[i].key);
		free((char *) (uintptr_t) c->options.params[i].value);
	}
	free((StorageParam *) (uintptr_t) c->options.params);
	free((char *) (uintptr_t) c->options.repo);
	free(c->region);
	free(c);
}

/*
 * Renewal may fail while the old keys are still good: then they are used, and
 * it is tried again with the next request.
 */
bool
s3_credentials_get(S3Credentials *c, SigV4Key *key, Error *err)
{
	int64_t expires_at = c->keys.expires_at;
	int64_t now = clock_now();
	bool due = c->keys.access_key == NULL || c->stale ||
			   (expires_at != 0 && now > expires_at - MARGIN);
	Error why = ERROR_INIT;

	if (due && c->load != NULL && !load(c, &why))
	{
		if (c->keys.access_key == NULL || c->stale || now > expires_at)
		{
			error_move(err, &why);
			return false;
		}
		error_clear(&why);
	}
	key->access_key = c->keys.access_key;
	key->secret_key = c->keys.secret_key;
	key->token = c->keys.token;
	return true;
}

bool
s3_credentials_expired(S3Credentials *c)
{
	if (c->load == NULL || c->same)
		return false;
	c->stale = true;
	return true;
}
