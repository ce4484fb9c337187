/*-------------------------------------------------------------------------
 *
 * repo_internal.h
 *	  What the repo*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPO_INTERNAL_H
#define PGDR_REPO_INTERNAL_H

#include "base/json.h"
#include "base/mem.h"
#include "repo/repo.h"

#define REPO_JSON_MAX (1024 * 1024)

/* repo.json as it is now, authenticated with the content key. */
extern bool repo_json_read(Repo *repo, Json **out, Error *err);

/* The text of repo.json for the recipients of repo->options.keys. */
extern bool repo_json_text(const Repo *repo, StrBuf *out, Error *err);

#endif
