/*-------------------------------------------------------------------------
 *
 * event.h
 *	  Rows of dr.event: who did what, when, and how it ended.
 *
 * All must be called within SPI_connect_ext() with SPI_OPT_NONATOMIC, commit,
 * and write as the given user, who owns the table.  On a standby, where nothing
 * can be written, they do nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_EVENT_H
#define DR_EVENT_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct DrAction
{
	Oid owner;
	const char *kind;  /* "backup": events are called backup-started ... */
	const char *label; /* of the backup that it is about, or NULL */
	int64 begun;       /* number of its first event, 0 on a standby */
} DrAction;

/* "number:hash" of the newest event; NULL if there is none. */
extern char *dr_event_anchor(const DrAction *action);

extern void dr_event_begin(DrAction *action);

/*
 * It ended with this severity ("info", "warning", "error").  detail is the
 * result of the program.
 */
extern void dr_event_complete(const DrAction *action, const char *severity,
							  const char *label, Jsonb *detail);

/* It ended with this error, which the caller raises. */
extern void dr_event_fail(const DrAction *action, const ErrorData *error);

#endif
