/*-------------------------------------------------------------------------
 *
 * server_command.c
 *	  Commands as the server runs them, and values as its settings want them.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/server_command.h"

#include <string.h>

#include "base/mem.h"

/* Words of these characters mean the same to every shell without quotes. */
static bool
is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
								"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								"0123456789/._-+:=@,";

	return word[0] != '\0' && word[strspn(word, plain)] == '\0';
}

static void
add_word(StrBuf *out, const char *word)
{
	if (is_plain(word))
	{
		strbuf_puts(out, word);
		return;
	}
	strbuf_putc(out, '\'');
	for (; *word != '\0'; word++)
	{
		if (*word == '\'')
			strbuf_puts(out, "'\\''");
		else if (*word == '%')
			strbuf_puts(out, "%%");
		else
			strbuf_putc(out, *word);
	}
	strbuf_putc(out, '\'');
}

char *
make_archive_command(const Context *ctx, const char *config_file)
{
	StrBuf sb = STRBUF_INIT;

	add_word(&sb, ctx_program(ctx));
	strbuf_puts(&sb, " --config ");
	add_word(&sb, config_file);
	strbuf_puts(&sb, " archive-push \"%p\"");
	return strbuf_steal(&sb);
}

char *
quote_setting(const char *value)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_putc(&sb, '\'');
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			strbuf_putc(&sb, *value);
		strbuf_putc(&sb, *value);
	}
	strbuf_putc(&sb, '\'');
	return strbuf_steal(&sb);
}
