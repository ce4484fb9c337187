/*-------------------------------------------------------------------------
 *
 * backup_manifest_test.c
 *	  The text of backup_manifest, byte for byte.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>

#include "base/json.h"
#include "pg/backup_manifest.h"

static const BackupManifestFile files[] = {
	{"backup_label", 224, INT64_C(1781234567890123), "CRC32C", "0a0b0c0d"},
	{"base/5/1259", UINT64_C(18446744073709551615), 0, NULL, NULL},
	{"odd \"name\"\\\n\xC3\xA4", 0, -1, "SHA256", "00"},
	{"not UTF-8 \xE4/\xC0\x80", 1, 1, NULL, NULL},
};

static const BackupManifestRange ranges[] = {
	{1, 0x3000000, 0x5000148},
	{2, 0x5000148, UINT64_C(0xA00000028)},
};

static void
write_manifest(StrBuf *out, int major)
{
	backup_manifest_begin(out, major, UINT64_C(7710420088650795774));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		backup_manifest_file(out, &files[i], i == 0);
	backup_manifest_ranges(out, ranges, 2);
	backup_manifest_end(out, "abcdef");
}

static void
test_version_1(void)
{
	StrBuf out = STRBUF_INIT;

	write_manifest(&out, 16);
	is_str(out.data,
		   "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
		   "\"Files\": [\n"
		   "{ \"Path\": \"backup_label\", \"Size\": 224, "
		   "\"Last-Modified\": \"2026-06-12 03:22:47 GMT\", "
		   "\"Checksum-Algorithm\": \"CRC32C\", "
		   "\"Checksum\": \"0a0b0c0d\" },\n"
		   "{ \"Path\": \"base/5/1259\", \"Size\": 18446744073709551615, "
		   "\"Last-Modified\": \"1970-01-01 00:00:00 GMT\" },\n"
		   "{ \"Path\": \"odd \\\"name\\\"\\\\\\u000a\xC3\xA4\", "
		   "\"Size\": 0, \"Last-Modified\": \"1969-12-31 23:59:59 GMT\", "
		   "\"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"00\" },\n"
		   "{ \"Encoded-Path\": \"6e6f74205554462d3820e42fc080\", "
		   "\"Size\": 1, \"Last-Modified\": \"1970-01-01 00:00:00 GMT\" }\n"
		   "],\n"
		   "\"WAL-Ranges\": [\n"
		   "{ \"Timeline\": 1, \"Start-LSN\": \"0/3000000\", "
		   "\"End-LSN\": \"0/5000148\" },\n"
		   "{ \"Timeline\": 2, \"Start-LSN\": \"0/5000148\", "
		   "\"End-LSN\": \"A/28\" }\n"
		   "],\n"
		   "\"Manifest-Checksum\": \"abcdef\"}\n",
		   "the manifest of version 16");
	strbuf_free(&out);
}

static void
test_version_2(void)
{
	static const char head[] = "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
							   "\"System-Identifier\": 7710420088650795774,\n"
							   "\"Files\": [\n";
	StrBuf out = STRBUF_INIT;

	write_manifest(&out, 17);
	ok(strncmp(out.data, head, sizeof(head) - 1) == 0,
	   "from 17 on it names the cluster");
	strbuf_free(&out);
}

static void
test_empty(void)
{
	StrBuf out = STRBUF_INIT;
	Error err = ERROR_INIT;
	Json *json;

	backup_manifest_begin(&out, 18, 1);
	backup_manifest_ranges(&out, NULL, 0);
	backup_manifest_end(&out, "00");
	json = json_parse(out.data, out.len, &err);
	ok(json != NULL, "without files it is JSON still");
	is_int((int64_t) json_array_len(json_get(json, "Files")), 0, "no files");
	json_free(json);
	strbuf_free(&out);
}

/* What is not UTF-8 must not get into JSON as it is. */
static void
test_encodings(void)
{
	static const char *const bad[] = {
		"\x80",
		"\xC1\xBF",
		"\xE0\x9F\xBF",
		"\xED\xA0\x80",
		"\xF0\x8F\xBF\xBF",
		"\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80",
		"\xC3",
		"\xE2\x82",
		"\xF0\x9F\x98",
		"a\xFF",
	};
	static const char *const good[] = {
		"\x7F",         "\xC2\x80",         "\xE0\xA0\x80",
		"\xED\x9F\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		BackupManifestFile file = {.path = bad[i]};
		StrBuf out = STRBUF_INIT;

		backup_manifest_file(&out, &file, true);
		ok(strstr(out.data, "\"Encoded-Path\": \"") != NULL &&
			   strstr(out.data, bad[i]) == NULL,
		   "bytes %zu are no UTF-8", i);
		strbuf_free(&out);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		BackupManifestFile file = {.path = good[i]};
		StrBuf out = STRBUF_INIT;

		backup_manifest_file(&out, &file, true);
		ok(strstr(out.data, "\"Path\": \"") != NULL &&
			   strstr(out.data, good[i]) != NULL,
		   "bytes %zu are UTF-8", i);
		strbuf_free(&out);
	}
}

int
main(void)
{
	test_version_1();
	test_version_2();
	test_empty();
	test_encodings();
	return done_testing();
}
