/*-------------------------------------------------------------------------
 *
 * json.c
 *	  JSON values: a thin cover over jansson.
 *
 *-------------------------------------------------------------------------
 */
#include <jansson.h>

/* jansson has these as macros; ours are functions. */
#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_null

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* jansson fails to make a value only for want of memory (text is checked). */
static Json *
need(Json *v)
{
	if (v == NULL)
		mem_out_of_memory();
	return v;
}

/* Values are shared by counting, which jansson's types take for a change. */
static Json *
unconst(const Json *v)
{
	return (Json *) (uintptr_t) v;
}

/*
 * Length of the well-formed UTF-8 sequence at s (no surrogates, no overlong
 * forms), 0 if there is none.
 */
static size_t
utf8_len(const unsigned char *s)
{
	static const unsigned char low[5] = {0, 0, 0, 0xa0, 0x90};
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	for (size_t i = 1; i < len; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 || s[0] == 0xf0) && s[1] < low[len])
		return 0;
	if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

bool
json_is_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *) s;

	while (*p != '\0')
	{
		size_t len = utf8_len(p);

		if (len == 0)
			return false;
		p += len;
	}
	return true;
}

/* A copy with each byte that is not UTF-8 replaced by U+FFFD. */
static char *
clean_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *) s;
	StrBuf sb = STRBUF_INIT;

	while (*p != '\0')
	{
		size_t len = utf8_len(p);

		if (len > 0)
			strbuf_add(&sb, p, len);
		else
			strbuf_puts(&sb, "\xef\xbf\xbd");
		p += len > 0 ? len : 1;
	}
	return strbuf_steal(&sb);
}

Json *
json_new_object(void)
{
	return need(json_object());
}

Json *
json_new_array(void)
{
	return need(json_array());
}

Json *
json_new_string(const char *s)
{
	char *clean;
	Json *v;

	if (s == NULL)
		return json_null();
	if (json_is_utf8(s))
		return need(json_string_nocheck(s));
	clean = clean_utf8(s);
	v = need(json_string_nocheck(clean));
	free(clean);
	return v;
}

Json *
json_new_int(int64_t v)
{
	return need(json_integer(v));
}

Json *
json_new_bool(bool v)
{
	return v ? json_true() : json_false();
}

Json *
json_new_real(double v)
{
	return isfinite(v) ? need(json_real(v)) : json_null();
}

Json *
json_dup(const Json *v)
{
	return v != NULL ? need(json_deep_copy(v)) : NULL;
}

void
json_free(Json *v)
{
	json_decref(v);
}

void
json_put(Json *obj, const char *key, Json *value)
{
	assert(json_is_object(obj));
	if (value == NULL)
		value = json_null();
	if (json_is_utf8(key))
	{
		if (json_object_set_new_nocheck(obj, key, value) != 0)
			mem_out_of_memory();
	}
	else
	{
		char *clean = clean_utf8(key);

		json_put(obj, clean, value);
		free(clean);
	}
}

void
json_put_str(Json *obj, const char *key, const char *s)
{
	json_put(obj, key, json_new_string(s));
}

void
json_put_int(Json *obj, const char *key, int64_t v)
{
	json_put(obj, key, json_new_int(v));
}

void
json_put_bool(Json *obj, const char *key, bool v)
{
	json_put(obj, key, json_new_bool(v));
}

void
json_put_real(Json *obj, const char *key, double v)
{
	json_put(obj, key, json_new_real(v));
}

void
json_append(Json *array, Json *value)
{
	assert(json_is_array(array));
	if (value == NULL)
		value = json_null();
	if (json_array_append_new(array, value) != 0)
		mem_out_of_memory();
}

bool
json_is_object(const Json *v)
{
	return v != NULL && json_typeof(v) == JSON_OBJECT;
}

bool
json_is_array(const Json *v)
{
	return v != NULL && json_typeof(v) == JSON_ARRAY;
}

bool
json_is_string(const Json *v)
{
	return v != NULL && json_typeof(v) == JSON_STRING;
}

bool
json_is_int(const Json *v)
{
	return json_is_integer(v);
}

bool
json_is_bool(const Json *v)
{
	return json_is_boolean(v);
}

bool
json_is_null(const Json *v)
{
	return v != NULL && json_typeof(v) == JSON_NULL;
}

const Json *
json_get(const Json *obj, const char *key)
{
	return json_object_get(obj, key);
}

const char *
json_get_str(const Json *obj, const char *key, const char *fallback)
{
	const char *s = json_str(json_get(obj, key));

	return s != NULL ? s : fallback;
}

int64_t
json_get_int(const Json *obj, const char *key, int64_t fallback)
{
	return json_int(json_get(obj, key), fallback);
}

bool
json_get_bool(const Json *obj, const char *key, bool fallback)
{
	const Json *v = json_get(obj, key);

	return json_is_bool(v) ? json_is_true(v) : fallback;
}

size_t
json_array_len(const Json *array)
{
	return json_array_size(array);
}

const Json *
json_array_at(const Json *array, size_t i)
{
	return json_array_get(array, i);
}

const char *
json_str(const Json *v)
{
	return json_string_value(v);
}

int64_t
json_int(const Json *v, int64_t fallback)
{
	return json_is_int(v) ? json_integer_value(v) : fallback;
}

void
json_each(const Json *obj,
		  void (*fn)(void *arg, const char *key, const Json *v), void *arg)
{
	const char *key;
	Json *value;

	json_object_foreach(unconst(obj), key, value)
	{
		fn(arg, key, value);
	}
}

bool
json_require_str(const Json *obj, const char *key, const char **out, Error *err)
{
	const Json *v = json_get(obj, key);

	if (v == NULL)
		return error_set(err, ERR_DAMAGED, "key \"%s\" is missing", key);
	if (!json_is_string(v))
		return error_set(err, ERR_DAMAGED, "key \"%s\" is not a string", key);
	*out = json_str(v);
	return true;
}

bool
json_require_int(const Json *obj, const char *key, int64_t *out, Error *err)
{
	const Json *v = json_get(obj, key);

	if (v == NULL)
		return error_set(err, ERR_DAMAGED, "key \"%s\" is missing", key);
	if (!json_is_int(v))
		return error_set(err, ERR_DAMAGED, "key \"%s\" is not an integer", key);
	*out = json_integer_value(v);
	return true;
}

/* 15 digits print 0.1 as 0.1; reals here are rates, not sums. */
static char *
dump(const Json *v, size_t flags)
{
	char *text = json_dumps(v,
							flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	if (text == NULL)
		mem_out_of_memory();
	return text;
}

char *
json_dump(const Json *v)
{
	return dump(v, JSON_COMPACT);
}

char *
json_dump_pretty(const Json *v)
{
	return dump(v, JSON_INDENT(2) | JSON_SORT_KEYS);
}

Json *
json_parse(const char *text, size_t len, Error *err)
{
	json_error_t jerr;
	Json *v;

	/* jansson takes a NUL after the value for the end of the text */
	if (memchr(text, '\0', len) != NULL)
	{
		error_set(err, ERR_DAMAGED, "invalid JSON: it holds a NUL byte");
		return NULL;
	}
	v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &jerr);
	if (v == NULL)
		error_set(err, ERR_DAMAGED, "invalid JSON in line %d, column %d: %s",
				  jerr.line, jerr.column, jerr.text);
	return v;
}
