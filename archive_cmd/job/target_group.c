/*-------------------------------------------------------------------------
 *
 * target_group.c
 *	  Backs up several targets under one label.
 *
 * The label is taken, and its lease held, from the beginning: a group is seen
 * to be running, and of all its backups it is the first to expire.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_group.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct Group
{
	const GroupOptions *options;
	StrBuf done; /* labels of members, for a message */
} Group;

static void
add_member(BackupInfo *group, const char *label)
{
	group->members = mem_realloc(group->members,
								 (group->member_count + 1) * sizeof(char *));
	group->members[group->member_count++] = mem_strdup(label);
}

/* What an earlier member has counted is not of the next one. */
static void
reset_progress(Progress *progress)
{
	atomic_store(&progress->total_bytes, 0);
	atomic_store(&progress->done_bytes, 0);
	atomic_store(&progress->total_items, 0);
	atomic_store(&progress->done_items, 0);
}

static bool
take_member(Group *g, TargetBackup *b, const char *target, Error *err)
{
	BackupInfo info = {0};

	reset_progress(target_backup_progress(b));
	if (!g->options->take(g->options->arg, target, &info, err))
		return error_prefix(err, "backup of %s", target);
	add_member(target_backup_info(b), info.label);
	target_backup_info(b)->damaged_pages += info.damaged_pages;
	strbuf_printf(&g->done, "%s%s of %s", g->done.len > 0 ? ", " : "",
				  info.label, target);
	backup_info_free(&info);
	return true;
}

static bool
fill(TargetBackup *b, void *arg, Error *err)
{
	Group *g = arg;

	for (size_t i = 0; i < g->options->count; i++)
	{
		if (take_member(g, b, g->options->targets[i], err))
			continue;
		if (g->done.len > 0)
			error_detail(err, "Complete by themselves are: %s.", g->done.data);
		return false;
	}
	return target_backup_drop_failed(b, err);
}

bool
target_group_take(RepoSet *set, const GroupOptions *options, BackupInfo *out,
				  Error *err)
{
	Group g = {.options = options};
	bool done = target_backup_take(set, &options->target, fill, &g, out, err);

	strbuf_free(&g.done);
	return done;
}
