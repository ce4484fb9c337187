/*-------------------------------------------------------------------------
 *
 * json.h
 *	  JSON values (a thin cover over jansson, which only json.c includes).
 *
 * Setters take over the value given to them; putting to what is no object or
 * array is a bug and asserts.  Objects keep insertion order.
 *
 * JSON is UTF-8.  Bytes of a string or key that are not become U+FFFD, which
 * loses them: a caller that must not lose them (file names) asks
 * json_is_utf8() first and stores another encoding.
 * Getters on NULL or on a value of another kind give the fallback: check with
 * json_require_* where absence is an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_JSON_H
#define PGDR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct json_t Json;

extern Json *json_new_object(void);
extern Json *json_new_array(void);
extern Json *json_new_string(const char *s); /* NULL gives JSON null */
extern Json *json_new_int(int64_t v);
extern Json *json_new_bool(bool v);
extern Json *json_new_real(double v); /* not finite gives JSON null */
extern Json *json_dup(const Json *v); /* deep copy */
extern void json_free(Json *v);

extern void json_put(Json *obj, const char *key, Json *value);
extern void json_put_str(Json *obj, const char *key, const char *s);
extern void json_put_int(Json *obj, const char *key, int64_t v);
extern void json_put_bool(Json *obj, const char *key, bool v);
extern void json_put_real(Json *obj, const char *key, double v);
extern void json_append(Json *array, Json *value);

extern bool json_is_object(const Json *v);
extern bool json_is_array(const Json *v);
extern bool json_is_string(const Json *v);
extern bool json_is_int(const Json *v);
extern bool json_is_bool(const Json *v);
extern bool json_is_null(const Json *v);

extern const Json *json_get(const Json *obj, const char *key);
extern const char *json_get_str(const Json *obj, const char *key,
								const char *fallback);
extern int64_t json_get_int(const Json *obj, const char *key, int64_t fallback);
extern bool json_get_bool(const Json *obj, const char *key, bool fallback);
extern size_t json_array_len(const Json *array);
extern const Json *json_array_at(const Json *array, size_t i);
extern const char *json_str(const Json *v); /* NULL if not a string */
extern int64_t json_int(const Json *v, int64_t fallback);
extern void json_each(const Json *obj,
					  void (*fn)(void *arg, const char *key, const Json *v),
					  void *arg);

/* ERR_DAMAGED naming the key when it is absent or of another kind. */
extern bool json_require_str(const Json *obj, const char *key, const char **out,
							 Error *err);
extern bool json_require_int(const Json *obj, const char *key, int64_t *out,
							 Error *err);

extern bool json_is_utf8(const char *s);

/* One line, no spaces, insertion order; caller frees. */
extern char *json_dump(const Json *v);

/* Likewise with keys sorted and indented by two, for files people read. */
extern char *json_dump_pretty(const Json *v);

/*
 * Parses exactly one value; trailing bytes other than white space, duplicate
 * keys and invalid UTF-8 are errors (ERR_DAMAGED).  NULL on error.
 */
extern Json *json_parse(const char *text, size_t len, Error *err);

#endif
