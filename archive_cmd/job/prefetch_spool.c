/*-------------------------------------------------------------------------
 *
 * prefetch_spool.c
 *	  Where segments lie that were fetched before the server asked for them.
 *
 *-------------------------------------------------------------------------
 */
#include "job/prefetch_spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "job/spool_lock.h"
#include "job/spool_note.h"

#define GOOD_SUFFIX ".good"
#define FAILED_FILE "failed"

/* A fetcher that failed is not started again for so long. */
#define FAILED_VALID (10 * USECS_PER_SEC)

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_MAX 64

/* Another one after each start of the machine. */
static char *
boot_of(void)
{
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	char *boot;

	if (!file_slurp(BOOT_FILE, BOOT_MAX, &text, &ignored))
		strbuf_reset(&text);
	error_clear(&ignored);
	boot = mem_strndup(text.len > 0 ? text.data : "",
					   text.len > 0 ? strcspn(text.data, "\n") : 0);
	strbuf_free(&text);
	return boot;
}

PrefetchSpool
prefetch_spool(const char *wal_dir, const WalHome *home, const char *print)
{
	return (PrefetchSpool){.dir = file_join(wal_dir, PREFETCH_DIR),
						   .home = *home,
						   .print = print,
						   .boot = boot_of()};
}

void
prefetch_spool_free(PrefetchSpool *spool)
{
	free(spool->dir);
	free(spool->boot);
	*spool = (PrefetchSpool){0};
}

/* Not durably: what is in it does not outlive the machine's next start. */
bool
prefetch_spool_make(const PrefetchSpool *spool, Error *err)
{
	if (spool->boot[0] == '\0')
		return error_set(err, ERR_UNSUPPORTED, "could not read file \"%s\"",
						 BOOT_FILE);
	if (mkdir(spool->dir, 0700) != 0 && errno != EEXIST)
		return error_set_errno(err, errno, "could not create directory \"%s\"",
							   spool->dir);
	return spool_check_dir(spool->dir, err);
}

void
prefetch_spool_clear(const PrefetchSpool *spool)
{
	DIR *dir = opendir(spool->dir);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char *path;

		if (strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0 ||
			strcmp(entry->d_name, SPOOL_LOCK_FILE) == 0)
			continue;
		path = prefetch_path(spool, entry->d_name);
		unlink(path);
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
}

void
prefetch_spool_remove(const PrefetchSpool *spool)
{
	char *lock = prefetch_path(spool, SPOOL_LOCK_FILE);

	prefetch_spool_clear(spool);
	unlink(lock);
	rmdir(spool->dir);
	free(lock);
}

/* ---- segments ---- */

char *
prefetch_path(const PrefetchSpool *spool, const char *file)
{
	return file_join(spool->dir, file);
}

static char *
good_path(const PrefetchSpool *spool, const char *file)
{
	return mem_printf("%s/%s" GOOD_SUFFIX, spool->dir, file);
}

bool
prefetch_good_write(const PrefetchSpool *spool, const char *file,
					const Json *warnings, Error *err)
{
	char *path = prefetch_path(spool, file);
	char *good = good_path(spool, file);
	char sysid[24];
	struct stat st;
	bool done = false;

	if (lstat(path, &st) != 0)
		error_set_errno(err, errno, "could not stat file \"%s\"", path);
	else
	{
		Json *obj = json_new_object();

		snprintf(sysid, sizeof(sysid), "%" PRIu64, spool->home.sysid);
		json_put_str(obj, "name", file);
		json_put_str(obj, "configuration", spool->print);
		json_put_str(obj, "cluster", sysid);
		json_put_int(obj, "version", spool->home.major);
		json_put_str(obj, "boot", spool->boot);
		json_put(obj, "file", note_identity(&st));
		json_put(obj, "warnings", json_dup(warnings));
		done = note_write(good, obj, err);
		json_free(obj);
	}
	free(good);
	free(path);
	return done;
}

static bool
is_good(const PrefetchSpool *spool, const Json *obj, const char *file,
		const struct stat *st)
{
	char sysid[24];

	snprintf(sysid, sizeof(sysid), "%" PRIu64, spool->home.sysid);
	return strcmp(json_get_str(obj, "name", ""), file) == 0 &&
		   strcmp(json_get_str(obj, "configuration", ""), spool->print) == 0 &&
		   strcmp(json_get_str(obj, "cluster", ""), sysid) == 0 &&
		   json_get_int(obj, "version", 0) == spool->home.major &&
		   spool->boot[0] != '\0' &&
		   strcmp(json_get_str(obj, "boot", ""), spool->boot) == 0 &&
		   S_ISREG(st->st_mode) && st->st_nlink == 1 &&
		   note_is_identity(json_get(obj, "file"), st);
}

bool
prefetch_good_read(const PrefetchSpool *spool, const char *file,
				   Json **warnings)
{
	char *path = prefetch_path(spool, file);
	char *good = good_path(spool, file);
	Json *obj = note_read(good);
	struct stat st;
	bool found = obj != NULL && lstat(path, &st) == 0 &&
				 is_good(spool, obj, file, &st);

	if (found)
		*warnings = json_dup(json_get(obj, "warnings"));
	json_free(obj);
	free(good);
	free(path);
	return found;
}

void
prefetch_good_remove(const PrefetchSpool *spool, const char *file)
{
	char *good = good_path(spool, file);

	unlink(good);
	free(good);
}

void
prefetch_remove(const PrefetchSpool *spool, const char *file)
{
	char *path = prefetch_path(spool, file);

	prefetch_good_remove(spool, file);
	unlink(path);
	free(path);
}

bool
prefetch_is_coming(const PrefetchSpool *spool, const char *file, uint64_t *size)
{
	char *prefix = mem_printf(FILE_TMP_PREFIX "%s.", file);
	DIR *dir = opendir(spool->dir);
	struct dirent *entry;
	bool coming = false;

	while (!coming && dir != NULL && (entry = readdir(dir)) != NULL)
	{
		struct stat st;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		coming = fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
				 0;
		*size = coming ? (uint64_t) st.st_size : 0;
	}
	if (dir != NULL)
		closedir(dir);
	free(prefix);
	return coming;
}

/* ---- what the server has got ---- */

void
prefetch_served_write(const PrefetchSpool *spool, const char *file)
{
	char *path = prefetch_path(spool, PREFETCH_SERVED_FILE);
	Json *obj = json_new_object();
	Error ignored = ERROR_INIT;

	json_put_str(obj, "name", file);
	note_write(path, obj, &ignored);
	error_clear(&ignored);
	json_free(obj);
	free(path);
}

bool
prefetch_served_read(const PrefetchSpool *spool, char file[WAL_NAME_LEN + 1])
{
	char *path = prefetch_path(spool, PREFETCH_SERVED_FILE);
	Json *obj = note_read(path);
	const char *name = json_get_str(obj, "name", "");
	WalName parsed;
	bool good = wal_name_parse(name, &parsed) && parsed.kind == WAL_SEGMENT;

	if (good)
		memcpy(file, name, WAL_NAME_LEN + 1);
	json_free(obj);
	free(path);
	return good;
}

/* ---- fetchers that failed ---- */

void
prefetch_failed_write(const PrefetchSpool *spool)
{
	char *path = prefetch_path(spool, FAILED_FILE);
	Json *obj = json_new_object();
	Error ignored = ERROR_INIT;

	json_put_int(obj, "at", clock_now());
	note_write(path, obj, &ignored);
	error_clear(&ignored);
	json_free(obj);
	free(path);
}

bool
prefetch_has_failed(const PrefetchSpool *spool)
{
	char *path = prefetch_path(spool, FAILED_FILE);
	Json *obj = note_read(path);
	int64_t age = clock_now() - json_get_int(obj, "at", 0);

	json_free(obj);
	free(path);
	return age >= 0 && age < FAILED_VALID;
}
