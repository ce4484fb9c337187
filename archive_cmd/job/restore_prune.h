/*-------------------------------------------------------------------------
 *
 * restore_prune.h
 *	  Removes from the directories of a delta restore what is not in the
 *	  backup.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_PRUNE_H
#define PGDR_RESTORE_PRUNE_H

#include "job/restore_places.h"

/*
 * What is left are directories of the backup, and plain files of it that are
 * ours alone: they may be written to.  Links to other places go, too.
 */
extern bool restore_prune(const RestorePlaces *places, Error *err);

#endif
