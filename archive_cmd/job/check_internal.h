/*-------------------------------------------------------------------------
 *
 * check_internal.h
 *	  What the parts of check share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CHECK_INTERNAL_H
#define PGDR_CHECK_INTERNAL_H

#include "job/check.h"
#include "pg/control.h"
#include "pg/server.h"

typedef struct Check
{
	/* fixed */
	RepoSet *set;
	const CheckOptions *options;
	CheckResult *out;

	/* what was found on the way */
	bool has_control;
	PgControl control; /* of pgdata */
	Server *server;    /* NULL if it could not be reached */
	ServerInfo info;
	bool archives; /* nothing known keeps the server from archiving here */

	/* the repository that is being looked at; NULL: none */
	Repo *repo;
	const RepoMember *member;
} Check;

/*
 * Reports what is set in *why as a problem and clears it.  check is the name
 * of the check ("archive_mode"), object what it is about.
 */
extern void check_error(Check *c, const char *check, const char *object,
						Error *why);
/* A warning if the repository in hand is not required. */
extern void check_member(Check *c, const char *check, const char *object,
						 Error *why);
extern void check_warning(Check *c, const char *check, const char *object,
						  Error *why);

/*
 * Is it only that a host without an identity may not read the store?  Others
 * have to look at what is there.
 */
extern bool check_may_be_denied(const Check *c, const Error *why);

/* Connects, and looks at the server's settings and archiver. */
extern void check_server(Check *c);

/* Ships a segment; false only when asked to stop. */
extern bool check_archive(Check *c, Error *err);

/* Makes the nth member the one in hand; false if it is not open. */
extern bool check_enter(Check *c, size_t member);
extern void check_leave(Check *c);

/* check_backups.c: the backups of all, and what one lacks. */
extern void check_backups(Check *c);

/* Which cluster's WAL it is about; sysid 0 if not known. */
extern WalHome check_home(const Check *c);

#endif
