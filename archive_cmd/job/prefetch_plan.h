/*-------------------------------------------------------------------------
 *
 * prefetch_plan.h
 *	  Which segments a server in recovery will ask for next.
 *
 * It is a guess: to guess wrong costs time, and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PREFETCH_PLAN_H
#define PGDR_PREFETCH_PLAN_H

#include "common/wal_name.h"
#include "pg/timeline.h"

/*
 * The history that a server follows that is on this timeline: of the highest
 * timeline that descends from it among those whose history lies in its pg_wal,
 * where the server keeps each that it has asked for.  With none, the timeline
 * alone.
 */
extern void prefetch_history(const char *wal_dir, uint32_t timeline,
							 TimelineHistory *out);

/*
 * The segment behind this one.  Where a timeline begins, a server asks for
 * that one's segment first.
 */
extern void prefetch_next(const TimelineHistory *history, const WalName *after,
						  uint32_t segment_size, WalName *next);

#endif
