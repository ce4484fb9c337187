/*-------------------------------------------------------------------------
 *
 * restore_places.h
 *	  The directories that a restore writes to: the data directory and the
 *	  locations of tablespaces; whether it may, and how it makes them its own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_PLACES_H
#define PGDR_RESTORE_PLACES_H

#include "job/restore.h"
#include "job/restore_tree.h"
#include "repo/manifest.h"

typedef enum PlaceKind
{
	PLACE_DATA,
	PLACE_TABLESPACE, /* only the directory of this version in it is ours */
	PLACE_LINK        /* a directory of the data directory, moved elsewhere */
} PlaceKind;

typedef struct RestorePlace
{
	PlaceKind kind;
	uint32_t oid; /* of the tablespace */
	char *prefix; /* in the data directory: "", "pg_tblspc/16400", "pg_wal" */
	char *path;   /* absolute */
	char *real;   /* with links resolved, as far as it exists */
	int fd;       /* -1 until claimed */
	bool is_new;  /* its part of ours is empty */
} RestorePlace;

typedef struct RestorePlaces
{
	const RepoSet *set;
	const RestoreOptions *options;
	const Manifest *manifest;
	RestorePlace *items; /* the data directory first */
	size_t count;
	char *version_dir; /* "PG_15_202209061" */
} RestorePlaces;

/*
 * Finds out where everything goes and whether the directories fit together;
 * touches nothing.  ERR_USAGE when they do not.
 */
extern bool restore_places_resolve(const RepoSet *set,
								   const RestoreOptions *options,
								   const Manifest *manifest, RestorePlaces *out,
								   Error *err);

/* Makes one directory if it is absent, and locks it. */
extern bool restore_places_open(RestorePlace *place, Error *err);

/*
 * Makes the directories if they are absent, locks and checks them as
 * restore_run() promises, leaves the marker, and empties them; for a delta
 * restore, only of what is not in the backup.
 */
extern bool restore_places_claim(RestorePlaces *places, Error *err);

/*
 * In which place does this path of the manifest lie?  *rest is the path in
 * there; "" for the place itself (but the data directory).
 */
extern const RestorePlace *restore_places_find(const RestorePlaces *places,
											   const char *path,
											   const char **rest);

/* Makes all of them durable, each file system once. */
extern bool restore_places_sync(const RestorePlaces *places, Error *err);

/* Takes the marker away, durably: the restore is complete. */
extern bool restore_places_release(RestorePlaces *places, Error *err);

/* Closes and unlocks. */
extern void restore_places_free(RestorePlaces *places);

#endif
