/*-------------------------------------------------------------------------
 *
 * key_file.h
 *	  A new identity as the bytes of its file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_KEY_FILE_H
#define PGDR_KEY_FILE_H

#include "stream/age.h"

typedef struct KeyFile
{
	AgeRecipient recipient; /* the public key */
	const char *data;
	size_t len;

	/* what data points into */
	char *secret;
	StrBuf encrypted;
} KeyFile;

/* Encrypted with the passphrase in that file, unless it is NULL. */
extern bool key_file_make(const char *passphrase_file, KeyFile *out,
						  Error *err);
extern void key_file_free(KeyFile *key); /* wipes */

#endif
