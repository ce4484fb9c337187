/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Looks for whatever would keep this cluster from being archived, backed
 *	  up and recovered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CHECK_H
#define PGDR_CHECK_H

#include "job/verify.h"
#include "repo/repo_set.h"
#include "repo/retention.h"

/* A recipient, for the question how old it is. */
typedef struct CheckKey
{
	const char *recipient; /* "age1..." */
	int64_t created;       /* 0: not known */
} CheckKey;

typedef struct CheckOptions
{
	const char *pgdata;
	const char *connection;
	const char *config_file;   /* which archive_command should name */
	const char *identity_file; /* NULL: none configured */
	const CheckKey *keys;
	size_t key_count;
	int64_t key_max_age; /* microseconds; 0: as old as it likes */
	int64_t archive_timeout;
	bool archive; /* ship a segment through the real server */
	const RetentionPolicy *policies; /* by member of the set */
	ProblemFn problem;
	void *problem_arg;
} CheckOptions;

typedef struct CheckResult
{
	uint64_t errors;
	uint64_t warnings;
	char segment[WAL_FILE_NAME_MAX]; /* that went through, or "" */
	int64_t archive_usecs;           /* how long it took */
} CheckResult;

/*
 * Reports each problem through options->problem and goes on; false only when
 * the check itself could not be made.  With archive, writes a restore point,
 * switches the segment, waits until it is in the repositories and reads it
 * back (decoded if there is an identity, else as stored).  Of several
 * repositories it says what one lacks that others have; what concerns one
 * that is not required is a warning.
 */
extern bool check_run(RepoSet *set, const CheckOptions *options,
					  CheckResult *out, Error *err);

#endif
