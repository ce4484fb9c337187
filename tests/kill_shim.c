/*-------------------------------------------------------------------------
 *
 * kill_shim.c
 *	  Preloaded by tests: a signal at the N-th call that changes files.
 *
 * KILL_SHIM_CALL		N; before the call is made, not after
 * KILL_SHIM_SIGNAL		the signal, SIGKILL by default
 * KILL_SHIM_COUNT		file for the number of calls made in a whole run
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long calls;
static long fatal_call;
static int fatal_signal;

static void __attribute__((constructor)) begin(void)
{
	const char *call = getenv("KILL_SHIM_CALL");
	const char *number = getenv("KILL_SHIM_SIGNAL");

	fatal_call = call ? strtol(call, NULL, 10) : 0;
	fatal_signal = number ? (int) strtol(number, NULL, 10) : SIGKILL;
}

static void __attribute__((destructor)) end(void)
{
	const char *path = getenv("KILL_SHIM_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (f)
	{
		fprintf(f, "%ld\n", atomic_load(&calls));
		fclose(f);
	}
}

static void
count(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 == fatal_call)
		kill(getpid(), fatal_signal);
}

/* Defines a function that counts, and then does what the real one does. */
#define COUNTED(type, name, params, args)               \
	type name params                                    \
	{                                                   \
		static type(*real) params;                      \
                                                        \
		if (!real)                                      \
			*(void **) &real = dlsym(RTLD_NEXT, #name); \
		count();                                        \
		return real args;                               \
	}

COUNTED(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
COUNTED(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at),
		(fd, data, len, at))
COUNTED(int, close, (int fd), (fd))
COUNTED(int, fsync, (int fd), (fd))
COUNTED(int, syncfs, (int fd), (fd))
COUNTED(int, ftruncate, (int fd, off_t len), (fd, len))
COUNTED(int, fchmod, (int fd, mode_t mode), (fd, mode))
COUNTED(int, link, (const char *from, const char *to), (from, to))
COUNTED(int, linkat, (int a, const char *from, int b, const char *to, int f),
		(a, from, b, to, f))
COUNTED(int, rename, (const char *from, const char *to), (from, to))
COUNTED(int, renameat, (int a, const char *from, int b, const char *to),
		(a, from, b, to))
COUNTED(int, renameat2,
		(int a, const char *from, int b, const char *to, unsigned int f),
		(a, from, b, to, f))
COUNTED(int, unlink, (const char *path), (path))
COUNTED(int, unlinkat, (int dir, const char *path, int f), (dir, path, f))
COUNTED(int, mkdir, (const char *path, mode_t mode), (path, mode))
COUNTED(int, mkdirat, (int dir, const char *path, mode_t mode),
		(dir, path, mode))
COUNTED(int, symlinkat, (const char *to, int dir, const char *path),
		(to, dir, path))

int
openat(int dir, const char *path, int flags, ...)
{
	static int (*real)(int, const char *, int, ...);
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT)
	{
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "openat");
	if (flags & O_CREAT)
		count();
	return real(dir, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT)
	{
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "open");
	if (flags & O_CREAT)
		count();
	return real(path, flags, mode);
}
