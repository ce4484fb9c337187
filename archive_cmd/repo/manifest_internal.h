/*-------------------------------------------------------------------------
 *
 * manifest_internal.h
 *	  What the manifest*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MANIFEST_INTERNAL_H
#define PGDR_MANIFEST_INTERNAL_H

#include "repo/manifest.h"

#define MANIFEST_VERSION 1

/*
 * Is the whole consistent?  Both ends ask this: a manifest that could not be
 * read must not be written.  ERR_DAMAGED.
 */
extern bool manifest_check(const Manifest *manifest, Error *err);

/* What packs_sha256 must be for these packs. */
extern void manifest_packs_sha256(const Manifest *manifest,
								  uint8_t out[SHA256_LEN]);

#endif
