/*-------------------------------------------------------------------------
 *
 * rpo_history.h
 *	  What the RPO was: a summary of each hour, for a year.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_RPO_HISTORY_H
#define DR_RPO_HISTORY_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Shared memory: its size, and to be called when it is set up. */
extern Size dr_history_size(void);
extern void dr_history_init(void *memory, bool found);

/* What was kept from before the server was started; none is no error. */
extern void dr_history_load(void);

/* Makes it durable. */
extern void dr_history_save(void);

/* Notes a value of now; unknown: there was no evidence. */
extern void dr_history_add(TimestampTz now, bool unknown, int64 rpo_usecs,
						   uint64 bytes);

#endif
