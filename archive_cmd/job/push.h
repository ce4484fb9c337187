/*-------------------------------------------------------------------------
 *
 * push.h
 *	  Puts one WAL file into a repository, as archive_command.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PUSH_H
#define PGDR_PUSH_H

#include "pg/control.h"
#include "repo/repo_set.h"

typedef struct PushResult
{
	char name[WAL_FILE_NAME_MAX];
	bool already; /* identical content was there before, in all */
	uint64_t plain_size;
	uint64_t stored_size;
} PushResult;

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

#endif
