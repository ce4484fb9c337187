/*-------------------------------------------------------------------------
 *
 * wal_name.c
 *	  Names of WAL files and positions, without PostgreSQL's headers, so that
 *	  the extension and the program agree.
 *
 *-------------------------------------------------------------------------
 */
#include "common/wal_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT_SIZE_MIN (UINT64_C(1) << 20)
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 30)

static int
hex_value(char c, bool any_case)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (any_case && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/*
 * Eight upper-case digits at *text, which moves behind them.  File names are
 * compared as bytes everywhere, so lower case is another file.
 */
static bool
take_hex8(const char **text, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 8; i++, (*text)++)
	{
		int digit = hex_value(**text, false);

		if (digit < 0)
			return false;
		*out = *out << 4 | (uint32_t) digit;
	}
	return true;
}

bool
wal_name_parse(const char *text, WalName *out)
{
	WalName name = {0};

	if (!take_hex8(&text, &name.timeline) || name.timeline == 0)
		return false;
	if (strcmp(text, ".history") == 0)
	{
		name.kind = WAL_TIMELINE_HISTORY;
		*out = name;
		return true;
	}
	if (!take_hex8(&text, &name.log) || !take_hex8(&text, &name.seg))
		return false;
	if (*text == '\0')
		name.kind = WAL_SEGMENT;
	else if (strcmp(text, ".partial") == 0)
		name.kind = WAL_PARTIAL;
	else
	{
		name.kind = WAL_BACKUP_HISTORY;
		if (*text++ != '.' || !take_hex8(&text, &name.offset) ||
			strcmp(text, ".backup") != 0)
			return false;
	}
	*out = name;
	return true;
}

void
wal_name_format(const WalName *name, char out[WAL_FILE_NAME_MAX])
{
	char base[WAL_NAME_LEN + 1];

	snprintf(base, sizeof(base), "%08" PRIX32 "%08" PRIX32 "%08" PRIX32,
			 name->timeline, name->log, name->seg);
	switch (name->kind)
	{
		case WAL_SEGMENT:
			snprintf(out, WAL_FILE_NAME_MAX, "%s", base);
			break;
		case WAL_PARTIAL:
			snprintf(out, WAL_FILE_NAME_MAX, "%s.partial", base);
			break;
		case WAL_BACKUP_HISTORY:
			snprintf(out, WAL_FILE_NAME_MAX, "%s.%08" PRIX32 ".backup", base,
					 name->offset);
			break;
		case WAL_TIMELINE_HISTORY:
			snprintf(out, WAL_FILE_NAME_MAX, "%08" PRIX32 ".history",
					 name->timeline);
			break;
	}
}

bool
wal_segment_size_ok(uint64_t size)
{
	return size >= SEGMENT_SIZE_MIN && size <= SEGMENT_SIZE_MAX &&
		   (size & (size - 1)) == 0;
}

/* The middle of a name counts in units of 4 GB. */
static uint64_t
segments_per_log(uint64_t segment_size)
{
	return (UINT64_C(1) << 32) / segment_size;
}

bool
wal_name_fits(const WalName *name, uint64_t segment_size)
{
	if (name->kind == WAL_TIMELINE_HISTORY)
		return true;
	return name->seg < segments_per_log(segment_size) &&
		   name->offset < segment_size;
}

uint64_t
wal_segment_number(const WalName *name, uint64_t segment_size)
{
	return name->log * segments_per_log(segment_size) + name->seg;
}

void
wal_segment_name(uint32_t timeline, uint64_t number, uint64_t segment_size,
				 WalName *out)
{
	uint64_t per_log = segments_per_log(segment_size);

	*out = (WalName){.kind = WAL_SEGMENT,
					 .timeline = timeline,
					 .log = (uint32_t) (number / per_log),
					 .seg = (uint32_t) (number % per_log)};
}

void
lsn_format(uint64_t lsn, char out[LSN_TEXT_LEN])
{
	snprintf(out, LSN_TEXT_LEN, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32),
			 (uint32_t) lsn);
}

/* One to eight digits of either case, as the server's pg_lsn takes them. */
static bool
take_lsn_half(const char **text, uint32_t *out)
{
	int count = 0;
	int digit;

	*out = 0;
	for (; (digit = hex_value(**text, true)) >= 0; (*text)++)
	{
		if (++count > 8)
			return false;
		*out = *out << 4 | (uint32_t) digit;
	}
	return count > 0;
}

bool
lsn_parse(const char *text, uint64_t *out)
{
	uint32_t high;
	uint32_t low;

	if (!take_lsn_half(&text, &high) || *text++ != '/' ||
		!take_lsn_half(&text, &low) || *text != '\0')
		return false;
	*out = (uint64_t) high << 32 | low;
	return true;
}
