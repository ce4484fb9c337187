/*-------------------------------------------------------------------------
 *
 * quarantine.c
 *	  Puts damaged objects aside.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "repo/stamp.h"

#define COPY_BUFFER (256 * 1024)

static bool
copy_bytes(StorageReader *r, StorageWriter *w, Error *err)
{
	char *block = mem_alloc(COPY_BUFFER);
	size_t got = 0;
	bool done;

	do
	{
		done = thread_check_stop(err) &&
			   storage_read(r, block, COPY_BUFFER, &got, err) &&
			   storage_write(w, block, got, err);
	} while (done && got > 0);
	free(block);
	return done;
}

static bool
copy_aside(Storage *st, const char *name, const char *aside, Error *err)
{
	StorageReader *r;
	StorageWriter *w = NULL;
	bool done;

	if (!storage_read_open(st, name, 0, STORAGE_TO_END, &r, err))
		return false;
	done = storage_write_open(st, aside, 0, &w, err) && copy_bytes(r, w, err);
	if (done)
		done = storage_commit(w, NULL, err);
	else
		storage_abort(w);
	storage_read_close(r);
	return done;
}

bool
quarantine_object(Repo *repo, const char *name, Error *err)
{
	char stamp[STAMP_LEN];
	char *aside = mem_printf(QUARANTINE_DIR "/%s/%s",
							 stamp_format(clock_now(), stamp), name);
	bool done = copy_aside(repo->storage, name, aside, err) &&
				storage_remove(repo->storage, name, err);

	free(aside);
	return done;
}

bool
quarantine_parse(const char *name, int64_t *t)
{
	const char *stamp = name + strlen(QUARANTINE_DIR "/");
	const char *slash;

	if (strncmp(name, QUARANTINE_DIR "/", strlen(QUARANTINE_DIR "/")) != 0)
		return false;
	slash = strchr(stamp, '/');
	return slash != NULL && stamp_parse(stamp, (size_t) (slash - stamp), t);
}
