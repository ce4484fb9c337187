/*-------------------------------------------------------------------------
 *
 * archived.h
 *	  Up to where the archiver has archived all WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_ARCHIVED_H
#define DR_ARCHIVED_H

#include "postgres.h"

#include "access/xlogdefs.h"

/*
 * The end of the WAL before which nothing waits for the archiver; *current: up
 * to where WAL is flushed.  Not during recovery.
 */
extern XLogRecPtr dr_archived_lsn(XLogRecPtr *current);

#endif
