/*-------------------------------------------------------------------------
 *
 * tmpdir.c
 *	  A scratch directory for a unit test.
 *
 *-------------------------------------------------------------------------
 */
#include "tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

char *
tmpdir_make(const char *prefix)
{
	const char *tmp = getenv("TMPDIR");
	char *path = mem_printf("%s/%s.XXXXXX", tmp ? tmp : "/tmp", prefix);

	if (mkdtemp(path) == NULL)
	{
		perror(path);
		exit(1);
	}
	return path;
}

static int
remove_one(const char *path, const struct stat *sb, int kind, struct FTW *ftw)
{
	(void) sb;
	(void) kind;
	(void) ftw;
	return remove(path);
}

void
tmpdir_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		perror(path);
}
