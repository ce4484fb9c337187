/*-------------------------------------------------------------------------
 *
 * push_store.h
 *	  Makes an object of a WAL file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_STORE_H
#define PGDR_PUSH_STORE_H

#include "job/push_source.h"
#include "repo/repo.h"

typedef struct PushStored
{
	const char *object; /* its name, set by the caller */
	uint64_t plain_size;
	uint64_t stored_size;
	uint8_t content[CONTENT_LEN];
	bool unreadable; /* of a failure: it was the file's fault */
	bool other;      /* likewise: what is there has other content */
} PushStored;

/* ERR_EXISTS if the name is taken. */
extern bool push_store(Repo *repo, PushSource *source, const PgControl *control,
					   PushStored *out, Error *err);

/* The position of the first byte of a segment. */
extern uint64_t push_segment_lsn(const PushSource *source);

#endif
