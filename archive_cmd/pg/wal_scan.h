/*-------------------------------------------------------------------------
 *
 * wal_scan.h
 *	  Reads the records of one segment as its bytes pass by, for commit times
 *	  and restore points.  Memory is bounded whatever the segment's size.
 *
 * A scan never fails: what cannot be read as WAL ends it, and says where.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_WAL_SCAN_H
#define PGDR_WAL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WalScan WalScan;

typedef enum WalEventKind
{
	WAL_EVENT_COMMIT, /* also commit prepared */
	WAL_EVENT_ABORT,  /* also abort prepared */
	WAL_EVENT_RESTORE_POINT
} WalEventKind;

typedef struct WalEvent
{
	WalEventKind kind;
	uint64_t lsn;     /* start of the record */
	uint64_t end_lsn; /* just after the record */
	int64_t time;     /* microseconds since 1970, UTC */
	uint32_t xid;     /* of the transaction; the prepared one's for
								 * commit/abort prepared; 0 for a point, or
								 * where it lies beyond the first MiB of the
								 * record (a quarter million subtransactions) */
	const char *name; /* of the restore point, or NULL */
} WalEvent;

typedef void (*WalEventFn)(void *arg, const WalEvent *event);

typedef struct WalScanResult
{
	uint64_t records;     /* complete records with a right CRC that began
								 * in what was read */
	int64_t first_commit; /* microseconds since 1970; 0: none here.
								 * Lowest and highest, of commits and aborts,
								 * as recovery targets */
	int64_t last_commit;  /* see first_commit */
	bool complete;        /* WAL to the end of the (last) segment, or to
								 * a segment switch record in it */
	uint64_t stop_lsn;    /* where reading ended: the segment's end if
								 * complete, else behind the last good record */
} WalScanResult;

/* fn may be NULL.  segment_lsn is the position of the segment's first byte. */
extern WalScan *wal_scan_new(uint64_t segment_lsn, uint32_t segment_size,
							 uint32_t block_size, WalEventFn fn, void *arg);
extern void wal_scan_add(WalScan *scan, const void *data, size_t len);

/*
 * Ends the scan.  A record that continues in the next segment is not counted;
 * feeding the next segment's bytes goes on reading it, and all that comes
 * after it: call this only after the last byte that is to be read.
 */
extern void wal_scan_finish(WalScan *scan, WalScanResult *out);
extern void wal_scan_free(WalScan *scan);

#endif
