/*-------------------------------------------------------------------------
 *
 * page.h
 *	  Checksums of data pages, and which files have them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PAGE_H
#define PGDR_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_PAGE_SIZE 8192
#define PG_RELSEG_BLOCKS 131072 /* blocks in a segment file (1 GB) */

typedef enum PageState
{
	PAGE_OK,
	PAGE_NEW,    /* all zeros, never written */
	PAGE_RECENT, /* changed since the backup began: WAL has it */
	PAGE_BAD     /* torn right now, or damaged */
} PageState;

/* As the server stores it in a page; block as in page_check. */
extern uint16_t page_checksum(const void *page, uint32_t block);

/*
 * block is the number within the relation (segment number included).
 * A page whose LSN is at or after start_lsn is PAGE_RECENT without a look at
 * its checksum; one whose LSN lies beyond limit_lsn (the server's present
 * position) only if its checksum is right, because a damaged LSN must not
 * excuse the page.  Any alignment will do.
 */
extern PageState page_check(const void *page, uint32_t block,
							uint64_t start_lsn, uint64_t limit_lsn);

/*
 * Is this a relation's file whose pages carry checksums ("base/5/1259",
 * "base/5/1259_fsm.1", "pg_tblspc/16400/PG_15_.../5/2619")?  *segment is the
 * number behind the dot, or 0.  The path is relative to the data directory.
 */
extern bool page_file(const char *path, uint32_t *segment);

#endif
