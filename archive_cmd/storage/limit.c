/*-------------------------------------------------------------------------
 *
 * limit.c
 *	  Rate limits of a repository.
 *
 * A bucket is kept as the time at which it will be empty: what passes moves
 * that time on, and whoever moved it waits until his share has come.  So the
 * wait is outside the lock, and all connections get the same rate.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* What was not used may be made up for this long, not longer. */
#define BURST (USECS_PER_SEC / 10)

/* An even flow: so many chunks a second. */
#define CHUNKS_PER_SEC 20
#define CHUNK_MIN 1024

typedef struct Bucket
{
	uint64_t rate;   /* per second; 0: no limit */
	int64_t next_at; /* monotonic, under the lock of the Limit */
} Bucket;

struct Limit
{
	Limit *next;
	char *repo;
	pthread_mutex_t lock;
	Bucket upload;
	Bucket download;
	Bucket request;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static Limit *registry;

static Limit *
find_or_make(const char *repo)
{
	Limit *l;

	for (l = registry; l != NULL; l = l->next)
	{
		if (strcmp(l->repo, repo) == 0)
			return l;
	}
	l = mem_zalloc(sizeof(*l));
	l->repo = mem_strdup(repo);
	pthread_mutex_init(&l->lock, NULL);
	l->next = registry;
	registry = l;
	return l;
}

Limit *
limit_of(const StorageOptions *options)
{
	Limit *l;

	pthread_mutex_lock(&registry_lock);
	l = find_or_make(options->repo ? options->repo : "");
	pthread_mutex_unlock(&registry_lock);
	pthread_mutex_lock(&l->lock);
	l->upload.rate = storage_param_size(options, "upload-rate", 0);
	l->download.rate = storage_param_size(options, "download-rate", 0);
	l->request.rate = (uint64_t) storage_param_int(options, "request-rate", 0);
	pthread_mutex_unlock(&l->lock);
	return l;
}

Limit *
limit_new(uint64_t bytes_per_second)
{
	Limit *l = mem_zalloc(sizeof(*l));

	pthread_mutex_init(&l->lock, NULL);
	l->download.rate = bytes_per_second;
	return l;
}

void
limit_free(Limit *l)
{
	if (l == NULL)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static int64_t
take(Limit *l, Bucket *b, size_t amount)
{
	int64_t now = clock_monotonic();
	int64_t until = 0;

	pthread_mutex_lock(&l->lock);
	if (b->rate > 0)
	{
		if (b->next_at < now - BURST)
			b->next_at = now - BURST;
		b->next_at += (int64_t) ((double) amount / (double) b->rate *
								 USECS_PER_SEC);
		until = b->next_at;
	}
	pthread_mutex_unlock(&l->lock);
	if (until <= now)
		return 0;
	clock_sleep(until - now);
	return clock_monotonic() - now;
}

int64_t
limit_upload(Limit *l, size_t bytes)
{
	return take(l, &l->upload, bytes);
}

int64_t
limit_download(Limit *l, size_t bytes)
{
	return take(l, &l->download, bytes);
}

int64_t
limit_request(Limit *l)
{
	return take(l, &l->request, 1);
}

size_t
limit_upload_chunk(Limit *l, size_t most)
{
	uint64_t rate;
	uint64_t chunk;

	pthread_mutex_lock(&l->lock);
	rate = l->upload.rate;
	pthread_mutex_unlock(&l->lock);
	chunk = rate / CHUNKS_PER_SEC;
	if (rate == 0 || chunk >= most)
		return most;
	return chunk > CHUNK_MIN ? (size_t) chunk : CHUNK_MIN;
}
