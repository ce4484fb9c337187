/*-------------------------------------------------------------------------
 *
 * files_scan_test.c
 *	  What is found at and below the paths of a backup of files.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/files_scan.h"
#include "tap.h"
#include "tmpdir.h"

static char *dir;

static char *
below(const char *name)
{
	return file_join(dir, name);
}

static void
make(const char *name, const char *text)
{
	char *path = below(name);
	Error err = ERROR_INIT;
	bool done = text != NULL ? file_write_durable(path, text, strlen(text),
												  0640, false, &err)
							 : file_mkdir_p(path, 0700, &err);

	if (!done)
		ok(false, "%s: %s", name, err.message);
	error_clear(&err);
	free(path);
}

static void
make_link(const char *to, const char *name, bool hard)
{
	char *path = below(name);
	char *from = hard ? below(to) : mem_strdup(to);

	if ((hard ? link(from, path) : symlink(from, path)) != 0)
		ok(false, "link %s", name);
	free(path);
	free(from);
}

static void
make_tree(void)
{
	char *path;

	make("a/b/deep", NULL);
	make("a/file", "12345");
	make("a/b/skip.tmp", "x");
	make("a/b/deep/last", "1");
	make("a.x", "not below a");
	make("other", NULL);
	make("other/z", "z");
	make_link("file", "a/link", false);
	make_link("a/file", "a/same", true);
	make_link("a/file", "other/same", true);
	path = below("a/fifo");
	ok(mkfifo(path, 0600) == 0, "a FIFO");
	free(path);
}

/* "kind path" of what lies below dir, each on a line. */
static char *
listing(const FilesScan *scan)
{
	static const char kinds[] = "dflh";
	StrBuf text = STRBUF_INIT;
	size_t skip = strlen(dir); /* paths have no slash in front */

	strbuf_puts(&text, "");
	for (size_t i = 0; i < scan->count; i++)
	{
		const FilesEntry *e = &scan->entries[i];

		if (strlen(e->path) >= skip)
			strbuf_printf(&text, "%c %s\n", kinds[e->kind], e->path + skip);
	}
	return strbuf_steal(&text);
}

static void
is_listing(FilesSpec *spec, const char *expected, const char *what)
{
	FilesScan scan;
	Error err = ERROR_INIT;
	bool done = files_scan(spec, &scan, &err);
	char *text = done ? listing(&scan) : mem_strdup(err.message);

	is_str(text, expected, what);
	error_clear(&err);
	free(text);
	files_scan_free(&scan);
}

static void
test_walk(void)
{
	char *a = below("a");
	char *other = below("other");
	const char *paths[] = {a, other};
	FilesSpec spec = {.paths = paths, .path_count = 1};

	is_listing(&spec,
			   "d a\nd a/b\nd a/b/deep\nf a/b/deep/last\nf a/b/skip.tmp\n"
			   "f a/file\nl a/link\nh a/same\n",
			   "a directory, without its FIFO");
	spec.path_count = 2;
	is_listing(&spec,
			   "d a\nd a/b\nd a/b/deep\nf a/b/deep/last\nf a/b/skip.tmp\n"
			   "f a/file\nl a/link\nh a/same\nd other\nh other/same\n"
			   "f other/z\n",
			   "two of them, with one file in both");
	free(a);
	free(other);
}

static void
test_excludes(void)
{
	char *a = below("a");
	char *deep = below("a/b/de*");
	const char *paths[] = {a};
	const char *excludes[] = {"*.tmp", deep, "s?me"};
	FilesSpec spec = {.paths = paths,
					  .path_count = 1,
					  .excludes = excludes,
					  .exclude_count = 3};
	struct stat st;
	FilesPlace place;

	is_listing(&spec, "d a\nd a/b\nf a/file\nl a/link\n",
			   "by name, by path, and all below");
	spec.exclude_count = 0;
	free(deep);
	deep = below("a/b");
	ok(stat(deep, &st) == 0, "a directory to avoid");
	place = (FilesPlace){st.st_dev, st.st_ino};
	spec.avoid = &place;
	spec.avoid_count = 1;
	is_listing(&spec, "d a\nf a/file\nl a/link\nh a/same\n",
			   "what is to be avoided is passed over");
	free(deep);
	free(a);
}

static void
test_single(void)
{
	char *file = below("a/file");
	char *link_path = below("a/link");
	char *none = below("none");
	const char *paths[] = {file};
	FilesSpec spec = {.paths = paths, .path_count = 1};
	FilesScan scan;
	Error err = ERROR_INIT;

	is_listing(&spec, "d a\nf a/file\n", "a file, and what is above it");
	ok(files_scan(&spec, &scan, &err) && scan.file_count == 1 &&
		   scan.total_bytes == 5 && scan.entries[scan.count - 1].mode == 0640 &&
		   scan.entries[scan.count - 1].uid == getuid(),
	   "size, mode and owner");
	files_scan_free(&scan);
	paths[0] = link_path;
	ok(files_scan(&spec, &scan, &err) &&
		   scan.entries[scan.count - 1].kind == FILES_LINK &&
		   strcmp(scan.entries[scan.count - 1].to, "file") == 0,
	   "a link is no file");
	files_scan_free(&scan);
	paths[0] = none;
	ok(!files_scan(&spec, &scan, &err) && err.code == ERR_CONFIG,
	   "a path that is not there");
	error_clear(&err);
	free(file);
	free(link_path);
	free(none);
}

int
main(void)
{
	dir = tmpdir_make("pgdr-scan");
	make_tree();
	test_walk();
	test_excludes();
	test_single();
	tmpdir_remove(dir);
	free(dir);
	return done_testing();
}
