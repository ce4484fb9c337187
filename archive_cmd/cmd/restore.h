/*-------------------------------------------------------------------------
 *
 * restore.h
 *	  What the files of the command restore share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CMD_RESTORE_H
#define PGDR_CMD_RESTORE_H

#include "cmd/cmd.h"
#include "job/restore.h"

/*
 * Restores a backup that is not one of the cluster; plan is unpack_plan()'s.
 * The check is whether the options have a meaning for it.
 */
extern bool restore_other_check(const Context *ctx, const RestorePlan *plan,
								Error *err);
extern bool restore_other(Context *ctx, const RestoreOptions *given,
						  const RestorePlan *plan, Error *err);

#endif
