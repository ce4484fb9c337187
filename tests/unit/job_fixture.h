/*-------------------------------------------------------------------------
 *
 * job_fixture.h
 *	  WAL files and a repository for the tests of push and get.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_JOB_FIXTURE_H
#define PGDR_JOB_FIXTURE_H

#include "job/push.h"
#include "restore_fixture.h"

#define JOB_SYSID 42
#define JOB_SEGMENT (1024 * 1024)

/* The cluster that the files are of. */
extern PgControl job_control(void);

/*
 * Writes a segment with commits at the two times into directory dir; returns
 * its path, which the caller frees.  suffix is "" or ".partial".
 */
typedef struct JobSegment
{
	uint32_t timeline;
	uint64_t number;
	const char *suffix;
	int64_t first_commit;
	int64_t last_commit;
} JobSegment;
extern char *job_segment(const char *dir, const JobSegment *segment);

/* A small file, and back. */
extern char *job_text(const char *dir, const char *name, const char *text);
extern bool job_same_file(const char *a, const char *b);

/* Changes one byte in the middle, or cuts or extends the file to a size. */
extern void job_flip(const char *path);
extern void job_resize(const char *path, long size);

/* Pushes; the error's code, ERR_NONE for success. */
extern ErrCode job_push(Fixture *f, const char *path, PushResult *out,
						Error *err);

/* Path of the object of a WAL file; caller frees. */
extern char *job_object(const Fixture *f, const char *file);

#endif
