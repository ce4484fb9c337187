/*-------------------------------------------------------------------------
 *
 * program.c
 *	  The client programs of PostgreSQL (pg_dump and the like): where they
 *	  are, and how they are told what to connect to.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "pg/server_libpq.h"

/* ---- where they are ---- */

static bool
is_there(const char *dir, size_t len, const char *name, char **out)
{
	char *path = mem_printf("%.*s/%s", (int) len, dir, name);

	if (access(path, X_OK) == 0)
	{
		*out = path;
		return true;
	}
	free(path);
	return false;
}

static bool
find_in_path(const char *name, char **out)
{
	const char *p = getenv("PATH");

	while (p != NULL && *p != '\0')
	{
		size_t len = strcspn(p, ":");

		if (len > 0 && p[0] == '/' && is_there(p, len, name, out))
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

bool
pg_program_find(const char *dir, const char *own, const char *name, char **out,
				Error *err)
{
	const char *slash = own != NULL ? strrchr(own, '/') : NULL;

	if (dir != NULL ? is_there(dir, strlen(dir), name, out)
					: (slash != NULL &&
					   is_there(own, (size_t) (slash - own), name, out)) ||
						  find_in_path(name, out))
		return true;
	error_set(err, ERR_CONFIG, "could not find the program \"%s\"", name);
	if (dir != NULL)
		return error_detail(err, "It is not in \"%s\".", dir);
	return error_hint(err, "Set pg-bin-path to the directory of PostgreSQL's "
						   "client programs.");
}

/* ---- how they are told ---- */

static void
add_variable(PgEnvironment *env, const char *name, const char *value)
{
	env->set = mem_realloc(env->set, (env->count + 2) * sizeof(char *));
	env->set[env->count++] = mem_printf("%s=%s", name, value);
	env->set[env->count] = NULL;
}

static void
add_rest(StrBuf *rest, const char *keyword, const char *value)
{
	strbuf_printf(rest, "%s%s='", rest->len > 0 ? " " : "", keyword);
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			strbuf_putc(rest, '\\');
		strbuf_putc(rest, *value);
	}
	strbuf_putc(rest, '\'');
}

static bool
add_option(PgEnvironment *env, StrBuf *rest, const PQconninfoOption *option,
		   Error *err)
{
	if (option->val == NULL || option->val[0] == '\0')
		return true;
	if (option->envvar != NULL)
		add_variable(env, option->envvar, option->val);
	else if (strcmp(option->dispchar, "*") != 0)
		add_rest(rest, option->keyword, option->val);
	else
		return error_set(err, ERR_CONFIG,
						 "\"%s\" of the connection string cannot be handed to "
						 "another program",
						 option->keyword);
	return true;
}

bool
pg_environment_make(const char *conninfo, const char *dbname,
					PgEnvironment *out, Error *err)
{
	PQconninfoOption *options;
	char *why = NULL;
	StrBuf rest = STRBUF_INIT;
	bool done = true;

	*out = (PgEnvironment){0};
	if (!server_load_libpq(err))
		return false;
	options = PQconninfoParse(conninfo, &why);
	free(why); /* it may quote a password */
	if (options == NULL)
		return error_set(err, ERR_CONFIG,
						 "the connection string cannot be read");
	for (PQconninfoOption *o = options; done && o->keyword != NULL; o++)
	{
		if (dbname == NULL || strcmp(o->keyword, "dbname") != 0)
			done = add_option(out, &rest, o, err);
	}
	PQconninfoFree(options);
	if (dbname != NULL)
		add_variable(out, "PGDATABASE", dbname);
	add_variable(out, "PGAPPNAME", "pgdr");
	out->rest = strbuf_steal(&rest);
	if (!done)
		pg_environment_free(out);
	return done;
}

void
pg_environment_free(PgEnvironment *env)
{
	for (size_t i = 0; i < env->count; i++)
	{
		explicit_bzero(env->set[i], strlen(env->set[i]));
		free(env->set[i]);
	}
	free(env->set);
	free(env->rest);
	*env = (PgEnvironment){0};
}
