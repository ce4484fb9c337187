/*-------------------------------------------------------------------------
 *
 * restore_table.c
 *	  pgdr restore-table: brings single tables back, as they were at a target.
 *
 * With --output=json the result line has
 *	command, database
 *	tables			as they were given
 *	file			what was written; absent with --into
 *	bytes			its size
 *	duration_ms
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/restore_options.h"
#include "pg/program.h"

static const OptionSpec options[] = {
	{"db", OPTION_TEXT, "NAME", "database that the tables are in"},
	{"table", OPTION_LIST, "PATTERN", "table, as pg_dump -t takes it"},
	{"file", OPTION_TEXT, "FILE", "write a dump to this file"},
	{"format", OPTION_TEXT, "FORMAT", "of the file: plain (default) or custom"},
	{"into", OPTION_TEXT, "CONNINFO", "load them into this live database"},
	{"data-only", OPTION_FLAG, NULL, "rows only, no definitions"},
	{"db-user", OPTION_TEXT, "NAME",
	 "superuser of the cluster that was backed up"},
	{"scratch-dir", OPTION_TEXT, "DIR",
	 "where to recover the database (default: $TMPDIR, else /var/tmp)"},
	{"backup", OPTION_TEXT, "LABEL",
	 "backup to restore (default: the newest that reaches the target)"},
	{"target-type", OPTION_TEXT, "TYPE",
	 "latest (default), immediate, time, lsn, xid, or name"},
	{"target", OPTION_TEXT, "VALUE",
	 "as they were then; without --target-type, a time"},
	{"target-timeline", OPTION_TEXT, "TIMELINE",
	 "latest (default), current, or a number"},
	{"target-exclusive", OPTION_FLAG, NULL, "end just before the target"},
	{NULL, OPTION_FLAG, NULL, NULL}};

/* What the options of the job point to. */
typedef struct Given
{
	RestoreOptions restore;
	TableOptions table;
	const char **tables;
	char *file;
	char *parent; /* of the scratch cluster */
	char *restore_command;
	char *programs[3];
} Given;

static bool
read_tables(const Context *ctx, Given *g, Error *err)
{
	TableOptions *t = &g->table;
	size_t count = 0;

	while (ctx_option_at(ctx, "table", count) != NULL)
		count++;
	t->database = ctx_option(ctx, "db");
	if (t->database == NULL || count == 0)
	{
		error_set(err, ERR_USAGE, "no %s is given",
				  t->database == NULL ? "database" : "table");
		return error_hint(err, "Name it with %s.",
						  t->database == NULL ? "--db" : "--table");
	}
	g->tables = mem_zalloc((count + 1) * sizeof(*g->tables));
	for (size_t i = 0; i < count; i++)
		g->tables[i] = ctx_option_at(ctx, "table", i);
	t->tables = g->tables;
	t->table_count = count;
	t->user = ctx_option(ctx, "db-user");
	t->data_only = ctx_flag(ctx, "data-only");
	return true;
}

static bool
read_destination(const Context *ctx, Given *g, Error *err)
{
	const char *file = ctx_option(ctx, "file");
	const char *format = ctx_option(ctx, "format");

	g->table.connection = ctx_option(ctx, "into");
	if ((file == NULL) == (g->table.connection == NULL))
		return error_set(err, ERR_USAGE,
						 "either --file or --into must be given");
	if (format != NULL && (file == NULL || (strcmp(format, "plain") != 0 &&
											strcmp(format, "custom") != 0)))
	{
		error_set(err, ERR_USAGE, "invalid value \"%s\" of --format", format);
		return error_hint(err, "It goes with --file, and is plain or custom.");
	}
	g->table.custom = format != NULL && strcmp(format, "custom") == 0;
	g->file = file != NULL ? file_absolute(file) : NULL;
	g->table.file = g->file;
	return true;
}

/* The server's programs are beside this one, as its package has put it. */
static bool
find_programs(const Context *ctx, Given *g, Error *err)
{
	const char *own = ctx_program(ctx);

	if (!pg_program_find(NULL, own, "postgres", &g->programs[0], err) ||
		!pg_program_find(NULL, own, "pg_dump", &g->programs[1], err) ||
		!pg_program_find(NULL, own, "pg_restore", &g->programs[2], err))
		return false;
	g->table.postgres = g->programs[0];
	g->table.pg_dump = g->programs[1];
	g->table.pg_restore = g->programs[2];
	return true;
}

static bool
read_options(Context *ctx, Given *g, Error *err)
{
	const char *parent = ctx_option(ctx, "scratch-dir");
	const Settings *settings;

	if (!read_tables(ctx, g, err) || !read_destination(ctx, g, err) ||
		!restore_read_target(ctx, &g->restore, err) ||
		!find_programs(ctx, g, err))
		return false;
	settings = ctx_settings(ctx, err);
	if (settings == NULL)
		return false;
	if (parent == NULL)
		parent = getenv("TMPDIR");
	g->parent = file_absolute(parent != NULL && *parent != '\0' ? parent
																: "/var/tmp");
	g->restore.label = ctx_option(ctx, "backup");
	g->restore.target_timeline = ctx_option(ctx, "target-timeline");
	g->restore.live_pgdata = settings->pgdata;
	g->restore.workers = settings->process_max;
	return true;
}

static void
given_free(Given *g)
{
	free(g->tables);
	free(g->file);
	free(g->parent);
	free(g->restore_command);
	for (size_t i = 0; i < sizeof(g->programs) / sizeof(g->programs[0]); i++)
		free(g->programs[i]);
}

static void
show_result(Context *ctx, const Given *g, int64_t usecs)
{
	Json *obj = json_new_object();
	Json *tables = json_new_array();
	struct stat st;
	char size[32];

	for (size_t i = 0; i < g->table.table_count; i++)
		json_append(tables, json_new_string(g->table.tables[i]));
	json_put_str(obj, "command", "restore-table");
	json_put_str(obj, "database", g->table.database);
	json_put(obj, "tables", tables);
	if (g->file == NULL)
		ctx_print(ctx, "loaded in %.1f s\n", (double) usecs / 1e6);
	else if (stat(g->file, &st) == 0)
	{
		json_put_str(obj, "file", g->file);
		json_put_int(obj, "bytes", st.st_size);
		ctx_print(ctx, "wrote \"%s\" (%s) in %.1f s\n", g->file,
				  size_text((uint64_t) st.st_size, size), (double) usecs / 1e6);
	}
	json_put_int(obj, "duration_ms", usecs / 1000);
	ctx_emit(ctx, "result", obj);
}

static bool
in_scratch(Context *ctx, Given *g, RepoSet *set, Error *err)
{
	Scratch scratch;
	Progress *progress;
	bool done;

	if (!scratch_make(g->parent, &scratch, err))
		return false;
	progress = ctx_progress_start(ctx);
	g->restore.progress = progress;
	restore_table_prepare(&scratch, &g->table, &g->restore);
	done = restore_table(set, &scratch, &g->restore, &g->table, err);
	atomic_store(&progress->phase, "removing");
	scratch_remove(&scratch);
	ctx_progress_stop(ctx);
	return done;
}

static bool
run(Context *ctx, Error *err)
{
	int64_t begun = clock_monotonic();
	Given g = {.restore = {.target_inclusive = true}};
	RepoSet *set = NULL;
	bool done = read_options(ctx, &g, err) &&
				(set = ctx_repo_set(ctx, err)) != NULL;

	if (done)
	{
		repo_set_open_all(set);
		g.restore_command = restore_make_command(ctx, ctx_settings(ctx, err),
												 set);
		g.restore.restore_command = g.restore_command;
		done = in_scratch(ctx, &g, set, err);
	}
	if (done)
		show_result(ctx, &g, clock_monotonic() - begun);
	given_free(&g);
	return done;
}

const Command cmd_restore_table = {
	.name = "restore-table",
	.arguments = "",
	.summary = "bring single tables back, into a file or a live database",
	.options = options,
	.run = run,
	.is_nice = true,
};
