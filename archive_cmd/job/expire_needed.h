/*-------------------------------------------------------------------------
 *
 * expire_needed.h
 *	  Which packs of backups that are gone others still need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_EXPIRE_NEEDED_H
#define PGDR_EXPIRE_NEEDED_H

#include "repo/catalog.h"

/*
 * May something in this repository need that pack of that backup, whose own
 * manifest is gone?  Those that reference it in the public part of their
 * manifest; a backup that is being written, of the one that it is based on;
 * and one whose manifest cannot be read, of all that are no newer.
 */
extern bool expire_is_needed(const Catalog *left, const char *label,
							 uint32_t pack);

#endif
