/*-------------------------------------------------------------------------
 *
 * settings_keys.c
 *	  The keys that the configuration names, loaded from their files.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define SECRET_FILE_MAX 4096

char *
settings_passphrase(void *settings, Error *err)
{
	const Settings *s = settings;
	const char *text = getenv("PGDR_PASSPHRASE");

	if (s->passphrase_file != NULL)
		return age_passphrase_from_file(s->passphrase_file, err);
	if (text != NULL && text[0] != '\0')
		return age_passphrase_from_string(text);
	error_set(err, ERR_KEY,
			  "identity file \"%s\" is encrypted and there is no passphrase",
			  s->identity_file);
	error_hint(err, "Set passphrase-file, or PGDR_PASSPHRASE in the "
					"environment.");
	return NULL;
}

/* The file holds 64 hexadecimal digits. */
static bool
load_content_key(const char *path, RepoKeys *keys, Error *err)
{
	StrBuf text = STRBUF_INIT;
	bool done = false;

	if (file_slurp_secret(path, SECRET_FILE_MAX, &text, err))
	{
		while (text.len > 0 && isspace((unsigned char) text.data[text.len - 1]))
			text.data[--text.len] = '\0';
		done = text.len == 2 * CONTENT_KEY_LEN &&
			   hex_decode(text.data, keys->content_key, CONTENT_KEY_LEN);
		keys->has_content_key = done;
		if (!done)
		{
			error_set(err, ERR_KEY, "file \"%s\" holds no content key", path);
			error_detail(err,
						 "It must be one line of %d hexadecimal digits "
						 "in lower case.",
						 2 * CONTENT_KEY_LEN);
		}
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	strbuf_free(&text);
	return done;
}

static bool
load_identities(const Settings *s, RepoKeys *keys, Error *err)
{
	keys->identities = age_identities_new();
	return age_identities_add_file(keys->identities, s->identity_file,
								   settings_passphrase, (void *) (uintptr_t) s,
								   err);
}

static bool
load_keys(const Settings *s, bool with_identity, RepoKeys *out, Error *err)
{
	*out = (RepoKeys){0};
	if (!age_init(err))
		return false;
	for (size_t i = 0; i < s->recipient_count; i++)
	{
		if (!age_recipient_add(&out->recipients, s->recipients[i], err))
			return error_prefix(err, "configuration file \"%s\"", s->file);
	}
	if (s->content_key_file != NULL &&
		!load_content_key(s->content_key_file, out, err))
		return false;
	if (s->identity_file != NULL && with_identity)
		return load_identities(s, out, err);
	return true;
}

bool
settings_load_keys(const Settings *settings, RepoKeys *out, Error *err)
{
	if (load_keys(settings, true, out, err))
		return true;
	repo_keys_free(out);
	return false;
}

bool
settings_load_write_keys(const Settings *settings, RepoKeys *out, Error *err)
{
	if (load_keys(settings, settings->content_key_file == NULL, out, err))
		return true;
	repo_keys_free(out);
	return false;
}

int64_t
settings_key_created(const Settings *settings, const RepoKeys *keys, size_t i)
{
	const AgeIdentities *ids = keys->identities;
	AgeRecipient own;

	if (settings->notes[i].created > 0 || ids == NULL)
		return settings->notes[i].created;
	for (size_t k = 0; k < age_identities_count(ids); k++)
	{
		age_identity_recipient(ids, k, &own);
		if (memcmp(&own, &keys->recipients.items[i], sizeof(own)) == 0)
			return age_identity_created(ids, k);
	}
	return 0;
}

RepoOptions
settings_repo_options(const Settings *settings, const RepoSettings *repo,
					  const RepoKeys *keys)
{
	return (RepoOptions){.storage = {.repo = repo->name,
									 .type = repo->type,
									 .path = repo->path,
									 .params = repo->params,
									 .param_count = repo->param_count},
						 .cluster = settings->cluster,
						 .compress_level = settings->compress_level,
						 .cipher = settings->aes ? AGE_AES_256_GCM
												 : AGE_CHACHA20_POLY1305,
						 .compress_long = settings->compress_long,
						 .pace = settings->pace,
						 .keys = keys};
}
