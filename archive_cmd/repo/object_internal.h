/*-------------------------------------------------------------------------
 *
 * object_internal.h
 *	  What the object_*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_OBJECT_INTERNAL_H
#define PGDR_OBJECT_INTERNAL_H

#include "repo/object.h"

#define OBJECT_STANZA "pgdr-object"

/*
 * The metadata's text: JSON, padded with spaces to `room` bytes.  Its "mac" is
 * over everything before that member, keyed with the repository's MAC key.
 */
extern size_t object_meta_room(const ObjectSpec *spec, const Json *keys);
extern size_t object_meta_len(const ObjectMeta *meta); /* without padding */

/* The member "keys" for these recipients; the caller's. */
extern Json *object_key_ids(const AgeRecipients *recipients);
extern bool object_meta_format(const Repo *repo, const ObjectMeta *meta,
							   size_t room, char *out, Error *err);
/* Checks the MAC as well, if the content key is known. */
extern bool object_meta_parse(const Repo *repo, const char *text, size_t len,
							  ObjectMeta *out, Error *err);

/* The head of an object, parsed; an AgeHeader when encrypted. */
typedef struct ObjectHead
{
	StrBuf bytes; /* the head itself */
	AgeHeader age;
	ObjectMeta meta;
} ObjectHead;

extern void object_head_free(ObjectHead *head);

/*
 * Reads the head from r, which is at the start of the object; what was read
 * beyond it is left in *rest.  Checks that the object is called name.
 */
extern bool object_head_read(const Repo *repo, const char *name,
							 StorageReader *r, ObjectHead *head, StrBuf *rest,
							 Error *err);

/*
 * What object_check_stored() does, of an object that lies under another name
 * for the time being; head gets its head.
 */
extern bool object_check_at(Repo *repo, const char *place, const char *name,
							ObjectHead *head, Error *err);

/* NULL with ERR_KEY when there is no identity. */
extern AgeFileKey *object_unlock(const Repo *repo, const ObjectHead *head,
								 Error *err);

/* Length and SHA-256 of a payload that has passed by. */
extern bool object_check_payload(const ObjectMeta *meta, Sha256 *sha256,
								 uint64_t size, Error *err);

/* Adds which object it is to an error about its contents. */
extern bool object_error(const Repo *repo, const char *name, Error *err);

#endif
