/*-------------------------------------------------------------------------
 *
 * inventory.h
 *	  The names of all objects of a repository, and which are intact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_INVENTORY_H
#define PGDR_INVENTORY_H

#include "base/progress.h"
#include "repo/repo.h"

typedef enum ItemState
{
	ITEM_UNKNOWN, /* nobody has looked */
	ITEM_SOUND,   /* its stored bytes are what was written */
	ITEM_CLOSED,  /* likewise, but none of our identities opens it: it is
				   * meant for others, or its head is damaged */
	ITEM_DAMAGED,
	ITEM_UNREADABLE /* the store does not give it */
} ItemState;

typedef struct InventoryItem
{
	char *name;
	uint64_t size; /* stored, 0 where the store does not tell */
	ItemState state;
	Error why; /* of those that are not sound */
} InventoryItem;

typedef struct Inventory
{
	InventoryItem *items; /* sorted by name */
	size_t count;
	size_t cap;
} Inventory;

/* Without repo.json, notes of verify, what was put aside or is staged. */
extern bool inventory_load(Repo *repo, Inventory *out, Error *err);
extern void inventory_free(Inventory *inventory);

extern InventoryItem *inventory_find(const Inventory *inventory,
									 const char *name); /* or NULL */

/*
 * Calls fn for each item, in several threads, each with a connection of its
 * own; the first failure ends it.
 */
typedef bool (*InventoryFn)(void *arg, Repo *repo, InventoryItem *item,
							Error *err);
typedef struct InventoryWork
{
	InventoryFn fn;
	void *arg;
	int workers;
	Progress *progress; /* or NULL */
} InventoryWork;
extern bool inventory_each(Repo *repo, Inventory *inventory,
						   const InventoryWork *work, Error *err);

/*
 * Reads every object as it is stored and sets its state.  False when the store
 * as a whole does not answer, or a stop was asked for.
 */
extern bool inventory_check(Repo *repo, Inventory *inventory, int workers,
							Progress *progress, Error *err);

/* The same of one. */
extern bool inventory_check_item(Repo *repo, InventoryItem *item, Error *err);

/*
 * Is this backup the same in both, as far as packs of it lie here and are not
 * known to be damaged?  For when there is no manifest here to tell.
 */
extern bool inventory_packs_agree(Repo *here, const Inventory *inventory,
								  Repo *there, const char *label, bool *agree,
								  Error *err);

/* The label in "backup/<label>/..."; NULL if it is none; caller frees. */
extern char *inventory_label(const char *name);

/* The number of the pack that this is, or is the map of; 0 if it is neither. */
extern uint32_t inventory_pack(const char *name);

#endif
