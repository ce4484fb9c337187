/*-------------------------------------------------------------------------
 *
 * key.h
 *	  The actions of "pgdr key", one file each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_KEY_H
#define PGDR_KEY_H

#include "cmd/cmd.h"

extern bool key_list(Context *ctx, Error *err);
extern bool key_rotate(Context *ctx, Error *err);
extern bool key_rewrap(Context *ctx, Error *err);

/* Is the key among them? */
extern bool key_is_recipient(const AgeRecipients *list,
							 const AgeRecipient *key);
extern bool key_is_identity(const RepoKeys *keys, const AgeRecipient *key);

#endif
