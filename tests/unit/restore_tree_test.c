/*-------------------------------------------------------------------------
 *
 * restore_tree_test.c
 *	  Files below a directory: no path and no link leads out of it.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "job/restore_tree.h"
#include "tap.h"
#include "tmpdir.h"

static char *dir;
static int root;

static bool
touch(const char *path)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	return fd >= 0 && close(fd) == 0;
}

static bool
exists(const char *path)
{
	return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
test_paths(void)
{
	static const char *const good[] = {"a",   "a/b",     "base/5/1259.1",
									   "...", ".hidden", "a/..b"};
	static const char *const bad[] = {"",     "/",    "/a",  "a/",
									  "a//b", ".",    "./a", "..",
									  "../a", "a/..", "a/.", "a/../b"};
	char longest[5000];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(tree_path_ok(good[i]), "\"%s\" is a path", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!tree_path_ok(bad[i]), "\"%s\" is none", bad[i]);
	memset(longest, 'x', 256);
	longest[256] = '\0';
	ok(!tree_path_ok(longest), "a component of 256 bytes is none");
	for (size_t i = 0; i < sizeof(longest) - 1; i += 2)
		memcpy(longest + i, "x/", 2);
	longest[sizeof(longest) - 2] = '\0';
	ok(!tree_path_ok(longest), "nor is a path of 5,000 bytes");
}

static void
test_parent(void)
{
	TreeCache cache = TREE_CACHE_INIT;
	Error err = ERROR_INIT;
	struct stat st;
	const char *leaf = NULL;
	int fd = -1;
	int again = -1;

	ok(tree_mkdir(root, dir, "d", 0750, &cache, &err) &&
		   tree_mkdir(root, dir, "d/e", 0700, &cache, &err) &&
		   tree_mkdir(root, dir, "d/e", 0700, &cache, &err),
	   "directories are made, also twice");
	ok(fstatat(root, "d", &st, 0) == 0 && (st.st_mode & 0777) == 0750,
	   "with their mode whatever the umask is");
	ok(tree_parent(root, dir, "d/e/f", &cache, &fd, &leaf, &err) &&
		   strcmp(leaf, "f") == 0 &&
		   tree_parent(root, dir, "d/e/g", &cache, &again, &leaf, &err) &&
		   fd == again,
	   "two files of a directory open it once");
	ok(symlinkat("e", root, "d/link") == 0 &&
		   !tree_parent(root, dir, "d/link/f", &cache, &fd, &leaf, &err),
	   "a link in the way is not followed");
	error_clear(&err);
	ok(!tree_mkdir(root, dir, "d/link", 0700, &cache, &err),
	   "nor taken for a directory");
	error_clear(&err);
	ok(!tree_parent(root, dir, "../x", &cache, &fd, &leaf, &err) &&
		   err.code == ERR_DAMAGED,
	   "and no path leads up");
	error_clear(&err);
	tree_cache_free(&cache);
}

static void
test_empty(void)
{
	Error err = ERROR_INIT;
	TreeCache cache = TREE_CACHE_INIT;
	char *outside = mem_printf("%s.outside", dir);
	char *kept = mem_printf("%s/kept", outside);
	int fd;
	bool empty = false;
	bool there = false;

	ok(mkdir(outside, 0700) == 0 &&
		   file_write_durable(kept, "x", 1, 0600, false, &err) &&
		   symlinkat(outside, root, "out") == 0 &&
		   symlinkat(outside, root, "d/out") == 0 && touch("marker") &&
		   touch("file2") && touch("d/e/file"),
	   "a tree with links out of it");
	ok(tree_is_empty(root, dir, NULL, &empty, &err) && !empty, "is not empty");
	ok(tree_empty(root, dir, "marker", &err), "it is emptied");
	ok(exists("marker") && !exists("file") && !exists("file2") &&
		   !exists("d") && !exists("out"),
	   "but for what is kept");
	ok(file_exists(kept, &there, &err) && there,
	   "and what the links pointed at stays");
	ok(tree_is_empty(root, dir, "marker", &empty, &err) && empty,
	   "now it counts as empty");
	ok(touch(FILE_TMP_PREFIX "1-1") &&
		   tree_is_empty(root, dir, "marker", &empty, &err) && empty,
	   "also with what a killed writer left");
	ok(tree_mkdir(root, dir, "deep", 0700, &cache, &err), "a deep tree");
	tree_cache_free(&cache);
	fd = openat(root, "deep", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 70 && fd >= 0; i++)
	{
		int next;

		mkdirat(fd, "d", 0700);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	close(fd);
	ok(!tree_empty(root, dir, NULL, &err) && err.code == ERR_IO, "is given up");
	error_clear(&err);
	tmpdir_remove(outside);
	free(kept);
	free(outside);
}

static void
test_sync(void)
{
	Error err = ERROR_INIT;

	ok(touch("file") && mkdirat(root, "s", 0700) == 0 && touch("s/file") &&
		   symlinkat("nowhere", root, "dangling") == 0,
	   "files, a directory, a link to nowhere");
	ok(tree_sync(root, dir, &err), "are made durable");
	ok(tree_fsync(root, dir, &err), "also file by file");
	error_clear(&err);
}

int
main(void)
{
	char *base = tmpdir_make("tree");

	dir = file_join(base, "root");
	mkdir(dir, 0700);
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_paths();
	test_parent();
	test_sync();
	test_empty();
	close(root);
	tmpdir_remove(base);
	free(dir);
	free(base);
	return done_testing();
}
