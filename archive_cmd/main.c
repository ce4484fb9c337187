/*-------------------------------------------------------------------------
 *
 * main.c
 *	  pgdr: the table of commands, and the life of one run.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cmd/cmd.h"
#include "cmd/context.h"
#include "cmd/help.h"
#include "cmd/options.h"
#include "cmd/output.h"

static const Command *const commands[] = {
	&cmd_init,    &cmd_archive_push, &cmd_archive_get,
	&cmd_backup,  &cmd_restore,      &cmd_restore_table,
	&cmd_info,    &cmd_check,        &cmd_verify,
	&cmd_expire,  &cmd_delete,       &cmd_pin,
	&cmd_unpin,   &cmd_hold,         &cmd_release,
	&cmd_repair,  &cmd_repo_init,    &cmd_repo_copy,
	&cmd_repo_ls, &cmd_repo_get,     &cmd_key,
	NULL};

static volatile sig_atomic_t stop_signal;

static void
on_stop(int signo)
{
	stop_signal = signo;
	thread_request_stop();
}

/*
 * Whoever started us under nohup wants no SIGHUP; a second SIGINT is for
 * those who cannot wait for the first.  Not before the options are read:
 * nothing would look at the flag while standard input is silent.
 */
static void
catch_signals(void)
{
	struct sigaction stop = {.sa_handler = on_stop};
	struct sigaction old;

	sigaction(SIGTERM, &stop, NULL);
	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &stop, NULL);
	stop.sa_flags = (int) SA_RESETHAND;
	sigaction(SIGINT, &stop, NULL);
}

/*
 * The same few large buffers come and go with each object.  Left to itself
 * malloc() gives each back to the kernel, which has to clear them anew.
 */
static void
keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 16 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
}

/* Else an object that is written could get a closed stream's descriptor. */
static bool
open_standard_streams(void)
{
	int fd;

	do
	{
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return false;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return true;
}

/* Before options are parsed: where an error about them is to go. */
static bool
json_is_wanted(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--output=json") == 0)
			return true;
		if (strcmp(argv[i], "--output") == 0 && i + 1 < argc)
			return strcmp(argv[i + 1], "json") == 0;
	}
	return false;
}

static bool
unknown_command(const char *name, Error *err)
{
	const Command *near = nearest_command(commands, name);

	error_set(err, ERR_USAGE, "unknown command \"%s\"", name);
	if (near != NULL)
		return error_hint(err, "Perhaps you meant \"%s\".", near->name);
	return error_hint(err, "\"pgdr --help\" lists the commands.");
}

/* A command that runs for the server reports only what needs attention. */
static LogLevel
default_level(const Command *command)
{
	if (command == &cmd_archive_push || command == &cmd_archive_get)
		return LOG_WARNING;
	return LOG_INFO;
}

static bool
choose_output(Context *ctx, Error *err)
{
	static const char *const levels[] = {"debug", "info", "warning", "error"};
	const char *output = ctx_option(ctx, "output");
	const char *level = ctx_option(ctx, "log-level");
	bool json = output != NULL && strcmp(output, "json") == 0;

	if (output != NULL && !json && strcmp(output, "text") != 0)
		return error_set(err, ERR_USAGE,
						 "output format must be \"text\" or \"json\", not "
						 "\"%s\"",
						 output);
	for (int i = LOG_DEBUG; i <= LOG_ERROR && level != NULL; i++)
	{
		if (strcmp(level, levels[i]) != 0)
			continue;
		output_init(json, (LogLevel) i);
		return true;
	}
	if (level != NULL)
		return error_set(err, ERR_USAGE,
						 "log level must be debug, info, warning or error, "
						 "not \"%s\"",
						 level);
	output_init(json, default_level(ctx->command));
	return true;
}

static bool
check_arguments(const Context *ctx, Error *err)
{
	const Command *command = ctx->command;
	int count = (int) ctx->options.argument_count;

	if (count >= command->min_args && count <= command->max_args)
		return true;
	error_set(err, ERR_USAGE, "%s arguments for command \"%s\"",
			  count < command->min_args ? "too few" : "too many",
			  command->name);
	return error_hint(err, "Usage: pgdr %s%s%s", command->name,
					  command->arguments[0] != '\0' ? " " : "",
					  command->arguments);
}

/* What asks for help or the version, in place of a command. */
static bool
serve_help(const Context *ctx, const char *word)
{
	const char *topic = ctx_argument(ctx, 0);

	if (ctx_flag(ctx, "version"))
		puts("pgdr " DR_VERSION);
	else if (ctx->command != NULL && ctx_flag(ctx, "help"))
		help_command(ctx->command);
	else if (word != NULL && strcmp(word, "help") == 0 && topic != NULL &&
			 find_command(commands, topic) != NULL)
		help_command(find_command(commands, topic));
	else if (ctx_flag(ctx, "help") ||
			 (word != NULL && strcmp(word, "help") == 0 && topic == NULL))
		help_program(commands);
	else
		return false;
	return true;
}

/* Parses everything; *done when there is nothing left to run. */
static bool
parse(Context *ctx, int argc, char **argv, bool *done, Error *err)
{
	const char *word;
	int used;

	if (!options_parse_globals(&ctx->options, argc, argv, &used, err))
		return false;
	word = used < argc ? argv[used] : NULL;
	if (word != NULL)
	{
		ctx->command = find_command(commands, word);
		if (ctx->command == NULL && strcmp(word, "help") != 0)
			return unknown_command(word, err);
		if (ctx->command != NULL)
			ctx->options.own = ctx->command->options;
		if (!options_parse(&ctx->options, argc - used - 1, argv + used + 1,
						   err))
			return false;
	}
	*done = serve_help(ctx, word);
	if (*done)
		return true;
	if (ctx->command == NULL && word != NULL && ctx_argument(ctx, 0) != NULL)
		return unknown_command(ctx_argument(ctx, 0), err);
	if (ctx->command == NULL)
	{
		error_set(err, ERR_USAGE, "no command is given");
		return error_hint(err, "\"pgdr --help\" lists the commands.");
	}
	if (ctx_flag(ctx, "stdin-options") &&
		!options_parse_fd(&ctx->options, STDIN_FILENO, err))
		return false;
	return choose_output(ctx, err) && check_arguments(ctx, err);
}

/*
 * A restore_command with a misspelt name must not read as "end of the
 * archive", which any status from 1 to 125 does.
 */
static int
status_of_error(const Context *ctx, const char *word, const Error *err)
{
	const Command *command = ctx->command;

	if (command == NULL && word != NULL)
		command = nearest_command(commands, word);
	if (command != NULL && command->exit_status != NULL)
		return command->exit_status(err);
	return error_exit_status(err);
}

static int
finish(const Context *ctx)
{
	bool heard = output_finish();

	if (!heard && (ctx->command == NULL || ctx->command->is_query))
	{
		Error err = ERROR_INIT;

		error_set(&err, ERR_IO, "could not write to standard output");
		output_error(&err, EXIT_STORE);
		error_clear(&err);
		return EXIT_STORE;
	}
	return ctx->status;
}

/* The server must see that it was its own signal, not an answer. */
static void
die_of_signal(void)
{
	signal(stop_signal, SIG_DFL);
	raise(stop_signal);
}

/* The first word that may be meant as the command, for errors. */
static const char *
first_word(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++)
	{
		if (argv[i][0] != '-' && nearest_command(commands, argv[i]) != NULL)
			return argv[i];
	}
	return NULL;
}

static int
run(Context *ctx, int argc, char **argv)
{
	Error err = ERROR_INIT;
	bool done = false;
	int status;

	output_init(json_is_wanted(argc, argv), LOG_INFO);
	if (parse(ctx, argc - 1, argv + 1, &done, &err))
	{
		if (ctx->command == &cmd_archive_get)
			mem_set_exit_status(EXIT_GET_BASE + 9);
		else
			mem_set_exit_status(EXIT_INTERNAL);
		if (!done)
			catch_signals();
		if (done || ctx->command->run(ctx, &err))
			return finish(ctx);
	}
	if (!error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "command failed without a reason");
	ctx_progress_stop(ctx);
	status = status_of_error(ctx, first_word(argc, argv), &err);
	output_error(&err, status);
	output_finish();
	if (stop_signal != 0 && ctx->command == &cmd_archive_get)
		die_of_signal();
	error_clear(&err);
	return status;
}

int
main(int argc, char **argv)
{
	Context ctx;
	int status;

	keep_memory();
	if (!open_standard_streams())
		return EXIT_INTERNAL;
	signal(SIGPIPE, SIG_IGN);
	context_init(&ctx);
	status = run(&ctx, argc, argv);
	context_free(&ctx);
	return status;
}
