/*-------------------------------------------------------------------------
 *
 * push_record.h
 *	  Notes of what this host has put into stores that it may not read.
 *
 * Without them a server that crashed between archiving a segment and noting
 * that could not archive it again, because nobody could say that what lies in
 * the store is the same.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_RECORD_H
#define PGDR_PUSH_RECORD_H

#include "repo/repo.h"

typedef struct PushRecord
{
	const char *spool; /* directory, or NULL: no notes are kept */
	const char *repo;  /* name of the repository */
	WalHome home;
	WalName name;
} PushRecord;

/*
 * False if it was seen lately that this host may read what it has stored, so
 * that no note of it is needed.
 */
extern bool push_record_may_be_needed(const PushRecord *record);
/* It was seen now. */
extern void push_record_not_needed(const PushRecord *record);

/*
 * A note that cannot be written is a warning: the file itself is stored.
 * Notes that have become old are removed now and then.
 */
extern void push_record_write(const PushRecord *record, uint64_t size,
							  const uint8_t content[CONTENT_LEN]);

/* False if there is no note, or it is not legible. */
extern bool push_record_read(const PushRecord *record, uint64_t *size,
							 uint8_t content[CONTENT_LEN]);

#endif
