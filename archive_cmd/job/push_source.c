/*-------------------------------------------------------------------------
 *
 * push_source.c
 *	  The WAL file that is to be archived, opened and found to be one.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "pg/timeline.h"

bool
push_source_is_wal(const PushSource *source)
{
	return source->name.kind == WAL_SEGMENT || source->name.kind == WAL_PARTIAL;
}

static bool
take_name(PushSource *s, Error *err)
{
	const char *slash = strrchr(s->path, '/');
	const char *file = slash != NULL ? slash + 1 : s->path;

	if (!wal_name_parse(file, &s->name))
	{
		error_set(err, ERR_USAGE, "\"%s\" is not the name of a WAL file", file);
		return error_hint(err, "archive_command must pass \"%%p\".");
	}
	wal_name_format(&s->name, s->file);
	return true;
}

static bool
open_file(PushSource *s, Error *err)
{
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		return error_set_errno(err, errno, "could not open file \"%s\"",
							   s->path);
	if (fstat(s->fd, &s->before) != 0)
		return error_set_errno(err, errno, "could not stat file \"%s\"",
							   s->path);
	if (!S_ISREG(s->before.st_mode))
		return error_set(err, ERR_USAGE, "\"%s\" is not a regular file",
						 s->path);
	return true;
}

/* A segment of the wrong size is truncated, or of another cluster. */
static bool
check_wal(PushSource *s, const PgControl *control, Error *err)
{
	const WalExpect expect = {.sysid = control->sysid,
							  .major = control->major,
							  .segment_size = control->segment_size};
	uint8_t head[WAL_LONG_HEADER_LEN];
	size_t got;

	if ((uint64_t) s->before.st_size != control->segment_size)
	{
		error_set(err, ERR_DAMAGED, "WAL segment \"%s\" has the wrong size",
				  s->path);
		return error_detail(err,
							"It has %lld bytes; segments of this cluster have "
							"%" PRIu32 ".",
							(long long) s->before.st_size,
							control->segment_size);
	}
	if (!file_pread_full(s->fd, head, sizeof(head), 0, &got, s->path, err))
		return false;
	return wal_page_parse(head, got, &s->page, err) &&
		   wal_page_check(&s->page, &s->name, &expect, err);
}

static bool
add_text(void *arg, const void *data, size_t len, Error *err)
{
	(void) err;
	strbuf_add(arg, data, len);
	return true;
}

/* What the server writes; anything else under such a name is an accident. */
static bool
check_text(PushSource *s, Error *err)
{
	const PushTaker taker = {.take = add_text, .arg = &s->text};
	static const char first[] = "START WAL LOCATION: ";
	TimelineHistory history = {0};
	bool done;

	if (s->before.st_size == 0 || (size_t) s->before.st_size > PUSH_TEXT_MAX)
		return error_set(err, ERR_DAMAGED, "file \"%s\" has %lld bytes",
						 s->path, (long long) s->before.st_size);
	if (!push_source_read(s, &taker, err))
		return false;
	if (s->name.kind == WAL_TIMELINE_HISTORY)
	{
		done = timeline_history_parse(s->name.timeline, s->text.data,
									  s->text.len, &history, err);
		timeline_history_free(&history);
		return done;
	}
	if (strncmp(s->text.data, first, sizeof(first) - 1) != 0)
		return error_set(err, ERR_DAMAGED,
						 "file \"%s\" is not a backup history file", s->path);
	return true;
}

bool
push_source_open(const char *path, const PgControl *control, PushSource *out,
				 Error *err)
{
	*out = (PushSource){.path = path, .fd = -1, .control = control};
	if (!take_name(out, err) || !open_file(out, err))
		return false;
	if (push_source_is_wal(out))
		return check_wal(out, control, err);
	return check_text(out, err);
}

void
push_source_close(PushSource *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	strbuf_free(&s->text);
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
check_unchanged(const PushSource *s, uint64_t total, Error *err)
{
	struct stat now;

	if (fstat(s->fd, &now) != 0)
		return error_set_errno(err, errno, "could not stat file \"%s\"",
							   s->path);
	if (total == (uint64_t) s->before.st_size &&
		now.st_size == s->before.st_size &&
		same_time(&now.st_mtim, &s->before.st_mtim))
		return true;
	error_set(err, ERR_IO, "file \"%s\" changed while it was read", s->path);
	err->transient = true;
	return false;
}

bool
push_source_read(PushSource *s, const PushTaker *taker, Error *err)
{
	size_t size = taker->piece > 0 ? taker->piece : PUSH_PIECE;
	char *own = taker->room == NULL ? mem_alloc(size) : NULL;
	char *piece;
	uint64_t total = 0;
	size_t got = 0;
	bool done;

	do
	{
		piece = own != NULL ? own : taker->room(taker->arg, err);
		done = piece != NULL && thread_check_stop(err) &&
			   file_pread_full(s->fd, piece, size, total, &got, s->path, err) &&
			   taker->take(taker->arg, piece, got, err);
		total += got;
	} while (done && got == size);
	free(own);
	return done && check_unchanged(s, total, err);
}
