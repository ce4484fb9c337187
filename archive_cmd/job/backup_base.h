/*-------------------------------------------------------------------------
 *
 * backup_base.h
 *	  The earlier backup that an incremental one is compared with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_BASE_H
#define PGDR_BACKUP_BASE_H

#include "repo/catalog.h"
#include "repo/repo_set.h"

typedef enum BaseWish
{
	BASE_NONE,       /* a full backup */
	BASE_NEWEST,     /* incremental */
	BASE_NEWEST_FULL /* differential: incremental to the newest full one */
} BaseWish;

typedef struct BaseChoice
{
	BaseWish wish;
	const char *label; /* this one and no other, or NULL */
	WalHome home;      /* of the cluster */
} BaseChoice;

/*
 * The newest good backup of the cluster that lies, the same, in every required
 * member of the set and in as many as the quorum says.  Members that lack it
 * get a why: what refers to it would be incomplete there.  *label is the
 * caller's, NULL if there is none; of a choice with a label that is an error.
 */
extern bool backup_base_choose(RepoSet *set, const BaseChoice *choice,
							   char **label, Error *err);

/*
 * To be asked when the lease that names it is written: is it still there in
 * this repository, and does nobody remove it?  ERR_BUSY.
 */
extern bool backup_base_confirm(Repo *repo, const char *label, Error *err);

/* Its manifest, from the first member that gives it; *member is that one. */
extern bool backup_base_read(RepoSet *set, const char *label, Manifest *out,
							 size_t *member, Error *err);

#endif
