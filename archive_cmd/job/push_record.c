/*-------------------------------------------------------------------------
 *
 * push_record.c
 *	  Notes of what this host has put into stores that it may not read:
 *	  <spool>/pushed/<repository>/<sysid>-<major>/<file>, one line with size and
 *	  content hash; and <spool>/pushed/<repository>/readable, whose time is when
 *	  it was last seen that none are needed.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_record.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define RECORD_MAX 256
/* A server asks again within minutes, or after a long time out of service. */
#define RECORD_AGE (30 * 24 * 3600)
#define SWEEP_EVERY 64 /* segments */
/* Rights are taken away now and then. */
#define READABLE_AGE 3600

static char *
record_dir(const PushRecord *r)
{
	return mem_printf("%s/pushed/%s/%" PRIu64 "-%d", r->spool, r->repo,
					  r->home.sysid, r->home.major);
}

static char *
record_path(const PushRecord *r)
{
	char file[WAL_FILE_NAME_MAX];
	char *dir = record_dir(r);
	char *path;

	wal_name_format(&r->name, file);
	path = file_join(dir, file);
	free(dir);
	return path;
}

static char *
readable_path(const PushRecord *r)
{
	return mem_printf("%s/pushed/%s/readable", r->spool, r->repo);
}

bool
push_record_may_be_needed(const PushRecord *r)
{
	int64_t now = clock_now() / USECS_PER_SEC;
	struct stat st;
	char *path;
	bool fresh;

	if (r->spool == NULL)
		return false;
	path = readable_path(r);
	fresh = stat(path, &st) == 0 && st.st_mtime <= now &&
			st.st_mtime > now - READABLE_AGE;
	free(path);
	return !fresh;
}

/* If that cannot be written down, it is found out again the next time. */
void
push_record_not_needed(const PushRecord *r)
{
	char *dir = mem_printf("%s/pushed/%s", r->spool, r->repo);
	char *path = readable_path(r);
	Error ignored = ERROR_INIT;
	int fd = -1;

	if (file_mkdir_p(dir, 0700, &ignored))
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
	{
		futimens(fd, NULL);
		close(fd);
	}
	error_clear(&ignored);
	free(path);
	free(dir);
}

static void
remove_old(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	struct stat st;
	int64_t now = clock_now() / USECS_PER_SEC;

	while (d != NULL && (entry = readdir(d)) != NULL)
	{
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode) && st.st_mtime < now - RECORD_AGE)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
}

void
push_record_write(const PushRecord *r, uint64_t size,
				  const uint8_t content[CONTENT_LEN])
{
	char hex[2 * CONTENT_LEN + 1];
	Error why = ERROR_INIT;
	char *dir;
	char *path;
	char *text;

	if (r->spool == NULL)
		return;
	hex_encode(content, CONTENT_LEN, hex);
	dir = record_dir(r);
	path = record_path(r);
	text = mem_printf("%" PRIu64 " %s\n", size, hex);
	if (!file_mkdir_p(dir, 0700, &why) ||
		!file_write_durable(path, text, strlen(text), 0600, true, &why))
	{
		error_prefix(&why, "could not note that \"%s\" was archived", path);
		error_detail(&why, "If the server sends this file again, it cannot be "
						   "told that it is the same.");
		log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
	else if (r->name.seg % SWEEP_EVERY == 0)
		remove_old(dir);
	free(text);
	free(path);
	free(dir);
}

bool
push_record_read(const PushRecord *r, uint64_t *size,
				 uint8_t content[CONTENT_LEN])
{
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	char hex[2 * CONTENT_LEN + 1];
	char *path;
	char *end;
	bool good = false;

	if (r->spool == NULL)
		return false;
	path = record_path(r);
	if (file_slurp(path, RECORD_MAX, &text, &ignored) &&
		text.len > 2 * CONTENT_LEN)
	{
		*size = strtoull(text.data, &end, 10);
		if (*end == ' ' && strlen(end + 1) == 2 * CONTENT_LEN + 1)
		{
			memcpy(hex, end + 1, 2 * CONTENT_LEN);
			hex[2 * CONTENT_LEN] = '\0';
			good = hex_decode(hex, content, CONTENT_LEN);
		}
	}
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return good;
}
