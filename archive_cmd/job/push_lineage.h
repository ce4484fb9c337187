/*-------------------------------------------------------------------------
 *
 * push_lineage.h
 *	  Refuses WAL of a timeline that others have left behind.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_LINEAGE_H
#define PGDR_PUSH_LINEAGE_H

#include "repo/repo.h"

/*
 * ERR_MISMATCH if a history file in the repository says that this timeline
 * ended at or before lsn, where the segment begins: then two servers write
 * WAL of which only one line can be recovered along.
 */
extern bool push_check_lineage(Repo *repo, const WalHome *home,
							   uint32_t timeline, uint64_t lsn, Error *err);

#endif
