/*-------------------------------------------------------------------------
 *
 * repair_internal.h
 *	  What the parts of repair share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPAIR_INTERNAL_H
#define PGDR_REPAIR_INTERNAL_H

#include "job/missing.h"
#include "job/repair.h"

typedef struct Repair
{
	/* fixed */
	RepoSet *set;
	const RepairOptions *options;
	RepairResult *out;

	/* by member; of those that are not open nothing */
	Inventory *inventories;
	Catalog *catalogs;
	bool *looked_at;
	Catalog all; /* of all together */

	TransferPlan plan;
} Repair;

/* Is this member to be repaired (and not only a source)? */
extern bool repair_is_target(const Repair *r, size_t member);

extern void repair_action(Repair *r, const RepairAction *action);

/* Reports that something in this member stays as it is; clears *why. */
extern void repair_problem(Repair *r, size_t member, const char *check,
						   const char *object, Error *why);

/* repair_root.c: members that are not open because of their repo.json. */
extern void repair_roots(Repair *r);

/* repair_plan.c: what is to be brought to one member. */
extern bool repair_plan(Repair *r, size_t member, Error *err);

#endif
