/*-------------------------------------------------------------------------
 *
 * sftp_write.h
 *	  A writer of the sftp driver, and how it names its object; only
 *	  sftp_write.c and sftp_name.c include this.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SFTP_WRITE_H
#define PGDR_SFTP_WRITE_H

#include "base/digest.h"
#include "base/mem.h"
#include "storage/sftp.h"

typedef struct SftpWriter
{
	StorageWriter base;
	SftpStorage *ss;
	char *target;  /* path of the object */
	char *temp;    /* path of the temporary file, NULL: not made yet */
	SshFile *file; /* open for writing; may be dead */
	size_t head_len;
	const void *head; /* known from commit on */

	StrBuf buf;      /* bytes that are not yet sure to be in the file */
	uint64_t offset; /* of buf in the file */

	/* SHA-256 of each block between head and offset */
	uint8_t (*sums)[SHA256_LEN];
	size_t blocks;
	size_t sums_cap;

	bool sync_sent;
	bool synced;
	SshAttrs attrs; /* of the temporary file when it was complete */

	bool rename_lost; /* one was sent, and no answer came */
	bool keep_temp;   /* it must not be removed */
	bool named;
} SftpWriter;

/* Steps: give the name (ERR_EXISTS), make it durable. */
extern bool sftp_step_name(SftpStorage *ss, void *arg, Error *err);
extern bool sftp_step_sync_name(SftpStorage *ss, void *arg, Error *err);

#endif
