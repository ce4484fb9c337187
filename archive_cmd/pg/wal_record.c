/*-------------------------------------------------------------------------
 *
 * wal_record.c
 *	  What a single WAL record says, for the scanner.
 *
 * Behind the header of 24 bytes come small headers, each with an ID byte: of
 * blocks that the record touches, of an origin, of a top-level transaction,
 * and last that of the main data.  Then come the blocks' data, and then, at
 * the very end of the record, the main data.
 *
 * Everything is in the machine's byte order and not aligned.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/wal_record.h"

#include <string.h>

#include "base/clock.h"

/* In the record's header. */
#define AT_XID 4
#define AT_INFO 16
#define AT_RMGR 17

#define RMGR_XLOG 0
#define XLOG_SWITCH 0x40
#define XLOG_RESTORE_POINT 0x70

#define RMGR_XACT 1
#define XACT_OP_MASK 0x70
#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40
#define XACT_HAS_INFO 0x80

/* What follows the time of a commit or abort, in this order. */
#define INFO_DATABASE 0x01
#define INFO_SUBXACTS 0x02
#define INFO_RELATIONS 0x04
#define INFO_INVALIDATIONS 0x08
#define INFO_PREPARED 0x10
#define INFO_DROPPED_STATS 0x100

/* IDs of the small headers; those below are blocks. */
#define ID_BLOCK_MAX 32
#define ID_TOPLEVEL_XID 252
#define ID_ORIGIN 253
#define ID_DATA_LONG 254
#define ID_DATA_SHORT 255

#define BLOCK_HAS_IMAGE 0x10
#define BLOCK_SAME_RELATION 0x80
#define IMAGE_HAS_HOLE 0x01
#define IMAGE_COMPRESSED 0x1C /* any of pglz, lz4, zstd */

typedef struct Cursor
{
	const uint8_t *at;
	size_t left;
} Cursor;

static bool
skip(Cursor *c, uint64_t n)
{
	if (n > c->left)
		return false;
	c->at += n;
	c->left -= (size_t) n;
	return true;
}

static bool
take(Cursor *c, void *out, size_t n)
{
	const uint8_t *at = c->at;

	if (!skip(c, n))
		return false;
	memcpy(out, at, n);
	return true;
}

/* Behind the ID of a block: what is said of it, not its data. */
static bool
skip_block_header(Cursor *c)
{
	uint8_t flags;
	uint8_t image;

	/* flags, length of data */
	if (!take(c, &flags, 1) || !skip(c, 2))
		return false;
	if (flags & BLOCK_HAS_IMAGE)
	{
		/* length, offset of the hole */
		if (!skip(c, 4) || !take(c, &image, 1))
			return false;
		if ((image & IMAGE_COMPRESSED) && (image & IMAGE_HAS_HOLE) &&
			!skip(c, 2))
			return false;
	}
	/* the relation, the block's number */
	if ((flags & BLOCK_SAME_RELATION) == 0 && !skip(c, 12))
		return false;
	return skip(c, 4);
}

/* Length of the main data, whose header ends the small headers. */
static bool
find_main_length(Cursor *c, uint32_t *out)
{
	uint8_t id;
	uint8_t small;

	while (take(c, &id, 1))
	{
		switch (id)
		{
			case ID_DATA_SHORT:
				if (!take(c, &small, 1))
					return false;
				*out = small;
				return true;
			case ID_DATA_LONG:
				return take(c, out, 4);
			case ID_ORIGIN:
				if (!skip(c, 2))
					return false;
				break;
			case ID_TOPLEVEL_XID:
				if (!skip(c, 4))
					return false;
				break;
			default:
				if (id > ID_BLOCK_MAX || !skip_block_header(c))
					return false;
		}
	}
	return false;
}

/* *out: as much of the main data as there is. */
static bool
find_main_data(const WalRecord *record, Cursor *out)
{
	Cursor c = {record->data, record->len};
	uint32_t length;

	if (!skip(&c, WAL_RECORD_HEADER_LEN) || !find_main_length(&c, &length))
		return false;
	if (length > record->total - (record->len - c.left))
		return false;
	*out = (Cursor){record->data, record->len};
	return skip(out, record->total - length);
}

/* A 32-bit count, then so many things of that size. */
static bool
skip_array(Cursor *c, uint32_t has, size_t size)
{
	uint32_t count;

	if (!has)
		return true;
	return take(c, &count, 4) && skip(c, (uint64_t) count * size);
}

/* The prepared transaction's ID, from behind the time; 0 if it is not there. */
static uint32_t
find_prepared_xid(Cursor c, int major)
{
	uint32_t info;
	uint32_t xid;

	if (!take(&c, &info, 4) || (info & INFO_PREPARED) == 0)
		return 0;
	if ((info & INFO_DATABASE) && !skip(&c, 8))
		return 0;
	/* IDs of objects in statistics have 64 bits since 18 */
	if (!skip_array(&c, info & INFO_SUBXACTS, 4) ||
		!skip_array(&c, info & INFO_RELATIONS, 12) ||
		!skip_array(&c, info & INFO_DROPPED_STATS, major >= 18 ? 16 : 12) ||
		!skip_array(&c, info & INFO_INVALIDATIONS, 16) || !take(&c, &xid, 4))
		return 0;
	return xid;
}

static bool
xact_event(const WalRecord *record, Cursor main, WalEvent *event)
{
	uint8_t info = record->data[AT_INFO];
	uint8_t op = info & XACT_OP_MASK;
	int64_t time;

	if (!take(&main, &time, 8))
		return false;
	event->kind = op == XACT_COMMIT || op == XACT_COMMIT_PREPARED
					  ? WAL_EVENT_COMMIT
					  : WAL_EVENT_ABORT;
	event->time = (int64_t) ((uint64_t) time + (uint64_t) CLOCK_PG_EPOCH);
	if (op == XACT_COMMIT || op == XACT_ABORT)
		memcpy(&event->xid, record->data + AT_XID, 4);
	else if (info & XACT_HAS_INFO)
		event->xid = find_prepared_xid(main, record->major);
	return true;
}

static bool
point_event(Cursor main, WalEvent *event, char name[WAL_POINT_NAME_MAX])
{
	int64_t time;

	memset(name, 0, WAL_POINT_NAME_MAX);
	if (!take(&main, &time, 8) || !take(&main, name, WAL_POINT_NAME_MAX - 1))
		return false;
	event->kind = WAL_EVENT_RESTORE_POINT;
	event->time = (int64_t) ((uint64_t) time + (uint64_t) CLOCK_PG_EPOCH);
	event->name = name;
	return true;
}

bool
wal_record_is_switch(const uint8_t *head)
{
	return head[AT_RMGR] == RMGR_XLOG && (head[AT_INFO] & 0xF0) == XLOG_SWITCH;
}

static bool
is_point(const uint8_t *head)
{
	return head[AT_RMGR] == RMGR_XLOG &&
		   (head[AT_INFO] & 0xF0) == XLOG_RESTORE_POINT;
}

static bool
is_end_of_xact(const uint8_t *head)
{
	uint8_t op = head[AT_INFO] & XACT_OP_MASK;

	return head[AT_RMGR] == RMGR_XACT &&
		   (op == XACT_COMMIT || op == XACT_ABORT ||
			op == XACT_COMMIT_PREPARED || op == XACT_ABORT_PREPARED);
}

bool
wal_record_may_tell(const uint8_t *head)
{
	return is_point(head) || is_end_of_xact(head);
}

bool
wal_record_event(const WalRecord *record, WalEvent *event,
				 char name[WAL_POINT_NAME_MAX])
{
	Cursor main;

	if (record->len < WAL_RECORD_HEADER_LEN || !find_main_data(record, &main))
		return false;
	if (is_point(record->data))
		return point_event(main, event, name);
	return is_end_of_xact(record->data) && xact_event(record, main, event);
}
