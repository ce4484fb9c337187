/*-------------------------------------------------------------------------
 *
 * missing.h
 *	  What a repository lacks of what the others hold.
 *
 * Not all that others have is missed: what retention has given up in this
 * repository must not come back.  So two rules.  Older than the oldest that
 * the repository keeps is gone on purpose: a backup that began before its
 * oldest complete one, and WAL before both its first segment and the start of
 * its oldest backup (a backup of which something still lies there counts as
 * damaged, not as given up).  And what its own retention policy would give up,
 * had it all that the others have, is not missed either.  A repository without
 * backups misses them all, one without WAL of a cluster all of that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MISSING_H
#define PGDR_MISSING_H

#include "repo/retention.h"

/* From where on WAL of a cluster is wanted. */
typedef struct MissingFloor
{
	WalHome home;
	uint64_t lsn;
} MissingFloor;

typedef struct Missing
{
	const CatalogBackup **backups; /* of the union, in its order */
	size_t backup_count;
	uint64_t segments;
	WalHome home;  /* of the first that is missing, if there is one */
	WalName first; /* and it */
	MissingFloor *floors;
	size_t floor_count;
	RetentionPlan plan; /* of the policy on the union */
} Missing;

/* all is the union of own and the others; it must outlive *out. */
extern void missing_find(const Catalog *own, const Catalog *all,
						 const RetentionPolicy *policy, int64_t now,
						 Missing *out);
extern void missing_free(Missing *missing);

/*
 * Should this WAL file be there?  Histories always; segment_size is the
 * cluster's.
 */
extern bool missing_wants_wal(const Missing *missing, const WalHome *home,
							  const WalName *name, uint32_t segment_size);

#endif
