/*-------------------------------------------------------------------------
 *
 * command.c
 *	  One run of the program pgdr, spoken with in JSON.
 *
 * Nothing that an SQL user said is on its command line: there it could be
 * taken for an option, and everybody on the host could read it.
 *
 *-------------------------------------------------------------------------
 */
#include "command.h"

#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "dr.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Exit statuses of pgdr that come with a result. */
#define EXIT_DONE 0
#define EXIT_PROBLEMS 10

extern char **environ;

typedef struct Run
{
	const DrCommand *command;
	MemoryContext context; /* of what outlives a line */
	MemoryContext line_context;
	Jsonb *result;
	Jsonb *error;
} Run;

/* The codes of archive_cmd/base/error.h. */
static const struct
{
	const char *code;
	int sqlstate;
} sqlstates[] = {{"usage", ERRCODE_INVALID_PARAMETER_VALUE},
				 {"config", ERRCODE_CONFIG_FILE_ERROR},
				 {"not_found", ERRCODE_UNDEFINED_OBJECT},
				 {"exists", ERRCODE_DUPLICATE_OBJECT},
				 {"damaged", ERRCODE_DATA_CORRUPTED},
				 {"key", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE},
				 {"mismatch", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE},
				 {"incomplete", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE},
				 {"io", ERRCODE_IO_ERROR},
				 {"full", ERRCODE_DISK_FULL},
				 {"denied", ERRCODE_INSUFFICIENT_PRIVILEGE},
				 {"timeout", ERRCODE_SYSTEM_ERROR},
				 {"busy", ERRCODE_OBJECT_IN_USE},
				 {"canceled", ERRCODE_QUERY_CANCELED},
				 {"server", ERRCODE_EXTERNAL_ROUTINE_EXCEPTION},
				 {"unsupported", ERRCODE_FEATURE_NOT_SUPPORTED}};

static int
sqlstate_of(const char *code)
{
	for (int i = 0; code != NULL && i < lengthof(sqlstates); i++)
	{
		if (strcmp(code, sqlstates[i].code) == 0)
			return sqlstates[i].sqlstate;
	}
	return ERRCODE_INTERNAL_ERROR;
}

/* ---- what it says ---- */

/* Message, detail and hint of a line, with the rest as it is raised. */
static void
report(int elevel, int sqlstate, Jsonb *line)
{
	char *message = dr_json_text(line, "message");
	char *detail = dr_json_text(line, "detail");
	char *hint = dr_json_text(line, "hint");

	ereport(elevel, (errcode(sqlstate),
					 errmsg_internal("%s", message ? message : "no message"),
					 detail ? errdetail_internal("%s", detail) : 0,
					 hint ? errhint("%s", hint) : 0));
}

static void
report_log(Jsonb *line)
{
	char *level = dr_json_text(line, "level");

	if (level != NULL && strcmp(level, "warning") == 0)
		report(WARNING, ERRCODE_WARNING, line);
	else if (level != NULL && strcmp(level, "info") == 0)
		report(NOTICE, ERRCODE_SUCCESSFUL_COMPLETION, line);
	else
		report(DEBUG1, ERRCODE_SUCCESSFUL_COMPLETION, line);
}

static Jsonb *
keep(Run *run, Jsonb *line)
{
	MemoryContext before = MemoryContextSwitchTo(run->context);
	Jsonb *copy = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(line));

	MemoryContextSwitchTo(before);
	return copy;
}

static void
take_line(void *arg, char *text, int len)
{
	Run *run = arg;
	MemoryContext before = MemoryContextSwitchTo(run->line_context);
	Jsonb *line = dr_json_parse(text, len);
	char *type = dr_json_text(line, "type");

	if (type == NULL)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("program wrote a line without a type")));
	else if (strcmp(type, "log") == 0)
		report_log(line);
	else if (strcmp(type, "error") == 0)
		run->error = keep(run, line);
	else if (strcmp(type, "result") == 0)
		run->result = keep(run, line);
	else if (strcmp(type, "progress") != 0 && run->command->item != NULL)
		run->command->item(run->command->arg, type, line);
	MemoryContextSwitchTo(before);
	MemoryContextReset(run->line_context);
}

/* ---- how it ends ---- */

/* Of unknown encoding, and cut off anywhere: only what is ASCII is shown. */
static char *
stray_messages(StringInfo messages)
{
	while (messages->len > 0 && messages->data[messages->len - 1] == '\n')
		messages->data[--messages->len] = '\0';
	for (int i = 0; i < messages->len; i++)
	{
		unsigned char c = (unsigned char) messages->data[i];

		if ((c < ' ' && c != '\n' && c != '\t') || c > '~')
			messages->data[i] = '?';
	}
	return messages->len > 0 ? messages->data : NULL;
}

static void
raise_end(int status, StringInfo messages)
{
	char *detail = stray_messages(messages);

	if (WIFSIGNALED(status))
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("program was terminated by signal %d: %s",
						WTERMSIG(status), pg_strsignal(WTERMSIG(status))),
				 detail ? errdetail_internal("%s", detail) : 0));
	ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					errmsg("program ended without a result (exit status %d)",
						   WEXITSTATUS(status)),
					detail ? errdetail_internal("%s", detail) : 0));
}

static Jsonb *
conclude(Run *run, int status, StringInfo messages)
{
	if (run->error != NULL)
	{
		char *code = dr_json_text(run->error, "code");

		report(ERROR, sqlstate_of(code), run->error);
	}
	/* a result alone is no success: it may have failed afterwards */
	if (run->result == NULL || !WIFEXITED(status) ||
		(WEXITSTATUS(status) != EXIT_DONE &&
		 WEXITSTATUS(status) != EXIT_PROBLEMS))
		raise_end(status, messages);
	return run->result;
}

/* ---- how it begins ---- */

/* The pgdr of this server: whatever else is in a PATH may be another's. */
static char *
program_path(void)
{
	char *dir = pstrdup(my_exec_path);

	get_parent_directory(dir);
	return psprintf("%s/pgdr", dir);
}

/*
 * Settings of the program may be in the environment that the server was
 * started with, where its archive_command finds them as well.  Nothing else
 * is passed on, PGDR_CONFIG least of all: dr.config_file is what counts.
 */
static bool
is_setting(const char *variable)
{
	return strncmp(variable, "PGDR_GLOBAL_", 12) == 0 ||
		   strncmp(variable, "PGDR_REPO_", 10) == 0 ||
		   strncmp(variable, "PGDR_PASSPHRASE=", 16) == 0;
}

static char **
program_environment(void)
{
	int count = 0;
	int kept = 0;
	char **envp;

	while (environ[count] != NULL)
		count++;
	envp = palloc(sizeof(char *) * (count + 3));
	envp[kept++] = "PATH=/usr/bin:/bin";
	envp[kept++] = "LC_ALL=C.UTF-8";
	for (int i = 0; i < count; i++)
	{
		if (is_setting(environ[i]))
			envp[kept++] = environ[i];
	}
	envp[kept] = NULL;
	return envp;
}

static void
check_config_file(void)
{
	if (dr_config_file != NULL && dr_config_file[0] != '\0')
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("no configuration file is set"),
			 errhint("Set \"dr.config_file\" in the server's configuration "
					 "to the file that \"pgdr init\" made, and reload.")));
}

static void
name_command(void *arg)
{
	errcontext("program pgdr, command \"%s\"", (const char *) arg);
}

static int
run_child(Run *run, StringInfo messages)
{
	const DrCommand *command = run->command;
	char *options = unconstify(char *, command->options);
	char *argv[] = {
		"pgdr", "--config", dr_config_file, "--output=json", "--stdin-options",
		NULL,   NULL};
	DrChildOptions child = {.path = program_path(),
							.argv = argv,
							.envp = program_environment(),
							.line = take_line,
							.arg = run};

	argv[5] = unconstify(char *, command->name);
	child.input = pg_server_to_any(options, (int) strlen(options), PG_UTF8);
	child.input_len = (int) strlen(child.input);
	return dr_child_run(&child, messages);
}

Jsonb *
dr_command_run(const DrCommand *command)
{
	Run run = {.command = command, .context = CurrentMemoryContext};
	ErrorContextCallback context = {.previous = error_context_stack,
									.callback = name_command,
									.arg = unconstify(char *, command->name)};
	StringInfoData messages;
	int status;

	check_config_file();
	error_context_stack = &context;
	initStringInfo(&messages);
	run.line_context = AllocSetContextCreate(
		CurrentMemoryContext, "dr line of pgdr", ALLOCSET_DEFAULT_SIZES);
	status = run_child(&run, &messages);
	MemoryContextDelete(run.line_context);
	conclude(&run, status, &messages);
	error_context_stack = context.previous;
	return run.result;
}
