/*-------------------------------------------------------------------------
 *
 * restore_table.c
 *	  Brings single tables back: into a file, or into a live database.
 *
 * The database is recovered to the target in a scratch cluster, all others as
 * zeros, and dumped from there.  A file gets its name when it is complete.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pg/program.h"

static void
set_phase(const RestoreOptions *restore, const char *phase)
{
	if (restore->progress)
		atomic_store(&restore->progress->phase, phase);
}

/* ---- programs ---- */

/* Runs it to its end; what it writes to its output is nothing to us. */
static bool
run_program(const ChildSpec *spec, Error *err)
{
	char ignored[4096];
	size_t got = sizeof(ignored);
	Child *child;
	bool done;

	if (!child_start(spec, &child, err))
		return false;
	do
	{
		done = child_read(child, ignored, sizeof(ignored), &got, err);
	} while (done && got == sizeof(ignored));
	if (done)
		return child_end(child, err);
	child_kill(child);
	return false;
}

/* Into path, which nobody else writes to. */
static bool
dump(const Scratch *s, const TableOptions *o, const char *path, Error *err)
{
	bool custom = o->custom || o->file == NULL;
	const char **args = mem_zalloc((2 * o->table_count + 12) * sizeof(*args));
	char *conninfo = scratch_conninfo(s, o->database, o->user);
	ChildSpec spec = {.program = o->pg_dump, .args = args};
	size_t n = 0;
	bool done;

	args[n++] = "--no-password";
	args[n++] = "--strict-names";
	args[n++] = custom ? "--format=custom" : "--format=plain";
	args[n++] = "--file";
	args[n++] = path;
	if (o->data_only)
		args[n++] = "--data-only";
	for (size_t i = 0; i < o->table_count; i++)
	{
		args[n++] = "--table";
		args[n++] = o->tables[i];
	}
	args[n++] = "--dbname";
	args[n++] = conninfo;
	done = run_program(&spec, err);
	free(conninfo);
	free(args);
	return done;
}

/* All in one transaction. */
static bool
load(const TableOptions *o, const char *path, Error *err)
{
	PgEnvironment env = {0};
	const char *args[] = {"--single-transaction",
						  "--exit-on-error",
						  "--no-password",
						  "--dbname",
						  NULL,
						  path,
						  NULL};
	ChildSpec spec = {.program = o->pg_restore, .args = args};
	bool done;

	if (!pg_environment_make(o->connection, NULL, &env, err))
		return false;
	/* empty: all is in the environment, the name of the database too */
	args[4] = env.rest;
	spec.set = (const char *const *) env.set;
	done = run_program(&spec, err);
	pg_environment_free(&env);
	return done;
}

/* ---- the file ---- */

static bool
check_file(const char *path, Error *err)
{
	bool there = false;

	if (!file_exists(path, &there, err))
		return false;
	return !there ||
		   error_set(err, ERR_EXISTS, "file \"%s\" exists already", path);
}

/* Durable, and only if the name is free still. */
static bool
publish(const char *tmp, const char *path, Error *err)
{
	int fd = open(tmp, O_RDONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return error_set_errno(err, errno, "could not open file \"%s\"", tmp);
	done = file_fsync(fd, tmp, err);
	close(fd);
	if (done && link(tmp, path) != 0)
		done = errno == EEXIST
				   ? error_set(err, ERR_EXISTS, "file \"%s\" exists already",
							   path)
				   : error_set_errno(err, errno, "could not create file \"%s\"",
									 path);
	return done && file_fsync_parent(path, err);
}

static bool
dump_to_file(const Scratch *s, const TableOptions *o, Error *err)
{
	const char *slash = strrchr(o->file, '/');
	char *tmp = mem_printf("%.*s/" FILE_TMP_PREFIX "table-%ld",
						   (int) (slash - o->file), o->file, (long) getpid());
	bool done = dump(s, o, tmp, err) && publish(tmp, o->file, err);

	unlink(tmp);
	free(tmp);
	return done;
}

static bool
dump_and_load(const Scratch *s, const RestoreOptions *restore,
			  const TableOptions *o, Error *err)
{
	char *path = file_join(s->dir, "dump");
	bool done = dump(s, o, path, err);

	set_phase(restore, "loading");
	done = done && load(o, path, err);
	free(path);
	return done;
}

/* ---- all ---- */

void
restore_table_prepare(const Scratch *scratch, const TableOptions *options,
					  RestoreOptions *restore)
{
	restore->target_dir = scratch->data;
	restore->tablespace_dir = scratch->spaces;
	restore->databases = &options->database;
	restore->database_count = 1;
	restore->archive_off = true;
}

bool
restore_table(RepoSet *set, Scratch *scratch, const RestoreOptions *restore,
			  const TableOptions *options, Error *err)
{
	RestorePlan plan;
	bool done;

	if ((options->file != NULL && !check_file(options->file, err)) ||
		!restore_plan(set, restore, &plan, err))
		return false;
	done = restore_run(set, restore, &plan, err) &&
		   scratch_start(scratch, options->postgres, restore->progress, err);
	restore_plan_free(&plan);
	if (!done)
		return false;
	set_phase(restore, "dumping");
	return options->file != NULL
			   ? dump_to_file(scratch, options, err)
			   : dump_and_load(scratch, restore, options, err);
}
