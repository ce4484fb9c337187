/*-------------------------------------------------------------------------
 *
 * push.h
 *	  Puts one WAL file into a repository, as archive_command.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_H
#define PGDR_PUSH_H

#include <sys/stat.h>

#include "base/json.h"
#include "pg/control.h"
#include "repo/repo_set.h"

typedef struct PushResult
{
	char name[WAL_FILE_NAME_MAX];
	bool already; /* identical content was there before, in all */
	uint64_t plain_size;
	uint64_t stored_size;
	struct stat source; /* the file that was read, as it was then */
} PushResult;

/*
 * Called when all is ready and only the object's name is to be taken: may wait,
 * and keeps the object from being stored by returning false.
 */
typedef struct PushGate
{
	bool (*pass)(void *arg, Error *err);
	void *arg;
} PushGate;

typedef struct PushJob
{
	const char *path;
	const PgControl *control;
	const PushGate *gate; /* or NULL */
	int threads;          /* to compress with; 0: none but this */
} PushJob;

/*
 * Checks the file (name, size, first page, cluster, timeline) against the
 * cluster that control describes and against the repositories, and stores it
 * in those that lack it, compressed and encrypted once.  True only when it is
 * durable in enough of them (repo_set_verdict), or lies there already, intact
 * and with the same content.  Which have not got it the whys of the set say,
 * and warnings; what has been stored stays.
 *
 * ERR_MISMATCH: of another cluster, or of a timeline that another one
 * superseded before this segment begins.  ERR_EXISTS: the name is taken by
 * other content.  ERR_DAMAGED: truncated, or not WAL; or what lies in the
 * repository under this name is damaged.
 */
extern bool push_file(RepoSet *set, const char *path, const PgControl *control,
					  PushResult *out, Error *err);
extern bool push_run(RepoSet *set, const PushJob *job, PushResult *out,
					 Error *err);

/*
 * What became of each repository: an array of objects with name, stored and,
 * if it is not, message and detail.
 */
extern Json *push_outcomes_json(const RepoSet *set);
extern bool push_outcomes_stored(const Json *outcomes, const char *repo);
/* Warns of those that are not stored, as repo_set_warn() does. */
extern void push_outcomes_warn(const Json *outcomes, const char *what);

#endif
