/*-------------------------------------------------------------------------
 *
 * fanout_group.c
 *	  The stores of one operation, and which of them have failed.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/fanout_internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

typedef struct Member
{
	StorageOptions options;
	bool dropped; /* under the lock, and so is why */
	Error why;
} Member;

struct FanoutGroup
{
	/* fixed once connections are open */
	Member *members;
	size_t count;
	size_t cap;
	bool strict;

	pthread_mutex_t lock;
};

FanoutGroup *
fanout_group_new(bool strict)
{
	FanoutGroup *group = mem_zalloc(sizeof(*group));

	group->strict = strict;
	pthread_mutex_init(&group->lock, NULL);
	return group;
}

void
fanout_group_free(FanoutGroup *group)
{
	if (group == NULL)
		return;
	for (size_t i = 0; i < group->count; i++)
		error_clear(&group->members[i].why);
	free(group->members);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

void
fanout_group_add(FanoutGroup *group, const StorageOptions *options)
{
	group->members = mem_grow(group->members, group->count, &group->cap,
							  sizeof(Member));
	group->members[group->count++] = (Member){.options = *options};
}

size_t
fanout_group_count(const FanoutGroup *group)
{
	return group->count;
}

const StorageOptions *
fanout_group_options(const FanoutGroup *group, size_t member)
{
	return &group->members[member].options;
}

bool
fanout_group_is_strict(const FanoutGroup *group)
{
	return group->strict;
}

/*
 * At level info: somebody who watches a backup wants to know at once; the
 * outcome is reported by whoever judges it.
 */
void
fanout_group_drop(FanoutGroup *group, size_t member, Error *why)
{
	Member *m = &group->members[member];

	pthread_mutex_lock(&group->lock);
	if (!m->dropped)
	{
		m->dropped = true;
		if (error_is_set(why) && why->code != ERR_CANCELED)
			log_info("repository \"%s\" is left out from here on: %s",
					 m->options.repo, why->message);
		error_move(&m->why, why);
	}
	pthread_mutex_unlock(&group->lock);
	error_clear(why);
}

bool
fanout_group_is_live(FanoutGroup *group, size_t member)
{
	bool live;

	pthread_mutex_lock(&group->lock);
	live = !group->members[member].dropped;
	pthread_mutex_unlock(&group->lock);
	return live;
}

size_t
fanout_group_live(FanoutGroup *group)
{
	size_t live = 0;

	pthread_mutex_lock(&group->lock);
	for (size_t i = 0; i < group->count; i++)
		live += !group->members[i].dropped;
	pthread_mutex_unlock(&group->lock);
	return live;
}

void
fanout_group_take_why(FanoutGroup *group, size_t member, Error *why)
{
	pthread_mutex_lock(&group->lock);
	error_move(why, &group->members[member].why);
	pthread_mutex_unlock(&group->lock);
}

bool
fanout_group_error(FanoutGroup *group, Error *err)
{
	Error all = ERROR_INIT;

	pthread_mutex_lock(&group->lock);
	for (size_t i = 0; i < group->count; i++)
	{
		const Member *m = &group->members[i];

		if (!error_is_set(&m->why))
			continue;
		if (!error_is_set(&all))
		{
			error_set(&all, m->why.code, "%s", m->why.message);
			all.transient = m->why.transient;
			if (m->why.detail != NULL)
				error_detail(&all, "%s", m->why.detail);
			if (m->why.hint != NULL)
				error_hint(&all, "%s", m->why.hint);
		}
		else
			error_detail(&all, "Repository \"%s\": %s.", m->options.repo,
						 m->why.message);
	}
	pthread_mutex_unlock(&group->lock);
	if (!error_is_set(&all))
		error_set(&all, ERR_INTERNAL, "no repository is taking part");
	error_move(err, &all);
	return false;
}
