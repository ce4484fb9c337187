/*-------------------------------------------------------------------------
 *
 * wal_writer.h
 *	  Writes WAL as a server would, for the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_WAL_WRITER_H
#define PGDR_WAL_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define WAL_TEST_SEGMENT (1024 * 1024)
#define WAL_TEST_BLOCK 8192

typedef struct WalWriter
{
	uint8_t *data; /* from start on */
	size_t size;
	uint64_t start; /* position of the first byte */
	uint64_t lsn;   /* of the next byte */
	uint64_t prev;  /* of the last record */
	uint32_t timeline;
	uint16_t magic;
} WalWriter;

typedef struct WalTestRecord
{
	uint8_t rmgr;
	uint8_t info;
	uint32_t xid;
	const void *body; /* all behind the header */
	size_t len;
} WalTestRecord;

extern void wal_writer_init(WalWriter *w, uint64_t start, int segments);
extern void wal_writer_free(WalWriter *w);

/* Returns the record's position. */
extern uint64_t wal_writer_add(WalWriter *w, const WalTestRecord *record);

/* Leaves the rest of the page empty, as after a crash; flags are of the next
 * page. */
extern void wal_writer_next_page(WalWriter *w, uint16_t flags);

/* Goes to the start of the next segment, as after a switch. */
extern void wal_writer_next_segment(WalWriter *w);

/* Main data with its header, as the body of a record. */
extern void wal_body_main(StrBuf *body, const void *data, size_t len);

/* A commit or the like at that time (microseconds since 1970). */
extern uint64_t wal_writer_xact(WalWriter *w, uint8_t info, uint32_t xid,
								int64_t time);
/* A record of rmgr 10 with so many bytes of data. */
extern uint64_t wal_writer_filler(WalWriter *w, size_t len);

#endif
