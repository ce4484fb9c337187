/*-------------------------------------------------------------------------
 *
 * repo_names.c
 *	  Names in the repository (doc/repository-format.md, "Layout").
 *
 *-------------------------------------------------------------------------
 */
#include "repo/repo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char *
repo_wal_dir(const WalHome *home)
{
	return mem_printf("wal/%" PRIu64 "-%d", home->sysid, home->major);
}

char *
repo_timeline_dir(const WalHome *home, uint32_t timeline)
{
	return mem_printf("wal/%" PRIu64 "-%d/%08X", home->sysid, home->major,
					  timeline);
}

char *
repo_wal_name(const WalHome *home, const WalName *wal)
{
	char file[WAL_FILE_NAME_MAX];

	wal_name_format(wal, file);
	if (wal->kind == WAL_TIMELINE_HISTORY)
		return mem_printf("wal/%" PRIu64 "-%d/%s", home->sysid, home->major,
						  file);
	return mem_printf("wal/%" PRIu64 "-%d/%08X/%08X/%s", home->sysid,
					  home->major, wal->timeline, wal->log, file);
}

char *
repo_backup_dir(const char *label)
{
	return mem_printf("backup/%s", label);
}

char *
repo_manifest_name(const char *label)
{
	return mem_printf("backup/%s/manifest", label);
}

char *
repo_pack_name(const char *label, uint32_t pack)
{
	return mem_printf("backup/%s/data/%06u", label, pack);
}

char *
repo_map_name(const char *label, uint32_t pack)
{
	return mem_printf("backup/%s/map/%06u", label, pack);
}

char *
repo_lease_dir(const char *label)
{
	return mem_printf("backup/%s/lease", label);
}

char *
repo_mark_dir(const char *label)
{
	return mem_printf("backup/%s/mark", label);
}

/* Digits at the given places of "20261121T001829Z". */
bool
repo_label_ok(const char *label)
{
	static const char pattern[] = "dddddddd"
								  "T"
								  "dddddd"
								  "Z";
	size_t i;

	for (i = 0; pattern[i]; i++)
	{
		if (pattern[i] == 'd' ? label[i] < '0' || label[i] > '9'
							  : label[i] != pattern[i])
			return false;
	}
	if (label[i] == '\0')
		return true;
	/* "-2" to "-99": taken within the same second */
	if (label[i] != '-' || label[i + 1] < '1' || label[i + 1] > '9')
		return false;
	i += 2;
	if (label[i] >= '0' && label[i] <= '9')
		i++;
	return label[i] == '\0';
}

/* ---- the clusters whose WAL is here ---- */

typedef struct HomeList
{
	WalHome *items;
	size_t count;
	size_t cap;
} HomeList;

static bool
home_parse(const char *text, WalHome *out)
{
	char again[64];
	char *end;

	out->sysid = strtoull(text, &end, 10);
	if (end == text || *end != '-')
		return false;
	out->major = (int) strtol(end + 1, &end, 10);
	/* only the canonical spelling, so that no two names mean the same */
	snprintf(again, sizeof(again), "%" PRIu64 "-%d", out->sysid, out->major);
	return *end == '\0' && strcmp(again, text) == 0;
}

static bool
home_add(void *arg, const StorageEntry *entry, Error *err)
{
	HomeList *list = arg;
	WalHome home;
	const char *base = strrchr(entry->name, '/');

	(void) err;
	if (!entry->is_dir || !home_parse(base ? base + 1 : entry->name, &home))
		return true;
	list->items = mem_grow(list->items, list->count, &list->cap,
						   sizeof(WalHome));
	list->items[list->count++] = home;
	return true;
}

static int
home_compare(const void *a, const void *b)
{
	const WalHome *x = a;
	const WalHome *y = b;

	if (x->sysid != y->sysid)
		return x->sysid < y->sysid ? -1 : 1;
	return (x->major > y->major) - (x->major < y->major);
}

bool
repo_list_homes(Repo *repo, WalHome **out, size_t *count, Error *err)
{
	HomeList list = {0};

	if (!storage_list(repo->storage, "wal", false, home_add, &list, err))
	{
		free(list.items);
		return false;
	}
	if (list.count > 1)
		qsort(list.items, list.count, sizeof(WalHome), home_compare);
	*out = list.items;
	*count = list.count;
	return true;
}
