/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Timeline history files in a repository.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/history.h"

#include <stdlib.h>

#include "repo/object.h"

static bool
history_text(Repo *repo, const char *name, StrBuf *text, Error *err)
{
	ObjectMeta meta = {0};
	const char *known;

	if (!object_stat(repo, name, &meta, err))
		return false;
	known = json_get_str(meta.extra, "history", NULL);
	if (known != NULL)
		strbuf_puts(text, known);
	object_meta_free(&meta);
	return known != NULL ||
		   object_get(repo, name, OBJECT_HISTORY, HISTORY_MAX, text, err);
}

bool
repo_read_history(Repo *repo, const WalHome *home, uint32_t timeline,
				  TimelineHistory *out, Error *err)
{
	const WalName wal = {.kind = WAL_TIMELINE_HISTORY, .timeline = timeline};
	char *name = repo_wal_name(home, &wal);
	StrBuf text = STRBUF_INIT;
	bool done;

	done = history_text(repo, name, &text, err) &&
		   timeline_history_parse(timeline, text.data, text.len, out, err);
	strbuf_free(&text);
	free(name);
	return done;
}

bool
history_is_lost(const Error *err)
{
	return err->code == ERR_DAMAGED || err->code == ERR_MISMATCH ||
		   err->code == ERR_KEY || err->code == ERR_UNSUPPORTED ||
		   err->code == ERR_NOT_FOUND;
}
