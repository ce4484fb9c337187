/*-------------------------------------------------------------------------
 *
 * restore_select.h
 *	  Which databases a restore brings back with their contents.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_SELECT_H
#define PGDR_RESTORE_SELECT_H

#include "job/restore.h"
#include "repo/manifest.h"

typedef struct RestoreSelect
{
	uint32_t *oids; /* of those with contents */
	size_t count;   /* 0: all */
} RestoreSelect;

/* ERR_USAGE: there is no database of that name in the backup. */
extern bool restore_select_init(const Manifest *manifest,
								const RestoreOptions *options,
								RestoreSelect *out, Error *err);
extern void restore_select_free(RestoreSelect *select);

/* Is this file restored as nothing but zeros? */
extern bool restore_select_zeros(const RestoreSelect *select, const char *path);

#endif
