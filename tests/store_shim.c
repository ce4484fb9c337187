/*-------------------------------------------------------------------------
 *
 * store_shim.c
 *	  Preloaded by tests: a directory whose files fail to be read or written.
 *
 * STORE_SHIM_DIR names it, STORE_SHIM_OP is "read" or "write", STORE_SHIM_ERRNO
 * the error, and STORE_SHIM_AFTER how many bytes pass before it.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_llong passed;

static int
is_in_store(int fd)
{
	const char *dir = getenv("STORE_SHIM_DIR");
	char link[32];
	char path[PATH_MAX];
	ssize_t len;

	if (dir == NULL)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return 0;
	path[len] = '\0';
	return strncmp(path, dir, strlen(dir)) == 0 && path[strlen(dir)] == '/';
}

/* Is this transfer to fail? */
static int
fails(const char *op, int fd, size_t len)
{
	const char *wanted = getenv("STORE_SHIM_OP");
	const char *after = getenv("STORE_SHIM_AFTER");
	const char *code = getenv("STORE_SHIM_ERRNO");

	if (wanted == NULL || strcmp(wanted, op) != 0 || !is_in_store(fd) ||
		atomic_fetch_add(&passed, (long long) len) <
			strtoll(after != NULL ? after : "0", NULL, 10))
		return 0;
	errno = (int) strtol(code != NULL ? code : "5", NULL, 10);
	return 1;
}

ssize_t
read(int fd, void *data, size_t len)
{
	return fails("read", fd, len) ? -1 : syscall(SYS_read, fd, data, len);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	return fails("write", fd, len) ? -1 : syscall(SYS_write, fd, data, len);
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	return fails("read", fd, len) ? -1
								  : syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t
pread64(int fd, void *data, size_t len, off64_t offset)
{
	return pread(fd, data, len, (off_t) offset);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return fails("write", fd, len)
			   ? -1
			   : syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return pwrite(fd, data, len, (off_t) offset);
}
