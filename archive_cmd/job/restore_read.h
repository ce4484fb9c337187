/*-------------------------------------------------------------------------
 *
 * restore_read.h
 *	  Fetches slices of packs from whichever repository gives them intact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_READ_H
#define PGDR_RESTORE_READ_H

#include <pthread.h>

#include "job/restore.h"
#include "job/restore_slice.h"

/* Shared by all workers. */
typedef struct RestoreSources
{
	/* fixed */
	RepoSet *set;
	const RestorePlan *plan; /* its sources */
	const Manifest *manifest;

	/* mutable, under lock */
	pthread_mutex_t lock;
	bool *down; /* by source: it did not answer */
} RestoreSources;

extern void restore_sources_init(RestoreSources *sources, RepoSet *set,
								 const RestorePlan *plan,
								 const Manifest *manifest);
extern void restore_sources_free(RestoreSources *sources);

/* Is what is read first behind a network? */
extern bool restore_sources_remote(const RestoreSources *sources);

/* One worker's connections and buffers. */
typedef struct RestoreReader RestoreReader;

extern RestoreReader *restore_reader_new(RestoreSources *sources);
extern void restore_reader_free(RestoreReader *r);

/*
 * The plaintext of a slice, valid until the next call.  NULL when no source
 * has it intact, with the error of the first.
 */
extern const uint8_t *restore_read(RestoreReader *r, const RestoreSlice *slice,
								   Error *err);
/* From the nth source alone. */
extern const uint8_t *restore_read_from(RestoreReader *r, size_t source,
										const RestoreSlice *slice, Error *err);

#endif
