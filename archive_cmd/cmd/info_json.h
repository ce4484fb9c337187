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
#include "repo/retention.h"

/* repo is NULL if it could not be opened. */
extern Json *info_repository_json(const Repo *repo,
								  const RepoSettings *settings);
extern Json *info_backup_json(const CatalogBackup *backup);
/* Names of retention rules by their bits; text is "full, yearly". */
#define INFO_RULES_LEN 160
extern Json *info_rules_json(uint32_t rules);
extern void info_rules_text(uint32_t rules, char text[INFO_RULES_LEN]);
extern Json *info_range_json(const WalRange *range);
extern Json *info_timeline_json(const CatalogTimeline *timeline);
extern Json *info_window_json(const RecoveryWindow *window);

#endif
