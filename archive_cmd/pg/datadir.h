/*-------------------------------------------------------------------------
 *
 * datadir.h
 *	  Walks a data directory as a base backup sees it: tablespaces included,
 *	  and what PostgreSQL leaves out left out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DATADIR_H
#define PGDR_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct DataFile
{
	char *path;    /* relative to the data directory; in a
								 * tablespace "pg_tblspc/<oid>/..." */
	uint64_t size; /* bytes now; may change until it is read */
	int64_t mtime; /* microseconds since 1970 */
	mode_t mode;   /* permission bits */
	bool is_dir;
} DataFile;

typedef struct DataTablespace
{
	uint32_t oid;
	char *location; /* where the link points, absolute; NULL for an
								 * in-place tablespace */
} DataTablespace;

typedef struct DataDir
{
	DataFile *files; /* directories before what is in them; sorted
								 * by path; global/pg_control is left out (it
								 * is copied last, by name) */
	size_t count;
	size_t cap;
	DataTablespace *tablespaces;
	size_t tablespace_count;
	uint64_t total_bytes;
} DataDir;

/*
 * Left out as PostgreSQL does: contents of pg_wal, pg_stat_tmp, pg_replslot,
 * pg_dynshmem, pg_notify, pg_serial, pg_snapshots, pg_subtrans (the
 * directories stay; pg_wal/archive_status is added, and pg_wal/summaries from
 * 17 on); pgsql_tmp*, pg_internal.init*, postmaster.pid, postmaster.opts,
 * backup_label*, tablespace_map*, backup_manifest, *.auto.conf.tmp,
 * current_logfiles*, recovery.signal, standby.signal, temporary relations, and
 * all forks but _init of unlogged relations; the directory of this major in
 * each tablespace only.  Files that vanish meanwhile are no error; a tablespace
 * whose directory is missing is ERR_INCOMPLETE.
 *
 * A tablespace's link is not among the files, only what is behind it (the
 * directory of an in-place tablespace is).  pg_wal as a link is taken as a
 * directory.  Other links are taken, with a warning logged, as what they lead
 * to if that is a file, or a directory of the server's own (pg_xact, say); any
 * other directory (log, say) as an empty one.  Sockets and the like are left
 * out with a warning.
 */
extern bool datadir_scan(const char *pgdata, int major,
						 uint32_t catalog_version, DataDir *out, Error *err);
extern void datadir_free(DataDir *dir);

#endif
