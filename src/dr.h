/*-------------------------------------------------------------------------
 *
 * dr.h
 *	  What the files of the extension share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_H
#define DR_H

#include "postgres.h"

#include "fmgr.h"

/* dr.config_file; never NULL, may be empty. */
extern char *dr_config_file;

/* dr.sample_interval, milliseconds. */
extern int dr_sample_interval;

/* ---- actions.c: what the SQL calls ---- */
extern PGDLLEXPORT Datum dr_sync(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum dr_create_backup(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum dr_verify_integrity(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum dr_check(PG_FUNCTION_ARGS);

/* ---- commit_scan.c ---- */
extern PGDLLEXPORT Datum dr_first_commit(PG_FUNCTION_ARGS);

/* ---- archived.c, rpo.c, rpo_history.c ---- */
extern PGDLLEXPORT Datum dr_archived(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum dr_at_risk(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum dr_rpo_history(PG_FUNCTION_ARGS);

/* ---- mirror.c ---- */

/*
 * Reads the repository and replaces the mirror with what it holds, as the
 * given user, who owns the tables.  Must be called within SPI_connect_ext()
 * with SPI_OPT_NONATOMIC; commits.  On a standby it only says that it cannot.
 */
extern void dr_mirror_sync(Oid owner);

#endif
