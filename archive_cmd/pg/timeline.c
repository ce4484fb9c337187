/*-------------------------------------------------------------------------
 *
 * timeline.c
 *	  Timeline history files.
 *
 * A line is "<timeline> <tab> <position> <tab> <reason>"; empty lines and
 * those that begin with "#" are comments.
 *
 * Positions need not rise.  Whoever recovers along timeline 2 to a point
 * before timeline 2 began, and promotes there, makes a timeline 3 whose file
 * says that 1 ended later than 2.  So an ancestor ends where it, or any
 * younger ancestor, was left, whichever comes first.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "common/wal_name.h"

typedef struct Line
{
	const char *at;
	const char *end;
} Line;

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void
skip_blanks(Line *line)
{
	while (line->at < line->end && is_blank(*line->at))
		line->at++;
}

/* The next word, without the blanks around it; empty at the end. */
static size_t
take_word(Line *line, char *out, size_t size)
{
	size_t len = 0;

	skip_blanks(line);
	for (; line->at < line->end && !is_blank(*line->at); line->at++)
	{
		if (len + 1 < size)
			out[len] = *line->at;
		len++;
	}
	out[len < size ? len : size - 1] = '\0';
	return len;
}

static bool
parse_id(const char *word, size_t len, uint32_t *out)
{
	uint64_t value = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (word[i] < '0' || word[i] > '9')
			return false;
		value = value * 10 + (uint64_t) (word[i] - '0');
	}
	*out = (uint32_t) value;
	return value > 0 && value <= UINT32_MAX;
}

static bool
damaged(const TimelineHistory *h, size_t line_no, const char *what, Error *err)
{
	error_set(err, ERR_DAMAGED,
			  "timeline history file %08" PRIX32 ".history is damaged",
			  h->timeline);
	if (line_no == 0)
		return error_detail(err, "%s", what);
	return error_detail(err, "Line %zu: %s", line_no, what);
}

static bool
add_switch(TimelineHistory *h, size_t *cap, TimelineSwitch item)
{
	if (item.timeline >= h->timeline)
		return false;
	if (h->count > 0 && item.timeline <= h->items[h->count - 1].timeline)
		return false;
	h->items = mem_grow(h->items, h->count, cap, sizeof(*h->items));
	h->items[h->count++] = item;
	return true;
}

static bool
parse_line(TimelineHistory *h, size_t *cap, Line line, size_t line_no,
		   Error *err)
{
	char word[LSN_TEXT_LEN + 1];
	TimelineSwitch item;
	size_t len;

	skip_blanks(&line);
	if (line.at == line.end || *line.at == '#')
		return true;
	len = take_word(&line, word, sizeof(word));
	if (!parse_id(word, len, &item.timeline))
		return damaged(h, line_no, "A timeline ID was expected.", err);
	len = take_word(&line, word, sizeof(word));
	if (len >= sizeof(word) || !lsn_parse(word, &item.lsn))
		return damaged(h, line_no, "A WAL position was expected.", err);
	if (!add_switch(h, cap, item))
		return damaged(h, line_no,
					   "Timeline IDs must rise, and be below that of the "
					   "file.",
					   err);
	return true;
}

static bool
parse_lines(TimelineHistory *h, const char *text, size_t len, Error *err)
{
	const char *end = text + len;
	size_t cap = 0;
	size_t line_no = 0;

	if (memchr(text, '\0', len) != NULL)
		return damaged(h, 0, "It has zero bytes.", err);
	while (text < end)
	{
		const char *stop = memchr(text, '\n', (size_t) (end - text));
		Line line = {text, stop != NULL ? stop : end};

		if (!parse_line(h, &cap, line, ++line_no, err))
			return false;
		text = line.end + 1;
	}
	/* the server writes the parent's line always: this was cut off */
	if (h->count == 0 && h->timeline > 1)
		return damaged(h, 0, "It names no ancestor.", err);
	return true;
}

bool
timeline_history_parse(uint32_t timeline, const char *text, size_t len,
					   TimelineHistory *out, Error *err)
{
	*out = (TimelineHistory){.timeline = timeline};
	/* memchr() may not be given NULL, which is what an empty StrBuf has */
	if (parse_lines(out, len > 0 ? text : "", len, err))
		return true;
	timeline_history_free(out);
	return false;
}

void
timeline_history_free(TimelineHistory *h)
{
	free(h->items);
	*h = (TimelineHistory){0};
}

uint32_t
timeline_of_lsn(const TimelineHistory *h, uint64_t lsn)
{
	uint32_t timeline = h->timeline;

	/* the youngest that had begun */
	for (size_t i = h->count; i > 0 && lsn < h->items[i - 1].lsn; i--)
		timeline = h->items[i - 1].timeline;
	return timeline;
}

uint64_t
timeline_end(const TimelineHistory *h, uint32_t timeline)
{
	uint64_t end = UINT64_MAX;

	if (timeline == h->timeline)
		return UINT64_MAX;
	for (size_t i = h->count; i > 0; i--)
	{
		if (h->items[i - 1].lsn < end)
			end = h->items[i - 1].lsn;
		if (h->items[i - 1].timeline == timeline)
			return end;
	}
	return 0;
}
