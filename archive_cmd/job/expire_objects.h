/*-------------------------------------------------------------------------
 *
 * expire_objects.h
 *	  Removes the objects of one backup, or the WAL before a cutoff.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_EXPIRE_OBJECTS_H
#define PGDR_EXPIRE_OBJECTS_H

#include "job/expire.h"

/*
 * The manifest: from then on there is no backup.  *objects, out->bytes and out->locked
 * (what the store does not let go yet: that stays) count up.
 */
extern bool expire_remove_manifest(Repo *repo, const char *label,
								   uint64_t *objects, ExpireResult *out,
								   Error *err);

/*
 * All else below backup/<label>/, the leases last; but not the packs and maps
 * that what is left needs.
 */
extern bool expire_remove_parts(Repo *repo, const char *label,
								const Catalog *left, uint64_t *objects,
								ExpireResult *out, Error *err);

/*
 * Segments, .partial and .backup files, oldest first; never a history.  The
 * cutoffs are of one timeline: as many as from the i-th are beside each other.
 */
extern size_t expire_cutoffs_of_timeline(const RetentionPlan *plan, size_t i);
extern bool expire_remove_wal(Repo *repo, const WalCutoff *cutoffs,
							  size_t count, ExpireResult *out, Error *err);

/* Notes of what was verified before that time (repo/verified.h). */
extern bool expire_remove_notes(Repo *repo, int64_t before, Error *err);

/* What was put aside before that time. */
extern bool expire_remove_quarantine(Repo *repo, int64_t before,
									 uint64_t *objects, ExpireResult *out,
									 Error *err);

#endif
