/*-------------------------------------------------------------------------
 *
 * restore_blocks.h
 *	  Which blocks of the files in the directories of a delta restore are not
 *	  those of the backup, told by the maps of its packs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_BLOCKS_H
#define PGDR_RESTORE_BLOCKS_H

#include "job/restore_places.h"
#include "job/restore_read.h"

/*
 * Wants in slices what differs of these files, which are as a whole not what
 * was backed up; all of what no map tells.  A map's hashes are short: whether a
 * file is right shows when it is complete.
 */
extern bool restore_want_blocks(const RestoreSources *sources,
								const RestorePlaces *places, const bool *files,
								RestoreSlices *slices, Error *err);

#endif
