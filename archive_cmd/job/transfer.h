/*-------------------------------------------------------------------------
 *
 * transfer.h
 *	  Copies objects between the repositories of a set, as they are stored,
 *	  verified on the way: what repair and repo-copy have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TRANSFER_H
#define PGDR_TRANSFER_H

#include "base/progress.h"
#include "job/inventory.h"
#include "repo/manifest.h"
#include "repo/repo_set.h"

typedef enum TransferKind
{
	TRANSFER_COPY,      /* it is missing */
	TRANSFER_REPLACE,   /* it is damaged: put aside, then copied */
	TRANSFER_QUARANTINE /* it is damaged, and not needed: put aside */
} TransferKind;

/* A backup that comes to be complete in one repository. */
typedef struct TransferBackup
{
	char *label;
	size_t target;
	const BackupInfo *info; /* says what else it needs, or NULL */
	bool *sources;          /* by member: it has this very backup */
	bool unfinished; /* it has no manifest there: a lease says that it is in
					  * work, and the manifest comes last */
	size_t failed;   /* objects that did not get there; under the lock */
} TransferBackup;

typedef struct Transfer
{
	TransferKind kind;
	char *name;
	size_t target;          /* member of the set */
	TransferBackup *backup; /* NULL: any member may be the source */
	bool last;              /* of its backup: the manifest */
	bool optional;          /* the backup is complete without it: a map */
	uint64_t size;
	bool done;
} Transfer;

/* What is reported of each; one at a time, from any thread. */
typedef struct TransferReport
{
	const Transfer *transfer;
	const char *source; /* name of the repository, or NULL */
	const Error *why;   /* NULL: it is done */
} TransferReport;
typedef void (*TransferFn)(void *arg, const TransferReport *report);

typedef struct TransferPlan
{
	/* set by the caller */
	RepoSet *set;
	Inventory *inventories; /* by member */
	int workers;
	Progress *progress; /* or NULL */
	TransferFn report;
	void *arg;

	/* filled by transfer_add() and transfer_backup() */
	Transfer **items;
	size_t count;
	size_t cap;
	TransferBackup **backups;
	size_t backup_count;
	size_t backup_cap;
} TransferPlan;

/* Copies name; the caller may change what it returns before the run. */
extern Transfer *transfer_add(TransferPlan *plan, TransferKind kind,
							  size_t target, const char *name);

/* The one of this label and target, made if there is none. */
extern TransferBackup *transfer_backup(TransferPlan *plan, const char *label,
									   size_t target);

/*
 * Does all of it, and what was added twice once.  A manifest is not brought
 * where a pack, its own or one that it references, failed to get.  A transfer that fails is reported, and the others go on;
 * false only when a stop was asked for.  A repository that takes nothing any
 * more (full, denied, unreachable) is tried no further.
 */
extern bool transfer_run(TransferPlan *plan, Error *err);
extern void transfer_plan_free(TransferPlan *plan);

#endif
