/*-------------------------------------------------------------------------
 *
 * restore_options.h
 *	  What the commands that restore have in common: the target, and how the
 *	  recovering server asks for WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_OPTIONS_H
#define PGDR_RESTORE_OPTIONS_H

#include "cmd/cmd.h"
#include "job/restore.h"

/* --target, --target-type, --target-exclusive */
extern bool restore_read_target(const Context *ctx, RestoreOptions *job,
								Error *err);

/* This program's archive-get, with this configuration; caller frees. */
extern char *restore_make_command(const Context *ctx, const Settings *settings,
								  const RepoSet *set);

#endif
