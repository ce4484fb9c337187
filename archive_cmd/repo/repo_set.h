/*-------------------------------------------------------------------------
 *
 * repo_set.h
 *	  The repositories of one cluster: the same content goes to all of them,
 *	  and is taken from whichever has it.
 *
 * A set is used by one thread.  A set of one behaves as that one repository.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPO_SET_H
#define PGDR_REPO_SET_H

#include "repo/repo.h"
#include "storage/fanout.h"

typedef struct RepoMember
{
	/* fixed */
	RepoOptions options; /* storage.repo is its name */
	bool required;       /* what is written must be in it */
	bool borrowed;       /* repo is closed by somebody else */

	/* mutable */
	Repo *repo; /* NULL: not opened, or it could not be */
	Error why;  /* why it could not be opened, or failed since */
} RepoMember;

typedef struct RepoSet
{
	RepoMember *members; /* in the order of the configuration */
	size_t count;
	size_t cap;
	uint32_t quorum;   /* so many must have what is written; 0: one */
	const char *spool; /* directory for notes of this host, or NULL */
} RepoSet;

/* Texts and keys stay the caller's. */
extern void repo_set_add(RepoSet *set, const RepoOptions *options,
						 bool required);
/* One that is open already, and stays the caller's. */
extern void repo_set_borrow(RepoSet *set, Repo *repo);
extern void repo_set_free(RepoSet *set);

extern const char *repo_set_name(const RepoSet *set, size_t member);

/*
 * Opened at the first call.  What keeps it from being opened stays in the
 * member's why, and *err gets a copy: later calls answer the same.  A member
 * with another content key than those that are open is ERR_MISMATCH, one that
 * is the same repository under a second name ERR_CONFIG.
 */
extern Repo *repo_set_open(RepoSet *set, size_t member, Error *err);

/* All at a time; see each member's repo and why. */
extern void repo_set_open_all(RepoSet *set);

/* One that is open, for what is the same in all (keys), or NULL. */
extern const Repo *repo_set_any(const RepoSet *set);

/* Those that could not be opened may be tried again. */
extern void repo_set_forget(RepoSet *set);

/* All are to be opened anew: what is open may have gone bad. */
extern void repo_set_close(RepoSet *set);

/* The member to be read in the nth place: directories first. */
extern size_t repo_set_nth(const RepoSet *set, size_t n);

/* How many must have what is written: the quorum, at least one. */
extern size_t repo_set_needed(const RepoSet *set);

/*
 * Do the members without a why suffice: every required one, and the quorum?
 * If not, *err has the causes of all.
 */
extern bool repo_set_verdict(const RepoSet *set, Error *err);

/*
 * Warns of each member that has a why: "repository "b" has not got WHAT: ...".
 */
extern void repo_set_warn(const RepoSet *set, const char *what);

/*
 * A repository through which is written to all members that are open, have no
 * why and, unless take is NULL, are taken.  A group is made if there is more
 * than one (its members count as those of the set); else *group is NULL and
 * *out that one member itself.  At least one must be left.
 */
extern void repo_set_fan_out(RepoSet *set, const bool *take, bool strict,
							 FanoutGroup **group, Repo **out);

/*
 * Ends that: the whys of those that were dropped become the members'.  group
 * and out may be NULL.
 */
extern void repo_set_fan_in(RepoSet *set, FanoutGroup *group, Repo *out);

#endif
