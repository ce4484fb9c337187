/*-------------------------------------------------------------------------
 *
 * get_absent.h
 *	  Why a WAL file is not in the repository: the archive ends before it, or
 *	  it is missing in the middle.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_GET_ABSENT_H
#define PGDR_GET_ABSENT_H

#include "job/get.h"

/*
 * Always false.  ERR_NOT_FOUND: the archive ends before this file.
 * ERR_INCOMPLETE: there is later WAL of its timeline, or a timeline that
 * branched off behind it; for a history file a later timeline.  ERR_MISMATCH: there is WAL, but none of this cluster.
 */
extern bool get_explain_absence(Repo *repo, const GetOptions *options,
								const WalName *name, Error *err);

#endif
