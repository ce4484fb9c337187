/*-------------------------------------------------------------------------
 *
 * target.c
 *	  What a backup is of: the cluster, or something beside it.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/target.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LEN 63

static bool
name_ok(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p != '\0'; p++)
	{
		if (!isalnum((unsigned char) *p) && *p != '_' && *p != '-')
			return false;
	}
	return len > 0 && len <= NAME_MAX_LEN;
}

const char *
target_name(const char *target, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(target, prefix, len) == 0 ? target + len : NULL;
}

bool
target_ok(const char *target)
{
	const char *name = target_name(target, TARGET_FILES);

	if (name == NULL)
		name = target_name(target, TARGET_LOGICAL);
	if (name != NULL)
		return name_ok(name);
	return strcmp(target, TARGET_CLUSTER) == 0 ||
		   strcmp(target, TARGET_CONFIG) == 0 ||
		   strcmp(target, TARGET_FULL_SYSTEM) == 0;
}

/* One whose manifest cannot be read has none. */
static const char *
target_of(const BackupInfo *info)
{
	return info->target != NULL ? info->target : TARGET_CLUSTER;
}

bool
backup_is_cluster(const BackupInfo *info)
{
	return strcmp(target_of(info), TARGET_CLUSTER) == 0;
}

bool
backup_same_series(const BackupInfo *a, const BackupInfo *b)
{
	return a->sysid == b->sysid && a->major == b->major &&
		   strcmp(target_of(a), target_of(b)) == 0;
}

bool
backup_has_member(const BackupInfo *group, const char *label)
{
	for (size_t i = 0; i < group->member_count; i++)
	{
		if (strcmp(group->members[i], label) == 0)
			return true;
	}
	return false;
}
