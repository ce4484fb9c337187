/*-------------------------------------------------------------------------
 *
 * ahead_queue.c
 *	  The segments that wait in the server's pg_wal/archive_status.
 *
 *-------------------------------------------------------------------------
 */
#include "job/ahead_queue.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define STATUS_DIR "archive_status"
#define READY_SUFFIX ".ready"

void
ahead_queue_free(AheadQueue *queue)
{
	free(queue->files);
	*queue = (AheadQueue){0};
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
add(AheadQueue *queue, const char *status)
{
	char file[WAL_NAME_LEN + 1];
	WalName name;

	if (strlen(status) != WAL_NAME_LEN + strlen(READY_SUFFIX) ||
		strcmp(status + WAL_NAME_LEN, READY_SUFFIX) != 0)
		return;
	memcpy(file, status, WAL_NAME_LEN);
	file[WAL_NAME_LEN] = '\0';
	if (!wal_name_parse(file, &name) || name.kind != WAL_SEGMENT)
		return;
	queue->files = mem_grow(queue->files, queue->count, &queue->cap,
							sizeof(file));
	memcpy(queue->files[queue->count++], file, sizeof(file));
}

bool
ahead_queue_read(const char *wal_dir, AheadQueue *out, Error *err)
{
	char *path = mem_printf("%s/" STATUS_DIR, wal_dir);
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool done;

	out->count = 0;
	done = dir != NULL ||
		   error_set_errno(err, errno, "could not open directory \"%s\"", path);
	while (done)
	{
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL)
			break;
		add(out, entry->d_name);
	}
	if (done && errno != 0)
		done = error_set_errno(err, errno, "could not read directory \"%s\"",
							   path);
	if (dir != NULL)
		closedir(dir);
	free(path);
	if (out->count > 1)
		qsort(out->files, out->count, sizeof(*out->files), compare_files);
	return done;
}

bool
ahead_queue_has(const AheadQueue *queue, const char *file)
{
	return queue->count > 0 &&
		   bsearch(file, queue->files, queue->count, sizeof(*queue->files),
				   compare_files) != NULL;
}

bool
ahead_is_ready(const char *wal_dir, const char *file)
{
	char *path = mem_printf("%s/" STATUS_DIR "/%s" READY_SUFFIX, wal_dir, file);
	bool ready = access(path, F_OK) == 0;

	free(path);
	return ready;
}
