/*-------------------------------------------------------------------------
 *
 * restore_wal.c
 *	  The WAL that a recovery would read, segment by segment along the history
 *	  of its timeline: where a transaction ends in it, and when.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_wal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "pg/wal_page.h"
#include "repo/object.h"
#include "repo/wal_catalog.h"

/* ---- which object ---- */

static bool
is_on(const RestoreWal *path, uint32_t timeline, uint64_t segment)
{
	return wal_catalog_has(path->wal, timeline, segment * path->segment_size);
}

/*
 * A segment in which timelines switch is there once for each of them, and the
 * youngest has it all.  An ancestor counts only if part of the segment lies
 * on it.
 */
uint32_t
restore_wal_timeline(const RestoreWal *path, uint64_t segment)
{
	const TimelineHistory *h = path->history;
	uint64_t start = segment * path->segment_size;
	uint64_t end = start + path->segment_size;
	size_t count = h != NULL ? h->count : 0;

	if (path->wal == NULL)
		return 0;
	if ((count == 0 || h->items[count - 1].lsn < end) &&
		is_on(path, path->timeline, segment))
		return path->timeline;
	for (size_t i = count; i > 0 && h->items[i - 1].lsn > start; i--)
	{
		/* it begins where the one before ends */
		if (i > 1 && h->items[i - 2].lsn >= end)
			continue;
		if (is_on(path, h->items[i - 1].timeline, segment))
			return h->items[i - 1].timeline;
	}
	return 0;
}

/* ---- from which repository ---- */

/*
 * What one repository cannot give another one may.  Of a single one the error
 * is the answer.
 */
static void
pass_over(const RestoreWal *path, size_t i, Error *why, Error *err)
{
	if (i + 1 < path->repo_count && why->code != ERR_CANCELED)
		log_error_object(LOG_WARNING, why);
	else
		error_move(err, why);
	error_clear(why);
}

static bool
segment_time(const RestoreWal *path, uint32_t timeline, uint64_t segment,
			 int64_t *time, Error *err)
{
	bool known = false;

	for (size_t i = 0; i < path->repo_count && *time == 0; i++)
	{
		Error why = ERROR_INIT;

		if (!thread_check_stop(err))
			return false;
		if (wal_segment_time(path->repos[i], path->wal, timeline, segment, true,
							 time, &why))
			known = true;
		else
			pass_over(path, i, &why, err);
	}
	if (known)
		error_clear(err);
	return known;
}

/* ---- when ---- */

bool
restore_wal_last_commit(const RestoreWal *path, uint64_t first, uint64_t last,
						int64_t *time, Error *err)
{
	*time = 0;
	for (uint64_t segment = last + 1; segment > first && *time == 0;)
	{
		uint32_t timeline = restore_wal_timeline(path, --segment);

		if (timeline != 0 && !segment_time(path, timeline, segment, time, err))
			return false;
	}
	return true;
}

/* ---- what ---- */

/* Feeds a scan that is made when the first page's header is known. */
typedef struct Reader
{
	Stage base;
	WalScan *scan;
	uint64_t segment_lsn; /* of the first segment */
	uint32_t segment_size;
	uint64_t limit; /* bytes still to be fed */
	uint8_t head[WAL_LONG_HEADER_LEN];
	size_t head_len;

	/* what is looked for */
	const RestoreTarget *target;
	uint64_t from_lsn;
	uint64_t to_lsn;
	RestoreFind *find;
} Reader;

static void
on_event(void *arg, const WalEvent *event)
{
	Reader *r = arg;

	if (r->find == NULL || r->find->found || event->lsn < r->from_lsn ||
		event->lsn >= r->to_lsn || !restore_target_matches(r->target, event))
		return;
	r->find->found = true;
	r->find->lsn = event->lsn;
	r->find->end_lsn = event->end_lsn;
	r->find->time = event->time;
}

/* The scan must know the size of WAL blocks, which the first page tells. */
static bool
start_scan(Reader *r, Error *err)
{
	WalPageHeader page;

	if (!wal_page_parse(r->head, r->head_len, &page, err))
		return false;
	r->scan = wal_scan_new(r->segment_lsn, r->segment_size, page.block_size,
						   on_event, r);
	wal_scan_add(r->scan, r->head, r->head_len);
	return true;
}

static bool
reader_write(Stage *stage, const void *data, size_t len, Error *err)
{
	Reader *r = (Reader *) stage;
	const uint8_t *p = data;

	if (len > r->limit)
		len = (size_t) r->limit;
	r->limit -= len;
	if (r->scan == NULL)
	{
		size_t n = sizeof(r->head) - r->head_len;

		if (n > len)
			n = len;
		memcpy(r->head + r->head_len, p, n);
		r->head_len += n;
		p += n;
		len -= n;
		if (r->head_len < sizeof(r->head))
			return true;
		if (!start_scan(r, err))
			return false;
	}
	wal_scan_add(r->scan, p, len);
	return true;
}

static bool
reader_finish(Stage *stage, Error *err)
{
	(void) stage;
	(void) err;
	return true;
}

static void
reader_free(Stage *stage)
{
	(void) stage; /* lives on the stack */
}

static const StageOps reader_ops = {reader_write, reader_finish, reader_free};

/*
 * A scan cannot take back what it was fed: where there is another repository
 * to turn to, the segment is fed only when all of it has been found right.
 */
static bool
read_whole(const RestoreWal *path, const char *object, Reader *r, Error *err)
{
	for (size_t i = 0; i < path->repo_count; i++)
	{
		StrBuf text = STRBUF_INIT;
		Error why = ERROR_INIT;
		bool done = object_get(path->repos[i], object, OBJECT_WAL,
							   path->segment_size, &text, &why);

		if (done)
			done = reader_write(&r->base, text.data, text.len, err);
		else
			pass_over(path, i, &why, err);
		strbuf_free(&text);
		if (done || error_is_set(err))
			return done;
	}
	return false;
}

static bool
read_segment(const RestoreWal *path, uint64_t segment, Reader *r, Error *err)
{
	uint32_t timeline = restore_wal_timeline(path, segment);
	WalName name;
	char *object;
	bool done;

	if (timeline == 0)
		return error_set(err, ERR_INTERNAL, "WAL segment of the path is gone");
	wal_segment_name(timeline, segment, path->segment_size, &name);
	object = repo_wal_name(&path->wal->home, &name);
	done = thread_check_stop(err);
	if (done && path->repo_count > 1)
		done = read_whole(path, object, r, err);
	else if (done)
		done = object_read(path->repos[0], object, &r->base, NULL, err);
	free(object);
	return done;
}

/*
 * One segment more than the range needs is read, if it is there: the last
 * record may go on in it.
 */
bool
restore_wal_find(const RestoreWal *path, uint64_t from_lsn, uint64_t to_lsn,
				 const RestoreTarget *target, RestoreFind *out, Error *err)
{
	uint64_t first = from_lsn / path->segment_size;
	uint64_t last = (to_lsn - 1) / path->segment_size;
	Reader r = {.base.ops = &reader_ops,
				.segment_lsn = first * path->segment_size,
				.segment_size = path->segment_size,
				.limit = UINT64_MAX,
				.target = target,
				.from_lsn = from_lsn,
				.to_lsn = to_lsn,
				.find = out};
	bool done = true;

	memset(out, 0, sizeof(*out));
	if (to_lsn <= from_lsn)
		return true;
	for (uint64_t n = first; done && !out->found && n <= last; n++)
		done = read_segment(path, n, &r, err);
	if (done && !out->found && restore_wal_timeline(path, last + 1) != 0)
		done = read_segment(path, last + 1, &r, err);
	wal_scan_free(r.scan);
	return done;
}

/*
 * Reads the segment only as far as the position.  The scan calls that complete
 * if a switch has voided the rest.
 */
bool
restore_wal_switched_before(const RestoreWal *path, uint64_t lsn, bool *ends,
							Error *err)
{
	uint64_t segment = lsn / path->segment_size;
	Reader r = {.base.ops = &reader_ops,
				.segment_lsn = segment * path->segment_size,
				.segment_size = path->segment_size,
				.limit = lsn % path->segment_size};
	WalScanResult result = {0};

	*ends = false;
	if (!read_segment(path, segment, &r, err))
		return false;
	if (r.scan != NULL)
	{
		wal_scan_finish(r.scan, &result);
		*ends = result.complete;
	}
	wal_scan_free(r.scan);
	return true;
}
