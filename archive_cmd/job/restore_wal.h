/*-------------------------------------------------------------------------
 *
 * restore_wal.h
 *	  The WAL that a recovery would read, segment by segment along the history
 *	  of its timeline: where a transaction ends in it, and when.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_WAL_H
#define PGDR_RESTORE_WAL_H

#include "job/restore_target.h"
#include "repo/catalog.h"

typedef struct RestoreWal
{
	Repo *const *repos; /* each may have a segment, asked in this order */
	size_t repo_count;
	const WalCatalog *wal;          /* NULL: there is none of this cluster */
	uint32_t timeline;              /* recovered along */
	const TimelineHistory *history; /* its own, or NULL */
	uint32_t segment_size;
} RestoreWal;

/*
 * From which timeline recovery would take the segment of this number: the
 * youngest that is on the path and has it.  0 if it is not there.
 */
extern uint32_t restore_wal_timeline(const RestoreWal *path, uint64_t segment);

/*
 * The newest commit (or abort) in the segments from first to last, by their
 * metadata; 0 if there is none.
 */
extern bool restore_wal_last_commit(const RestoreWal *path, uint64_t first,
									uint64_t last, int64_t *time, Error *err);

/* A record that a target names. */
typedef struct RestoreFind
{
	bool found;
	uint64_t lsn; /* its start */
	uint64_t end_lsn;
	int64_t time;
} RestoreFind;

/*
 * Decodes the WAL that lies in from_lsn .. to_lsn until a record matches the
 * target.  It must be there without a hole.
 */
extern bool restore_wal_find(const RestoreWal *path, uint64_t from_lsn,
							 uint64_t to_lsn, const RestoreTarget *target,
							 RestoreFind *out, Error *err);

/*
 * *ends: was the segment left for the next one before this position?  Then no
 * record lies between the position and the segment's end.
 */
extern bool restore_wal_switched_before(const RestoreWal *path, uint64_t lsn,
										bool *ends, Error *err);

#endif
