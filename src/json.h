/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Reading and writing the few shapes of JSON that pgdr and we exchange.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_JSON_H
#define DR_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * An object from its text in UTF-8, in the database's encoding; raises an
 * error for anything that is no object.
 */
extern Jsonb *dr_json_parse(const char *text, int len);

/* The text of a scalar member; NULL if it is absent, null or no scalar. */
extern char *dr_json_text(Jsonb *object, const char *key);

/* Appends "key":"value" to an object that is being written. */
extern void dr_json_put_text(StringInfo out, const char *key,
							 const char *value);
extern void dr_json_put_flag(StringInfo out, const char *key);

#endif
