/*-------------------------------------------------------------------------
 *
 * quarantine.h
 *	  Where damaged objects are put aside: quarantine/<time>/<name>.
 *
 * What is there is no part of the repository any more; it is kept for a while
 * because it may be the only thing that tells what has happened.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_QUARANTINE_H
#define PGDR_QUARANTINE_H

#include "repo/repo.h"

#define QUARANTINE_DIR "quarantine"
#define QUARANTINE_AGE (INT64_C(30) * 24 * 3600 * 1000000)

/*
 * Puts a copy, byte by byte, under a new name and removes the object then; its
 * name is free after that.
 */
extern bool quarantine_object(Repo *repo, const char *name, Error *err);

/* Is this the name of something put aside?  *t is when. */
extern bool quarantine_parse(const char *name, int64_t *t);

#endif
