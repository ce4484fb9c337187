/*-------------------------------------------------------------------------
 *
 * init_files.c
 *	  The files of "pgdr init": configuration, key, content key, repository.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/init.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/key_file.h"

#define CONFIG_MODE 0640
#define SECRET_MODE 0600
#define CONFIG_DIR_MODE 0750

/* ---- places ---- */

/*
 * With links resolved, as far as the path exists; the rest by its text.
 */
static char *
resolve(const char *path)
{
	char *head = mem_strdup(path);
	char buf[PATH_MAX];
	char *result = NULL;

	while (result == NULL)
	{
		char *slash = strrchr(head, '/');

		if (realpath(head, buf) != NULL)
			result = mem_printf("%s%s", strcmp(buf, "/") == 0 ? "" : buf,
								path + strlen(head));
		else if (slash == NULL || slash == head)
			result = mem_strdup(path);
		else
			*slash = '\0';
	}
	free(head);
	return result;
}

static bool
lies_in(const char *path, const char *dir)
{
	char *a = resolve(path);
	char *b = resolve(dir);
	size_t len = strlen(b);
	bool inside = strncmp(a, b, len) == 0 && (a[len] == '/' || a[len] == '\0');

	free(a);
	free(b);
	return inside;
}

/* A line of the configuration must come back as it was written. */
static bool
check_text(const char *what, const char *text, Error *err)
{
	if (text == NULL)
		return true;
	if (strpbrk(text, "\r\n") == NULL && strstr(text, " ;") == NULL &&
		strstr(text, "\t;") == NULL && text[0] != ' ' && text[0] != ';' &&
		(text[0] == '\0' || text[strlen(text) - 1] != ' ') &&
		strlen(text) < CONFIG_LINE_MAX - 24)
		return true;
	error_set(err, ERR_USAGE, "%s cannot be written into a configuration file",
			  what);
	return error_detail(err, "It is too long, has line breaks, or has spaces "
							 "at its ends or before a semicolon.");
}

static bool
check_nesting(const Init *init, Error *err)
{
	if (lies_in(init->repo_path, init->pgdata))
	{
		error_set(err, ERR_USAGE,
				  "the repository must not lie in the data directory");
		return error_hint(err, "What destroys the one would destroy the "
							   "other: choose another disk, or better another "
							   "machine.");
	}
	if (lies_in(init->pgdata, init->repo_path))
		return error_set(err, ERR_USAGE,
						 "the data directory must not lie in the repository");
	if (lies_in(init->config_dir, init->pgdata))
	{
		error_set(err, ERR_USAGE,
				  "the configuration must not lie in the data directory");
		return error_hint(err, "It is needed when the data directory is "
							   "lost.");
	}
	if (lies_in(init->config_dir, init->repo_path))
	{
		error_set(err, ERR_USAGE,
				  "the configuration must not lie in the repository");
		return error_hint(err, "The key would lie beside what it protects.");
	}
	return true;
}

static bool
check_name(const char *what, const char *name, Error *err)
{
	if (settings_name_ok(name))
		return true;
	error_set(err, ERR_USAGE, "invalid name \"%s\" of the %s", name, what);
	return error_detail(err, "A name has letters, digits, \"_\" and \"-\".");
}

bool
init_check_places(const Init *init, Error *err)
{
	return check_name("cluster", init->cluster, err) &&
		   check_name("repository", init->repo_name, err) &&
		   check_text("the data directory's name", init->pgdata, err) &&
		   check_text("the repository's path", init->repo_path, err) &&
		   check_text("the configuration's path", init->config_file, err) &&
		   check_text("the connection", init->connection, err) &&
		   check_text("the spool's path", init->spool_path, err) &&
		   check_text("the passphrase file's path", init->passphrase_file,
					  err) &&
		   check_nesting(init, err);
}

/* ---- keys ---- */

static bool
make_identity(const Init *init, Error *err)
{
	KeyFile key = {0};
	bool done = key_file_make(init->passphrase_file, &key, err) &&
				file_write_durable(init->identity_file, key.data, key.len,
								   SECRET_MODE, false, err);

	key_file_free(&key);
	return done;
}

static bool
write_content_key(const Init *init, const uint8_t key[CONTENT_KEY_LEN],
				  Error *err)
{
	char text[2 * CONTENT_KEY_LEN + 2];
	bool done;

	hex_encode(key, CONTENT_KEY_LEN, text);
	text[2 * CONTENT_KEY_LEN] = '\n';
	done = file_write_durable(init->content_key_file, text,
							  2 * CONTENT_KEY_LEN + 1, SECRET_MODE, false, err);
	explicit_bzero(text, sizeof(text));
	return done;
}

static bool
random_key(uint8_t key[CONTENT_KEY_LEN], Error *err)
{
	if (getrandom(key, CONTENT_KEY_LEN, 0) != CONTENT_KEY_LEN)
		return error_set_errno(err, errno, "could not get random bytes");
	return true;
}

/* Through the configuration's own loader, so that the files are proved. */
static bool
load_keys(const Init *init, bool with_content_key, RepoKeys *keys, Error *err)
{
	const Settings s = {
		.file = init->config_file,
		.encrypt = true,
		.identity_file = init->identity_file,
		.passphrase_file = init->passphrase_file,
		.content_key_file = with_content_key ? init->content_key_file : NULL};

	return settings_load_keys(&s, keys, err);
}

static bool
add_own_recipient(Init *init, RepoKeys *keys, Error *err)
{
	AgeRecipient own;

	age_identity_recipient(keys->identities, 0, &own);
	init->key_created = age_identity_created(keys->identities, 0);
	age_recipient_text(&own, init->recipient);
	return age_recipient_add(&keys->recipients, init->recipient, err);
}

/* ---- repository ---- */

static RepoOptions
repo_options(const Init *init, const RepoKeys *keys)
{
	return (RepoOptions){.storage = {.repo = init->repo_name,
									 .type = "posix",
									 .path = init->repo_path},
						 .cluster = init->cluster,
						 .compress_level = 1,
						 .keys = keys};
}

/* Is there a repository that these keys open?  Another one is an error. */
static bool
find_repo(Init *init, RepoKeys *keys, Error *err)
{
	RepoOptions options = repo_options(init, keys);
	char *json = file_join(init->repo_path, REPO_JSON);
	Repo *repo = NULL;
	bool done = file_exists(json, &init->repo_was_there, err);

	free(json);
	if (!done || !init->repo_was_there)
		return done;
	if (!repo_open(&options, &repo, err))
	{
		error_hint(err,
				   "There is a repository in \"%s\" already, which is "
				   "not this one; nothing was changed.",
				   init->repo_path);
		return false;
	}
	/* opened with the identity alone: this is where the key was lost */
	if (init->encrypt && !keys->has_content_key)
	{
		memcpy(keys->content_key, repo->content_key, CONTENT_KEY_LEN);
		keys->has_content_key = repo->has_content;
	}
	repo_close(repo);
	return true;
}

static bool
ensure_content_key(const Init *init, RepoKeys *keys, bool on_disk, Error *err)
{
	if (!keys->has_content_key)
	{
		if (!random_key(keys->content_key, err))
			return false;
		keys->has_content_key = true;
	}
	return !init->encrypt || on_disk ||
		   write_content_key(init, keys->content_key, err);
}

static bool
make_repo(Init *init, bool content_key_on_disk, Error *err)
{
	RepoKeys keys = {0};
	RepoOptions options;
	bool done = true;

	if (init->encrypt)
		done = load_keys(init, content_key_on_disk, &keys, err) &&
			   add_own_recipient(init, &keys, err);
	done = done && find_repo(init, &keys, err) &&
		   ensure_content_key(init, &keys, content_key_on_disk, err);
	if (done && !init->repo_was_there)
	{
		options = repo_options(init, &keys);
		done = repo_create(&options, err);
	}
	init->repo_made = done;
	repo_keys_free(&keys);
	return done;
}

/* ---- configuration ---- */

static void
add_line(StrBuf *sb, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		strbuf_printf(sb, "%s = %s\n", key, value);
}

/* With the day, by which a host without the identity knows how old it is. */
static void
add_recipient(StrBuf *sb, const Init *init)
{
	char created[CLOCK_TEXT_LEN];
	char *value = mem_printf(
		"%s%s%.10s", init->recipient, init->key_created > 0 ? "@" : "",
		init->key_created > 0 ? clock_format(init->key_created, created) : "");

	add_line(sb, "recipient", value);
	free(value);
}

static char *
config_text(const Init *init)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "# Made by \"pgdr init\".  What else can be set is in the "
					 "manual, pgdr(1).\n\n[global]\n");
	add_line(&sb, "cluster", init->cluster);
	add_line(&sb, "pgdata", init->pgdata);
	add_line(&sb, "connection", init->connection);
	add_line(&sb, "spool-path", init->spool_path);
	add_line(&sb, "encryption", init->encrypt ? "age" : "none");
	if (init->encrypt)
	{
		add_recipient(&sb, init);
		add_line(&sb, "identity-file", init->identity_file);
		add_line(&sb, "passphrase-file", init->passphrase_file);
		add_line(&sb, "content-key-file", init->content_key_file);
	}
	strbuf_printf(&sb, "\n[repo:%s]\n", init->repo_name);
	add_line(&sb, "type", "posix");
	add_line(&sb, "path", init->repo_path);
	return strbuf_steal(&sb);
}

/* Of another set-up?  What a DBA added since is no difference. */
static bool
check_same(const Init *init, const Settings *s, Error *err)
{
	const char *differs = NULL;

	if (strcmp(s->pgdata, init->pgdata) != 0)
		differs = "pgdata";
	else if (strcmp(s->cluster, init->cluster) != 0)
		differs = "cluster";
	else if (s->encrypt != init->encrypt)
		differs = "encryption";
	else if (s->repos[0].path == NULL ||
			 strcmp(s->repos[0].path, init->repo_path) != 0 ||
			 strcmp(s->repos[0].name, init->repo_name) != 0)
		differs = "the repository";
	if (differs == NULL)
		return true;
	error_set(err, ERR_EXISTS, "configuration file \"%s\" exists already",
			  init->config_file);
	error_detail(err, "It differs in %s from what was asked for.", differs);
	return error_hint(err, "Choose another file with --config, in a directory "
						   "of its own.  Nothing was changed.");
}

/* The recipient that the file names, for what is said at the end. */
static bool
use_config(Init *init, Error *err)
{
	Settings s;
	bool done;

	if (!settings_load(init->config_file, &s, err))
		return false;
	done = check_same(init, &s, err);
	if (done && s.recipient_count > 0 &&
		strlen(s.recipients[0]) < sizeof(init->recipient))
		memcpy(init->recipient, s.recipients[0], strlen(s.recipients[0]) + 1);
	settings_free(&s);
	init->config_was_there = done;
	init->key_was_there = done;
	init->repo_was_there = done;
	return done;
}

static bool
write_config(const Init *init, Error *err)
{
	char *text = config_text(init);
	Settings s;
	bool done = file_write_durable(init->config_file, text, strlen(text),
								   CONFIG_MODE, false, err);

	free(text);
	if (!done)
		return false;
	/* the environment counts as well: this is what every run will read */
	if (!settings_load(init->config_file, &s, err))
	{
		unlink(init->config_file);
		return false;
	}
	settings_free(&s);
	return true;
}

static bool
make_config_dir(const Init *init, Error *err)
{
	if (file_mkdir_p(init->config_dir, CONFIG_DIR_MODE, err))
		return true;
	if (err->code == ERR_DENIED)
		error_hint(err,
				   "Let root make the directory: install -d -m 0750 -o "
				   "<this user> \"%s\"; or name another file with "
				   "--config.",
				   init->config_dir);
	return false;
}

/*
 * A key that nothing was ever encrypted to is only in the way of the next
 * attempt.  Once there is a repository, key and repository stay: the next
 * attempt takes them up.
 */
static void
take_back(const Init *init, bool content_key_was_there)
{
	if (!init->encrypt || init->repo_made)
		return;
	if (!init->key_was_there)
		unlink(init->identity_file);
	if (!content_key_was_there)
		unlink(init->content_key_file);
}

static bool
make_keys_and_repo(Init *init, Error *err)
{
	bool content_key_was_there = false;
	bool done = true;

	if (init->encrypt)
		done = file_exists(init->identity_file, &init->key_was_there, err) &&
			   file_exists(init->content_key_file, &content_key_was_there, err);
	if (!done)
		return false;
	if (init->encrypt && !init->key_was_there)
		done = make_identity(init, err);
	done = done && make_repo(init, content_key_was_there, err);
	if (!done)
		take_back(init, content_key_was_there);
	return done;
}

bool
init_make(Init *init, Error *err)
{
	bool exists;

	if (!file_exists(init->config_file, &exists, err))
		return false;
	if (exists)
		return use_config(init, err);
	return make_config_dir(init, err) && make_keys_and_repo(init, err) &&
		   write_config(init, err);
}
