/*-------------------------------------------------------------------------
 *
 * age_header.c
 *	  The grammar of an age header, read strictly.
 *
 *	  age-encryption.org/v1 LF
 *	  -> TYPE ARGUMENT... LF      one or more stanzas
 *	  BODY                        base64 in lines of 64, the last one shorter
 *	  --- MAC LF
 *
 * There is one way to write each header: whatever bends the rules is refused,
 * so that no two readers can understand one file differently.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <stdlib.h>
#include <string.h>

#define BODY_COLUMNS 64
#define BODY_LINE_BYTES 48

typedef struct Parser
{
	const char *data;
	size_t len;
	size_t pos;
	bool need_more;
	Error *err;
} Parser;

/* A line without its LF; it points into the data. */
typedef struct Line
{
	const char *text;
	size_t len;
} Line;

static bool
malformed(Parser *p, const char *what)
{
	return error_set(p->err, ERR_DAMAGED, "age header is malformed: %s", what);
}

/*
 * False with p->need_more if the data ends before the line does; a header
 * that is too long to be one is malformed instead.
 */
static bool
next_line(Parser *p, Line *line)
{
	const char *start = p->data + p->pos;
	const char *lf = memchr(start, '\n', p->len - p->pos);

	if (!lf)
	{
		if (p->len >= AGE_HEADER_MAX)
			return malformed(p, "it is too long");
		p->need_more = true;
		return false;
	}
	line->text = start;
	line->len = (size_t) (lf - start);
	p->pos += line->len + 1;
	return true;
}

static bool
starts_with(const Line *line, const char *prefix)
{
	size_t n = strlen(prefix);

	return line->len >= n && memcmp(line->text, prefix, n) == 0;
}

/* Does the data begin with this line, as far as it goes? */
static bool
begins_with(const Parser *p, const char *line, bool *whole)
{
	size_t len = strlen(line);

	*whole = p->len >= len;
	return memcmp(p->data, line, *whole ? len : p->len) == 0;
}

static bool
parse_version(Parser *p, AgeCipher *cipher)
{
	const char *line = AGE_VERSION_LINE;
	bool whole;

	*cipher = AGE_CHACHA20_POLY1305;
	if (!begins_with(p, line, &whole))
	{
		*cipher = AGE_AES_256_GCM;
		line = AGE_AES_LINE;
		if (!begins_with(p, line, &whole))
			return malformed(p, "it does not begin with the version line");
	}
	p->need_more = !whole;
	p->pos = whole ? strlen(line) : 0;
	return whole;
}

static void
add_argument(AgeStanza *st, const char *text, size_t len, size_t *cap)
{
	char *arg = mem_strndup(text, len);

	if (!st->type)
	{
		st->type = arg;
		return;
	}
	st->args = mem_grow(st->args, st->nargs, cap, sizeof(char *));
	st->args[st->nargs++] = arg;
}

/* "-> TYPE ARGUMENT...": single spaces, and printable ASCII between them. */
static bool
parse_arguments(Parser *p, const Line *line, AgeStanza *st)
{
	const char *text = line->text + 3;
	size_t len = line->len - 3;
	size_t start = 0;
	size_t cap = 0;

	for (size_t i = 0; i <= len; i++)
	{
		if (i < len && text[i] != ' ')
		{
			if (text[i] < 33 || text[i] > 126)
				return malformed(p, "an argument has a foreign character");
			continue;
		}
		if (i == start)
			return malformed(p, "an argument is empty");
		add_argument(st, text + start, i - start, &cap);
		start = i + 1;
	}
	return true;
}

static bool
parse_body_line(Parser *p, const Line *line, StrBuf *body)
{
	uint8_t bytes[BODY_LINE_BYTES];
	size_t n = line->len / 4 * 3;

	/* a rest of 2 or 3 characters holds 1 or 2 bytes; of 1, nothing */
	if (line->len % 4 != 0)
		n += line->len % 4 - 1;
	if (line->len > BODY_COLUMNS)
		return malformed(p, "a line of a stanza's body is too long");
	if (!age_base64_exact(line->text, line->len, bytes, n))
		return malformed(p, "a stanza's body is not canonical base64");
	strbuf_add(body, bytes, n);
	return true;
}

/* Lines of 64 characters up to the first shorter one, which may be empty. */
static bool
parse_body(Parser *p, AgeStanza *st)
{
	StrBuf body = STRBUF_INIT;
	Line line;

	do
	{
		if (!next_line(p, &line) || !parse_body_line(p, &line, &body))
		{
			strbuf_free(&body);
			return false;
		}
	} while (line.len == BODY_COLUMNS);
	st->body_len = body.len;
	st->body = (uint8_t *) strbuf_steal(&body);
	return true;
}

static bool
parse_footer(Parser *p, const Line *line, AgeHeader *out)
{
	static const size_t skip = sizeof(AGE_FOOTER " ") - 1;

	if (!starts_with(line, AGE_FOOTER " ") ||
		!age_base64_exact(line->text + skip, line->len - skip, out->mac,
						  sizeof(out->mac)))
		return malformed(p, "its last line is not valid");
	if (out->count == 0)
		return malformed(p, "it has no stanza");
	out->mac_offset = (size_t) (line->text - p->data) + sizeof(AGE_FOOTER) - 1;
	out->len = p->pos;
	return true;
}

static bool
parse_all(Parser *p, AgeHeader *out)
{
	size_t cap = 0;
	Line line;

	if (!parse_version(p, &out->cipher))
		return false;
	while (next_line(p, &line))
	{
		AgeStanza *st;

		if (starts_with(&line, AGE_FOOTER))
			return parse_footer(p, &line, out);
		if (!starts_with(&line, "-> "))
			return malformed(p, "a line is neither stanza nor end");
		out->stanzas = mem_grow(out->stanzas, out->count, &cap,
								sizeof(AgeStanza));
		st = &out->stanzas[out->count++];
		*st = (AgeStanza){0};
		if (!parse_arguments(p, &line, st) || !parse_body(p, st))
			return false;
	}
	return false;
}

bool
age_header_parse(const uint8_t *data, size_t len, AgeHeader *out,
				 bool *need_more, Error *err)
{
	Parser p = {
		.data = (const char *) data,
		.len = len < AGE_HEADER_MAX ? len : AGE_HEADER_MAX,
		.err = err,
	};
	bool good;

	*out = (AgeHeader){0};
	*need_more = false;
	if (len == 0)
	{
		*need_more = true;
		return false;
	}
	good = parse_all(&p, out);
	*need_more = p.need_more;
	if (!good)
		age_header_free(out);
	return good;
}

const AgeStanza *
age_header_find(const AgeHeader *h, const char *type)
{
	for (size_t i = 0; i < h->count; i++)
	{
		if (strcmp(h->stanzas[i].type, type) == 0)
			return &h->stanzas[i];
	}
	return NULL;
}

void
age_header_free(AgeHeader *h)
{
	for (size_t i = 0; i < h->count; i++)
	{
		AgeStanza *st = &h->stanzas[i];

		free(st->type);
		for (size_t j = 0; j < st->nargs; j++)
			free(st->args[j]);
		free(st->args);
		free(st->body);
	}
	free(h->stanzas);
	*h = (AgeHeader){0};
}
