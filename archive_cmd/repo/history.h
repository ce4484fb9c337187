/*-------------------------------------------------------------------------
 *
 * history.h
 *	  Timeline history files in a repository.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HISTORY_H
#define PGDR_HISTORY_H

#include "pg/timeline.h"
#include "repo/repo.h"

/* Bytes of a history file; nobody has switched timelines that often. */
#define HISTORY_MAX ((size_t) 1 << 20)

/*
 * The history of a timeline.  It lies in the object's metadata, so that no key
 * is needed, unless it was too long for that.  ERR_NOT_FOUND, ERR_DAMAGED.
 */
extern bool repo_read_history(Repo *repo, const WalHome *home,
							  uint32_t timeline, TimelineHistory *out,
							  Error *err);

/*
 * Does this error of repo_read_history say that the history cannot be had at
 * all, rather than that it could not be had just now?
 */
extern bool history_is_lost(const Error *err);

#endif
