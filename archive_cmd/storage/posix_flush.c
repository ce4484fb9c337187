/*-------------------------------------------------------------------------
 *
 * posix_flush.c
 *	  Brings what has been written of an object to the disk while the rest of
 *	  it is still being made, so that the fsync at its end waits for little.
 *
 * A disk takes as long for a flush as it has to write for it; meanwhile
 * the object's compression keeps the processors busy.  The thread is started
 * with the first flush: small objects need none.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/posix_flush.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct PosixFlush
{
	/* fixed */
	int fd;
	pthread_t thread;

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool wanted;
	bool ended;

	/* the thread's, to be read once it has ended */
	int errnum; /* of the flush that failed */
};

/* Waits for something to do; false at the end. */
static bool
next_flush(PosixFlush *f)
{
	bool more;

	pthread_mutex_lock(&f->lock);
	while (!f->wanted && !f->ended)
		pthread_cond_wait(&f->wake, &f->lock);
	f->wanted = false;
	more = !f->ended;
	pthread_mutex_unlock(&f->lock);
	return more;
}

/*
 * The kernel tells of lost pages once: after that an fsync would say that all
 * is well.  So an error ends it, and is kept.
 */
static void *
flush_main(void *arg)
{
	PosixFlush *f = arg;
	int errnum = 0;

	while (errnum == 0 && next_flush(f))
		errnum = fdatasync(f->fd) == 0 ? 0 : errno;
	f->errnum = errnum;
	return NULL;
}

PosixFlush *
posix_flush_start(int fd)
{
	PosixFlush *f = mem_zalloc(sizeof(*f));

	f->fd = fd;
	f->wanted = true;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	if (pthread_create(&f->thread, NULL, flush_main, f) == 0)
		return f;
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return NULL;
}

void
posix_flush_more(PosixFlush *f)
{
	pthread_mutex_lock(&f->lock);
	f->wanted = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

int
posix_flush_end(PosixFlush *f)
{
	int errnum;

	if (f == NULL)
		return 0;
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	errnum = f->errnum;
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return errnum;
}
