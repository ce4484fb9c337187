/*-------------------------------------------------------------------------
 *
 * archived.c
 *	  Up to where the archiver has archived all WAL.
 *
 * The archiver takes segments in order, but the last one that it archived says
 * little: one before it may wait again, because a backup or a promotion left
 * it so.  What waits is in pg_wal/archive_status.
 *
 *-------------------------------------------------------------------------
 */
#include "archived.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "compat.h"
#include "dr.h"
#include "funcapi.h"
#include "storage/fd.h"
#include "utils/pg_lsn.h"

PG_FUNCTION_INFO_V1(dr_archived);

#define STATUS_DIR XLOGDIR "/archive_status"

/* Is this the status of a segment that waits? */
static bool
is_waiting(const char *name)
{
	return strlen(name) == XLOG_FNAME_LEN + strlen(".ready") &&
		   strspn(name, "0123456789ABCDEF") == XLOG_FNAME_LEN &&
		   strcmp(name + XLOG_FNAME_LEN, ".ready") == 0;
}

/*
 * The start of the first segment that waits, or limit.  By position, whatever
 * its timeline: that of a timeline that was left may hold what is nowhere else.
 */
static XLogRecPtr
first_waiting(XLogRecPtr limit)
{
	DIR *dir = AllocateDir(STATUS_DIR);
	struct dirent *entry;

	while ((entry = ReadDir(dir, STATUS_DIR)) != NULL)
	{
		TimeLineID timeline;
		XLogSegNo segment;
		XLogRecPtr start;

		if (!is_waiting(entry->d_name))
			continue;
		XLogFromFileName(entry->d_name, &timeline, &segment, wal_segment_size);
		XLogSegNoOffsetToRecPtr(segment, 0, wal_segment_size, start);
		limit = Min(limit, start);
	}
	FreeDir(dir);
	return limit;
}

XLogRecPtr
dr_archived_lsn(XLogRecPtr *current)
{
	/*
	 * The position first, the list after it: a segment that is finished in
	 * between only makes the list longer.
	 */
	*current = GetFlushRecPtr(NULL);
	return first_waiting(*current -
						 XLogSegmentOffset(*current, wal_segment_size));
}

Datum
dr_archived(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};
	XLogRecPtr current;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("recovery is in progress")));
	values[0] = LSNGetDatum(dr_archived_lsn(&current));
	values[1] = LSNGetDatum(current);
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
