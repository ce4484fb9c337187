/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Leases of backups that are being written.
 *
 * The first lease of a label has a name that depends on the label alone, so
 * that of two hosts that want the same label one finds the name taken.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/object.h"
#include "repo/stamp.h"

#define LEASE_EXTRA 64 /* bytes of {"base":label} */
#define LABEL_TRIES 99 /* repo_label_ok(): "-2" to "-99" */

static bool
put_lease(Repo *repo, const char *label, const char *base, const char *stamp,
		  Error *err)
{
	char *dir = repo_lease_dir(label);
	char *name = mem_printf("%s/%s", dir, stamp);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_LEASE, .extra_room = LEASE_EXTRA};
	Json *extra = NULL;
	bool ok;

	if (base != NULL)
	{
		extra = json_new_object();
		json_put_str(extra, "base", base);
	}
	ok = object_put(repo, &spec, label, strlen(label), extra, err);
	json_free(extra);
	free(name);
	free(dir);
	return ok;
}

static bool
stop_listing(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	*(bool *) arg = true;
	return true;
}

/* Leftovers of an earlier backup count as much as a lease. */
static bool
label_is_used(Repo *repo, const char *label, bool *used, Error *err)
{
	char *dir = repo_backup_dir(label);
	bool ok;

	*used = false;
	ok = storage_list(repo->storage, dir, false, stop_listing, used, err);
	free(dir);
	return ok;
}

bool
lease_try(Repo *repo, const char *label, const char *base, bool *taken,
		  Error *err)
{
	Error problem = ERROR_INIT;
	char stamp[STAMP_SECONDS_LEN + 1];
	bool used;

	*taken = false;
	if (!label_is_used(repo, label, &used, err))
		return false;
	if (used)
		return true;
	memcpy(stamp, label, STAMP_SECONDS_LEN);
	stamp[STAMP_SECONDS_LEN] = '\0';
	if (put_lease(repo, label, base, stamp, &problem))
	{
		*taken = true;
		return true;
	}
	if (problem.code == ERR_EXISTS)
	{
		error_clear(&problem);
		return true;
	}
	error_move(err, &problem);
	return false;
}

char *
lease_candidate(int64_t begun, int n)
{
	char base[CLOCK_TEXT_LEN];

	clock_format_label(begun, base);
	if (n > LABEL_TRIES)
		return NULL;
	return n == 1 ? mem_strdup(base) : mem_printf("%s-%d", base, n);
}

bool
lease_take(Repo *repo, char **label, Error *err)
{
	int64_t now = clock_now();
	char *candidate;

	for (int i = 1; (candidate = lease_candidate(now, i)) != NULL; i++)
	{
		bool taken;
		bool ok = lease_try(repo, candidate, NULL, &taken, err);

		if (ok && taken)
		{
			*label = candidate;
			return true;
		}
		free(candidate);
		if (!ok)
			return false;
	}
	return lease_no_label(err);
}

bool
lease_no_label(Error *err)
{
	error_set(err, ERR_BUSY, "could not find a free label for a backup");
	return error_hint(err, "Try again in a second.");
}

bool
lease_begin(Repo *repo, const char *label, Error *err)
{
	char stamp[STAMP_LEN];

	return put_lease(repo, label, NULL, stamp_format(clock_now(), stamp), err);
}

static bool
check_alive(Repo *repo, const char *label, int64_t now, Error *err)
{
	bool alive;

	if (!lease_is_alive(repo, label, now, &alive, err))
		return false;
	if (alive)
		return true;
	error_set(err, ERR_TIMEOUT, "lease of backup %s has run out", label);
	return error_detail(err, "It was not renewed for %d minutes.",
						(int) (LEASE_VALID_USECS / USECS_PER_SEC / 60));
}

/*
 * Once it has run out, expire may have begun to collect the packs: what is
 * written from then on would not be a whole backup.
 */
bool
lease_renew(Repo *repo, const char *label, const char *base, Error *err)
{
	char stamp[STAMP_LEN];
	int64_t now = clock_now();

	return check_alive(repo, label, now, err) &&
		   put_lease(repo, label, base, stamp_format(now, stamp), err);
}

bool
lease_confirm(Repo *repo, const char *label, Error *err)
{
	Error why = ERROR_INIT;
	Error ended = ERROR_INIT;
	char *manifest;

	if (check_alive(repo, label, clock_now(), &ended))
		return true;
	if (ended.code != ERR_TIMEOUT || ended.transient)
	{
		error_move(err, &ended);
		return false;
	}
	error_move(err, &ended);
	manifest = repo_manifest_name(label);
	if (!storage_remove(repo->storage, manifest, &why) &&
		why.code != ERR_NOT_FOUND)
	{
		error_detail(err,
					 "Its manifest is there, but some of its packs may "
					 "not be, and it could not be taken back: %s.",
					 why.message);
		error_hint(err, "Remove backup %s with \"pgdr delete --force\".",
				   label);
	}
	error_clear(&why);
	free(manifest);
	return false;
}

typedef struct Newest
{
	int64_t time; /* 0: there is none */
	char *name;
} Newest;

static bool
newest_lease(void *arg, const StorageEntry *entry, Error *err)
{
	Newest *newest = arg;
	const char *base = strrchr(entry->name, '/');
	int64_t t;

	(void) err;
	if (entry->is_dir || base == NULL ||
		!stamp_parse(base + 1, strlen(base + 1), &t) || t <= newest->time)
		return true;
	newest->time = t;
	free(newest->name);
	newest->name = mem_strdup(entry->name);
	return true;
}

static bool
find_newest(Repo *repo, const char *label, Newest *out, Error *err)
{
	char *dir = repo_lease_dir(label);
	bool ok;

	*out = (Newest){0};
	ok = storage_list(repo->storage, dir, false, newest_lease, out, err);
	free(dir);
	return ok;
}

bool
lease_is_alive(Repo *repo, const char *label, int64_t now, bool *alive,
			   Error *err)
{
	Newest newest;
	bool ok = find_newest(repo, label, &newest, err);

	free(newest.name);
	/* a time to come is that of a host whose clock is ahead: alive */
	*alive = newest.time > now - LEASE_VALID_USECS;
	return ok;
}

bool
lease_base(Repo *repo, const char *label, char **base, Error *err)
{
	Newest newest;
	ObjectMeta meta = {0};
	const char *text = NULL;
	bool ok = find_newest(repo, label, &newest, err);

	*base = NULL;
	if (ok && newest.name != NULL)
		ok = object_stat(repo, newest.name, &meta, err);
	if (ok && meta.extra != NULL)
		text = json_get_str(meta.extra, "base", NULL);
	if (text != NULL && repo_label_ok(text))
		*base = mem_strdup(text);
	object_meta_free(&meta);
	free(newest.name);
	return ok;
}
