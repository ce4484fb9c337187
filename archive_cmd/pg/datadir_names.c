/*-------------------------------------------------------------------------
 *
 * datadir_names.c
 *	  What the names in a data directory mean, for the walk through it.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/datadir_names.h"

#include <stddef.h>
#include <string.h>

/* In any directory, with whatever follows. */
static const char *const prefixes_anywhere[] = {
	"pgsql_tmp",        /* of sorts and the like, gone after a restart */
	"pg_internal.init", /* a cache, made anew */
};

/* In the data directory itself, with whatever follows. */
static const char *const prefixes_top[] = {
	"backup_label",
	"tablespace_map",
	"current_logfiles",
};

/* In the data directory itself. */
static const char *const names_top[] = {
	"postmaster.pid",  "postmaster.opts", "backup_manifest",
	"recovery.signal", "standby.signal",
};

static const char *const emptied[] = {
	"pg_wal",    "pg_stat_tmp", "pg_replslot",  "pg_dynshmem",
	"pg_notify", "pg_serial",   "pg_snapshots", "pg_subtrans",
};

static const char *const servers[] = {
	"base",    "global",    "pg_commit_ts", "pg_logical", "pg_multixact",
	"pg_stat", "pg_tblspc", "pg_twophase",  "pg_xact",
};

static const char *const fork_names[] = {
	[FORK_MAIN] = "",
	[FORK_FSM] = "_fsm",
	[FORK_VM] = "_vm",
	[FORK_INIT] = "_init",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_one_of(const char *text, size_t len, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (strlen(list[i]) == len && memcmp(list[i], text, len) == 0)
			return true;
	}
	return false;
}

static bool
begins_with_one_of(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (strncmp(text, list[i], strlen(list[i])) == 0)
			return true;
	}
	return false;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Digits at *text, which moves behind them. */
static bool
take_number(const char **text, uint32_t *out)
{
	const char *p = *text;
	uint64_t value = 0;

	if (*p < '1' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		value = value * 10 + (uint64_t) (*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*text = p;
	*out = (uint32_t) value;
	return true;
}

/* "t<backend>_", the mark of a temporary relation; the backend may be 0. */
static bool
take_temporary_mark(const char **text)
{
	const char *p = *text + 1;

	if (**text != 't' || *p < '0' || *p > '9')
		return false;
	while (*p >= '0' && *p <= '9')
		p++;
	if (*p != '_')
		return false;
	*text = p + 1;
	return true;
}

static ForkKind
take_fork(const char **text)
{
	for (size_t i = FORK_FSM; i < COUNT(fork_names); i++)
	{
		size_t len = strlen(fork_names[i]);

		if (strncmp(*text, fork_names[i], len) == 0)
		{
			*text += len;
			return (ForkKind) i;
		}
	}
	return FORK_MAIN;
}

bool
relation_name_parse(const char *name, RelationName *out)
{
	RelationName r = {.is_temporary = take_temporary_mark(&name)};

	if (!take_number(&name, &r.number))
		return false;
	r.fork = take_fork(&name);
	if (*name == '.')
	{
		name++;
		if (!take_number(&name, &r.segment))
			return false;
	}
	*out = r;
	return *name == '\0';
}

bool
datadir_parse_oid(const char *text, uint32_t *out)
{
	return take_number(&text, out) && *text == '\0';
}

bool
datadir_is_left_out(const char *name, int depth)
{
	if (begins_with_one_of(name, prefixes_anywhere, COUNT(prefixes_anywhere)))
		return true;
	if (depth > 0)
		return false;
	/* pg_tblspc is walked apart */
	return begins_with_one_of(name, prefixes_top, COUNT(prefixes_top)) ||
		   is_one_of(name, strlen(name), names_top, COUNT(names_top)) ||
		   ends_with(name, ".auto.conf.tmp");
}

bool
datadir_is_emptied(const char *name)
{
	return strcmp(name, "pg_tblspc") == 0 ||
		   is_one_of(name, strlen(name), emptied, COUNT(emptied));
}

bool
datadir_is_servers(const char *path)
{
	return is_one_of(path, strcspn(path, "/"), servers, COUNT(servers));
}

/* Behind "<oid>/"; *last if there is nothing behind the number. */
static const char *
skip_oid_dir(const char *text, bool *last)
{
	uint32_t oid;

	*last = false;
	if (!take_number(&text, &oid))
		return NULL;
	*last = *text == '\0';
	return *text == '/' ? text + 1 : NULL;
}

bool
datadir_holds_relations(const char *path)
{
	bool last;

	if (strcmp(path, "global") == 0)
		return true;
	if (strncmp(path, "base/", 5) == 0)
	{
		skip_oid_dir(path + 5, &last);
		return last;
	}
	if (strncmp(path, "pg_tblspc/", 10) != 0)
		return false;
	path = skip_oid_dir(path + 10, &last);
	if (path == NULL || strncmp(path, "PG_", 3) != 0)
		return false;
	path = strchr(path, '/');
	if (path == NULL)
		return false;
	skip_oid_dir(path + 1, &last);
	return last;
}
