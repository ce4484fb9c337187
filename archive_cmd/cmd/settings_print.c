/*-------------------------------------------------------------------------
 *
 * settings_print.c
 *	  A fingerprint of the configuration, as far as archiving goes.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/settings.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

/* With its length in front, so that no two lists of texts look the same. */
static void
add(StrBuf *text, const char *value)
{
	if (value == NULL)
		strbuf_puts(text, "-\n");
	else
		strbuf_printf(text, "%zu %s\n", strlen(value), value);
}

static void
add_repo(StrBuf *text, const RepoSettings *repo)
{
	add(text, repo->name);
	add(text, repo->type);
	add(text, repo->path);
	strbuf_printf(text, "%d %zu\n", repo->required, repo->param_count);
	for (size_t i = 0; i < repo->param_count; i++)
	{
		add(text, repo->params[i].key);
		add(text, repo->params[i].value);
	}
}

void
settings_print(const Settings *s, const char *repos,
			   char hex[CONTENT_HEX_LEN + 1])
{
	StrBuf text = STRBUF_INIT;

	add(&text, s->cluster);
	add(&text, s->pgdata);
	add(&text, s->content_key_file);
	add(&text, repos);
	strbuf_printf(&text, "%d %" PRIu32 " %zu\n", s->encrypt, s->quorum,
				  s->recipient_count);
	for (size_t i = 0; i < s->recipient_count; i++)
		add(&text, s->recipients[i]);
	for (size_t i = 0; i < s->repo_count; i++)
		add_repo(&text, &s->repos[i]);
	plain_hash(text.data, text.len, hex);
	strbuf_free(&text);
}
