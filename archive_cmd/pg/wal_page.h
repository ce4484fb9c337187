/*-------------------------------------------------------------------------
 *
 * wal_page.h
 *	  The header of a WAL segment's first page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_WAL_PAGE_H
#define PGDR_WAL_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "common/wal_name.h"

#define WAL_LONG_HEADER_LEN 40

typedef struct WalPageHeader
{
	int major; /* from the magic: 15 to 18 */
	uint16_t info;
	uint32_t timeline;
	uint64_t page_lsn;
	uint64_t sysid;
	uint32_t segment_size;
	uint32_t block_size; /* of WAL */
} WalPageHeader;

/* The major version whose WAL pages begin with this magic number, or 0. */
extern int wal_magic_major(uint16_t magic);

/* ERR_DAMAGED when this is not the first page of a segment of a known major. */
extern bool wal_page_parse(const void *data, size_t len, WalPageHeader *out,
						   Error *err);

/* What the segment must belong to; 0 means not known, not checked. */
typedef struct WalExpect
{
	uint64_t sysid;
	int major;
	uint32_t segment_size;
} WalExpect;

/*
 * Does the first page belong to the segment called name, and to this cluster?
 * ERR_MISMATCH with the two values in the detail.  The page's timeline may be
 * lower than the name's (the first segment of a timeline begins with a copy)
 * but never higher.
 */
extern bool wal_page_check(const WalPageHeader *page, const WalName *name,
						   const WalExpect *expect, Error *err);

#endif
