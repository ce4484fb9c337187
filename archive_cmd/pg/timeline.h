/*-------------------------------------------------------------------------
 *
 * timeline.h
 *	  Timeline history files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TIMELINE_H
#define PGDR_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* One line of a history file: this ancestor ended at that position. */
typedef struct TimelineSwitch
{
	uint32_t timeline;
	uint64_t lsn; /* the first byte that is not on it any more */
} TimelineSwitch;

typedef struct TimelineHistory
{
	uint32_t timeline;     /* whose history this is */
	TimelineSwitch *items; /* oldest ancestor first */
	size_t count;
} TimelineHistory;

/*
 * Strict as the server: IDs rise and are below the file's own; ERR_DAMAGED
 * with the line otherwise.  Stricter in one thing: a file of a timeline above
 * 1 that names no ancestor is damaged (cut off).
 */
extern bool timeline_history_parse(uint32_t timeline, const char *text,
								   size_t len, TimelineHistory *out,
								   Error *err);
extern void timeline_history_free(TimelineHistory *h);

/*
 * The timeline on which this position lies, seen from h: an ancestor for a
 * position before its end, else h->timeline.
 */
extern uint32_t timeline_of_lsn(const TimelineHistory *h, uint64_t lsn);

/*
 * Where the given timeline ends as seen from h: UINT64_MAX for h->timeline
 * itself, 0 if it is not in the history at all.
 */
extern uint64_t timeline_end(const TimelineHistory *h, uint32_t timeline);

#endif
