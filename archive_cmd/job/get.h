/*-------------------------------------------------------------------------
 *
 * get.h
 *	  Brings one WAL file back, as restore_command.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_GET_H
#define PGDR_GET_H

#include "repo/repo.h"

typedef struct GetOptions
{
	WalHome home;            /* sysid 0: the only one in the repository */
	uint32_t segment_size;   /* of the cluster; 0: not known */
	uint32_t timeline;       /* that the cluster is on; 0: not known */
	const char *name;        /* "000000010000000000000001", ... */
	const char *destination; /* path to write */
} GetOptions;

/*
 * True: the file is at destination, complete, verified and durable.  It is
 * written under a temporary name and renamed, so that nothing half-written is
 * ever there.
 *
 * ERR_NOT_FOUND: the repository answered that it has neither this file nor a
 * later one that proves that this one is missing.  ERR_INCOMPLETE: it is not
 * there, but later WAL of its timeline is, or a timeline that branched off
 * behind it: a hole.  (Likewise for a history file when the repository holds
 * later timelines, or segments of this one and the cluster is not on it.)
 * Without segment_size branches are not considered.
 */
extern bool get_wal_file(Repo *repo, const GetOptions *options, Error *err);

#endif
