/*-------------------------------------------------------------------------
 *
 * json_test.c
 *	  Tests of archive_cmd/base/json.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

static Json *
parse(const char *text, Error *err)
{
	return json_parse(text, strlen(text), err);
}

static void
test_build(void)
{
	Json *v = json_new_object();
	Json *list = json_new_array();
	char *s;

	json_put_str(v, "z", "last letter, first key");
	json_put_int(v, "a", INT64_MIN);
	json_put_bool(v, "b", true);
	json_put_real(v, "r", 0.1);
	json_put_str(v, "nothing", NULL);
	json_put_real(v, "nan", NAN);
	json_append(list, json_new_int(1));
	json_append(list, json_new_string("a\"b\n\xc3\xa4"));
	json_append(list, NULL);
	json_put(v, "list", list);
	json_put_int(v, "a", 5);

	s = json_dump(v);
	is_str(s,
		   "{\"z\":\"last letter, first key\",\"a\":5,\"b\":true,\"r\":0.1,"
		   "\"nothing\":null,\"nan\":null,"
		   "\"list\":[1,\"a\\\"b\\n\xc3\xa4\",null]}",
		   "one line, in order of insertion, the last value put");
	free(s);
	json_free(v);
}

static void
test_pretty(void)
{
	Error err = ERROR_INIT;
	Json *v = parse("{\"b\":[1],\"a\":{}}", &err);
	char *s = json_dump_pretty(v);

	is_str(s, "{\n  \"a\": {},\n  \"b\": [\n    1\n  ]\n}",
		   "for people: sorted and indented");
	free(s);
	json_free(v);
}

static void
test_get(void)
{
	Error err = ERROR_INIT;
	Json *v = parse("{\"s\":\"x\",\"i\":-9223372036854775808,\"t\":true,"
					"\"n\":null,\"a\":[10,20],\"o\":{\"k\":1}}",
					&err);
	const char *s = NULL;
	int64_t i = 0;

	ok(json_is_object(v) && !json_is_array(v), "an object");
	is_str(json_get_str(v, "s", NULL), "x", "string");
	is_str(json_get_str(v, "i", "no"), "no", "another kind: fallback");
	is_str(json_get_str(v, "absent", "no"), "no", "absent: fallback");
	is_int(json_get_int(v, "i", 0), INT64_MIN, "smallest integer");
	is_int(json_get_int(v, "s", 3), 3, "not an integer");
	ok(json_get_bool(v, "t", false), "bool");
	ok(json_get_bool(v, "s", true), "not a bool");
	ok(json_is_null(json_get(v, "n")), "null");
	ok(!json_is_null(json_get(v, "absent")), "absent is not null");
	is_int((int64_t) json_array_len(json_get(v, "a")), 2, "length");
	is_int(json_int(json_array_at(json_get(v, "a"), 1), 0), 20, "element");
	ok(json_array_at(json_get(v, "a"), 2) == NULL, "no such element");
	is_int((int64_t) json_array_len(json_get(v, "o")), 0, "not an array");
	is_int(json_get_int(json_get(v, "o"), "k", 0), 1, "nested");
	ok(json_get(NULL, "k") == NULL, "a key of nothing");
	ok(json_str(NULL) == NULL, "string of nothing");

	ok(json_require_str(v, "s", &s, &err) && strcmp(s, "x") == 0,
	   "required string");
	ok(json_require_int(v, "i", &i, &err) && i == INT64_MIN,
	   "required integer");
	ok(!json_require_str(v, "i", &s, &err), "of another kind");
	is_str(err.message, "key \"i\" is not a string", "... names it");
	is_int(err.code, ERR_DAMAGED, "... as damage");
	error_clear(&err);
	ok(!json_require_int(v, "absent", &i, &err), "absent");
	is_str(err.message, "key \"absent\" is missing", "... names it");
	error_clear(&err);
	json_free(v);
}

static void
test_refused(void)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"{\"a\":1,\"a\":2}",
		"1 2",
		"{} x",
		"[1,]",
		"'a'",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"\"\\u0000\"",
		"nul",
		"{\"a\":NaN}",
		"9223372036854775808",
		"01",
		"\"\\ud800\"",
		"\"\n\"",
	};
	Error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		Json *v = parse(texts[i], &err);

		ok(v == NULL && err.code == ERR_DAMAGED, "refused: case %zu", i);
		json_free(v);
		error_clear(&err);
	}
	ok(json_parse("1\0", 2, &err) == NULL, "refused: a NUL after the value");
	error_clear(&err);
}

/* Deep nesting must not exhaust the stack. */
static void
test_deep(void)
{
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;

	for (int i = 0; i < 200000; i++)
		strbuf_putc(&sb, '[');
	ok(json_parse(sb.data, sb.len, &err) == NULL, "refused: deep nesting");
	is_int(err.code, ERR_DAMAGED, "... as damage");
	error_clear(&err);
	strbuf_free(&sb);
}

static void
test_scalars(void)
{
	static const char *const texts[] = {"1", "\"x\"", "null", "true", "[]"};
	Error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		Json *v = parse(texts[i], &err);
		char *s = v != NULL ? json_dump(v) : NULL;

		is_str(s, texts[i], "a value alone survives");
		free(s);
		json_free(v);
		error_clear(&err);
	}
}

static void
test_utf8(void)
{
	Json *v = json_new_object();
	char *s;

	ok(json_is_utf8(""), "empty text is UTF-8");
	ok(json_is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "1 to 4 bytes");
	ok(!json_is_utf8("\xc3"), "cut short");
	ok(!json_is_utf8("\xc0\xaf"), "overlong of 2");
	ok(!json_is_utf8("\xe0\x80\xaf"), "overlong of 3");
	ok(!json_is_utf8("\xf0\x80\x80\xaf"), "overlong of 4");
	ok(!json_is_utf8("\xed\xa0\x80"), "surrogate");
	ok(!json_is_utf8("\xf4\x90\x80\x80"), "above U+10FFFF");
	ok(!json_is_utf8("\x80"), "continuation alone");

	json_put_str(v, "k\xff", "a\xff\xc3");
	s = json_dump(v);
	is_str(s, "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd\xef\xbf\xbd\"}",
		   "other bytes become U+FFFD");
	free(s);
	json_free(v);
}

static void
collect(void *arg, const char *key, const Json *v)
{
	strbuf_printf(arg, "%s=%d ", key, (int) json_int(v, -1));
}

static void
test_each_and_dup(void)
{
	Error err = ERROR_INIT;
	Json *v = parse("{\"c\":1,\"a\":2,\"b\":[]}", &err);
	Json *copy = json_dup(v);
	StrBuf sb = STRBUF_INIT;

	json_put_int(v, "a", 9);
	json_each(copy, collect, &sb);
	is_str(sb.data, "c=1 a=2 b=-1 ", "each member of a copy, in order");
	strbuf_reset(&sb);
	json_each(NULL, collect, &sb);
	is_str(sb.data, "", "nothing has no members");
	strbuf_free(&sb);
	json_free(copy);
	json_free(v);
	ok(json_dup(NULL) == NULL, "a copy of nothing");
}

int
main(void)
{
	test_build();
	test_pretty();
	test_get();
	test_refused();
	test_deep();
	test_scalars();
	test_utf8();
	test_each_and_dup();
	return done_testing();
}
