/*-------------------------------------------------------------------------
 *
 * prefetch_plan.c
 *	  Which segments a server in recovery will ask for next.
 *
 *-------------------------------------------------------------------------
 */
#include "job/prefetch_plan.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/file.h"
#include "repo/history.h"

static bool
read_history(const char *wal_dir, const char *file, uint32_t timeline,
			 TimelineHistory *out)
{
	char *path = file_join(wal_dir, file);
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	bool done = file_slurp(path, HISTORY_MAX, &text, &ignored) &&
				timeline_history_parse(timeline, text.data, text.len, out,
									   &ignored);

	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return done;
}

void
prefetch_history(const char *wal_dir, uint32_t timeline, TimelineHistory *out)
{
	DIR *dir = opendir(wal_dir);
	struct dirent *entry;

	*out = (TimelineHistory){.timeline = timeline};
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		TimelineHistory found = {0};
		WalName name;

		if (!wal_name_parse(entry->d_name, &name) ||
			name.kind != WAL_TIMELINE_HISTORY ||
			name.timeline <= out->timeline ||
			!read_history(wal_dir, entry->d_name, name.timeline, &found))
			continue;
		if (timeline_end(&found, timeline) > 0)
		{
			timeline_history_free(out);
			*out = found;
		}
		else
			timeline_history_free(&found);
	}
	if (dir != NULL)
		closedir(dir);
}

void
prefetch_next(const TimelineHistory *history, const WalName *after,
			  uint32_t segment_size, WalName *next)
{
	uint64_t number = wal_segment_number(after, segment_size) + 1;
	uint32_t timeline = after->timeline;

	for (size_t i = 0; i < history->count; i++)
	{
		const TimelineSwitch *end = &history->items[i];
		uint32_t follows = i + 1 < history->count ? end[1].timeline
												  : history->timeline;

		if (number >= end->lsn / segment_size && follows > timeline)
			timeline = follows;
	}
	wal_segment_name(timeline, number, segment_size, next);
}
