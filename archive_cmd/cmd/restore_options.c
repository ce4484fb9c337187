/*-------------------------------------------------------------------------
 *
 * restore_options.c
 *	  What the commands that restore have in common: the target, and how the
 *	  recovering server asks for WAL.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/restore_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/restore_target.h"

bool
restore_read_target(const Context *ctx, RestoreOptions *job, Error *err)
{
	const char *type = ctx_option(ctx, "target-type");

	job->target = ctx_option(ctx, "target");
	job->target_type = job->target != NULL ? TARGET_TIME : TARGET_LATEST;
	if (type != NULL && !restore_target_type_parse(type, &job->target_type))
	{
		error_set(err, ERR_USAGE, "unknown target type \"%s\"", type);
		return error_hint(err, "It is one of latest, immediate, time, lsn, "
							   "xid, name.");
	}
	job->target_inclusive = !ctx_flag(ctx, "target-exclusive");
	if (!job->target_inclusive && job->target_type != TARGET_TIME &&
		job->target_type != TARGET_LSN && job->target_type != TARGET_XID)
		return error_set(err, ERR_USAGE,
						 "--target-exclusive goes with a target of type "
						 "time, lsn, or xid only");
	return true;
}

/*
 * In single quotes, as the shell wants it, and with "%" doubled, as the server
 * does: it replaces %f, %p and %r before it runs the command.
 */
static void
add_word(StrBuf *out, const char *word)
{
	strbuf_putc(out, '\'');
	for (const char *p = word; *p != '\0'; p++)
	{
		if (*p == '\'')
			strbuf_puts(out, "'\\''");
		else if (*p == '%')
			strbuf_puts(out, "%%");
		else
			strbuf_putc(out, *p);
	}
	strbuf_putc(out, '\'');
}

/*
 * A repository that cannot be asked keeps archive-get from saying that there
 * is no more WAL.  One that was passed over in the plan is not asked by the
 * recovery either: else it would never end.  Of that the user was warned.
 */
static char *
names_to_ask(const Context *ctx, const RepoSet *set)
{
	const char *chosen = ctx_option(ctx, "repo");
	StrBuf sb = STRBUF_INIT;
	bool all = chosen == NULL;

	for (size_t i = 0; i < set->count; i++)
	{
		if (error_is_set(&set->members[i].why))
			all = false;
		else
			strbuf_printf(&sb, "%s%s", sb.len > 0 ? "," : "",
						  repo_set_name(set, i));
	}
	if (!all && sb.len > 0)
		return strbuf_steal(&sb);
	strbuf_free(&sb);
	return NULL;
}

char *
restore_make_command(const Context *ctx, const Settings *settings,
					 const RepoSet *set)
{
	char *names = names_to_ask(ctx, set);
	StrBuf sb = STRBUF_INIT;

	add_word(&sb, ctx_program(ctx));
	strbuf_puts(&sb, " --config ");
	add_word(&sb, settings->file);
	if (names != NULL)
	{
		strbuf_puts(&sb, " --repo ");
		add_word(&sb, names);
	}
	free(names);
	strbuf_puts(&sb, " archive-get \"%f\" \"%p\"");
	return strbuf_steal(&sb);
}
