/*-------------------------------------------------------------------------
 *
 * server.h
 *	  A connection to the live server (libpq is included by server.c only),
 *	  and backup control over it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SERVER_H
#define PGDR_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct Server Server;

typedef struct ServerInfo
{
	int version_num; /* 150020 */
	int major;
	uint64_t sysid;
	uint32_t timeline; /* of the last checkpoint, or the one replayed */
	bool in_recovery;
	bool superuser;
	char *data_directory; /* this and the next three are "" if the
								 * role may not see them */
	char *config_file;
	char *hba_file;
	char *ident_file;
	char *archive_mode;    /* "on" */
	char *archive_command; /* "(disabled)" while archive_mode is off */
	char *archive_library; /* "" if none */
	char *wal_level;
	uint32_t segment_size;
} ServerInfo;

/*
 * Connects with an application_name of "pgdr", a connect time-out (both can
 * be overruled by conninfo), statement_timeout and lock_timeout off, and a
 * search_path of pg_catalog.  ERR_SERVER with libpq's words; ERR_CONFIG when
 * conninfo itself cannot be read (not quoted: it may hold a password).
 * Every wait, here and below, ends with ERR_CANCELED soon after a stop request
 * (thread.h).  A Server is used by one thread at a time.
 */
extern bool server_connect(const char *conninfo, Server **out, Error *err);
extern void server_close(Server *s); /* NULL is fine; aborts a backup */
extern bool server_info(Server *s, ServerInfo *out, Error *err);
extern void server_info_free(ServerInfo *info);

/* One text value ("" for NULL); ERR_SERVER without a row. */
extern bool server_value(Server *s, const char *sql, char **out, Error *err);
/* The same with one parameter $1. */
extern bool server_value_1(Server *s, const char *sql, const char *param,
						   char **out, Error *err);
extern bool server_exec(Server *s, const char *sql, Error *err);
/* Rows of text; fn gets ncols values (NULL for a null). */
typedef bool (*ServerRowFn)(void *arg, char *const *values, int ncols,
							Error *err);
extern bool server_query(Server *s, const char *sql, ServerRowFn fn, void *arg,
						 Error *err);
/* A quoted SQL literal; caller frees. */
extern char *server_quote(Server *s, const char *text);

/* The position WAL is written to now (replayed, on a standby). */
extern bool server_current_lsn(Server *s, uint64_t *out, Error *err);

typedef struct ServerBackupStart
{
	uint64_t start_lsn; /* as pg_backup_start returned it: the redo
								 * point of the backup's checkpoint */
	uint32_t timeline;
} ServerBackupStart;

typedef struct ServerBackupStop
{
	uint64_t stop_lsn;
	char *backup_label;   /* contents of the file */
	char *tablespace_map; /* contents, "" if none */
	uint32_t timeline;
} ServerBackupStop;

/*
 * pg_backup_start(label, fast), or pg_start_backup's equivalent of the major.
 * A stop request (thread.h) cancels the wait for the checkpoint.
 */
extern bool server_backup_start(Server *s, const char *label, bool fast,
								ServerBackupStart *out, Error *err);
/* pg_backup_stop(wait_for_archive => false). */
extern bool server_backup_stop(Server *s, ServerBackupStop *out, Error *err);
extern void server_backup_stop_free(ServerBackupStop *stop);

#endif
