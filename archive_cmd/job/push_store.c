/*-------------------------------------------------------------------------
 *
 * push_store.c
 *	  Makes an object of a WAL file.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "job/push.h"
#include "job/push_help.h"
#include "pg/wal_scan.h"
#include "repo/object.h"

/*
 * Frames of this size keep memory small whatever the size of a segment, and
 * let a reader who wants a part of it skip the rest.  A piece of the file is a
 * frame, which is then compressed where it lies.  Where threads share the
 * frames of one segment, smaller ones let all of them end together; they cost
 * 1 % of the size and 3 % of the time.
 */
#define FRAME ((size_t) 1 << 20)
#define FRAME_SHARED (FRAME / 2)

/*
 * A history as long as this goes into the metadata (JSON takes six bytes for
 * one at worst); of a longer one the content has to be read.
 */
#define HISTORY_IN_META 8192

uint64_t
push_segment_lsn(const PushSource *s)
{
	return wal_segment_number(&s->name, s->page.segment_size) *
		   s->page.segment_size;
}

/* ---- what the metadata tells of the file ---- */

static void
put_time(Json *obj, const char *key, int64_t t)
{
	char text[CLOCK_TEXT_LEN];

	if (t != 0)
		json_put_str(obj, key, clock_format(t, text));
}

static Json *
make_extra(const PushSource *s, const PgControl *control,
		   const WalScanResult *scan)
{
	Json *obj = json_new_object();
	char lsn[LSN_TEXT_LEN];
	char *sysid = mem_printf("%" PRIu64, control->sysid);

	json_put_str(obj, "sysid", sysid);
	json_put_int(obj, "major", control->major);
	json_put_int(obj, "timeline", s->name.timeline);
	if (push_source_is_wal(s))
	{
		lsn_format(push_segment_lsn(s), lsn);
		json_put_int(obj, "segment_size", control->segment_size);
		json_put_str(obj, "lsn", lsn);
		put_time(obj, "first_commit", scan->first_commit);
		put_time(obj, "last_commit", scan->last_commit);
	}
	else if (s->name.kind == WAL_TIMELINE_HISTORY &&
			 s->text.len <= HISTORY_IN_META)
		json_put_str(obj, "history", s->text.data);
	free(sysid);
	return obj;
}

/* Room for the two times, which are known only at the end. */
#define TIMES_ROOM 128

/* Threads have to be started, which a few frames are not worth. */
static int
threads_for(const PushSource *s)
{
	return (uint64_t) s->before.st_size >= 4 * FRAME ? s->threads : 0;
}

static ObjectSpec
make_spec(const PushSource *s, const PgControl *control, const char *name)
{
	static const WalScanResult none = {0};
	static const char *const kinds[] = {
		[WAL_SEGMENT] = OBJECT_WAL,
		[WAL_PARTIAL] = OBJECT_WAL,
		[WAL_BACKUP_HISTORY] = OBJECT_BACKUP_HISTORY,
		[WAL_TIMELINE_HISTORY] = OBJECT_HISTORY};
	Json *extra = make_extra(s, control, &none);
	char *text = json_dump(extra);
	size_t frame = threads_for(s) > 1 ? FRAME_SHARED : FRAME;
	ObjectSpec spec = {.name = name,
					   .kind = kinds[s->name.kind],
					   .extra_room = strlen(text) + TIMES_ROOM,
					   .frame_size = push_source_is_wal(s) ? frame : 0};

	free(text);
	json_free(extra);
	return spec;
}

/* ---- storing it ---- */

typedef struct Sending
{
	ObjectWriter *writer;
	WalScan *scan; /* NULL for what is not WAL */
	bool refused;  /* it was the writer that failed */
} Sending;

static void *
room_for_piece(void *arg, Error *err)
{
	Sending *sending = arg;
	void *room = object_room(sending->writer, err);

	sending->refused = room == NULL;
	return room;
}

static bool
send_piece(void *arg, const void *data, size_t len, Error *err)
{
	Sending *sending = arg;

	if (sending->scan != NULL)
		wal_scan_add(sending->scan, data, len);
	sending->refused = !object_write(sending->writer, data, len, err);
	return !sending->refused;
}

static bool
store(Repo *repo, PushSource *s, const ObjectSpec *spec, PushStored *out,
	  Error *err)
{
	Sending sending = {.writer = object_create(repo, spec, err)};
	const PushTaker taker = {.take = send_piece,
							 .room = spec->frame_size > 0 ? room_for_piece
														  : NULL,
							 .piece = spec->frame_size,
							 .arg = &sending};
	WalScanResult scan = {0};
	ObjectMeta meta = {0};
	Json *extra;
	bool done;

	out->unreadable = false;
	if (sending.writer == NULL)
		return false;
	if (push_source_is_wal(s))
		sending.scan = wal_scan_new(push_segment_lsn(s), s->page.segment_size,
									s->page.block_size, NULL, NULL);
	done = push_source_read(s, &taker, err) &&
		   (s->gate == NULL || s->gate->pass(s->gate->arg, err));
	if (sending.scan != NULL)
		wal_scan_finish(sending.scan, &scan);
	wal_scan_free(sending.scan);
	if (!done)
	{
		out->unreadable = !sending.refused;
		object_abort(sending.writer);
		return false;
	}
	extra = make_extra(s, s->control, &scan);
	done = object_commit(sending.writer, extra, &meta, err);
	memcpy(out->content, meta.content, CONTENT_LEN);
	out->plain_size = meta.plain_size;
	out->stored_size = meta.payload_size + meta.head_len;
	object_meta_free(&meta);
	json_free(extra);
	return done;
}

bool
push_store(Repo *repo, PushSource *s, const PgControl *control, PushStored *out,
		   Error *err)
{
	ObjectSpec spec = make_spec(s, control, out->object);
	PushHelp help;
	bool done;

	push_help_begin(&help, threads_for(s));
	spec.pool = help.pool;
	done = store(repo, s, &spec, out, err);
	push_help_end(&help);
	return done;
}
