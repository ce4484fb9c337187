/*-------------------------------------------------------------------------
 *
 * wal_record.h
 *	  What a single WAL record says, for the scanner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_WAL_RECORD_H
#define PGDR_WAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/wal_scan.h"

#define WAL_RECORD_HEADER_LEN 24
#define WAL_RECORD_PREV_AT 8 /* position of the record before: 64 bits */
#define WAL_RECORD_CRC_AT 20 /* also the length of header that it covers */

#define WAL_POINT_NAME_MAX 65 /* of a restore point, with a NUL */

typedef struct WalRecord
{
	const uint8_t *data;
	size_t len;     /* of data, which may be the beginning only */
	uint32_t total; /* of the record */
	int major;
} WalRecord;

/* These look at the header alone. */
extern bool wal_record_is_switch(const uint8_t *head);
extern bool wal_record_may_tell(const uint8_t *head);

/*
 * Sets kind, time, xid and name (which is put into the caller's buffer).
 * False if the record is none of the events, or does not make sense.
 */
extern bool wal_record_event(const WalRecord *record, WalEvent *event,
							 char name[WAL_POINT_NAME_MAX]);

#endif
