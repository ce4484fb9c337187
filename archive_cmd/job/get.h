/*-------------------------------------------------------------------------
 *
 * get.h
 *	  Brings one WAL file back, as restore_command.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_GET_H
#define PGDR_GET_H

#include "repo/repo_set.h"

typedef struct GetOptions
{
	WalHome home;            /* sysid 0: the only one in the repository */
	uint32_t segment_size;   /* of the cluster; 0: not known */
	uint32_t timeline;       /* that the cluster is on; 0: not known */
	const char *name;        /* "000000010000000000000001", ... */
	const char *destination; /* path to write */
	/*
	 * The server itself makes what it has asked for durable, before it uses
	 * it: fsync of the file, rename, fsync of file and directory.  Here it is
	 * only begun to be written to the disk.
	 */
	bool server_syncs;
	/* That it is not there suffices: no search for what proves it missing. */
	bool no_reasons;
	/* Of repositories that were passed over; NULL: they are logged. */
	void (*warn)(void *arg, const Error *why);
	void *warn_arg;
} GetOptions;

/*
 * True: the file is at destination, complete, verified and (without
 * server_syncs) durable.  It is
 * written under a temporary name and renamed, so that nothing half-written is
 * ever there.  The repositories are tried in order, directories first; one
 * that cannot be read, or has it damaged, is passed over with a warning.
 *
 * ERR_NOT_FOUND: each repository answered that it has neither this file nor a
 * later one that proves that this one is missing.  ERR_INCOMPLETE: it is not
 * there, but later WAL of its timeline is, or a timeline that branched off
 * behind it: a hole.  (Likewise for a history file when the repository holds
 * later timelines, or segments of this one and the cluster is not on it.)
 * Without segment_size branches are not considered.  When no repository has
 * it, and one could not be asked, the error is that one's.  With no_reasons ERR_NOT_FOUND says only that
 * none has it.
 */
extern bool get_wal_file(RepoSet *set, const GetOptions *options, Error *err);

#endif
