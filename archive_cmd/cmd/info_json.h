/*-------------------------------------------------------------------------
 *
 * info_json.h
 *	  The JSON lines of pgdr info (info.c has their members).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_INFO_JSON_H
#define PGDR_INFO_JSON_H

#include "cmd/cmd.h"
#include "repo/catalog.h"

/* repo is NULL if it could not be opened. */
extern Json *info_repository_json(const Repo *repo,
								  const RepoSettings *settings);
extern Json *info_backup_json(const CatalogBackup *backup);
extern Json *info_range_json(const WalRange *range);
extern Json *info_timeline_json(const CatalogTimeline *timeline);
extern Json *info_window_json(const RecoveryWindow *window);

#endif
