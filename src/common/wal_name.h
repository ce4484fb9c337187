/*-------------------------------------------------------------------------
 *
 * wal_name.h
 *	  Names of WAL files and positions, without PostgreSQL's headers, so that
 *	  the extension and the program agree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_WAL_NAME_H
#define DR_WAL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_NAME_LEN 24      /* TTTTTTTTLLLLLLLLSSSSSSSS */
#define WAL_FILE_NAME_MAX 64 /* room for every kind, with the NUL */
#define LSN_TEXT_LEN 18      /* "FFFFFFFF/FFFFFFFF" with the NUL */

typedef enum WalKind
{
	WAL_SEGMENT,         /* 000000010000000000000001 */
	WAL_PARTIAL,         /* 000000010000000000000001.partial */
	WAL_BACKUP_HISTORY,  /* 000000010000000000000001.00000028.backup */
	WAL_TIMELINE_HISTORY /* 00000002.history */
} WalKind;

typedef struct WalName
{
	WalKind kind;
	uint32_t timeline;
	uint32_t log;    /* 0 for a timeline history */
	uint32_t seg;    /* 0 for a timeline history */
	uint32_t offset; /* of a backup history only */
} WalName;

/* False if the text is not exactly the name of a file the archiver ships. */
extern bool wal_name_parse(const char *text, WalName *out);
extern void wal_name_format(const WalName *name, char out[WAL_FILE_NAME_MAX]);

/* Legal sizes are powers of two from 1 MB to 1 GB. */
extern bool wal_segment_size_ok(uint64_t size);

/*
 * False if seg is too large for the segment size (its name could not have
 * been made by a server with that wal_segment_size).
 */
extern bool wal_name_fits(const WalName *name, uint64_t segment_size);

/* Number of the segment since position 0, and back. */
extern uint64_t wal_segment_number(const WalName *name, uint64_t segment_size);
extern void wal_segment_name(uint32_t timeline, uint64_t number,
							 uint64_t segment_size, WalName *out);

/* "16/B374D848" */
extern void lsn_format(uint64_t lsn, char out[LSN_TEXT_LEN]);
extern bool lsn_parse(const char *text, uint64_t *out);

#endif
