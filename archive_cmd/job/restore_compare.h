/*-------------------------------------------------------------------------
 *
 * restore_compare.h
 *	  Which files of a backup lie in the directories of a delta restore as they
 *	  are in it: told by their contents, never by size and time alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_COMPARE_H
#define PGDR_RESTORE_COMPARE_H

#include "job/restore_places.h"

/*
 * same[i]: file i of the manifest is there; it has the mode and time of the
 * backup now.  Those for which same[i] is true already are not looked at.
 */
extern bool restore_compare(const RestorePlaces *places, const ContentKey *key,
							bool *same, Error *err);

#endif
