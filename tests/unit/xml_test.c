/*-------------------------------------------------------------------------
 *
 * xml_test.c
 *	  Reading XML: what is found where, and what is refused.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/xml.h"
#include "tap.h"

static bool
collect(void *arg, const char *path, const char *text, Error *err)
{
	if (strcmp(text, "stop") == 0)
		return error_set(err, ERR_CANCELED, "stopped");
	strbuf_printf(arg, "%s=%s;", path, text);
	return true;
}

static void
parses(const char *document, const char *expected, const char *name)
{
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;

	ok(xml_parse(document, strlen(document), collect, &sb, &err), "%s", name);
	is_str(sb.data, expected, name);
	error_clear(&err);
	strbuf_free(&sb);
}

static void
refuses(const char *document, ErrCode code, const char *words, const char *name)
{
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	bool done = xml_parse(document, strlen(document), collect, &sb, &err);

	ok(!done && err.code == code && strstr(err.message, words) != NULL, "%s",
	   name);
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	strbuf_free(&sb);
}

/* depth elements inside each other, or one with so much text. */
static char *
large(int depth, size_t text)
{
	StrBuf sb = STRBUF_INIT;

	for (int i = 0; i < depth; i++)
		strbuf_puts(&sb, "<a>");
	for (size_t i = 0; i < text; i++)
		strbuf_putc(&sb, 'x');
	for (int i = 0; i < depth; i++)
		strbuf_puts(&sb, "</a>");
	return strbuf_steal(&sb);
}

static void
test_limits(void)
{
	static const char billion[] =
		"<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>";
	char *text = large(XML_DEPTH_MAX, 0);
	Error err = ERROR_INIT;
	StrBuf sb = STRBUF_INIT;

	ok(xml_parse(text, strlen(text), collect, &sb, &err), "as deep as allowed");
	free(text);
	refuses(text = large(XML_DEPTH_MAX + 1, 0), ERR_IO, "too deeply",
			"one deeper");
	free(text);
	strbuf_reset(&sb);
	text = large(1, XML_TEXT_MAX);
	ok(xml_parse(text, strlen(text), collect, &sb, &err) &&
		   sb.len == XML_TEXT_MAX + 3,
	   "as much text as allowed");
	free(text);
	refuses(text = large(1, XML_TEXT_MAX + 1), ERR_IO, "too long",
			"one byte more");
	free(text);
	refuses(billion, ERR_IO, "document type", "entities of its own");
	strbuf_free(&sb);
	error_clear(&err);
}

int
main(void)
{
	static const char error[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n <Code>A</Code>"
		"<Code>B</Code></Error>";
	char *text;

	parses("<a/>", "a=;", "an empty element");
	parses("<?xml version='1.0'?>\n<r xmlns='u'>\n <c><k>x</k><s>1</s></c>"
		   "<c><k>y</k></c>\n</r>",
		   "r/c/k=x;r/c/s=1;r/c=;r/c/k=y;r/c=;r=\n;",
		   "elements in the order of their ends");
	parses("\r\n  <?xml version='1.0'?><a>b</a>\n", "a=b;",
		   "blanks in front of the document");
	parses("<n:r xmlns:n='u'><n:k>v</n:k></n:r>", "r/k=v;r=;",
		   "prefixes do not count");
	parses("<a>1 &lt; 2 &amp; &#51;<![CDATA[<&]]></a>", "a=1 < 2 & 3<&;",
		   "escapes");
	parses("<a>caf\xc3\xa9</a>", "a=caf\xc3\xa9;", "UTF-8");
	refuses("", ERR_IO, "could not read", "nothing");
	refuses("<a><b></a>", ERR_IO, "mismatched", "not well-formed");
	refuses("<a><b>cut of", ERR_IO, "could not read", "cut off");
	refuses("<a><b>stop</b><c>no</c></a>", ERR_CANCELED, "stopped",
			"the caller's own error");
	test_limits();

	text = xml_find(error, strlen(error), "Error/Code");
	is_str(text, "A", "the first element of a path");
	free(text);
	ok(xml_find(error, strlen(error), "Error/Message") == NULL,
	   "none of another");
	ok(xml_find("<html>", 6, "Error/Code") == NULL, "none in what is no XML");
	ok(xml_find(NULL, 0, "Error/Code") == NULL, "none in nothing");
	text = xml_escape("a<b>&\"c\"'");
	is_str(text, "a&lt;b&gt;&amp;&quot;c&quot;'", "escaping");
	free(text);
	return done_testing();
}
