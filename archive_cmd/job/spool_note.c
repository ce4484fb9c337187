/*-------------------------------------------------------------------------
 *
 * spool_note.c
 *	  Notes in a spool: what one process tells another, if it is still true.
 *
 *-------------------------------------------------------------------------
 */
#include "job/spool_note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/file.h"

#define FILE_MAX 65536
#define CRC_LEN 8

static char *
line_of(const Json *obj)
{
	char *json = json_dump(obj);
	char *line = mem_printf("%0*" PRIx32 " %s\n", CRC_LEN,
							crc32c(0, json, strlen(json)), json);

	free(json);
	return line;
}

bool
note_write_durable(const char *path, const Json *obj, Error *err)
{
	char *line = line_of(obj);
	bool done = file_write_durable(path, line, strlen(line), 0600, true, err);

	free(line);
	return done;
}

bool
note_write(const char *path, const Json *obj, Error *err)
{
	char *line = line_of(obj);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
				  0600);
	bool done = false;

	if (fd < 0)
		error_set_errno(err, errno, "could not create file \"%s\"", path);
	else
	{
		done = file_write_all(fd, line, strlen(line), path, err);
		close(fd);
	}
	free(line);
	return done;
}

Json *
note_read(const char *path)
{
	StrBuf line = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	Json *obj = NULL;
	const char *json;
	char *end;

	if (file_slurp(path, FILE_MAX, &line, &ignored) && line.len > CRC_LEN + 2 &&
		line.data[line.len - 1] == '\n')
	{
		size_t len = line.len - CRC_LEN - 2;

		json = line.data + CRC_LEN + 1;
		if (strtoul(line.data, &end, 16) == crc32c(0, json, len) &&
			end == line.data + CRC_LEN)
			obj = json_parse(json, len, &ignored);
	}
	error_clear(&ignored);
	strbuf_free(&line);
	return obj;
}

/* ---- files ---- */

static int64_t
nanoseconds(const struct timespec *t)
{
	return (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
}

Json *
note_identity(const struct stat *st)
{
	Json *obj = json_new_object();

	json_put_int(obj, "device", (int64_t) st->st_dev);
	json_put_int(obj, "inode", (int64_t) st->st_ino);
	json_put_int(obj, "size", st->st_size);
	json_put_int(obj, "modified", nanoseconds(&st->st_mtim));
	json_put_int(obj, "changed", nanoseconds(&st->st_ctim));
	return obj;
}

bool
note_is_identity(const Json *obj, const struct stat *st)
{
	return json_get_int(obj, "device", -1) == (int64_t) st->st_dev &&
		   json_get_int(obj, "inode", -1) == (int64_t) st->st_ino &&
		   json_get_int(obj, "size", -1) == st->st_size &&
		   json_get_int(obj, "modified", -1) == nanoseconds(&st->st_mtim) &&
		   json_get_int(obj, "changed", -1) == nanoseconds(&st->st_ctim);
}

/* ---- errors ---- */

Json *
note_error(const Error *why)
{
	Json *obj = json_new_object();

	json_put_int(obj, "code", why->code);
	json_put_bool(obj, "transient", why->transient);
	json_put_str(obj, "message", why->message);
	json_put_str(obj, "detail", why->detail);
	json_put_str(obj, "hint", why->hint);
	return obj;
}

void
note_take_error(const Json *obj, Error *why)
{
	const char *detail = json_get_str(obj, "detail", NULL);
	const char *hint = json_get_str(obj, "hint", NULL);
	int64_t code = json_get_int(obj, "code", ERR_INTERNAL);

	if (code <= ERR_NONE || code > ERR_INTERNAL)
		code = ERR_INTERNAL;
	error_set(why, (ErrCode) code, "%s",
			  json_get_str(obj, "message", "no reason was given"));
	if (detail != NULL)
		error_detail(why, "%s", detail);
	if (hint != NULL)
		error_hint(why, "%s", hint);
	why->transient = json_get_bool(obj, "transient", false);
}
