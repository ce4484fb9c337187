/*-------------------------------------------------------------------------
 *
 * rewrap.h
 *	  Gives an object a new head, for other recipients: the same file key and
 *	  the same payload (doc/repository-format.md, section 9).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REWRAP_H
#define PGDR_REWRAP_H

#include "repo/object.h"

/* Is it for the recipients of the configuration, and for nobody else? */
extern bool rewrap_is_current(const Repo *repo, const ObjectMeta *meta);

/*
 * The object, staged and verified, then in the place of the old one; killed at
 * any moment, one of the two has the name (or storage_settle_replaced() gives
 * it).  *changed: false, it is for them already.  ERR_KEY: no identity of ours
 * opens it.  A manifest whose backup is being removed is ERR_BUSY.
 */
extern bool rewrap_object(Repo *repo, const char *name, bool *changed,
						  Error *err);

#endif
