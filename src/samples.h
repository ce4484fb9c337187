/*-------------------------------------------------------------------------
 *
 * samples.h
 *	  How far the WAL had come at which time, sampled in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_SAMPLES_H
#define DR_SAMPLES_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

/*
 * All commits that were complete at `until` end at or before `lsn`.  One entry
 * for each number of transactions that a sample found complete; a server that
 * only idles, or only reads, goes on with its last entry.
 */
typedef struct DrSample
{
	uint64 completed; /* transactions with a transaction ID since the start */
	XLogRecPtr lsn;
	TimestampTz until;
} DrSample;

typedef enum DrAtRisk
{
	DR_RISK_UNKNOWN, /* the samples do not reach back that far */
	DR_RISK_NONE,    /* nothing was committed behind the position */
	DR_RISK_SINCE    /* the oldest such commit is not older than *since */
} DrAtRisk;

/* Shared memory: its size, and to be called when it is set up. */
extern Size dr_samples_size(void);
extern void dr_samples_init(void *memory, bool found);

/* Was there shared memory for them (shared_preload_libraries)? */
extern bool dr_samples_available(void);

/* Takes one, of a server that is not in recovery. */
extern void dr_samples_take(void);

/*
 * What would be lost if only WAL before safe_lsn were left.  *since is at most
 * one sampling step older than the oldest commit at risk, as long as samples
 * were not thinned out.  *as_of: the newest sample, 0 if there is none.
 */
extern DrAtRisk dr_samples_judge(XLogRecPtr safe_lsn, TimestampTz *since,
								 TimestampTz *as_of);

#endif
