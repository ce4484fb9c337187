/*-------------------------------------------------------------------------
 *
 * target_logical.c
 *	  Backs up a database, or some of its tables, as pg_dump sees them.
 *
 * A dump is of one snapshot, which pg_dump takes; only its exit status says
 * that it is complete.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_logical.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/target_writer.h"
#include "pg/program.h"
#include "pg/server.h"

typedef struct LogicalBackup
{
	const LogicalOptions *options;
	PgEnvironment env;
	char *program;
	int version_num;
} LogicalBackup;

/* The array is the caller's, the texts stay whose they are. */
static const char **
make_arguments(const LogicalBackup *l)
{
	const LogicalOptions *options = l->options;
	const char **args = mem_zalloc((2 * options->table_count + 10) *
								   sizeof(*args));
	size_t count = 0;

	args[count++] = "--format=custom";
	args[count++] = "--compress=0";
	args[count++] = "--no-password";
	/* a table that does not exist must not go unnoticed */
	args[count++] = "--strict-names";
	for (size_t i = 0; i < options->table_count; i++)
	{
		args[count++] = "--table";
		args[count++] = options->tables[i];
	}
	if (l->env.rest[0] != '\0')
	{
		args[count++] = "--dbname";
		args[count++] = l->env.rest;
	}
	return args;
}

/* A file's name is made of it. */
static char *
dump_name(const char *database)
{
	char *name = mem_printf("%s.dump", database);

	for (char *p = name; *p != '\0'; p++)
	{
		if (*p == '/' || (unsigned char) *p < ' ')
			*p = '_';
	}
	return name;
}

static bool
dump(LogicalBackup *l, TargetWriter *writer, Error *err)
{
	const char **args = make_arguments(l);
	char *name = dump_name(l->options->database);
	ChildSpec spec = {.program = l->program,
					  .args = args,
					  .set = (const char *const *) l->env.set};
	TargetFile file = {.path = name, .mtime = clock_now(), .mode = 0600};
	bool done = target_writer_run(writer, &file, &spec, err);

	free(name);
	free(args);
	return done;
}

static bool
fill(TargetBackup *b, void *arg, Error *err)
{
	LogicalBackup *l = arg;
	TargetWriter *writer;
	bool done;

	atomic_store(&target_backup_progress(b)->phase, "dumping");
	target_backup_info(b)->version_num = (uint32_t) l->version_num;
	if (!target_writer_open(b, &writer, err))
		return false;
	done = dump(l, writer, err) && target_writer_commit(writer, err);
	target_writer_close(writer);
	return done;
}

/* Of the server, and by the way: can it be reached? */
static bool
find_version(LogicalBackup *l, Error *err)
{
	Server *server = NULL;
	ServerInfo info = {0};
	bool done = server_connect(l->options->connection, &server, err) &&
				server_info(server, &info, err);

	l->version_num = info.version_num;
	server_info_free(&info);
	server_close(server);
	return done;
}

bool
target_logical_take(RepoSet *set, const LogicalOptions *options,
					BackupInfo *out, Error *err)
{
	LogicalBackup l = {.options = options};
	bool done;

	done = find_version(&l, err) &&
		   pg_program_find(options->bin_path, options->program, "pg_dump",
						   &l.program, err) &&
		   pg_environment_make(options->connection, options->database, &l.env,
							   err) &&
		   target_backup_take(set, &options->target, fill, &l, out, err);
	pg_environment_free(&l.env);
	free(l.program);
	return done;
}
