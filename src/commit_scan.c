/*-------------------------------------------------------------------------
 *
 * commit_scan.c
 *	  Looks for the first commit in a stretch of the local WAL.
 *
 * The first, not each of them: the oldest commit that is not archived is all
 * that the RPO needs, and on a busy server it is a few records away.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dr_first_commit);

/* A load without a commit may be longer; waiting for its end would be too. */
#define SCAN_MAX_BYTES ((uint64) 1024 * 1024 * 1024)

typedef struct CommitScan
{
	XLogRecPtr from;
	XLogRecPtr to;
	XLogRecPtr reached;
	TimestampTz commit_time;
	bool found;
} CommitScan;

/*
 * A commit whose record crosses the boundary is not archived before its end
 * is, so begin a page earlier, if that segment is still here.
 */
static XLogRecPtr
page_before(XLogRecPtr from)
{
	char path[MAXPGPATH];
	TimeLineID timeline;
	XLogSegNo segment;
	struct stat st;

	if (from < wal_segment_size + XLOG_BLCKSZ)
		return Max(from, (XLogRecPtr) wal_segment_size);
	GetFlushRecPtr(&timeline);
	XLByteToSeg(from - XLOG_BLCKSZ, segment, wal_segment_size);
	XLogFilePath(path, timeline, segment, wal_segment_size);
	return stat(path, &st) == 0 ? from - XLOG_BLCKSZ : from;
}

/* That page is empty if the segment was switched before its end. */
static bool
find_first_record(CommitScan *scan, XLogReaderState *reader)
{
	XLogRecPtr start = page_before(scan->from);

	return !XLogRecPtrIsInvalid(XLogFindNextRecord(reader, start)) ||
		   (start < scan->from &&
			!XLogRecPtrIsInvalid(XLogFindNextRecord(reader, scan->from)));
}

static bool
is_commit(XLogReaderState *reader, TimestampTz *time)
{
	uint8 op = XLogRecGetInfo(reader) & XLOG_XACT_OPMASK;

	if (XLogRecGetRmid(reader) != RM_XACT_ID ||
		(op != XLOG_XACT_COMMIT && op != XLOG_XACT_COMMIT_PREPARED))
		return false;
	*time = ((xl_xact_commit *) XLogRecGetData(reader))->xact_time;
	return true;
}

/* Is there no more, or is it that it could not be read? */
static bool
wal_is_at_end(XLogReaderState *reader)
{
	return ((ReadLocalXLogPageNoWaitPrivate *) reader->private_data)
		->end_of_wal;
}

static void
scan_records(CommitScan *scan, XLogReaderState *reader)
{
	XLogRecPtr end = Min(scan->to, scan->from + SCAN_MAX_BYTES);
	char *message;

	while (!scan->found && scan->reached < end)
	{
		CHECK_FOR_INTERRUPTS();
		if (XLogReadRecord(reader, &message) == NULL)
		{
			if (!wal_is_at_end(reader))
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("could not read WAL at %X/%X: %s",
								LSN_FORMAT_ARGS(reader->EndRecPtr), message)));
			/* the end of what is flushed: padding follows, no record */
			scan->reached = scan->to;
			break;
		}
		if (reader->EndRecPtr > scan->from)
		{
			scan->found = is_commit(reader, &scan->commit_time);
			scan->reached = reader->EndRecPtr;
		}
	}
}

static XLogReaderState *
make_reader(void *private_data)
{
	XLogReaderState *reader;

	reader = XLogReaderAllocate(
		wal_segment_size, NULL,
		XL_ROUTINE(.page_read = read_local_xlog_page_no_wait,
				   .segment_open = wal_segment_open,
				   .segment_close = wal_segment_close),
		private_data);
	if (reader == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Failed while allocating a WAL reading "
								  "processor.")));
	return reader;
}

static void
scan_wal(CommitScan *scan)
{
	ReadLocalXLogPageNoWaitPrivate private = {.end_of_wal = false};
	XLogReaderState *reader;

	scan->reached = scan->from;
	if (scan->from >= scan->to)
		return;
	reader = make_reader(&private);
	if (find_first_record(scan, reader))
		scan_records(scan, reader);
	else if (wal_is_at_end(reader))
		scan->reached = scan->to;
	else
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("could not find a WAL record after %X/%X",
							   LSN_FORMAT_ARGS(scan->from))));
	XLogReaderFree(reader);
}

Datum
dr_first_commit(PG_FUNCTION_ARGS)
{
	CommitScan scan = {.from = PG_GETARG_LSN(0), .to = PG_GETARG_LSN(1)};
	TupleDesc desc;
	Datum values[2];
	bool nulls[2];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	scan_wal(&scan);
	values[0] = TimestampTzGetDatum(scan.commit_time);
	nulls[0] = !scan.found;
	values[1] = LSNGetDatum(scan.reached);
	nulls[1] = false;
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
