/*-------------------------------------------------------------------------
 *
 * context.c
 *	  What a command reads and says.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/context.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cmd/output.h"

/* By the kernel's word: argv[0] is whatever the caller liked. */
static char *
own_path(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len <= 0)
		return mem_strdup("pgdr");
	path[len] = '\0';
	return mem_strdup(path);
}

void
context_init(Context *ctx)
{
	*ctx = (Context){.program = own_path()};
}

void
context_free(Context *ctx)
{
	ctx_progress_stop(ctx);
	repo_set_free(&ctx->set);
	if (ctx->keys_loaded)
		repo_keys_free(&ctx->keys);
	if (ctx->settings_loaded)
		settings_free(&ctx->settings);
	options_free(&ctx->options);
	free(ctx->program);
}

int
error_exit_status(const Error *err)
{
	switch (err->code)
	{
		case ERR_NONE:
			return EXIT_DONE;
		case ERR_USAGE:
			return EXIT_USAGE;
		case ERR_CONFIG:
		case ERR_UNSUPPORTED:
			return EXIT_CONFIGURATION;
		case ERR_NOT_FOUND:
			return EXIT_NOT_FOUND;
		case ERR_EXISTS:
		case ERR_MISMATCH:
		case ERR_BUSY:
			return EXIT_CONFLICT;
		case ERR_DAMAGED:
			return EXIT_DAMAGED;
		case ERR_KEY:
			return EXIT_KEY;
		case ERR_INCOMPLETE:
			return EXIT_INCOMPLETE;
		case ERR_IO:
		case ERR_FULL:
		case ERR_DENIED:
		case ERR_LOCKED:
		case ERR_TIMEOUT:
			return EXIT_STORE;
		case ERR_CANCELED:
			return EXIT_CANCELED;
		case ERR_SERVER:
			return EXIT_SERVER;
		case ERR_INTERNAL:
			break;
	}
	return EXIT_INTERNAL;
}

/* ---- what a command reads ---- */

const char *
ctx_option(const Context *ctx, const char *name)
{
	return options_value(&ctx->options, name, 0);
}

bool
ctx_flag(const Context *ctx, const char *name)
{
	return ctx_option(ctx, name) != NULL;
}

/* *value keeps the caller's default when the option is not given. */
bool
ctx_option_int(const Context *ctx, const char *name, int64_t min, int64_t max,
			   int64_t *value, Error *err)
{
	const char *text = ctx_option(ctx, name);

	return text == NULL || options_int(name, text, min, max, value, err);
}

const char *
ctx_option_at(const Context *ctx, const char *name, size_t i)
{
	return options_value(&ctx->options, name, i);
}

const char *
ctx_argument(const Context *ctx, int i)
{
	if (i < 0 || (size_t) i >= ctx->options.argument_count)
		return NULL;
	return ctx->options.arguments[i];
}

const char *
ctx_program(const Context *ctx)
{
	return ctx->program;
}

void
ctx_only_writes(Context *ctx)
{
	ctx->write_only = true;
}

/*
 * Threads that are started later have it, too.  Who started us may have been
 * nicer than that.
 */
static void
be_nice(const Context *ctx)
{
	if (ctx->command->is_nice &&
		ctx->settings.nice > getpriority(PRIO_PROCESS, 0) &&
		setpriority(PRIO_PROCESS, 0, ctx->settings.nice) != 0)
		log_warning("could not lower the priority to %d: %s",
					ctx->settings.nice, strerror(errno));
}

const Settings *
ctx_settings(Context *ctx, Error *err)
{
	if (!ctx->settings_loaded)
	{
		ctx->settings_loaded = settings_load(ctx_option(ctx, "config"),
											 &ctx->settings, err);
		if (ctx->settings_loaded)
			be_nice(ctx);
	}
	return ctx->settings_loaded ? &ctx->settings : NULL;
}

/* ---- what a command says ---- */

bool
ctx_json(const Context *ctx)
{
	(void) ctx;
	return output_is_json();
}

void
ctx_print(Context *ctx, const char *fmt, ...)
{
	va_list ap;

	if (ctx_json(ctx))
		return;
	va_start(ap, fmt);
	output_text(fmt, ap);
	va_end(ap);
}

void
ctx_emit(Context *ctx, const char *type, Json *obj)
{
	if (ctx->current != NULL && strcmp(type, "result") != 0 &&
		strcmp(type, "repository") != 0)
		json_put_str(obj, "repository", ctx->current);
	if (ctx_json(ctx))
		output_json(type, obj);
	else
		json_free(obj);
}

void
ctx_problem(void *arg, const Problem *problem)
{
	Context *ctx = arg;

	if (!problem->warning)
		ctx->status = EXIT_PROBLEMS;
	output_problem(problem, ctx->current);
}

void
ctx_found_problems(Context *ctx)
{
	ctx->status = EXIT_PROBLEMS;
}

void
ctx_exit_with(Context *ctx, int status)
{
	ctx->status = status;
}

Progress *
ctx_progress_start(Context *ctx)
{
	ctx_progress_stop(ctx);
	ctx->progress = progress_show_start();
	return progress_show_counters(ctx->progress);
}

void
ctx_progress_stop(Context *ctx)
{
	progress_show_stop(ctx->progress);
	ctx->progress = NULL;
}

char *
size_text(uint64_t bytes, char *buf)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
	double value = (double) bytes;
	size_t unit = 0;

	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]))
	{
		value /= 1024;
		unit++;
	}
	snprintf(buf, 32, "%.*f %s", unit > 0, value, units[unit]);
	return buf;
}
