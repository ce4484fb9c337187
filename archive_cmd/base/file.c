/*-------------------------------------------------------------------------
 *
 * file.c
 *	  Local files, done durably: complete writes, fsync of file and directory.
 *
 *-------------------------------------------------------------------------
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Longer than anybody takes between mkdir() and fsync(), clocks apart. */
#define NEW_DIR_SECS 60

bool
file_write_all(int fd, const void *data, size_t len, const char *path,
			   Error *err)
{
	const char *p = data;

	while (len > 0)
	{
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		/* a disk that is full may say so by writing nothing */
		if (n <= 0)
			return error_set_errno(err, n == 0 ? ENOSPC : errno,
								   "could not write to \"%s\"", path);
		p += n;
		len -= (size_t) n;
	}
	return true;
}

bool
file_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
				const char *path, Error *err)
{
	const char *p = data;

	while (len > 0)
	{
		ssize_t n = pwrite(fd, p, len, (off_t) offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set_errno(err, n == 0 ? ENOSPC : errno,
								   "could not write to \"%s\"", path);
		p += n;
		offset += (uint64_t) n;
		len -= (size_t) n;
	}
	return true;
}

bool
file_pread_full(int fd, void *data, size_t len, uint64_t offset, size_t *got,
				const char *path, Error *err)
{
	char *p = data;

	*got = 0;
	while (*got < len)
	{
		ssize_t n = pread(fd, p + *got, len - *got, (off_t) (offset + *got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "could not read \"%s\"", path);
		if (n == 0)
			break;
		*got += (size_t) n;
	}
	return true;
}

bool
file_read_full(int fd, void *data, size_t len, size_t *got, const char *path,
			   Error *err)
{
	char *p = data;

	*got = 0;
	while (*got < len)
	{
		ssize_t n = read(fd, p + *got, len - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "could not read \"%s\"", path);
		if (n == 0)
			break;
		*got += (size_t) n;
	}
	return true;
}

/*
 * Reads one byte more than max, to tell a file that is too large.  The size
 * from fstat() is a hint only: files of /proc have none, others grow.
 */
static bool
slurp_fd(int fd, const char *path, size_t max, StrBuf *out, Error *err)
{
	size_t got;

	for (;;)
	{
		size_t room;

		strbuf_reserve(out, 1);
		room = out->cap - out->len - 1;
		if (room > max + 1 - out->len)
			room = max + 1 - out->len;
		if (!file_read_full(fd, out->data + out->len, room, &got, path, err))
			return false;
		out->len += got;
		out->data[out->len] = '\0';
		if (out->len > max)
			return error_set(err, ERR_DAMAGED,
							 "file \"%s\" is larger than %zu bytes", path, max);
		if (got < room)
			return true;
	}
}

static int
open_to_read(const char *path, struct stat *st, Error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
	{
		error_set_errno(err, errno, "could not open file \"%s\"", path);
		return -1;
	}
	if (fstat(fd, st) == 0)
		return fd;
	error_set_errno(err, errno, "could not stat file \"%s\"", path);
	close(fd);
	return -1;
}

bool
file_slurp(const char *path, size_t max, StrBuf *out, Error *err)
{
	struct stat st;
	int fd;
	bool done;

	strbuf_reset(out);
	fd = open_to_read(path, &st, err);
	if (fd < 0)
		return false;
	if (st.st_size > 0 && (uint64_t) st.st_size <= max)
		strbuf_reserve(out, (size_t) st.st_size + 1);
	done = slurp_fd(fd, path, max, out, err);
	close(fd);
	return done;
}

bool
file_slurp_secret(const char *path, size_t max, StrBuf *out, Error *err)
{
	Error why = ERROR_INIT;
	struct stat st;
	int fd;
	bool done = false;

	strbuf_reset(out);
	fd = open_to_read(path, &st, &why);
	if (fd < 0)
	{
		if (why.code == ERR_NOT_FOUND || why.code == ERR_DENIED)
			why.code = ERR_KEY;
		error_move(err, &why);
		return false;
	}
	if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
	{
		error_set(err, ERR_KEY,
				  "file \"%s\" with a secret is open to group or others", path);
		error_hint(err, "Take their rights away: chmod 600 \"%s\".", path);
	}
	else
	{
		strbuf_reserve(out, max + 2); /* all at once: it must not move */
		done = slurp_fd(fd, path, max, out, err);
	}
	close(fd);
	return done;
}

bool
file_fsync(int fd, const char *path, Error *err)
{
	/* never retried: after a failure the kernel may have dropped the pages */
	if (fsync(fd) != 0)
		return error_set_errno(err, errno, "could not fsync \"%s\"", path);
	return true;
}

/*
 * A file system that cannot fsync directories (some in user space) says
 * EINVAL; it has nothing better to offer, and PostgreSQL accepts that too.
 */
bool
file_fsync_dir(const char *path, Error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return error_set_errno(err, errno, "could not open directory \"%s\"",
							   path);
	done = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ||
		   error_set_errno(err, errno, "could not fsync \"%s\"", path);
	close(fd);
	return done;
}

/* The directory part of path, "." if it has none; caller frees. */
static char *
parent_of(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len > 0 ? mem_strndup(path, len) : mem_strdup(".");
}

bool
file_fsync_parent(const char *path, Error *err)
{
	char *dir = parent_of(path);
	bool done = file_fsync_dir(dir, err);

	free(dir);
	return done;
}

/*
 * Is the directory so new that whoever made it may not have made it durable in
 * its parent yet?  To rely on it before that would be to lose what is put into
 * it when the machine stops.  When the file system does not tell: yes.
 */
static bool
is_new_dir(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &stx) != 0 ||
		(stx.stx_mask & STATX_BTIME) == 0)
		return true;
	return stx.stx_btime.tv_sec > (int64_t) time(NULL) - NEW_DIR_SECS;
}

static bool
make_dir(const char *path, mode_t mode, Error *err)
{
	struct stat st;
	bool made = mkdir(path, mode) == 0;
	int why = errno;

	if (made)
		return file_fsync_parent(path, err);
	/* "/" of an image without rights to write says EROFS before EEXIST */
	if (stat(path, &st) != 0)
		return error_set_errno(err, why, "could not create directory \"%s\"",
							   path);
	if (!S_ISDIR(st.st_mode))
		return error_set_errno(err, ENOTDIR,
							   "could not create directory \"%s\"", path);
	return !is_new_dir(path) || file_fsync_parent(path, err);
}

bool
file_mkdir_p(const char *path, mode_t mode, Error *err)
{
	char *copy = mem_strdup(path);
	bool done = true;

	for (char *p = copy + 1; done && *p != '\0'; p++)
	{
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		done = make_dir(copy, mode, err);
		*p = '/';
	}
	done = done && make_dir(copy, mode, err);
	free(copy);
	return done;
}

/* A name beside path that nobody else uses; *fd is open for writing. */
static char *
create_beside(const char *path, mode_t mode, int *fd, Error *err)
{
	static atomic_uint counter;
	char *dir = parent_of(path);
	char *tmp = NULL;

	do
	{
		free(tmp);
		tmp = mem_printf("%s/" FILE_TMP_PREFIX "%ld-%u", dir, (long) getpid(),
						 atomic_fetch_add(&counter, 1));
		*fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	} while (*fd < 0 && errno == EEXIST);
	free(dir);
	if (*fd < 0)
	{
		error_set_errno(err, errno, "could not create file \"%s\"", tmp);
		free(tmp);
		return NULL;
	}
	return tmp;
}

/*
 * rename() would overwrite.  RENAME_NOREPLACE is not known to every file
 * system; link() is, to those that have links.
 */
static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to) != 0)
		return -1;
	/* in place, whatever becomes of the other name */
	unlink(from);
	return 0;
}

static bool
fill_and_publish(int fd, const char *tmp, const char *path,
				 const StrBuf *content, bool replace, Error *err)
{
	bool done = file_write_all(fd, content->data, content->len, path, err) &&
				file_fsync(fd, path, err);

	if (close(fd) != 0 && done)
		done = error_set_errno(err, errno, "could not close \"%s\"", path);
	if (!done)
		return false;
	if ((replace ? rename(tmp, path) : rename_new(tmp, path)) != 0)
		return error_set_errno(err, errno, "could not create file \"%s\"",
							   path);
	return true;
}

bool
file_write_durable(const char *path, const void *data, size_t len, mode_t mode,
				   bool replace, Error *err)
{
	StrBuf content = {.data = (char *) (uintptr_t) data, .len = len};
	int fd;
	char *tmp = create_beside(path, mode, &fd, err);
	bool done;

	if (tmp == NULL)
		return false;
	done = fill_and_publish(fd, tmp, path, &content, replace, err);
	if (!done)
		unlink(tmp);
	free(tmp);
	return done && file_fsync_parent(path, err);
}

bool
file_exists(const char *path, bool *out, Error *err)
{
	struct stat st;

	*out = stat(path, &st) == 0;
	if (*out || errno == ENOENT || errno == ENOTDIR)
		return true;
	return error_set_errno(err, errno, "could not stat file \"%s\"", path);
}

bool
file_dir_is_empty(const char *path, bool *out, Error *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	*out = true;
	if (dir == NULL)
	{
		if (errno == ENOENT)
			return true;
		return error_set_errno(err, errno, "could not open directory \"%s\"",
							   path);
	}
	errno = 0;
	while (*out && (entry = readdir(dir)) != NULL)
		*out = strcmp(entry->d_name, ".") == 0 ||
			   strcmp(entry->d_name, "..") == 0;
	if (*out && errno != 0)
	{
		error_set_errno(err, errno, "could not read directory \"%s\"", path);
		closedir(dir);
		return false;
	}
	closedir(dir);
	return true;
}

/* Appends "/name", or goes up for "..". */
static void
add_component(StrBuf *sb, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.')
	{
		while (sb->len > 0 && sb->data[--sb->len] != '/')
			;
		sb->data[sb->len] = '\0';
		return;
	}
	strbuf_putc(sb, '/');
	strbuf_add(sb, name, len);
}

static void
add_components(StrBuf *sb, const char *path)
{
	while (*path != '\0')
	{
		size_t len = strcspn(path, "/");

		add_component(sb, path, len);
		path += len;
		if (*path == '/')
			path++;
	}
}

char *
file_absolute(const char *path)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_reserve(&sb, strlen(path));
	if (path[0] != '/')
	{
		char *cwd = getcwd(NULL, 0);

		/* no working directory (removed): a relative path stays what it is */
		if (cwd == NULL)
		{
			strbuf_puts(&sb, path);
			return strbuf_steal(&sb);
		}
		add_components(&sb, cwd);
		free(cwd);
	}
	add_components(&sb, path);
	if (sb.len == 0)
		strbuf_putc(&sb, '/');
	return strbuf_steal(&sb);
}

char *
file_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	if (len == 0)
		return mem_strdup(name);
	while (len > 1 && dir[len - 1] == '/')
		len--;
	return mem_printf("%.*s%s%s", (int) len, dir,
					  dir[len - 1] == '/' ? "" : "/", name);
}
