/*-------------------------------------------------------------------------
 *
 * catalog_internal.h
 *	  What the files of the catalog share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CATALOG_INTERNAL_H
#define PGDR_CATALOG_INTERNAL_H

#include "repo/catalog.h"

extern void catalog_backup_free(CatalogBackup *backup);
extern void catalog_sort_backups(Catalog *catalog);

/* Sets wal_ok of each complete backup. */
extern void catalog_find_wal_ok(Catalog *catalog);

#endif
