/*-------------------------------------------------------------------------
 *
 * xml.c
 *	  Reading small XML documents with expat.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/xml.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/xml_expat.h"

typedef struct Parse
{
	/* fixed */
	XML_Parser parser;
	XmlElementFn fn;
	void *arg;

	/* mutable */
	StrBuf path;
	size_t start[XML_DEPTH_MAX]; /* length of path before each element */
	int depth;
	StrBuf text; /* since the last tag */
	Error err;
} Parse;

static bool
refuse(Parse *p, const char *why)
{
	error_set(&p->err, ERR_IO, "could not read the server's XML: %s", why);
	p->err.transient = true;
	XML_StopParser(p->parser, XML_FALSE);
	return false;
}

static void
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	Parse *p = arg;
	const char *colon = strrchr(name, ':');

	(void) attributes;
	if (p->depth == XML_DEPTH_MAX)
	{
		refuse(p, "elements are nested too deeply");
		return;
	}
	p->start[p->depth++] = p->path.len;
	if (p->path.len > 0)
		strbuf_putc(&p->path, '/');
	strbuf_puts(&p->path, colon ? colon + 1 : name);
	strbuf_reset(&p->text);
}

static void
on_end(void *arg, const XML_Char *name)
{
	Parse *p = arg;
	size_t start;

	(void) name;
	strbuf_reserve(&p->text, 0);
	if (error_is_set(&p->err))
		return;
	if (!p->fn(p->arg, p->path.data, p->text.data, &p->err))
		XML_StopParser(p->parser, XML_FALSE);
	strbuf_reset(&p->text);
	start = p->start[--p->depth];
	p->path.data[start] = '\0';
	p->path.len = start;
}

static void
on_text(void *arg, const XML_Char *text, int len)
{
	Parse *p = arg;

	if ((size_t) len > XML_TEXT_MAX - p->text.len)
		refuse(p, "a text is too long");
	else
		strbuf_add(&p->text, text, (size_t) len);
}

/* Entities of its own are what attacks on XML parsers are made of. */
static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
		   const XML_Char *public_id, int has_subset)
{
	(void) name;
	(void) system_id;
	(void) public_id;
	(void) has_subset;
	refuse(arg, "it has a document type");
}

bool
xml_parse(const char *data, size_t len, XmlElementFn fn, void *arg, Error *err)
{
	Parse p = {.fn = fn, .arg = arg};
	bool done;

	if (!xml_load_expat(err))
		return false;
	/* some servers send blanks while they work, and then the document */
	for (; len > 0 && strchr(" \t\r\n", *data) != NULL; len--)
		data++;
	p.parser = XML_ParserCreate(NULL);
	if (p.parser == NULL)
		mem_out_of_memory();
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, on_start, on_end);
	XML_SetCharacterDataHandler(p.parser, on_text);
	XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
	done = XML_Parse(p.parser, data ? data : "", (int) len, XML_TRUE) ==
		   XML_STATUS_OK;
	if (!done && !error_is_set(&p.err))
		refuse(&p, XML_ErrorString(XML_GetErrorCode(p.parser)));
	XML_ParserFree(p.parser);
	strbuf_free(&p.path);
	strbuf_free(&p.text);
	if (error_is_set(&p.err))
		error_move(err, &p.err);
	return done;
}

typedef struct Find
{
	const char *path;
	char *text;
} Find;

static bool
find_element(void *arg, const char *path, const char *text, Error *err)
{
	Find *f = arg;

	(void) err;
	if (f->text == NULL && strcmp(path, f->path) == 0)
		f->text = mem_strdup(text);
	return true;
}

char *
xml_find(const char *data, size_t len, const char *path)
{
	Find f = {.path = path};
	Error why = ERROR_INIT;

	if (!xml_parse(data, len, find_element, &f, &why))
	{
		free(f.text);
		f.text = NULL;
	}
	error_clear(&why);
	return f.text;
}

char *
xml_escape(const char *text)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_reserve(&sb, strlen(text));
	for (; *text != '\0'; text++)
	{
		switch (*text)
		{
			case '&':
				strbuf_puts(&sb, "&amp;");
				break;
			case '<':
				strbuf_puts(&sb, "&lt;");
				break;
			case '>':
				strbuf_puts(&sb, "&gt;");
				break;
			case '"':
				strbuf_puts(&sb, "&quot;");
				break;
			default:
				strbuf_putc(&sb, *text);
		}
	}
	return strbuf_steal(&sb);
}
