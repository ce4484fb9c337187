/*-------------------------------------------------------------------------
 *
 * control.h
 *	  What pg_control says, for the major versions 15 to 18.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CONTROL_H
#define PGDR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct PgControl
{
	uint64_t sysid;
	uint32_t control_version; /* 1300, 1700, 1800 */
	uint32_t catalog_version;
	int major; /* from PG_VERSION: 15 */
	int state; /* DBState as stored */
	uint64_t checkpoint_lsn;
	uint64_t redo_lsn; /* of the latest checkpoint */
	uint32_t timeline; /* of the latest checkpoint */
	uint64_t min_recovery_point;
	uint32_t min_recovery_timeline;
	uint32_t segment_size;
	uint32_t block_size;
	uint32_t wal_block_size;
	bool checksums;      /* data_checksum_version > 0 */
	int max_connections; /* what a recovery needs at least */
	int max_worker_processes;
	int max_wal_senders;
	int max_prepared_xacts;
	int max_locks_per_xact;
} PgControl;

#define PG_CONTROL_SIZE 8192 /* bytes of the file */

/*
 * Reads <pgdata>/global/pg_control and <pgdata>/PG_VERSION.  The file can be
 * torn while the server writes it: it is read up to ten times until its CRC
 * is right, else ERR_DAMAGED.  ERR_UNSUPPORTED for another major version.
 */
extern bool pg_control_read(const char *pgdata, PgControl *out, Error *err);

/* The same from bytes; ERR_DAMAGED if the CRC is wrong. */
extern bool pg_control_parse(const void *data, size_t len, int major,
							 PgControl *out, Error *err);

/* *major from <pgdata>/PG_VERSION. */
extern bool pg_version_read(const char *pgdata, int *major, Error *err);

extern const char *pg_control_state_name(int state);

/* Is a postmaster running here (postmaster.pid with a live process)? */
extern bool pg_server_is_running(const char *pgdata, bool *out, Error *err);

#endif
