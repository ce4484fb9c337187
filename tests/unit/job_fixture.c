/*-------------------------------------------------------------------------
 *
 * job_fixture.c
 *	  WAL files and a repository for the tests of push and get.
 *
 *-------------------------------------------------------------------------
 */
#include "job_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "wal_writer.h"

#define XACT_COMMIT 0x00

static void
need(bool done, const char *what)
{
	if (done)
		return;
	printf("Bail out! could not %s\n", what);
	exit(1);
}

PgControl
job_control(void)
{
	return (PgControl){.sysid = JOB_SYSID,
					   .major = 15,
					   .timeline = 1,
					   .segment_size = JOB_SEGMENT,
					   .wal_block_size = 8192};
}

static void
write_file(const char *path, const void *data, size_t len)
{
	Error err = ERROR_INIT;

	need(file_write_durable(path, data, len, 0600, true, &err), "write a file");
}

char *
job_segment(const char *dir, const JobSegment *s)
{
	WalWriter w;
	WalName name;
	char file[WAL_FILE_NAME_MAX];
	char *path;

	wal_writer_init(&w, s->number * JOB_SEGMENT, 1);
	w.timeline = s->timeline;
	wal_writer_xact(&w, XACT_COMMIT, 700, s->first_commit);
	for (int i = 0; i < 40; i++)
		wal_writer_filler(&w, 20000);
	wal_writer_xact(&w, XACT_COMMIT, 701, s->last_commit);
	wal_segment_name(s->timeline, s->number, JOB_SEGMENT, &name);
	wal_name_format(&name, file);
	path = mem_printf("%s/%s%s", dir, file, s->suffix ? s->suffix : "");
	write_file(path, w.data, w.size);
	wal_writer_free(&w);
	return path;
}

char *
job_text(const char *dir, const char *name, const char *text)
{
	char *path = file_join(dir, name);

	write_file(path, text, strlen(text));
	return path;
}

bool
job_same_file(const char *a, const char *b)
{
	StrBuf x = STRBUF_INIT;
	StrBuf y = STRBUF_INIT;
	Error err = ERROR_INIT;
	bool same = file_slurp(a, 1 << 24, &x, &err) &&
				file_slurp(b, 1 << 24, &y, &err) && x.len == y.len &&
				memcmp(x.data, y.data, x.len) == 0;

	error_clear(&err);
	strbuf_free(&x);
	strbuf_free(&y);
	return same;
}

void
job_flip(const char *path)
{
	struct stat st;
	uint8_t byte = 0;
	int fd;

	need(chmod(path, 0600) == 0, "change a mode");
	fd = open(path, O_RDWR);
	need(fd >= 0 && fstat(fd, &st) == 0 &&
			 pread(fd, &byte, 1, st.st_size / 2) == 1,
		 "read a byte");
	byte ^= 0x20;
	need(pwrite(fd, &byte, 1, st.st_size / 2) == 1, "write a byte");
	close(fd);
}

void
job_resize(const char *path, long size)
{
	need(chmod(path, 0600) == 0 && truncate(path, size) == 0, "cut a file");
}

ErrCode
job_push(Fixture *f, const char *path, PushResult *out, Error *err)
{
	PgControl control = job_control();

	error_clear(err);
	/* each attempt is a process of its own */
	error_clear(&f->set.members[0].why);
	return push_file(&f->set, path, &control, out, err) ? ERR_NONE : err->code;
}

char *
job_object(const Fixture *f, const char *file)
{
	const WalHome home = {.sysid = JOB_SYSID, .major = 15};
	WalName name;
	char *object;
	char *path;

	need(wal_name_parse(file, &name), "name a WAL file");
	object = repo_wal_name(&home, &name);
	path = file_join(f->repo_path, object);
	free(object);
	return path;
}
