/*-------------------------------------------------------------------------
 *
 * repo_rewrap.c
 *	  Writes repo.json anew for other recipients.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/repo_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Does the list of repo.json name just these, in this order? */
static bool
names_them(const Json *root, const AgeRecipients *recipients)
{
	const Json *list = json_get(root, "recipients");
	char text[AGE_RECIPIENT_TEXT];

	if (json_array_len(list) != recipients->count)
		return false;
	for (size_t i = 0; i < recipients->count; i++)
	{
		const char *named = json_str(json_array_at(list, i));

		age_recipient_text(&recipients->items[i], text);
		if (named == NULL || strcmp(named, text) != 0)
			return false;
	}
	return true;
}

/* Is what lies there what was written? */
static bool
check_written(Repo *repo, const char *name, const StrBuf *text, Error *err)
{
	char *found;
	size_t len;
	bool same;

	if (!storage_get(repo->storage, name, REPO_JSON_MAX, &found, &len, err))
		return false;
	same = len == text->len && memcmp(found, text->data, len) == 0;
	free(found);
	return same || error_set(err, ERR_DAMAGED,
							 "object \"%s\" in %s is not what was written",
							 name, repo->storage->where);
}

static bool
stage(Repo *repo, const char *staged, const StrBuf *text, Error *err)
{
	Error cause = ERROR_INIT;

	/* what a killed run has left */
	if (!storage_remove(repo->storage, staged, &cause) &&
		cause.code != ERR_NOT_FOUND)
	{
		error_move(err, &cause);
		return false;
	}
	error_clear(&cause);
	return storage_put(repo->storage, staged, text->data, text->len, err) &&
		   check_written(repo, staged, text, err);
}

static bool
switch_root(Repo *repo, const StrBuf *text, Error *err)
{
	char *staged = storage_stage_name(REPO_JSON);
	bool renamed;
	bool done = stage(repo, staged, text, err) &&
				storage_replace(repo->storage, REPO_JSON, &renamed, err) &&
				check_written(repo, REPO_JSON, text, err) &&
				(renamed || storage_remove(repo->storage, staged, err));

	free(staged);
	return done;
}

static bool
write_root(Repo *repo, const AgeRecipients *recipients, Error *err)
{
	RepoKeys keys = *repo->options.keys;
	Repo anew = *repo;
	StrBuf text = STRBUF_INIT;
	bool done;

	/* borrowed, and nothing of it is freed here */
	keys.recipients = *recipients;
	anew.options.keys = &keys;
	done = repo_json_text(&anew, &text, err) && switch_root(repo, &text, err);
	strbuf_free(&text);
	explicit_bzero(&anew, sizeof(anew));
	explicit_bzero(&keys, sizeof(keys));
	return done;
}

bool
repo_rewrap_root(Repo *repo, const AgeRecipients *recipients, bool *changed,
				 Error *err)
{
	Json *root;
	bool done = repo_json_read(repo, &root, err);

	*changed = done && !names_them(root, recipients);
	if (done)
		json_free(root);
	if (*changed)
		done = write_root(repo, recipients, err);
	return done;
}

/* Those that the list names, and those of more that it does not. */
static bool
unite(const Json *list, const AgeRecipients *more, AgeRecipients *out,
	  Error *err)
{
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; i < json_array_len(list); i++)
	{
		const char *named = json_str(json_array_at(list, i));

		if (named != NULL && !age_recipient_add(out, named, err))
			return error_prefix(err, "\"%s\"", REPO_JSON);
	}
	for (size_t i = 0; i < more->count; i++)
	{
		bool known = false;

		for (size_t k = 0; k < out->count; k++)
			known |= memcmp(&out->items[k], &more->items[i],
							sizeof(AgeRecipient)) == 0;
		age_recipient_text(&more->items[i], text);
		if (!known && !age_recipient_add(out, text, err))
			return false;
	}
	return true;
}

bool
repo_widen_root(Repo *repo, const AgeRecipients *more, bool *changed,
				Error *err)
{
	AgeRecipients all = {0};
	Json *root;
	bool done = repo_json_read(repo, &root, err);

	*changed = false;
	if (!done)
		return false;
	done = unite(json_get(root, "recipients"), more, &all, err);
	*changed = done && !names_them(root, &all);
	if (*changed)
		done = write_root(repo, &all, err);
	json_free(root);
	age_recipients_free(&all);
	return done;
}
