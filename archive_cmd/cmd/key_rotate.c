/*-------------------------------------------------------------------------
 *
 * key_rotate.c
 *	  pgdr key rotate [--recipient KEY] [--replace KEY]...: a new key for all
 *	  that is written from now on.
 *
 * In this order, so that there is no moment in which something is written that
 * nobody could read, wherever it is interrupted:
 *
 *	1. the new identity, beside the old ones in identity-file (unless its public
 *	   key alone is given)
 *	2. repo.json of each repository, for the new key as well
 *	3. the configuration, which decides for whom objects are
 *
 * A run that finds an identity which is newer than those in use and no
 * recipient yet goes on with it.
 *
 * result: command, action, recipient, replaced (array), identity_file (if the
 * identity is in it), repositories (array of objects with name and done).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/key.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/config_edit.h"

#define CONFIG_MAX (1024 * 1024)

typedef struct Rotation
{
	Context *ctx;
	const Settings *settings;
	RepoKeys keys;      /* before */
	AgeRecipients old;  /* that are replaced */
	AgeRecipients anew; /* one */
	AgeRecipients all;  /* of the configuration afterwards */
	bool has_identity;  /* of the new one, in identity-file */
	int64_t created;    /* of the new one */
	Json *repositories;
} Rotation;

/* ---- which keys ---- */

static bool
add_old(Rotation *r, size_t i, Error *err)
{
	return age_recipient_add(&r->old, r->settings->recipients[i], err);
}

static bool
find_named(Rotation *r, const char *text, Error *err)
{
	for (size_t i = 0; i < r->settings->recipient_count; i++)
	{
		if (strcmp(r->settings->recipients[i], text) == 0 &&
			!r->settings->notes[i].escrow)
			return add_old(r, i, err);
	}
	error_set(err, ERR_USAGE, "\"%s\" is no recipient of the configuration",
			  text);
	return error_hint(err, "\"pgdr key list\" shows them; a key in escrow is "
						   "exchanged by hand.");
}

/* By default those whose identity is here; where none is, the only one. */
static bool
find_own(Rotation *r, Error *err)
{
	size_t others = 0;
	size_t last = 0;

	for (size_t i = 0; i < r->keys.recipients.count; i++)
	{
		if (r->settings->notes[i].escrow)
			continue;
		others++;
		last = i;
		if (key_is_identity(&r->keys, &r->keys.recipients.items[i]) &&
			!add_old(r, i, err))
			return false;
	}
	if (r->old.count > 0)
		return true;
	if (others == 1)
		return add_old(r, last, err);
	error_set(err, ERR_USAGE,
			  "there are several recipients, and the identity "
			  "of none of them is here");
	return error_hint(err, "Say which is replaced with --replace.");
}

static bool
find_old(Rotation *r, Error *err)
{
	const char *text;

	for (size_t i = 0; (text = ctx_option_at(r->ctx, "replace", i)) != NULL;
		 i++)
	{
		if (!find_named(r, text, err))
			return false;
	}
	return r->old.count > 0 || find_own(r, err);
}

/* Made by a run that was interrupted: newer than all that are in use. */
static bool
find_begun(Rotation *r, size_t *found)
{
	const AgeIdentities *ids = r->keys.identities;
	int64_t newest = -1;
	int64_t created = 0;

	for (size_t i = 0; i < age_identities_count(ids); i++)
	{
		AgeRecipient own;
		int64_t t = age_identity_created(ids, i);

		age_identity_recipient(ids, i, &own);
		if (key_is_recipient(&r->keys.recipients, &own))
			newest = t > newest ? t : newest;
		else if (t > created)
		{
			created = t;
			*found = i;
		}
	}
	return created > 0 && created > newest;
}

/* ---- 1. the identity ---- */

/*
 * The file that comes in its place is opened before it does: it may be the only
 * copy of the old identities as well.
 */
static bool
exchange_identity_file(Rotation *r, const StrBuf *bytes, size_t count,
					   Error *err)
{
	const char *path = r->settings->identity_file;
	char *beside = mem_printf("%s.rotating", path);
	AgeIdentities *ids = age_identities_new();
	bool done;

	done = file_write_durable(beside, bytes->data, bytes->len, 0600, true,
							  err) &&
		   age_identities_add_file(ids, beside, settings_passphrase,
								   (void *) (uintptr_t) r->settings, err);
	if (done && age_identities_count(ids) != count)
		done = error_set(err, ERR_INTERNAL,
						 "file \"%s\" does not hold all identities", beside);
	if (done && rename(beside, path) != 0)
		done = error_set_errno(err, errno, "could not rename \"%s\" to \"%s\"",
							   beside, path);
	done = done && file_fsync_parent(path, err);
	if (!done)
		unlink(beside);
	age_identities_free(ids);
	free(beside);
	return done;
}

static bool
make_identity(Rotation *r, AgeRecipient *out, Error *err)
{
	StrBuf bytes = STRBUF_INIT;
	size_t count = 0;
	char *secret;
	bool done;

	if (!age_identity_generate(&secret, out, err))
		return false;
	done = age_identity_file_extend(
			   r->settings->identity_file, secret, settings_passphrase,
			   (void *) (uintptr_t) r->settings, &bytes, &count, err) &&
		   exchange_identity_file(r, &bytes, count, err);
	if (bytes.data != NULL)
		explicit_bzero(bytes.data, bytes.cap);
	strbuf_free(&bytes);
	age_secret_free(secret);
	return done;
}

static bool
is_owner(const char *path, Error *err)
{
	struct stat sb;

	if (stat(path, &sb) != 0)
		return error_set_errno(err, errno, "could not examine file \"%s\"",
							   path);
	if (sb.st_uid == geteuid())
		return true;
	error_set(err, ERR_CONFIG, "file \"%s\" belongs to another user", path);
	return error_hint(err, "Run this as the owner of the file.");
}

static bool
choose_new(Rotation *r, Error *err)
{
	const char *given = ctx_option(r->ctx, "recipient");
	char text[AGE_RECIPIENT_TEXT];
	AgeRecipient made;
	size_t begun;

	r->created = clock_now();
	if (given != NULL)
	{
		if (!age_recipient_add(&r->anew, given, err))
			return false;
		r->has_identity = key_is_identity(&r->keys, &r->anew.items[0]);
		return true;
	}
	if (r->keys.identities == NULL)
	{
		error_set(err, ERR_USAGE, "there is no identity on this host");
		return error_hint(err, "Rotate on the host that has it, and give its "
							   "new public key here with --recipient.");
	}
	r->has_identity = true;
	if (find_begun(r, &begun))
	{
		age_identity_recipient(r->keys.identities, begun, &made);
		r->created = age_identity_created(r->keys.identities, begun);
	}
	else if (!is_owner(r->settings->identity_file, err) ||
			 !make_identity(r, &made, err))
		return false;
	age_recipient_text(&made, text);
	return age_recipient_add(&r->anew, text, err);
}

/* What the configuration will name: the others as they are, and the new one. */
static bool
list_all(Rotation *r, Error *err)
{
	char text[AGE_RECIPIENT_TEXT];

	if (key_is_recipient(&r->keys.recipients, &r->anew.items[0]))
		return error_set(err, ERR_EXISTS, "the new key is a recipient already");
	for (size_t i = 0; i < r->keys.recipients.count; i++)
	{
		const AgeRecipient *key = &r->keys.recipients.items[i];

		age_recipient_text(key, text);
		if (!key_is_recipient(&r->old, key) &&
			!age_recipient_add(&r->all, text, err))
			return false;
	}
	age_recipient_text(&r->anew.items[0], text);
	return age_recipient_add(&r->all, text, err);
}

/* ---- 2. the repositories ---- */

/*
 * One that is away, or that this host may not change, does not keep the key
 * from being rotated: there the content key is still that of the old one's.
 */
static void
widen(Rotation *r, size_t member)
{
	RepoSet *set = ctx_all_repos(r->ctx, NULL);
	const char *name = repo_set_name(set, member);
	Error why = ERROR_INIT;
	Repo *repo = repo_set_open(set, member, &why);
	bool changed = false;
	bool done = repo != NULL && !repo->blind &&
				repo_widen_root(repo, &r->all, &changed, &why);
	Json *obj = json_new_object();

	json_put_str(obj, "name", name);
	json_put_bool(obj, "done", done);
	json_append(r->repositories, obj);
	if (done)
		return;
	if (!error_is_set(&why))
		error_set(&why, ERR_DENIED, "it may not be read by this host");
	error_prefix(&why, "\"%s\" of repository \"%s\" is not for the new key yet",
				 REPO_JSON, name);
	error_hint(&why, "\"pgdr key rewrap\", on a host with an identity, makes "
					 "up for it.");
	log_error_object(LOG_WARNING, &why);
	error_clear(&why);
}

static bool
widen_all(Rotation *r, Error *err)
{
	RepoSet *set = ctx_all_repos(r->ctx, err);

	if (set == NULL)
		return false;
	for (size_t i = 0; i < set->count; i++)
		widen(r, i);
	return true;
}

/* ---- 3. the configuration ---- */

static bool
names_all(const Rotation *r, const Settings *s)
{
	char text[AGE_RECIPIENT_TEXT];

	if (s->recipient_count != r->all.count)
		return false;
	for (size_t i = 0; i < r->all.count; i++)
	{
		bool found = false;

		age_recipient_text(&r->all.items[i], text);
		for (size_t k = 0; k < s->recipient_count; k++)
			found |= strcmp(s->recipients[k], text) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* Read as any command would read it, before it takes its place. */
static bool
check_text(const Rotation *r, const char *path, Error *err)
{
	Settings s;
	bool good;

	if (!settings_load(path, &s, err))
		return false;
	good = names_all(r, &s);
	settings_free(&s);
	if (good)
		return true;
	error_set(err, ERR_CONFIG,
			  "recipients do not come from the configuration "
			  "file alone");
	return error_hint(err, "Is PGDR_GLOBAL_RECIPIENT set?  Change it there.");
}

static bool
write_config(const Rotation *r, const char *path, const StrBuf *text,
			 Error *err)
{
	char *beside = mem_printf("%s.rotating", path);
	struct stat sb;
	bool done;

	if (stat(path, &sb) != 0)
		done = error_set_errno(err, errno, "could not examine file \"%s\"",
							   path);
	else
		done = file_write_durable(beside, text->data, text->len,
								  sb.st_mode & 07777, true, err) &&
			   check_text(r, beside, err);
	/* a group that this user may not give leaves the file closed to it */
	if (done && chown(beside, (uid_t) -1, sb.st_gid) != 0)
		log_warning("could not keep the group of file \"%s\": %s", path,
					strerror(errno));
	if (done && rename(beside, path) != 0)
		done = error_set_errno(err, errno, "could not rename \"%s\" to \"%s\"",
							   beside, path);
	done = done && file_fsync_parent(path, err);
	if (!done)
		unlink(beside);
	free(beside);
	return done;
}

static bool
edit_text(const Rotation *r, const char *path, StrBuf *out, Error *err)
{
	StrBuf text = STRBUF_INIT;
	char created[CLOCK_TEXT_LEN];
	char key[AGE_RECIPIENT_TEXT];
	char *value;
	bool done = file_slurp(path, CONFIG_MAX, &text, err);

	age_recipient_text(&r->anew.items[0], key);
	value = mem_printf("%s@%.10s", key, clock_format(r->created, created));
	if (done && !config_edit_recipients(text.data, &r->old, value, out))
		done = error_set(err, ERR_CONFIG,
						 "no line of [global] in \"%s\" names the old key",
						 path);
	free(value);
	strbuf_free(&text);
	return done;
}

/* Through links, so that a link stays one. */
static bool
change_config(const Rotation *r, bool dry_run, Error *err)
{
	char path[PATH_MAX];
	StrBuf text = STRBUF_INIT;
	bool done;

	if (realpath(r->settings->file, path) == NULL)
		return error_set_errno(err, errno, "could not resolve path \"%s\"",
							   r->settings->file);
	done = is_owner(path, err) && edit_text(r, path, &text, err) &&
		   (dry_run || write_config(r, path, &text, err));
	strbuf_free(&text);
	return done;
}

/* ---- what is said ---- */

static Json *
replaced_json(const Rotation *r)
{
	Json *array = json_new_array();
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; i < r->old.count; i++)
	{
		age_recipient_text(&r->old.items[i], text);
		json_append(array, json_new_string(text));
	}
	return array;
}

static void
say_result(Rotation *r)
{
	const char *file = r->has_identity ? r->settings->identity_file : NULL;
	char text[AGE_RECIPIENT_TEXT];
	Json *obj = json_new_object();

	age_recipient_text(&r->anew.items[0], text);
	ctx_print(r->ctx,
			  "New public key: %s\nWhat is written from now on is for "
			  "it.\n",
			  text);
	if (file != NULL)
		ctx_print(r->ctx,
				  "Its identity is in \"%s\", behind the old one.  Copy that "
				  "file to where copies of\nit are kept, now: what is "
				  "written from now on cannot be read without it.\n",
				  file);
	ctx_print(r->ctx,
			  "On other hosts of this cluster: pgdr key rotate --recipient %s\n"
			  "Keep the old identity until \"pgdr key rewrap\" has said that "
			  "nothing is for it\nany more, or the last backup before today "
			  "has expired.\n",
			  text);
	json_put_str(obj, "command", "key");
	json_put_str(obj, "action", "rotate");
	json_put_str(obj, "recipient", text);
	json_put(obj, "replaced", replaced_json(r));
	if (file != NULL)
		json_put_str(obj, "identity_file", file);
	json_put(obj, "repositories", r->repositories);
	r->repositories = NULL;
	ctx_emit(r->ctx, "result", obj);
}

/* The configuration is tried first: a key that cannot be used is none. */
static bool
rotate(Rotation *r, Error *err)
{
	if (!settings_load_keys(r->settings, &r->keys, err) || !find_old(r, err))
		return false;
	r->anew = r->old;
	if (!change_config(r, true, err))
	{
		r->anew = (AgeRecipients){0};
		return false;
	}
	r->anew = (AgeRecipients){0};
	return choose_new(r, err) && list_all(r, err) && widen_all(r, err) &&
		   change_config(r, false, err);
}

bool
key_rotate(Context *ctx, Error *err)
{
	Rotation r = {.ctx = ctx, .settings = ctx_settings(ctx, err)};
	bool done;

	if (r.settings == NULL)
		return false;
	if (!r.settings->encrypt)
		return error_set(err, ERR_CONFIG, "encryption is off");
	r.repositories = json_new_array();
	done = rotate(&r, err);
	if (done)
		say_result(&r);
	json_free(r.repositories);
	repo_keys_free(&r.keys);
	age_recipients_free(&r.old);
	age_recipients_free(&r.anew);
	age_recipients_free(&r.all);
	return done;
}
