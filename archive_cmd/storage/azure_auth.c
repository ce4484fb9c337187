/*-------------------------------------------------------------------------
 *
 * azure_auth.c
 *	  Loading credentials for Azure Blob Storage.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure_auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"

#define FILE_MAX 16384

static void
wipe(void *secret, size_t len)
{
	if (secret != NULL)
		explicit_bzero(secret, len);
	free(secret);
}

static void
wipe_text(char *text)
{
	wipe(text, text ? strlen(text) : 0);
}

void
azure_auth_free(AzureAuth *auth)
{
	free(auth->account);
	wipe(auth->key, auth->key_len);
	wipe_text(auth->sas);
	*auth = (AzureAuth){0};
}

/* The one word of a text, caller wipes; NULL if there is none, or more. */
static char *
only_word(const char *text)
{
	static const char blank[] = " \t\r\n";
	size_t len;

	text += strspn(text, blank);
	len = strcspn(text, blank);
	if (len == 0 || text[len + strspn(text + len, blank)] != '\0')
		return NULL;
	return mem_strndup(text, len);
}

/* A secret as configured; *out stays NULL if it is not. */
typedef struct Secret
{
	const char *key;  /* of the configuration, names a file */
	const char *env;  /* variable of the environment */
	const char *from; /* where it was found, for messages */
	char *text;
} Secret;

static bool
load_file(Secret *s, const char *path, Error *err)
{
	StrBuf text = STRBUF_INIT;

	s->from = path;
	if (file_slurp_secret(path, FILE_MAX, &text, err))
	{
		s->text = only_word(text.data ? text.data : "");
		if (s->text == NULL)
		{
			error_set(err, ERR_KEY, "file \"%s\" does not hold one word", path);
			error_hint(err,
					   "What key \"%s\" names must hold nothing but the "
					   "secret.",
					   s->key);
		}
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	strbuf_free(&text);
	return s->text != NULL;
}

static void
load_environment(Secret *s)
{
	const char *value = getenv(s->env);

	s->from = s->env;
	if (value != NULL)
		s->text = only_word(value);
}

static bool
take_key(AzureAuth *auth, const Secret *s, Error *err)
{
	if (base64_decode(s->text, &auth->key, &auth->key_len) && auth->key_len > 0)
		return true;
	error_set(err, ERR_KEY, "\"%s\" does not hold an account key", s->from);
	return error_hint(err, "An account key is base64, 88 characters long as "
						   "Azure shows it; a connection string is none.");
}

/* It becomes a part of URLs, so it must not hold what ends or splits them. */
static bool
take_sas(AzureAuth *auth, const Secret *s, Error *err)
{
	const char *text = s->text + (s->text[0] == '?');
	const char *signature = strstr(text, "sig=");
	bool good = signature != NULL &&
				(signature == text || signature[-1] == '&') &&
				strpbrk(text, "?#/\\\"'<> ") == NULL;

	for (const char *p = text; good && *p != '\0'; p++)
		good = *p > ' ' && *p < 0x7f;
	if (good)
	{
		auth->sas = mem_strdup(text);
		return true;
	}
	error_set(err, ERR_KEY, "\"%s\" does not hold a shared access signature",
			  s->from);
	return error_hint(err, "It is what follows the question mark of a SAS URL: "
						   "\"sv=...&sig=...\", with its escapes as they are.");
}

static bool
no_credentials(Error *err)
{
	error_set(err, ERR_CONFIG, "no credentials for Azure");
	return error_hint(err, "Set account-key-file or sas-token-file in the "
						   "configuration, or AZURE_STORAGE_KEY or "
						   "AZURE_STORAGE_SAS_TOKEN in the environment.");
}

static bool
choose(AzureAuth *auth, const Secret *key, const Secret *sas, Error *err)
{
	if (key->text != NULL && sas->text != NULL)
		return error_set(err, ERR_CONFIG,
						 "two credentials for Azure, in \"%s\" and \"%s\"",
						 key->from, sas->from);
	if (key->text != NULL)
		return take_key(auth, key, err);
	if (sas->text != NULL)
		return take_sas(auth, sas, err);
	return no_credentials(err);
}

/* The environment counts only if the configuration names no file at all. */
bool
azure_auth_load(const StorageOptions *options, AzureAuth *out, Error *err)
{
	Secret key = {.key = "account-key-file", .env = "AZURE_STORAGE_KEY"};
	Secret sas = {.key = "sas-token-file", .env = "AZURE_STORAGE_SAS_TOKEN"};
	const char *key_file = storage_param(options, key.key);
	const char *sas_file = storage_param(options, sas.key);
	AzureAuth auth = {0};
	bool done;

	if (key_file == NULL && sas_file == NULL)
	{
		load_environment(&key);
		load_environment(&sas);
	}
	done = (key_file == NULL || load_file(&key, key_file, err)) &&
		   (sas_file == NULL || load_file(&sas, sas_file, err)) &&
		   choose(&auth, &key, &sas, err);
	wipe_text(key.text);
	wipe_text(sas.text);
	if (!done)
	{
		azure_auth_free(&auth);
		return false;
	}
	auth.account = mem_strdup(storage_param(options, "account"));
	*out = auth;
	return true;
}

/* Value of a parameter of the SAS, decoded, caller frees; or NULL. */
static char *
sas_value(const AzureAuth *auth, const char *parameter)
{
	const char *text = auth->sas ? auth->sas : "";
	size_t name_len = strlen(parameter);

	while (*text != '\0')
	{
		size_t len = strcspn(text, "&");

		if (len > name_len && text[name_len] == '=' &&
			strncmp(text, parameter, name_len) == 0)
		{
			char *raw = mem_strndup(text + name_len + 1, len - name_len - 1);
			char *value = NULL;

			if (!http_unescape(raw, &value))
				value = NULL;
			free(raw);
			return value;
		}
		text += len + (text[len] == '&');
	}
	return NULL;
}

int64_t
azure_sas_time(const AzureAuth *auth, const char *parameter)
{
	char *text = sas_value(auth, parameter);
	Error ignored = ERROR_INIT;
	int64_t t = 0;

	if (text != NULL && !clock_parse(text, &t, &ignored))
		t = 0;
	error_clear(&ignored);
	free(text);
	return t;
}

/* One that goes by a stored policy does not say what it permits. */
bool
azure_sas_forbids(const AzureAuth *auth, char permission)
{
	char *text = sas_value(auth, "sp");
	bool forbids = text != NULL && strchr(text, permission) == NULL;

	free(text);
	return forbids;
}
