/*-------------------------------------------------------------------------
 *
 * cmd.h
 *	  What a command is, its options, its output and its exit status.
 *
 * With --output=json each line of standard output is one JSON object with a
 * "type":
 *	log			level (debug, info, warning), message, detail, hint
 *	progress	phase, done_bytes, total_bytes, done_items, total_items,
 *				elapsed_ms
 *	error		code (error_code_name), message, detail, hint, transient, exit
 *	problem		severity (error, warning), repository, check, object, message,
 *				detail, hint
 *	repository, backup, wal_range, timeline, recovery_window, decision,
 *	object, plan, action	items of a listing (doc/pgdr.md has their members)
 *	result		command, and what the command made; always the last line of a
 *				command that did what it was asked to
 * Absent members are unknown or do not apply.  Times are ISO 8601 in UTC,
 * positions "0/1000000", sizes bytes, durations milliseconds (_ms).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CMD_H
#define PGDR_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "cmd/settings.h"
#include "job/verify.h"
#include "repo/repo_set.h"

/* Exit statuses (doc/pgdr.md). */
#define EXIT_DONE 0
#define EXIT_ABSENT 1 /* archive-get only: not in the archive */
#define EXIT_USAGE 2
#define EXIT_CONFIGURATION 3
#define EXIT_NOT_FOUND 4
#define EXIT_CONFLICT 5 /* exists already, other cluster, busy */
#define EXIT_DAMAGED 6
#define EXIT_KEY 7
#define EXIT_INCOMPLETE 8 /* hole in the WAL, target not reachable */
#define EXIT_STORE 9      /* store or disk: I/O, full, denied, time-out */
#define EXIT_PROBLEMS 10  /* done, but problems were found */
#define EXIT_CANCELED 11
#define EXIT_SERVER 12 /* PostgreSQL said no */
#define EXIT_INTERNAL 13
#define EXIT_GET_BASE 200 /* archive-get: 200..209, aborts recovery */

typedef enum OptionKind
{
	OPTION_FLAG, /* --dry-run */
	OPTION_TEXT, /* --label TEXT or --label=TEXT */
	OPTION_INT,
	OPTION_LIST /* may repeat */
} OptionKind;

typedef struct OptionSpec
{
	const char *name; /* without "--"; NULL ends a table */
	OptionKind kind;
	const char *metavar; /* "DIR" */
	const char *help;
} OptionSpec;

typedef struct Context Context;

typedef struct Command
{
	const char *name;      /* "archive-push" */
	const char *arguments; /* "PATH" for the usage line, or "" */
	const char *summary;   /* lower case, no period */
	int min_args;
	int max_args;
	const OptionSpec *options; /* of this command alone, or NULL */
	bool (*run)(Context *ctx, Error *err);
	/* Exit status of an error; NULL for the common mapping. */
	int (*exit_status)(const Error *err);
	/* What it prints is all that it does: not to be heard is to fail. */
	bool is_query;
	/* Takes long, and nobody waits for each second: "nice" is for it. */
	bool is_nice;
} Command;

/* ---- what a command reads ---- */
extern const char *ctx_option(const Context *ctx,
							  const char *name); /* or NULL */
extern bool ctx_flag(const Context *ctx, const char *name);
/* *value stays as it is when the option is not given. */
extern bool ctx_option_int(const Context *ctx, const char *name, int64_t min,
						   int64_t max, int64_t *value, Error *err);
/* The i-th value of a list option, or NULL. */
extern const char *ctx_option_at(const Context *ctx, const char *name,
								 size_t i);
extern const char *ctx_argument(const Context *ctx, int i); /* or NULL */
extern const char *ctx_program(const Context *ctx); /* absolute path of pgdr */

/* Loads the configuration at the first call. */
extern const Settings *ctx_settings(Context *ctx, Error *err);
/* Before ctx_repo(): identities are not needed and need not be readable. */
extern void ctx_only_writes(Context *ctx);
/* All repositories, or those chosen with --repo; none is opened by this. */
extern RepoSet *ctx_repo_set(Context *ctx, Error *err);
/* All of them, whatever --repo says; and two of them, in this order. */
extern RepoSet *ctx_all_repos(Context *ctx, Error *err);
extern RepoSet *ctx_pair(Context *ctx, const char *first, const char *second,
						 Error *err);
/* What the configuration says of a member of that set. */
extern const RepoSettings *ctx_member_settings(const Context *ctx,
											   size_t member);
/* The repository chosen with --repo, else the first; opened once. */
extern Repo *ctx_repo(Context *ctx, Error *err);
/* One by its name; ERR_USAGE if there is none such. */
extern const RepoSettings *ctx_repo_named(Context *ctx, const char *name,
										  Error *err);

/*
 * One repository after the other; what is emitted meanwhile gets a member
 * "repository".  One that fails does not keep the others from their turn: the
 * error is the first one's, with the others in its detail.
 */
typedef struct EachRepo
{
	bool (*run)(Context *ctx, size_t member, Repo *repo, void *arg, Error *err);
	void *arg;
	bool forgive_absence; /* ERR_NOT_FOUND, if it is not so everywhere */
	bool quiet;           /* no heading for people */
} EachRepo;
extern bool ctx_each_repo(Context *ctx, const EachRepo *each, Error *err);
/* What is emitted from now on is about this member; SIZE_MAX: about none. */
extern void ctx_current(Context *ctx, size_t member);

/* ---- what a command says ---- */
extern bool ctx_json(const Context *ctx);
/* Text for people on standard output; nothing in JSON mode. */
extern void ctx_print(Context *ctx, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* One JSON line of the given type; nothing in text mode.  Takes obj over. */
extern void ctx_emit(Context *ctx, const char *type, Json *obj);
/*
 * What became of each member: an array of objects with name, whether it has
 * no why (under the key given), and its message if it has.
 */
extern Json *ctx_outcomes_json(const RepoSet *set, const char *key);
/* A problem, in either mode; also counts. */
extern void ctx_problem(void *ctx, const Problem *problem);
/* Ask for EXIT_PROBLEMS although the command did its work. */
extern void ctx_found_problems(Context *ctx);
/* Ask for another status than 0 although there is no error to report. */
extern void ctx_exit_with(Context *ctx, int status);

/* Shows the counters until stopped: a line on a terminal, JSON lines. */
extern Progress *ctx_progress_start(Context *ctx);
extern void ctx_progress_stop(Context *ctx);

/* Sizes for people: "12.3 MB".  buf of 32 bytes. */
extern char *size_text(uint64_t bytes, char *buf);

/* ---- the table ---- */
extern const Command cmd_init;
extern const Command cmd_archive_push;
extern const Command cmd_archive_get;
extern const Command cmd_backup;
extern const Command cmd_restore;
extern const Command cmd_restore_table;
extern const Command cmd_info;
extern const Command cmd_check;
extern const Command cmd_verify;
extern const Command cmd_expire;
extern const Command cmd_delete;
extern const Command cmd_pin;
extern const Command cmd_unpin;
extern const Command cmd_hold;
extern const Command cmd_release;
extern const Command cmd_repair;
extern const Command cmd_repo_init;
extern const Command cmd_repo_copy;
extern const Command cmd_repo_ls;
extern const Command cmd_repo_get;
extern const Command cmd_key;

#endif
