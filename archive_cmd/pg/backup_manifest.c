/*-------------------------------------------------------------------------
 *
 * backup_manifest.c
 *	  Writes the backup_manifest that stock pg_verifybackup reads.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/backup_manifest.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "common/wal_name.h"

/*
 * Length of the UTF-8 sequence at p, 0 if it is none: shortest form only, no
 * surrogates, nothing above U+10FFFF.
 */
static size_t
utf8_length(const unsigned char *p)
{
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		len = 2;
	else if (p[0] >= 0xE0 && p[0] <= 0xEF)
		len = 3;
	else if (p[0] >= 0xF0 && p[0] <= 0xF4)
		len = 4;
	else
		return 0;
	for (size_t i = 1; i < len; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
		(p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return len;
}

static bool
is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *) text;

	while (*p != '\0')
	{
		size_t len = utf8_length(p);

		if (len == 0)
			return false;
		p += len;
	}
	return true;
}

static void
add_json_string(StrBuf *out, const char *text)
{
	strbuf_putc(out, '"');
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
		{
			strbuf_putc(out, '\\');
			strbuf_putc(out, *text);
		}
		else if ((unsigned char) *text < 0x20)
			strbuf_printf(out, "\\u%04x", (unsigned char) *text);
		else
			strbuf_putc(out, *text);
	}
	strbuf_putc(out, '"');
}

/* A name that is not UTF-8 cannot stand in JSON: its bytes in hex do. */
static void
add_path(StrBuf *out, const char *path)
{
	if (is_utf8(path))
	{
		strbuf_puts(out, "\"Path\": ");
		add_json_string(out, path);
		return;
	}
	strbuf_puts(out, "\"Encoded-Path\": \"");
	for (; *path != '\0'; path++)
		strbuf_printf(out, "%02x", (unsigned char) *path);
	strbuf_putc(out, '"');
}

static void
add_time(StrBuf *out, int64_t usecs)
{
	time_t secs = (time_t) (usecs / USECS_PER_SEC);
	struct tm tm = {0};

	if (usecs % USECS_PER_SEC < 0)
		secs--;
	gmtime_r(&secs, &tm);
	strbuf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d GMT", tm.tm_year + 1900,
				  tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
backup_manifest_begin(StrBuf *out, int major, uint64_t sysid)
{
	strbuf_printf(out, "{ \"PostgreSQL-Backup-Manifest-Version\": %d,\n",
				  major >= 17 ? 2 : 1);
	if (major >= 17)
		strbuf_printf(out, "\"System-Identifier\": %" PRIu64 ",\n", sysid);
	strbuf_puts(out, "\"Files\": [");
}

void
backup_manifest_file(StrBuf *out, const BackupManifestFile *file, bool first)
{
	strbuf_puts(out, first ? "\n{ " : ",\n{ ");
	add_path(out, file->path);
	strbuf_printf(out, ", \"Size\": %" PRIu64 ", \"Last-Modified\": \"",
				  file->size);
	add_time(out, file->mtime);
	strbuf_putc(out, '"');
	if (file->algorithm != NULL)
		strbuf_printf(out,
					  ", \"Checksum-Algorithm\": \"%s\", "
					  "\"Checksum\": \"%s\"",
					  file->algorithm, file->checksum);
	strbuf_puts(out, " }");
}

void
backup_manifest_ranges(StrBuf *out, const BackupManifestRange *ranges,
					   int count)
{
	strbuf_puts(out, "\n],\n\"WAL-Ranges\": [");
	for (int i = 0; i < count; i++)
	{
		char start[LSN_TEXT_LEN];
		char end[LSN_TEXT_LEN];

		lsn_format(ranges[i].start_lsn, start);
		lsn_format(ranges[i].end_lsn, end);
		strbuf_printf(out,
					  "%s\n{ \"Timeline\": %" PRIu32 ", \"Start-LSN\": \"%s\""
					  ", \"End-LSN\": \"%s\" }",
					  i > 0 ? "," : "", ranges[i].timeline, start, end);
	}
	strbuf_puts(out, "\n],\n");
}

/*
 * Readers take the checksum over all before the last line: this must be
 * exactly one.
 */
void
backup_manifest_end(StrBuf *out, const char *sha256_hex)
{
	strbuf_printf(out, "\"Manifest-Checksum\": \"%s\"}\n", sha256_hex);
}
