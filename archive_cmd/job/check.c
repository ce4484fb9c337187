/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Looks for whatever would keep this cluster from being archived, backed
 *	  up and recovered.
 *
 *-------------------------------------------------------------------------
 */
#include "job/check_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/catalog.h"

#define FREE_PERCENT 10

static void
report(Check *c, const char *check, const char *object, bool warning,
	   Error *why)
{
	const Problem problem = {.warning = warning,
							 .repository = c->member != NULL &&
												   c->set->count > 1
											   ? c->member->options.storage.repo
											   : NULL,
							 .check = check,
							 .object = object,
							 .message = why->message,
							 .detail = why->detail,
							 .hint = why->hint};

	if (warning)
		c->out->warnings++;
	else
		c->out->errors++;
	c->options->problem(c->options->problem_arg, &problem);
	error_clear(why);
}

void
check_error(Check *c, const char *check, const char *object, Error *why)
{
	report(c, check, object, false, why);
}

void
check_warning(Check *c, const char *check, const char *object, Error *why)
{
	report(c, check, object, true, why);
}

bool
check_may_be_denied(const Check *c, const Error *why)
{
	return why->code == ERR_DENIED && c->repo->encrypted &&
		   c->repo->options.keys->identities == NULL;
}

void
check_member(Check *c, const char *check, const char *object, Error *why)
{
	report(c, check, object, c->member != NULL && !c->member->required, why);
}

bool
check_enter(Check *c, size_t member)
{
	c->member = &c->set->members[member];
	c->repo = c->member->repo;
	if (c->repo == NULL)
		c->member = NULL;
	return c->repo != NULL;
}

void
check_leave(Check *c)
{
	c->member = NULL;
	c->repo = NULL;
}

WalHome
check_home(const Check *c)
{
	if (c->server != NULL)
		return (WalHome){.sysid = c->info.sysid, .major = c->info.major};
	if (c->has_control)
		return (WalHome){.sysid = c->control.sysid, .major = c->control.major};
	return (WalHome){0};
}

/* ---- keys ---- */

static bool
can_read_new_objects(const RepoKeys *keys)
{
	AgeRecipient own;

	for (size_t i = 0; i < age_identities_count(keys->identities); i++)
	{
		age_identity_recipient(keys->identities, i, &own);
		for (size_t k = 0; k < keys->recipients.count; k++)
		{
			if (memcmp(&own, &keys->recipients.items[k], sizeof(own)) == 0)
				return true;
		}
	}
	return false;
}

static bool
lies_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* A key that is lost together with what it opens, or found with it. */
static void
check_key_place(Check *c, const char *file)
{
	const StorageOptions *storage = &c->repo->options.storage;
	const char *repo = strcmp(storage->type, "posix") == 0 ? storage->path
														   : NULL;
	Error why = ERROR_INIT;

	if (lies_in(file, c->options->pgdata))
		error_set(&why, ERR_CONFIG,
				  "identity file \"%s\" lies in the data "
				  "directory",
				  file);
	else if (repo != NULL && lies_in(file, repo))
		error_set(&why, ERR_CONFIG,
				  "identity file \"%s\" lies in the "
				  "repository",
				  file);
	else
		return;
	error_hint(&why, "Move it elsewhere, and keep a copy on another machine.");
	check_warning(c, "key", "identity-file", &why);
}

static void
check_key_ages(Check *c)
{
	int64_t now = clock_now();

	for (size_t i = 0; i < c->options->key_count; i++)
	{
		const CheckKey *key = &c->options->keys[i];
		Error why = ERROR_INIT;
		char when[CLOCK_TEXT_LEN];

		if (c->options->key_max_age == 0 || key->created == 0 ||
			now - key->created <= c->options->key_max_age)
			continue;
		error_set(&why, ERR_KEY, "key %.*s is %" PRId64 " days old",
				  AGE_KEY_ID_LEN, key->recipient,
				  (now - key->created) / (24 * 3600 * USECS_PER_SEC));
		error_detail(
			&why, "It was made on %.10s; key-max-age allows %" PRId64 " days.",
			clock_format(key->created, when),
			c->options->key_max_age / (24 * 3600 * USECS_PER_SEC));
		error_hint(&why, "Make a new one with \"pgdr key rotate\".");
		check_warning(c, "key-age", key->recipient, &why);
	}
}

/* Rotated while this repository was away, or by hand. */
static void
check_root(Check *c)
{
	Error why = ERROR_INIT;

	if (!c->repo->encrypted || !c->repo->root_lacks || c->repo->blind)
		return;
	error_set(&why, ERR_KEY,
			  "\"%s\" does not hold the content key for all recipients",
			  REPO_JSON);
	error_detail(&why, "With the new identity and this repository alone "
					   "nothing can be verified or restored.");
	error_hint(&why, "Run \"pgdr key rewrap\" on a host with an identity.");
	check_member(c, "key", c->repo->options.storage.repo, &why);
}

static void
check_keys(Check *c)
{
	const RepoKeys *keys = c->repo->options.keys;
	Error why = ERROR_INIT;

	if (!c->repo->encrypted || keys->identities == NULL)
		return;
	if (!can_read_new_objects(keys))
	{
		error_set(&why, ERR_KEY,
				  "the identity of this host belongs to none of the "
				  "recipients");
		error_hint(&why, "What is archived now cannot be read here.  Compare "
						 "with \"pgdr key list\".");
		check_error(c, "key", "identity-file", &why);
	}
	if (c->options->identity_file != NULL)
		check_key_place(c, c->options->identity_file);
}

/* ---- repository ---- */

static void
check_room(Check *c)
{
	const StorageOptions *storage = &c->repo->options.storage;
	struct statvfs fs;
	Error why = ERROR_INIT;
	uint64_t percent;

	if (strcmp(storage->type, "posix") != 0)
		return;
	if (statvfs(storage->path, &fs) != 0)
	{
		error_set_errno(&why, errno, "could not look at file system of \"%s\"",
						storage->path);
		check_warning(c, "space", storage->repo, &why);
		return;
	}
	percent = fs.f_blocks > 0
				  ? (uint64_t) fs.f_bavail * 100 / (uint64_t) fs.f_blocks
				  : 100;
	if (percent >= FREE_PERCENT)
		return;
	error_set(&why, ERR_FULL,
			  "only %" PRIu64 " %% of the repository's file "
			  "system is free",
			  percent);
	error_hint(&why, "Make room; \"pgdr expire --dry-run\" shows what "
					 "retention would remove.");
	check_warning(c, "space", storage->repo, &why);
}

static void
check_homes(Check *c)
{
	WalHome home = check_home(c);
	WalHome *homes = NULL;
	size_t count = 0;
	bool known = false;
	Error why = ERROR_INIT;

	if (!repo_list_homes(c->repo, &homes, &count, &why))
	{
		check_member(c, "repository", c->repo->options.storage.repo, &why);
		return;
	}
	for (size_t i = 0; i < count; i++)
		known |= homes[i].sysid == home.sysid && homes[i].major == home.major;
	if (!known && count > 0 && home.sysid != 0)
	{
		error_set(&why, ERR_MISMATCH,
				  "the repository holds only WAL of other clusters");
		error_detail(&why,
					 "This cluster's system identifier is %" PRIu64
					 ", the repository has %" PRIu64 ".",
					 home.sysid, homes[0].sysid);
		error_hint(&why, "After initdb or pg_upgrade this is expected until "
						 "the first segment is archived.");
		check_warning(c, "cluster", c->repo->options.storage.repo, &why);
	}
	free(homes);
}

/* ---- the whole ---- */

static void
check_pgdata(Check *c)
{
	Error why = ERROR_INIT;

	c->has_control = pg_control_read(c->options->pgdata, &c->control, &why);
	if (c->has_control)
		return;
	error_hint(&why, "Correct pgdata in the configuration, and run this as the "
					 "owner of the data directory.");
	check_error(c, "pgdata", c->options->pgdata, &why);
}

/* Once is enough: keys and their places are the same for all. */
static void
check_repositories(Check *c)
{
	bool keys = false;

	for (size_t i = 0; i < c->set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!check_enter(c, i))
		{
			c->member = &c->set->members[i];
			error_copy(&why, &c->member->why);
			check_member(c, "repository", repo_set_name(c->set, i), &why);
			check_leave(c);
			continue;
		}
		check_homes(c);
		check_root(c);
		if (!keys)
			check_keys(c);
		keys = true;
		check_room(c);
	}
	check_leave(c);
}

bool
check_run(RepoSet *set, const CheckOptions *options, CheckResult *out,
		  Error *err)
{
	Check c = {.set = set, .options = options, .out = out};
	bool done;

	*out = (CheckResult){0};
	repo_set_open_all(set);
	if (set->count == 1 && repo_set_open(set, 0, err) == NULL)
		return false;
	check_pgdata(&c);
	check_key_ages(&c);
	check_server(&c);
	check_repositories(&c);
	done = thread_check_stop(err);
	if (done && options->archive && c.archives)
		done = check_archive(&c, err);
	if (done)
		check_backups(&c);
	if (c.server != NULL)
		server_info_free(&c.info);
	server_close(c.server);
	return done;
}
