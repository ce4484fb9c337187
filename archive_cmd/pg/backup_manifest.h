/*-------------------------------------------------------------------------
 *
 * backup_manifest.h
 *	  Writes the backup_manifest that stock pg_verifybackup reads.
 *
 * The caller passes the text on as it is made: memory stays small however
 * many files there are.  The SHA-256 of the whole is computed by the caller's
 * function (pg/ does not know stream/).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_BACKUP_MANIFEST_H
#define PGDR_BACKUP_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct BackupManifestFile
{
	const char *path; /* as in the data directory */
	uint64_t size;
	int64_t mtime;         /* microseconds since 1970 */
	const char *algorithm; /* "CRC32C", "SHA256", or NULL for none */
	const char *checksum;  /* lower-case hex; CRC-32C in the byte order
								 * of backup_manifest (little-endian bytes) */
} BackupManifestFile;

typedef struct BackupManifestRange
{
	uint32_t timeline;
	uint64_t start_lsn;
	uint64_t end_lsn;
} BackupManifestRange;

/* Each adds text to out.  version is 1 up to 16, 2 (with sysid) from 17 on. */
extern void backup_manifest_begin(StrBuf *out, int major, uint64_t sysid);
extern void backup_manifest_file(StrBuf *out, const BackupManifestFile *file,
								 bool first);
extern void backup_manifest_ranges(StrBuf *out,
								   const BackupManifestRange *ranges,
								   int count);
/* The last line; sha256_hex is of everything before it. */
extern void backup_manifest_end(StrBuf *out, const char *sha256_hex);

#endif
