/*-------------------------------------------------------------------------
 *
 * restore_fixture.h
 *	  A repository with backups and WAL made up for the tests of restores: no
 *	  server has seen them, but pgdr cannot tell.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_FIXTURE_H
#define PGDR_RESTORE_FIXTURE_H

#include "base/mem.h"
#include "job/restore.h"

#define FIX_SEGMENT (1024 * 1024)
#define FIX_SYSID UINT64_C(7000000000000000001)
#define FIX_VERSION_DIR "PG_15_202209061"
/* Positions: so many segments, and bytes. */
#define FIX_LSN(segment, bytes) ((uint64_t) (segment) *FIX_SEGMENT + (bytes))
/* Times: so many seconds past midnight of 2026-11-21, UTC. */
#define FIX_TIME(seconds) \
	(INT64_C(1795219200000000) + (int64_t) (seconds) *1000000)

typedef struct Fixture
{
	char *dir; /* scratch, removed by fixture_end() */
	char *repo_path;
	RepoKeys keys;
	Repo *repo;
	RepoSet set;           /* of it alone */
	uint64_t prev_segment; /* the last that was made, and its last record */
	uint64_t prev_lsn;
} Fixture;

extern void fixture_begin(Fixture *f, bool encrypted);
extern void fixture_end(Fixture *f);

/* ---- WAL ---- */

typedef enum FixKind
{
	FIX_END,
	FIX_COMMIT,
	FIX_ABORT,
	FIX_POINT,
	FIX_SWITCH /* the rest of the segment is void */
} FixKind;

typedef struct FixRecord
{
	FixKind kind;
	uint32_t xid;
	int64_t time;
	const char *name;
} FixRecord;

/*
 * One segment with these records, which begin at its first page.  at, if not
 * NULL, gets where each of them begins, and behind that where the last ends.
 */
extern void fixture_wal(Fixture *f, uint32_t timeline, uint64_t segment,
						const FixRecord *records, uint64_t *at);
extern void fixture_history(Fixture *f, uint32_t timeline, const char *text);
extern void fixture_remove(Fixture *f, const char *object);
extern void fixture_remove_wal(Fixture *f, uint32_t timeline, uint64_t segment);

/* ---- backups ---- */

typedef struct FixBackup
{
	const char *label;
	uint32_t timeline;
	uint64_t start_lsn;
	uint64_t stop_lsn;
	int64_t stop_time;
	uint64_t damaged_pages;
	const char *tablespace; /* location of 16400; NULL: no tablespace */
} FixBackup;

/* What is in each backup, besides a tablespace's file. */
typedef struct FixFile
{
	const char *path;
	uint32_t mode;
	size_t size;      /* of made-up content */
	const char *text; /* or this */
} FixFile;

extern const FixFile fixture_files[];
extern const size_t fixture_file_count;
#define FIX_TABLESPACE_FILE "pg_tblspc/16400/" FIX_VERSION_DIR "/5/100"

/* The content of a file of that backup; caller frees. */
extern char *fixture_content(const char *path, size_t *len);
extern void fixture_backup(Fixture *f, const FixBackup *b);

#endif
