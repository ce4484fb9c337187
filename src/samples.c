/*-------------------------------------------------------------------------
 *
 * samples.c
 *	  How far the WAL had come at which time, sampled in shared memory.
 *
 * Two numbers are read, in this order: how many transactions that may have
 * written are complete, then the insert position.  A transaction's commit
 * record is inserted before it counts as complete, and its client is told
 * later still, so what was counted ends before that position.  In the other
 * order a commit could be counted whose record lies behind it.
 *
 * The count, and not the position, tells an idle server: checkpoints and
 * snapshots of running transactions write WAL, and nothing in it can be lost.
 *
 * The ring never forgets its oldest entry: when it is full, every second entry
 * of its older half goes.  That makes an answer about them older, never newer.
 *
 *-------------------------------------------------------------------------
 */
#include "samples.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "compat.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

/* At one commit a second these are four hours at full resolution. */
#define MAX_SAMPLES 16384

typedef struct DrSamples
{
	LWLock *lock; /* of all that follows */
	int count;
	TimestampTz newest; /* of all samples, also those that added no entry */
	DrSample items[MAX_SAMPLES];
} DrSamples;

static DrSamples *samples = NULL;

Size
dr_samples_size(void)
{
	return sizeof(DrSamples);
}

void
dr_samples_init(void *memory, bool found)
{
	samples = memory;
	if (found)
		return;
	samples->lock = &GetNamedLWLockTranche("dr")->lock;
	samples->count = 0;
	samples->newest = 0;
}

bool
dr_samples_available(void)
{
	return samples != NULL;
}

/*
 * Behind a segment that was switched lies the header of the next one, and the
 * insert position behind that; the segment before it is complete all the same.
 */
static XLogRecPtr
insert_position(void)
{
	XLogRecPtr lsn = GetXLogInsertRecPtr();
	uint64 offset = XLogSegmentOffset(lsn, wal_segment_size);

	return offset == SizeOfXLogLongPHD ? lsn - offset : lsn;
}

static void
thin_out(void)
{
	int kept = 1;

	for (int i = 2; i < MAX_SAMPLES / 2; i += 2)
		samples->items[kept++] = samples->items[i];
	memmove(&samples->items[kept], &samples->items[MAX_SAMPLES / 2],
			(MAX_SAMPLES - MAX_SAMPLES / 2) * sizeof(DrSample));
	samples->count = kept + MAX_SAMPLES - MAX_SAMPLES / 2;
}

void
dr_samples_take(void)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64 completed = dr_completed_transactions();
	XLogRecPtr lsn = insert_position();
	DrSample *last;

	LWLockAcquire(samples->lock, LW_EXCLUSIVE);
	last = samples->count > 0 ? &samples->items[samples->count - 1] : NULL;
	if (last != NULL && last->completed == completed)
		last->until = now;
	else
	{
		if (samples->count == MAX_SAMPLES)
			thin_out();
		samples->items[samples->count++] = (DrSample){
			.completed = completed, .lsn = lsn, .until = now};
	}
	samples->newest = now;
	LWLockRelease(samples->lock);
}

/* The newest entry that ends at or before the position; -1 if none does. */
static int
find_sample(XLogRecPtr lsn)
{
	int low = -1;
	int high = samples->count;

	while (high - low > 1)
	{
		int middle = low + (high - low) / 2;

		if (samples->items[middle].lsn <= lsn)
			low = middle;
		else
			high = middle;
	}
	return low;
}

DrAtRisk
dr_samples_judge(XLogRecPtr safe_lsn, TimestampTz *since, TimestampTz *as_of)
{
	DrAtRisk risk = DR_RISK_UNKNOWN;
	int i;

	LWLockAcquire(samples->lock, LW_SHARED);
	*as_of = samples->newest;
	i = find_sample(safe_lsn);
	if (i >= 0)
	{
		*since = samples->items[i].until;
		risk = samples->items[i].completed == dr_completed_transactions()
				   ? DR_RISK_NONE
				   : DR_RISK_SINCE;
	}
	LWLockRelease(samples->lock);
	return risk;
}
