/*-------------------------------------------------------------------------
 *
 * zstd_pace.c
 *	  A level of compression that follows what the store can take.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/zstd_pace.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

/*
 * Each takes up to four times as long as the one before it.  So it goes up only
 * when the store is waited for three quarters of the time, and comes down when
 * it is hardly waited for: in between the two keep pace with one another.
 */
static const int levels[] = {-5, -3, -1, 1, 3, 6, 9, 12, 16};
#define LEVELS ((int) (sizeof(levels) / sizeof(levels[0])))
#define FIRST 3

/* So much work is looked at together. */
#define PERIOD USECS_PER_SEC

struct ZstdPace
{
	/* under the lock */
	pthread_mutex_t lock;
	int at; /* in levels */
	int64_t took;
	int64_t waited;
};

ZstdPace *
zstd_pace_new(void)
{
	ZstdPace *pace = mem_zalloc(sizeof(*pace));

	pthread_mutex_init(&pace->lock, NULL);
	pace->at = FIRST;
	return pace;
}

void
zstd_pace_free(ZstdPace *pace)
{
	if (pace == NULL)
		return;
	pthread_mutex_destroy(&pace->lock);
	free(pace);
}

int
zstd_pace_level(ZstdPace *pace)
{
	int level;

	pthread_mutex_lock(&pace->lock);
	level = levels[pace->at];
	pthread_mutex_unlock(&pace->lock);
	return level;
}

void
zstd_pace_note(ZstdPace *pace, int64_t took, int64_t waited)
{
	pthread_mutex_lock(&pace->lock);
	pace->took += took;
	pace->waited += waited;
	if (pace->took >= PERIOD)
	{
		if (pace->waited * 4 >= pace->took * 3 && pace->at < LEVELS - 1)
			pace->at++;
		else if (pace->waited * 10 <= pace->took && pace->at > 0)
			pace->at--;
		pace->took = pace->waited = 0;
	}
	pthread_mutex_unlock(&pace->lock);
}
