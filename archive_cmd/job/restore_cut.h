/*-------------------------------------------------------------------------
 *
 * restore_cut.h
 *	  Cuts the plaintext of one pack into files, as it passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_CUT_H
#define PGDR_RESTORE_CUT_H

#include "base/progress.h"
#include "job/restore_places.h"
#include "repo/manifest.h"

typedef struct RestoreCut
{
	const RestorePlaces *places;
	const char *label;        /* of the backup */
	const char *control_name; /* for global/pg_control */
	Progress *progress;       /* or NULL */
	bool *local;              /* set if this host is at fault: a file could
							   * not be written */
} RestoreCut;

/*
 * Reads the pack and writes its files, which are sorted by their place in it.
 * A file is complete only when its content hash has been compared, and nothing
 * of the pack may be relied on before this returns true.  On failure what was
 * written of it is removed again, unless it is this host that failed.
 */
extern bool restore_cut_pack(Repo *repo, const RestoreCut *cut,
							 const ManifestPack *pack,
							 const ManifestFile *const *files, size_t count,
							 Error *err);

/* A file without contents. */
extern bool restore_cut_empty(const RestoreCut *cut, const ManifestFile *file,
							  TreeCache *cache, Error *err);

#endif
