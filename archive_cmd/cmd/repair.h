/*-------------------------------------------------------------------------
 *
 * repair.h
 *	  Repair, for the commands that do it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CMD_REPAIR_H
#define PGDR_CMD_REPAIR_H

#include "cmd/cmd.h"
#include "job/repair.h"

/*
 * Runs it over all of the set and shows what is done; of options the caller
 * sets target, dry_run and suspects.
 */
extern bool repair_do(Context *ctx, RepoSet *set, RepairOptions *options,
					  RepairResult *result, Error *err);

#endif
