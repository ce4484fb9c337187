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
#include "repo/repo.h"

typedef struct PushResult
{
	char name[WAL_FILE_NAME_MAX];
	bool already; /* identical content was there before */
	uint64_t plain_size;
	uint64_t stored_size;
} PushResult;

/*
 * Checks the file (name, size, first page, cluster, timeline) against the
 * cluster that control describes and against the repository, and stores it.
 * True only when it is durable there, or lies there already, intact and with
 * the same content.
 *
 * ERR_MISMATCH: of another cluster, or of a timeline that another one
 * superseded before this segment begins.  ERR_EXISTS: the name is taken by
 * other content.  ERR_DAMAGED: truncated, or not WAL; or what lies in the
 * repository under this name is damaged.
 */
extern bool push_file(Repo *repo, const char *path, const PgControl *control,
					  PushResult *out, Error *err);

#endif
