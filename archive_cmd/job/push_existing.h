/*-------------------------------------------------------------------------
 *
 * push_existing.h
 *	  When the name of a WAL file is taken already.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_EXISTING_H
#define PGDR_PUSH_EXISTING_H

#include "job/push_record.h"
#include "job/push_store.h"

/*
 * Is what lies there intact, durable, and the same?  Of a store that may not
 * be read the note tells (push_record.h) what this host has put there.
 */
extern bool push_accept_existing(Repo *repo, PushSource *source,
								 const PushRecord *record, PushStored *out,
								 Error *err);

#endif
