/*-------------------------------------------------------------------------
 *
 * expire_claim.h
 *	  Marks backups that are about to be removed.
 *
 * Of two hosts of which each removes one of the last two good backups, both
 * would find that one is left.  So each says first what it is going to remove,
 * and looks then whether a good backup is left of which nobody says that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_EXPIRE_CLAIM_H
#define PGDR_EXPIRE_CLAIM_H

#include "repo/catalog.h"

/* So long a mark counts: whoever made an older one has given up. */
#define CLAIM_VALID_USECS (INT64_C(15) * 60 * 1000000)

typedef struct ExpireClaims
{
	char **labels;
	char **marks; /* names of the objects; NULL: there was no room for one */
	size_t count;
	size_t label_cap;
	size_t mark_cap;
	int64_t since; /* when the first was made */
} ExpireClaims;

/*
 * A repository that is full takes no mark, and must be emptied all the same:
 * that is a warning only.
 */
extern bool expire_claim(Repo *repo, const char *label, ExpireClaims *claims,
						 Error *err);

/*
 * ERR_BUSY unless of each cluster of which a good backup is claimed another
 * one is there that is good, and that nobody claims.
 */
extern bool expire_claims_check(Repo *repo, const Catalog *catalog,
								const ExpireClaims *claims, Error *err);

/* The backups stay after all, or one of them. */
extern void expire_claim_withdraw(Repo *repo, ExpireClaims *claims,
								  const char *label);
extern void expire_claims_withdraw(Repo *repo, const ExpireClaims *claims);
extern void expire_claims_free(ExpireClaims *claims);

#endif
