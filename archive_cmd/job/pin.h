/*-------------------------------------------------------------------------
 *
 * pin.h
 *	  Keeps a backup from expiring, whatever the rules say: pins and legal
 *	  holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PIN_H
#define PGDR_PIN_H

#include "repo/catalog.h"

typedef enum PinAction
{
	PIN_SET,
	PIN_LIFT,
	HOLD_SET,
	HOLD_LIFT
} PinAction;

typedef struct PinSpec
{
	PinAction action;
	int64_t until;      /* of PIN_SET; 0: without an end */
	const char *reason; /* of HOLD_SET, or NULL */
} PinSpec;

/*
 * Adds the mark.  ERR_NOT_FOUND if there is no such backup that is complete or
 * unreadable, ERR_BUSY if it is just being removed.
 */
extern bool pin_backup(Repo *repo, const char *label, const PinSpec *spec,
					   Error *err);

#endif
