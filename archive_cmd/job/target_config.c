/*-------------------------------------------------------------------------
 *
 * target_config.c
 *	  Backs up the configuration of the server: its files, the settings that
 *	  are not the default, and roles and tablespaces as SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/backup_config.h"
#include "job/target_writer.h"
#include "pg/program.h"

/*
 * What comes from files, the command line and the environment; what a session
 * sets for itself is not the server's.
 */
#define SETTINGS_NOT_DEFAULT                                                \
	"SELECT name, current_setting(name), source, coalesce(sourcefile, '')," \
	" coalesce(sourceline::text, '') FROM pg_settings"                      \
	" WHERE source NOT IN ('default', 'override', 'client', 'session',"     \
	" 'interactive', 'test') AND context <> 'internal'"                     \
	" ORDER BY name"

/* Lists are stored quoted, element by element, as SET takes them. */
#define DATABASE_SETTINGS                                                    \
	"SELECT format('ALTER DATABASE %I SET %I TO %s;', d.datname,"            \
	" split_part(c, '=', 1), CASE WHEN split_part(c, '=', 1) IN"             \
	" ('search_path', 'temp_tablespaces', 'local_preload_libraries',"        \
	" 'session_preload_libraries')"                                          \
	" THEN replace(substr(c, strpos(c, '=') + 1), '\"\"', '''''')"           \
	" ELSE quote_literal(substr(c, strpos(c, '=') + 1)) END)"                \
	" FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase" \
	" CROSS JOIN LATERAL unnest(s.setconfig) WITH ORDINALITY AS u(c, n)"     \
	" WHERE s.setrole = 0 ORDER BY d.datname, n"

typedef struct ConfigBackup
{
	const ConfigOptions *options;
	RepoSet *set;
	Server *server;
	ServerInfo info;
	ConfigCopies copies;
	TargetWriter *writer;
} ConfigBackup;

/* ---- what is made of the server's tables ---- */

static bool
add_setting(void *arg, char *const *values, int ncols, Error *err)
{
	StrBuf *text = arg;

	(void) ncols;
	(void) err;
	strbuf_printf(text, "# %s%s%s%s%s\n", values[2], *values[3] ? " " : "",
				  values[3], *values[4] ? ":" : "", values[4]);
	strbuf_printf(text, "%s = '", values[0]);
	for (const char *p = values[1] != NULL ? values[1] : ""; *p != '\0'; p++)
	{
		if (*p == '\'' || *p == '\\')
			strbuf_putc(text, *p);
		strbuf_putc(text, *p);
	}
	strbuf_puts(text, "'\n");
	return true;
}

static bool
add_line(void *arg, char *const *values, int ncols, Error *err)
{
	StrBuf *text = arg;

	(void) ncols;
	(void) err;
	strbuf_printf(text, "%s\n", values[0]);
	return true;
}

static bool
put_text(ConfigBackup *c, const char *path, const StrBuf *text, Error *err)
{
	TargetFile file = {
		.path = path, .size = text->len, .mtime = clock_now(), .mode = 0600};

	return target_writer_put(c->writer, &file, text->data, err);
}

static bool
put_query(ConfigBackup *c, const char *path, const char *sql, ServerRowFn fn,
		  Error *err)
{
	StrBuf text = STRBUF_INIT;
	bool done;

	strbuf_printf(&text, "%s made by pgdr\n", fn == add_line ? "--" : "#");
	done = server_query(c->server, sql, fn, &text, err) &&
		   put_text(c, path, &text, err);
	strbuf_free(&text);
	return done;
}

/* ---- files ---- */

static bool
put_files(ConfigBackup *c, Error *err)
{
	if (!backup_config_files(c->server, &c->info, &c->copies, err))
		return false;
	for (size_t i = 0; i < c->copies.count; i++)
	{
		const DataFile *from = &c->copies.items[i].file;
		TargetFile file = {.path = from->path,
						   .size = from->size,
						   .mtime = from->mtime,
						   .mode = from->mode};

		target_writer_parents(c->writer, from->path);
		if (!target_writer_put(c->writer, &file, c->copies.items[i].text, err))
			return false;
	}
	return true;
}

/* ---- roles and tablespaces ---- */

static bool
all_encrypted(const RepoSet *set)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (set->members[i].repo != NULL && !set->members[i].repo->encrypted)
			return false;
	}
	return true;
}

static bool
run_dumpall(ConfigBackup *c, const char *program, const PgEnvironment *env,
			Error *err)
{
	const char *args[6] = {"--globals-only", "--no-password"};
	size_t count = 2;
	ChildSpec spec = {.program = program,
					  .args = args,
					  .set = (const char *const *) env->set};
	TargetFile file = {
		.path = "globals.sql", .mtime = clock_now(), .mode = 0600};

	if (!all_encrypted(c->set))
	{
		log_warning("password hashes of roles are left out, because the "
					"repository is not encrypted");
		args[count++] = "--no-role-passwords";
	}
	if (env->rest[0] != '\0')
	{
		args[count++] = "--dbname";
		args[count++] = env->rest;
	}
	return target_writer_run(c->writer, &file, &spec, err);
}

static bool
put_globals(ConfigBackup *c, Error *err)
{
	PgEnvironment env = {0};
	char *program = NULL;
	bool done;

	done = pg_program_find(c->options->bin_path, c->options->program,
						   "pg_dumpall", &program, err) &&
		   pg_environment_make(c->options->connection, NULL, &env, err) &&
		   run_dumpall(c, program, &env, err);
	if (!done && err->code == ERR_SERVER)
		error_hint(err, "pg_dumpall reads pg_authid, which only a superuser "
						"may do.");
	pg_environment_free(&env);
	free(program);
	return done;
}

/* ---- all ---- */

static bool
fill(TargetBackup *b, void *arg, Error *err)
{
	ConfigBackup *c = arg;
	bool done;

	atomic_store(&target_backup_progress(b)->phase, "copying");
	target_backup_info(b)->version_num = (uint32_t) c->info.version_num;
	if (!target_writer_open(b, &c->writer, err))
		return false;
	done = put_files(c, err) &&
		   put_query(c, "settings.conf", SETTINGS_NOT_DEFAULT, add_setting,
					 err) &&
		   put_query(c, "databases.sql", DATABASE_SETTINGS, add_line, err) &&
		   put_globals(c, err) && target_writer_commit(c->writer, err);
	target_writer_close(c->writer);
	return done;
}

bool
target_config_take(RepoSet *set, const ConfigOptions *options, BackupInfo *out,
				   Error *err)
{
	ConfigBackup c = {.options = options, .set = set};
	bool done;

	done = server_connect(options->connection, &c.server, err) &&
		   server_info(c.server, &c.info, err) &&
		   target_backup_take(set, &options->target, fill, &c, out, err);
	backup_config_free(&c.copies);
	server_info_free(&c.info);
	server_close(c.server);
	return done;
}
