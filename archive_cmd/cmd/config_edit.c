/*-------------------------------------------------------------------------
 *
 * config_edit.c
 *	  Changes recipients in the text of a configuration file.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/config_edit.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/settings.h"

typedef struct Edit
{
	const AgeRecipients *old;
	const char *anew;
	bool placed; /* the new one stands somewhere */
	StrBuf *out;
} Edit;

/* A key, perhaps with its day. */
static bool
is_old(const Edit *e, const char *token, size_t len)
{
	const char *day = memchr(token, '@', len);
	size_t key_len = day != NULL ? (size_t) (day - token) : len;
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; i < e->old->count; i++)
	{
		age_recipient_text(&e->old->items[i], text);
		if (strlen(text) == key_len && strncmp(text, token, key_len) == 0)
			return true;
	}
	return false;
}

/* Where the value ends: before white space and a semicolon. */
static size_t
value_len(const char *value, size_t len)
{
	for (size_t i = 1; i < len; i++)
	{
		if (value[i] == ';' && strchr(" \t", value[i - 1]) != NULL)
			return i - 1;
	}
	return len;
}

/* The value's keys with the old ones taken out; *touched: were there any? */
static void
edit_value(Edit *e, const char *value, size_t len, StrBuf *keys, bool *touched)
{
	size_t at = 0;

	while (at < len)
	{
		const char *token = value + at;
		size_t n = 0;
		bool old;

		while (at + n < len && strchr(RECIPIENT_BETWEEN, token[n]) == NULL)
			n++;
		old = n > 0 && is_old(e, token, n);
		*touched |= old;
		if (n > 0 && !(old && e->placed))
			strbuf_printf(keys, "%s%.*s", keys->len > 0 ? " " : "",
						  old ? (int) strlen(e->anew) : (int) n,
						  old ? e->anew : token);
		e->placed |= old;
		at += n + 1;
	}
}

/* A line "recipient = ..." of [global]. */
static void
edit_line(Edit *e, const char *line, size_t len, size_t equals)
{
	const char *value = line + equals + 1;
	size_t all = len - equals - 1;
	size_t used = value_len(value, all);
	StrBuf keys = STRBUF_INIT;
	bool touched = false;

	edit_value(e, value, used, &keys, &touched);
	if (!touched)
		strbuf_add(e->out, line, len);
	else if (keys.len > 0)
	{
		strbuf_add(e->out, line, equals + 1);
		strbuf_printf(e->out, " %s", keys.data);
		strbuf_add(e->out, value + used, all - used);
	}
	/* a line that names nobody any more goes */
	if (line[len] == '\n' && (!touched || keys.len > 0))
		strbuf_putc(e->out, '\n');
	strbuf_free(&keys);
}

/* Is it "recipient = ..."?  *equals is where the value's sign is. */
static bool
is_recipient_line(const char *line, size_t len, size_t *equals)
{
	static const char key[] = "recipient";
	size_t at = 0;

	while (at < len && strchr(" \t", line[at]) != NULL)
		at++;
	if (len - at < strlen(key) || strncmp(line + at, key, strlen(key)) != 0)
		return false;
	at += strlen(key);
	while (at < len && strchr(" \t", line[at]) != NULL)
		at++;
	*equals = at;
	return at < len && (line[at] == '=' || line[at] == ':');
}

bool
config_edit_recipients(const char *text, const AgeRecipients *old,
					   const char *anew, StrBuf *out)
{
	Edit e = {.old = old, .anew = anew, .out = out};
	bool global = false;
	size_t equals;

	for (const char *line = text; *line != '\0';)
	{
		size_t len = strcspn(line, "\n");
		const char *first = line + strspn(line, " \t");

		if (*first == '[')
			global = strncmp(first, "[global]", strlen("[global]")) == 0;
		if (global && is_recipient_line(line, len, &equals))
			edit_line(&e, line, len, equals);
		else
		{
			strbuf_add(out, line, len);
			if (line[len] == '\n')
				strbuf_putc(out, '\n');
		}
		line += len + (line[len] == '\n');
	}
	return e.placed;
}
