/*-------------------------------------------------------------------------
 *
 * wal_scan.c
 *	  Reads the records of one segment as its bytes pass by, for commit times
 *	  and restore points.  Memory is bounded whatever the segment's size.
 *
 * WAL is a row of pages.  Each has a header; records fill the rest without
 * regard to pages, each beginning at a multiple of 8.  A page that begins
 * inside a record says so, and how much of the record is still to come.
 *
 * Of a record its 24 bytes of header are collected, its CRC is computed as it
 * passes, and only if it may be a commit, an abort or a restore point are its
 * bytes kept, for wal_record.c to read.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/wal_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "common/wal_name.h"
#include "pg/wal_page.h"
#include "pg/wal_record.h"

#define SHORT_HEADER_LEN 24

/* Flags of a page header. */
#define PAGE_CONTINUES 0x0001 /* begins inside a record */
#define PAGE_LONG 0x0002
#define PAGE_OVERWRITES 0x0008 /* the record before was given up in a crash */
#define PAGE_FLAGS 0x000F

/* What lies further behind in a record is not kept. */
#define KEEP_MAX (1024 * 1024)

typedef enum RecordState
{
	RECORD_NONE,    /* between records */
	RECORD_FOREIGN, /* one that began before the first segment */
	RECORD_OWN
} RecordState;

struct WalScan
{
	/* what is read, and for whom */
	uint64_t segment_lsn;
	uint32_t segment_size;
	uint32_t block_size;
	WalEventFn fn;
	void *arg;

	/* where reading is */
	uint64_t lsn;      /* of the next byte */
	uint64_t skip_to;  /* after a segment switch; else 0 */
	uint64_t prev_lsn; /* start of the last good record; 0: none yet */
	uint64_t stop_lsn; /* behind what was read well */
	bool stopped;

	/* pages */
	uint16_t magic;    /* of all pages; 0 before the first */
	uint32_t timeline; /* of the last page; never falls */
	uint8_t page[WAL_LONG_HEADER_LEN];
	uint32_t page_len; /* bytes of the header so far */

	/* the record */
	RecordState state;
	uint64_t record_lsn;
	uint32_t padding; /* bytes to the next multiple of 8 */
	uint32_t total;   /* bytes of the record; of a foreign one, of
								 * what was left */
	uint32_t got;
	uint32_t crc; /* of what came after the header */
	uint8_t head[WAL_RECORD_HEADER_LEN];
	bool keep;
	StrBuf kept; /* from its first byte on */

	WalScanResult result;
};

WalScan *
wal_scan_new(uint64_t segment_lsn, uint32_t segment_size, uint32_t block_size,
			 WalEventFn fn, void *arg)
{
	WalScan *scan = mem_zalloc(sizeof(*scan));

	scan->segment_lsn = segment_lsn;
	scan->segment_size = segment_size;
	scan->block_size = block_size;
	scan->fn = fn;
	scan->arg = arg;
	scan->lsn = segment_lsn;
	scan->stop_lsn = segment_lsn;
	/* numbers out of a file that lies: nothing can be read by them */
	scan->stopped = !wal_segment_size_ok(segment_size) || block_size < 1024 ||
					block_size > 65536 ||
					(block_size & (block_size - 1)) != 0 ||
					segment_lsn % segment_size != 0;
	return scan;
}

static uint32_t
min_u32(uint64_t a, uint64_t b)
{
	return (uint32_t) (a < b ? a : b);
}

static uint32_t
header_len(const WalScan *scan)
{
	uint64_t in_segment = scan->lsn & (scan->segment_size - 1);

	return in_segment < scan->block_size ? WAL_LONG_HEADER_LEN
										 : SHORT_HEADER_LEN;
}

/*
 * Is the header that of the page which must come here?  Segments are reused,
 * so pages of former times lie behind the end of WAL: their position gives
 * them away.
 */
static bool
page_is_next(const WalScan *scan, uint16_t magic, uint16_t flags,
			 uint32_t timeline)
{
	uint64_t page_lsn = scan->lsn - scan->page_len;
	uint64_t says;
	bool is_long = scan->page_len == WAL_LONG_HEADER_LEN;
	uint32_t segment_size = scan->segment_size;
	uint32_t block_size = scan->block_size;

	memcpy(&says, scan->page + 8, 8);
	if (is_long)
	{
		memcpy(&segment_size, scan->page + 32, 4);
		memcpy(&block_size, scan->page + 36, 4);
	}
	if (wal_magic_major(magic) == 0 ||
		(scan->magic != 0 && magic != scan->magic))
		return false;
	return says == page_lsn && (flags & ~PAGE_FLAGS) == 0 &&
		   ((flags & PAGE_LONG) != 0) == is_long &&
		   segment_size == scan->segment_size &&
		   block_size == scan->block_size && timeline >= scan->timeline &&
		   timeline != 0;
}

/* Does what the header says of the record across the page's start fit? */
static bool
continue_record(WalScan *scan, uint16_t flags, uint32_t left)
{
	if (flags & PAGE_OVERWRITES)
	{
		/* the rest was lost: whatever has begun will not be finished */
		scan->state = RECORD_NONE;
		scan->got = 0;
		return (flags & PAGE_CONTINUES) == 0;
	}
	if ((flags & PAGE_CONTINUES) == 0)
		return scan->state == RECORD_NONE;
	if (left == 0)
		return false;
	if (scan->state != RECORD_NONE)
		return left == scan->total - scan->got;
	if (scan->lsn - scan->page_len != scan->segment_lsn)
		return false;
	scan->state = RECORD_FOREIGN;
	scan->total = left;
	scan->got = 0;
	return true;
}

static bool
finish_page_header(WalScan *scan)
{
	uint16_t magic;
	uint16_t flags;
	uint32_t timeline;
	uint32_t left;

	memcpy(&magic, scan->page, 2);
	memcpy(&flags, scan->page + 2, 2);
	memcpy(&timeline, scan->page + 4, 4);
	memcpy(&left, scan->page + 16, 4);
	if (!page_is_next(scan, magic, flags, timeline))
		return false;
	scan->magic = magic;
	scan->timeline = timeline;
	if (!continue_record(scan, flags, left))
		return false;
	if (scan->state == RECORD_NONE)
		scan->stop_lsn = scan->lsn;
	return true;
}

static void
note_commit(WalScan *scan, int64_t time)
{
	WalScanResult *r = &scan->result;

	/* they are not in the order of time exactly */
	if (r->first_commit == 0 || time < r->first_commit)
		r->first_commit = time;
	if (r->last_commit == 0 || time > r->last_commit)
		r->last_commit = time;
}

static void
report(WalScan *scan, uint64_t end_lsn)
{
	WalEvent event = {.lsn = scan->record_lsn, .end_lsn = end_lsn};
	char name[WAL_POINT_NAME_MAX];

	WalRecord record = {.data = (const uint8_t *) scan->kept.data,
						.len = scan->kept.len,
						.total = scan->total,
						.major = wal_magic_major(scan->magic)};

	if (!wal_record_event(&record, &event, name))
		return;
	if (event.kind != WAL_EVENT_RESTORE_POINT)
		note_commit(scan, event.time);
	if (scan->fn != NULL)
		scan->fn(scan->arg, &event);
}

/* All bytes of a record of ours are here. */
static bool
finish_record(WalScan *scan)
{
	uint32_t crc = crc32c(scan->crc, scan->head, WAL_RECORD_CRC_AT);
	uint32_t stored;
	uint64_t end_lsn = scan->lsn + scan->padding;

	memcpy(&stored, scan->head + WAL_RECORD_CRC_AT, sizeof(stored));
	if (crc != stored)
		return false;
	if (wal_record_is_switch(scan->head))
	{
		scan->skip_to = end_lsn + scan->segment_size - 1;
		scan->skip_to -= scan->skip_to % scan->segment_size;
		end_lsn = scan->skip_to;
	}
	scan->result.records++;
	scan->prev_lsn = scan->record_lsn;
	if (scan->keep)
		report(scan, end_lsn);
	return true;
}

static bool
end_of_record(WalScan *scan)
{
	bool good = true;

	scan->padding = (8 - scan->total % 8) % 8;
	if (scan->state == RECORD_OWN)
		good = finish_record(scan);
	scan->state = RECORD_NONE;
	scan->got = 0;
	if (good && scan->skip_to != 0)
	{
		scan->stop_lsn = scan->skip_to;
		scan->padding = 0;
	}
	else if (good)
		scan->stop_lsn = scan->lsn + scan->padding;
	return good;
}

/* The header of a record is complete: is it one that can come here? */
static bool
finish_record_header(WalScan *scan)
{
	uint64_t prev;

	memcpy(&prev, scan->head + WAL_RECORD_PREV_AT, sizeof(prev));
	if (prev >= scan->record_lsn ||
		(scan->prev_lsn != 0 && prev != scan->prev_lsn))
		return false;
	scan->crc = 0;
	scan->keep = wal_record_may_tell(scan->head);
	strbuf_reset(&scan->kept);
	if (scan->keep)
		strbuf_add(&scan->kept, scan->head, WAL_RECORD_HEADER_LEN);
	return scan->total > WAL_RECORD_HEADER_LEN || end_of_record(scan);
}

/*
 * The length is in the first 4 bytes, which are on one page always.  Zeros are
 * the end of WAL.
 */
static bool
begin_record(WalScan *scan, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t n = min_u32(len, 4 - scan->got);

	if (scan->got == 0)
		scan->record_lsn = scan->lsn;
	memcpy(scan->head + scan->got, data, n);
	scan->got += n;
	scan->lsn += n;
	*used = n;
	if (scan->got < 4)
		return true;
	memcpy(&scan->total, scan->head, 4);
	scan->state = RECORD_OWN;
	return scan->total >= WAL_RECORD_HEADER_LEN;
}

/* Up to len bytes of the record; *used is how many were its own. */
static bool
add_to_record(WalScan *scan, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t want = scan->total - scan->got;
	uint32_t n;
	bool in_head = scan->state == RECORD_OWN &&
				   scan->got < WAL_RECORD_HEADER_LEN;

	if (in_head)
		want = WAL_RECORD_HEADER_LEN - scan->got;
	n = min_u32(len, want);
	if (in_head)
		memcpy(scan->head + scan->got, data, n);
	else if (scan->state == RECORD_OWN)
	{
		scan->crc = crc32c(scan->crc, data, n);
		if (scan->keep)
			strbuf_add(&scan->kept, data,
					   min_u32(n, KEEP_MAX - scan->kept.len));
	}
	scan->got += n;
	scan->lsn += n;
	*used = n;
	if (n < want)
		return true;
	return in_head ? finish_record_header(scan) : end_of_record(scan);
}

/*
 * Most records lie within a page, and their bytes come all at a time.  This is
 * begin_record() and add_to_record() for those, in one go.
 */
static bool
take_whole_record(WalScan *scan, const uint8_t *data, uint32_t total)
{
	scan->record_lsn = scan->lsn;
	memcpy(scan->head, data, WAL_RECORD_HEADER_LEN);
	scan->total = total;
	scan->state = RECORD_OWN;
	scan->got = WAL_RECORD_HEADER_LEN;
	scan->lsn += WAL_RECORD_HEADER_LEN;
	if (!finish_record_header(scan))
		return false;
	if (total == WAL_RECORD_HEADER_LEN)
		return true;
	data += WAL_RECORD_HEADER_LEN;
	total -= WAL_RECORD_HEADER_LEN;
	scan->crc = crc32c(0, data, total);
	if (scan->keep)
		strbuf_add(&scan->kept, data,
				   min_u32(total, KEEP_MAX - scan->kept.len));
	scan->got += total;
	scan->lsn += total;
	return end_of_record(scan);
}

/* Is there a whole record?  Then its length. */
static uint32_t
whole_record(const WalScan *scan, const uint8_t *data, size_t len)
{
	uint32_t total;

	if (scan->got > 0 || len < WAL_RECORD_HEADER_LEN)
		return 0;
	memcpy(&total, data, sizeof(total));
	return total >= WAL_RECORD_HEADER_LEN && total <= len ? total : 0;
}

/* Bytes of one page, behind its header. */
static bool
take_content(WalScan *scan, const uint8_t *data, size_t len, size_t *used)
{
	if (scan->padding > 0)
	{
		*used = min_u32(len, scan->padding);
		scan->padding -= (uint32_t) *used;
		scan->lsn += *used;
		return true;
	}
	if (scan->state == RECORD_NONE)
	{
		uint32_t total = whole_record(scan, data, len);

		if (total == 0)
			return begin_record(scan, data, len, used);
		*used = total;
		return take_whole_record(scan, data, total);
	}
	return add_to_record(scan, data, len, used);
}

static bool
take_page_header(WalScan *scan, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t want = header_len(scan);
	uint32_t n = min_u32(len, want - scan->page_len);

	memcpy(scan->page + scan->page_len, data, n);
	scan->page_len += n;
	scan->lsn += n;
	*used = n;
	return scan->page_len < want || finish_page_header(scan);
}

/* Some bytes, at least one, at most to the end of the page. */
static bool
take(WalScan *scan, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t offset = (uint32_t) scan->lsn & (scan->block_size - 1);

	if (scan->skip_to != 0)
	{
		*used = scan->skip_to - scan->lsn < len
					? (size_t) (scan->skip_to - scan->lsn)
					: len;
		scan->lsn += *used;
		if (scan->lsn == scan->skip_to)
			scan->skip_to = 0;
		return true;
	}
	if (offset == 0)
		scan->page_len = 0;
	if (offset < header_len(scan))
		return take_page_header(scan, data, len, used);
	return take_content(scan, data, min_u32(len, scan->block_size - offset),
						used);
}

void
wal_scan_add(WalScan *scan, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0 && !scan->stopped)
	{
		size_t used = 0;

		if (!take(scan, p, len, &used))
			scan->stopped = true;
		p += used;
		len -= used;
	}
}

/*
 * Bytes that stop at the end of a segment are complete also when a record
 * goes on in the next; so are they when a switch has made the rest void.
 */
void
wal_scan_finish(WalScan *scan, WalScanResult *out)
{
	WalScanResult *r = &scan->result;

	if (!scan->stopped && scan->lsn > scan->segment_lsn)
		r->complete = scan->skip_to != 0 || scan->lsn % scan->segment_size == 0;
	r->stop_lsn = scan->stop_lsn;
	if (r->complete && scan->skip_to == 0)
		r->stop_lsn = scan->lsn;
	scan->stopped = true;
	*out = *r;
}

void
wal_scan_free(WalScan *scan)
{
	if (scan == NULL)
		return;
	strbuf_free(&scan->kept);
	free(scan);
}
