/*-------------------------------------------------------------------------
 *
 * config_edit_test.c
 *	  Recipients are exchanged in the text of a configuration, and nothing
 *	  else of it is changed.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/config_edit.h"
#include <stdlib.h>

#include "tap.h"

/* Of three identities that were made for this. */
static char keys[4][AGE_RECIPIENT_TEXT];

static AgeRecipients
these(int first, int count)
{
	AgeRecipients list = {0};
	Error err = ERROR_INIT;

	for (int i = 0; i < count; i++)
		age_recipient_add(&list, keys[first + i], &err);
	error_clear(&err);
	return list;
}

/* In the texts, %1 to %4 stand for the keys. */
static char *
with_keys(const char *text)
{
	StrBuf sb = STRBUF_INIT;

	for (const char *p = text; *p != '\0'; p++)
	{
		if (p[0] == '%')
			strbuf_puts(&sb, keys[*++p - '1']);
		else
			strbuf_putc(&sb, *p);
	}
	return strbuf_steal(&sb);
}

static void
becomes(const char *before, int count, const char *after, const char *what)
{
	AgeRecipients old = these(0, count);
	char *text = with_keys(before);
	char *expected = with_keys(after);
	char *anew = with_keys("%4@2026-11-29");
	StrBuf out = STRBUF_INIT;

	ok(config_edit_recipients(text, &old, anew, &out), "%s: it is there", what);
	is_str(out.data, expected, what);
	strbuf_free(&out);
	free(text);
	free(expected);
	free(anew);
	age_recipients_free(&old);
}

static void
is_not_found(const char *before, const char *what)
{
	AgeRecipients old = these(0, 1);
	char *text = with_keys(before);
	StrBuf out = STRBUF_INIT;

	ok(!config_edit_recipients(text, &old, "new", &out), "%s", what);
	is_str(out.data != NULL ? out.data : "", text, "nothing is changed");
	strbuf_free(&out);
	free(text);
	age_recipients_free(&old);
}

int
main(void)
{
	Error err = ERROR_INIT;

	if (!age_init(&err))
		return 1;
	for (int i = 0; i < 4; i++)
	{
		AgeRecipient key;
		char *secret;

		if (!age_identity_generate(&secret, &key, &err))
			return 1;
		age_secret_free(secret);
		age_recipient_text(&key, keys[i]);
	}
	becomes("[global]\nrecipient = %1\nx = y\n", 1,
			"[global]\nrecipient = %4@2026-11-29\nx = y\n", "one key");
	becomes("# c\n[global]\n  recipient=%1@2026-01-01 ; ours\n", 1,
			"# c\n[global]\n  recipient= %4@2026-11-29 ; ours\n",
			"with a day and a comment");
	becomes("[global]\nrecipient = %1\nrecipient = %2\nrecipient = %3", 2,
			"[global]\nrecipient = %4@2026-11-29\nrecipient = %3",
			"two of three lines");
	becomes("[global]\nrecipient = %3, %1 %2\n", 2,
			"[global]\nrecipient = %3 %4@2026-11-29\n", "two of one line");
	becomes("[global]\n# recipient = %1\nescrow-recipient = %1\n"
			"recipient = %1\n[repo:a]\nrecipient = %1\n",
			1,
			"[global]\n# recipient = %1\nescrow-recipient = %1\n"
			"recipient = %4@2026-11-29\n[repo:a]\nrecipient = %1\n",
			"what only looks like it");
	is_not_found("[global]\nrecipient = %2\nrecipients = %1\n",
				 "a key that is not there");
	is_not_found("", "an empty file");
	return done_testing();
}
