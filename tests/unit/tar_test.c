/*-------------------------------------------------------------------------
 *
 * tar_test.c
 *	  Tar headers: their bytes, and that tar itself reads them.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/clock.h"
#include "base/file.h"
#include "repo/tar.h"
#include "tap.h"

static const char long_name[] =
	"pg_tblspc/16400/PG_15_202209061/a-directory-whose-name-is-long-enough-to-"
	"leave-no-place-where-the-path-could-be-cut-into-prefix-and-name-at-a-"
	"slash/another-one-that-is-just-as-long-as-that-one-was-so-that-the-whole-"
	"is-longer-than-what-ustar-has-room-for/16384";

/* A field of octal digits. */
static uint64_t
octal(const char *block, size_t at, size_t len)
{
	char text[16] = "";

	memcpy(text, block + at, len);
	return strtoull(text, NULL, 8);
}

static bool
sum_is_right(const char *block)
{
	unsigned int sum = 0;

	for (int i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char) block[i];
	return octal(block, 148, 8) == sum;
}

static void
test_plain(void)
{
	TarOwner owner = {105, 113, "postgres", "postgres"};
	TarEntry entry = {.path = "base/5/1259",
					  .mode = 0600,
					  .size = 8192,
					  .mtime = 1700000000 * USECS_PER_SEC + 999999,
					  .owner = &owner};
	StrBuf out = STRBUF_INIT;

	tar_header(&out, &entry);
	is_int((int64_t) out.len, TAR_BLOCK, "a plain file takes one block");
	is_str(out.data, "base/5/1259", "name");
	is_int((int64_t) octal(out.data, 100, 8), 0600, "mode");
	is_int((int64_t) octal(out.data, 108, 8), 105, "uid");
	is_int((int64_t) octal(out.data, 116, 8), 113, "gid");
	is_int((int64_t) octal(out.data, 124, 12), 8192, "size");
	is_int((int64_t) octal(out.data, 136, 12), 1700000000, "whole seconds");
	ok(out.data[156] == '0', "type");
	ok(memcmp(out.data + 257,
			  "ustar\0"
			  "00",
			  8) == 0,
	   "magic and version");
	is_str(out.data + 265, "postgres", "user by name");
	is_str(out.data + 297, "postgres", "group by name");
	ok(sum_is_right(out.data), "checksum");
	strbuf_free(&out);
}

static void
test_links(void)
{
	TarEntry entry = {.path = "a/link", .mode = 0777, .link = "../b"};
	char to[151];
	StrBuf out = STRBUF_INIT;

	tar_header(&out, &entry);
	is_int((int64_t) out.len, TAR_BLOCK, "a link takes one block");
	ok(out.data[156] == '2', "type of a symbolic link");
	is_str(out.data + 157, "../b", "what it says");
	ok(sum_is_right(out.data), "its checksum");
	strbuf_reset(&out);
	entry.is_hard = true;
	tar_header(&out, &entry);
	ok(out.data[156] == '1', "type of another name of a file");
	strbuf_reset(&out);

	memset(to, 'x', sizeof(to) - 1);
	to[sizeof(to) - 1] = '\0';
	entry.link = to;
	tar_header(&out, &entry);
	is_int((int64_t) out.len, 3 * TAR_BLOCK, "a long one has a record");
	ok(out.data[156] == 'x' &&
		   strstr(out.data + TAR_BLOCK, " linkpath=xxx") != NULL,
	   "which says it");
	strbuf_reset(&out);
	entry.link = "\xff\xfe";
	tar_header(&out, &entry);
	is_str(out.data + 157, "\xff\xfe", "what is not UTF-8 stays as it is");
	strbuf_free(&out);
}

static void
test_dir(void)
{
	TarEntry entry = {.path = "pg_wal", .is_dir = true, .mode = 0700};
	StrBuf out = STRBUF_INIT;

	tar_header(&out, &entry);
	is_str(out.data, "pg_wal/", "a directory's name ends in a slash");
	ok(out.data[156] == '5', "and it has its type");
	ok(sum_is_right(out.data), "checksum");
	strbuf_free(&out);
}

/* Cut at a slash, so that no pax header is needed. */
static void
test_prefix(void)
{
	char path[180];
	TarEntry entry = {.path = path, .mode = 0600};
	StrBuf out = STRBUF_INIT;

	memset(path, 'd', 100);
	path[100] = '/';
	memset(path + 101, 'f', 78);
	path[179] = '\0';
	tar_header(&out, &entry);
	is_int((int64_t) out.len, TAR_BLOCK, "a path of 179 bytes fits ustar");
	ok(strlen(out.data) == 78 && out.data[0] == 'f', "name behind the slash");
	ok(strlen(out.data + 345) == 100 && out.data[345] == 'd',
	   "prefix before it");
	strbuf_free(&out);
}

static void
test_padding(void)
{
	ok(tar_padding(0) == 0 && tar_padding(1) == 511 && tar_padding(511) == 1 &&
		   tar_padding(512) == 0 && tar_padding(513) == 511,
	   "padding to whole blocks");
}

/* The records of a pax header that stands first. */
static void
check_records(const TarEntry *entry, const char *want, const char *name)
{
	StrBuf out = STRBUF_INIT;

	tar_header(&out, entry);
	ok(out.len > TAR_BLOCK && out.len % TAR_BLOCK == 0 && out.data[156] == 'x',
	   "%s: a pax header stands first", name);
	ok(sum_is_right(out.data) && sum_is_right(out.data + out.len - TAR_BLOCK),
	   "%s: both checksums", name);
	is_int((int64_t) octal(out.data, 124, 12), (int64_t) strlen(want),
		   "length of the records");
	is_str(out.data + TAR_BLOCK, want, "the records");
	strbuf_free(&out);
}

static void
test_pax(void)
{
	TarEntry large = {.path = "f", .size = UINT64_C(1) << 33};
	TarEntry largest_plain = {.path = "f", .size = (UINT64_C(1) << 33) - 1};
	TarEntry old = {.path = "f", .mtime = -1};
	TarOwner owner = {UINT32_MAX, 2097152, NULL, NULL};
	TarEntry owned = {.path = "f", .owner = &owner};
	TarEntry umlaut = {.path = "f\xc3\xbcr"};
	TarEntry bytes = {.path = "\xff\xfe"};
	StrBuf out = STRBUF_INIT;

	check_records(&large, "19 size=8589934592\n", "8 GiB");
	check_records(&old, "12 mtime=-1\n", "before 1970");
	check_records(&owned, "18 uid=4294967295\n15 gid=2097152\n", "owner");
	check_records(&umlaut, "13 path=f\xc3\xbcr\n", "UTF-8");
	tar_header(&out, &largest_plain);
	is_int((int64_t) out.len, TAR_BLOCK, "a byte less needs none");
	strbuf_reset(&out);
	tar_header(&out, &bytes);
	is_int((int64_t) out.len, TAR_BLOCK, "other bytes stay in the name field");
	is_str(out.data, "\xff\xfe", "as they are");
	strbuf_free(&out);
}

/* A length of a record that grows by a digit through its own digits. */
static void
test_record_length(void)
{
	for (size_t len = 80; len < 1010; len++)
	{
		char path[1100];
		char digits[8];
		TarEntry entry = {.path = path};
		StrBuf out = STRBUF_INIT;
		size_t said;

		memset(path, 'x', len);
		memcpy(path, "\xc3\xbc", 2);
		path[len] = '\0';
		tar_header(&out, &entry);
		snprintf(digits, sizeof(digits), "%.4s", out.data + TAR_BLOCK);
		said = strtoul(digits, NULL, 10);
		if (said != octal(out.data, 124, 12) ||
			out.data[TAR_BLOCK + said - 1] != '\n')
			ok(false, "record of a path of %zu bytes", len);
		strbuf_free(&out);
	}
	ok(true, "records say their own length");
}

static void
add_file(StrBuf *archive, const char *path, const char *text, uint32_t mode)
{
	static const char zeros[TAR_BLOCK];
	TarEntry entry = {.path = path,
					  .size = strlen(text),
					  .mode = mode,
					  .mtime = 1234567890 * USECS_PER_SEC};

	tar_header(archive, &entry);
	strbuf_puts(archive, text);
	strbuf_add(archive, zeros, tar_padding(strlen(text)));
}

static void
check_file(const char *dir, const char *path, const char *want, mode_t mode)
{
	char *full = file_join(dir, path);
	StrBuf got = STRBUF_INIT;
	struct stat st;

	ok(get_file(full, &got) && got.len == strlen(want) &&
		   memcmp(got.data, want, got.len) == 0,
	   "tar unpacked \"%s\"", path);
	ok(stat(full, &st) == 0 && (st.st_mode & 07777) == mode &&
		   st.st_mtime == 1234567890,
	   "with its mode and time");
	strbuf_free(&got);
	free(full);
}

static void
test_tar_reads_it(void)
{
	static const char zeros[TAR_END_LEN];
	static const char *const names[] = {"plain", "f\xc3\xbcr", "\xff\xfe",
										long_name};
	TarEntry dir = {.path = "empty", .is_dir = true, .mode = 0750};
	StrBuf archive = STRBUF_INIT;
	char *path = mem_strdup(scratch("archive.tar"));
	char *out = mem_strdup(scratch("out"));
	const char *const argv[] = {"tar", "-xpf", path, "-C", out, NULL};
	struct stat st;
	char *empty = file_join(out, "empty");

	tar_header(&archive, &dir);
	for (size_t i = 0; i < 4; i++)
		add_file(&archive, names[i], names[i], i == 0 ? 0640 : 0600);
	strbuf_add(&archive, zeros, sizeof(zeros));
	ok(put_file(path, archive.data, archive.len) && mkdir(out, 0700) == 0,
	   "archive written");
	is_int(run_tool(argv, NULL, NULL), 0, "tar reads it without complaint");
	for (size_t i = 0; i < 4; i++)
		check_file(out, names[i], names[i], i == 0 ? 0640 : 0600);
	ok(stat(empty, &st) == 0 && S_ISDIR(st.st_mode) &&
		   (st.st_mode & 07777) == 0750,
	   "and the directory, with its mode");
	strbuf_free(&archive);
	free(empty);
	free(path);
	free(out);
}

int
main(void)
{
	test_plain();
	test_links();
	test_dir();
	test_prefix();
	test_padding();
	test_pax();
	test_record_length();
	test_tar_reads_it();
	scratch_remove();
	return done_testing();
}
