/*-------------------------------------------------------------------------
 *
 * fanout_lane.c
 *	  The threads of a connection to several stores: a job is done by all
 *	  members at a time, and is over when all have done their share.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/fanout_internal.h"

static void *
lane_main(void *arg)
{
	Lane *lane = arg;
	Fanout *f = lane->fanout;

	pthread_mutex_lock(&f->lock);
	while (!f->ended)
	{
		if (!lane->has_job)
		{
			pthread_cond_wait(&f->work, &f->lock);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		thread_enter_scope(f->scope);
		f->fn(lane, f->arg);
		thread_enter_scope(NULL);
		pthread_mutex_lock(&f->lock);
		lane->has_job = false;
		if (--f->pending == 0)
			pthread_cond_signal(&f->idle);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* Without a thread of its own a lane's share is done after the others'. */
static void
give_job(Lane *lane)
{
	Fanout *f = lane->fanout;

	if (!lane->has_thread)
		lane->has_thread = pthread_create(&lane->thread, NULL, lane_main,
										  lane) == 0;
	lane->has_job = lane->has_thread;
	f->pending += lane->has_job;
}

static bool
takes_part(const Lane *lane)
{
	return lane->st != NULL &&
		   fanout_group_is_live(lane->fanout->group, lane->member);
}

void
fanout_run(Fanout *f, LaneFn fn, void *arg)
{
	Lane *own = NULL;

	pthread_mutex_lock(&f->lock);
	f->fn = fn;
	f->arg = arg;
	f->scope = thread_scope();
	for (size_t i = 0; i < f->count; i++)
	{
		if (!takes_part(&f->lanes[i]))
			continue;
		if (own == NULL)
			own = &f->lanes[i];
		else
			give_job(&f->lanes[i]);
	}
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
	if (own != NULL)
		fn(own, arg);
	for (size_t i = 0; i < f->count; i++)
	{
		Lane *lane = &f->lanes[i];

		if (lane != own && !lane->has_thread && takes_part(lane))
			fn(lane, arg);
	}
	pthread_mutex_lock(&f->lock);
	while (f->pending > 0)
		pthread_cond_wait(&f->idle, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void
fanout_end(Fanout *f)
{
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < f->count; i++)
	{
		if (f->lanes[i].has_thread)
			pthread_join(f->lanes[i].thread, NULL);
	}
}
