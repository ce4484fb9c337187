/*-------------------------------------------------------------------------
 *
 * output.c
 *	  Where all that a command says leaves the process.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/output.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* One per process by nature, as the log sink is. */
static struct
{
	/* fixed by output_init() */
	bool json;
	bool terminal; /* standard error is one */

	/* mutable, under lock */
	pthread_mutex_t lock;
	bool line_shown;
	bool failed;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {[LOG_DEBUG] = "debug",
										  [LOG_INFO] = "info",
										  [LOG_WARNING] = "warning",
										  [LOG_ERROR] = "error"};

static void
hide_line(void)
{
	if (out.line_shown)
		fputs("\r\033[K", stderr);
	out.line_shown = false;
}

/* Both streams; called with the text of whole lines. */
static void
put(FILE *stream, const char *text)
{
	pthread_mutex_lock(&out.lock);
	hide_line();
	if (fputs(text, stream) < 0 || (out.json && fflush(stream) != 0))
		out.failed |= stream == stdout;
	pthread_mutex_unlock(&out.lock);
}

bool
output_is_json(void)
{
	return out.json;
}

void
output_text(const char *fmt, va_list ap)
{
	char *text = mem_vprintf(fmt, ap);

	put(stdout, text);
	free(text);
}

void
output_json(const char *type, Json *obj)
{
	char *members = json_dump(obj);
	char *line = mem_printf("{\"type\":\"%s\"%s%s\n", type,
							members[1] == '}' ? "" : ",", members + 1);

	put(stdout, line);
	free(line);
	free(members);
	json_free(obj);
}

static void
put_if(Json *obj, const char *key, const char *text)
{
	if (text != NULL)
		json_put_str(obj, key, text);
}

/* "pgdr: LABEL: message" with detail and hint below, on standard error. */
static void
put_report(const char *label, const char *message, const char *detail,
		   const char *hint)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "pgdr: %s%s%s\n", label, label[0] != '\0' ? ": " : "",
				  message);
	if (detail != NULL)
		strbuf_printf(&sb, "DETAIL:  %s\n", detail);
	if (hint != NULL)
		strbuf_printf(&sb, "HINT:  %s\n", hint);
	put(stderr, sb.data);
	strbuf_free(&sb);
}

static void
log_to_output(LogLevel level, const char *message, const char *detail,
			  const char *hint)
{
	Json *obj;

	if (!out.json)
	{
		put_report(level == LOG_INFO ? "" : level_names[level], message, detail,
				   hint);
		return;
	}
	obj = json_new_object();
	json_put_str(obj, "level", level_names[level]);
	json_put_str(obj, "message", message);
	put_if(obj, "detail", detail);
	put_if(obj, "hint", hint);
	output_json("log", obj);
}

void
output_init(bool json, LogLevel level)
{
	out.json = json;
	out.terminal = isatty(STDERR_FILENO);
	log_set_sink(log_to_output, level);
}

void
output_error(const Error *err, int exit_status)
{
	Json *obj;

	if (!out.json)
	{
		put_report("error", err->message, err->detail, err->hint);
		return;
	}
	obj = json_new_object();
	json_put_str(obj, "code", error_code_name(err->code));
	json_put_str(obj, "message", err->message);
	put_if(obj, "detail", err->detail);
	put_if(obj, "hint", err->hint);
	json_put_bool(obj, "transient", err->transient);
	json_put_int(obj, "exit", exit_status);
	output_json("error", obj);
}

static void
problem_text(const Problem *p)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "%s: ", p->warning ? "warning" : "problem");
	if (p->repository != NULL)
		strbuf_printf(&sb, "repository \"%s\": ", p->repository);
	strbuf_printf(&sb, "%s%s%s\n", p->object != NULL ? p->object : "",
				  p->object != NULL ? ": " : "", p->message);
	if (p->detail != NULL)
		strbuf_printf(&sb, "  DETAIL:  %s\n", p->detail);
	if (p->hint != NULL)
		strbuf_printf(&sb, "  HINT:  %s\n", p->hint);
	put(stdout, sb.data);
	strbuf_free(&sb);
}

void
output_problem(const Problem *p, const char *repository)
{
	Json *obj;

	if (!out.json)
	{
		problem_text(p);
		return;
	}
	obj = json_new_object();
	json_put_str(obj, "severity", p->warning ? "warning" : "error");
	put_if(obj, "repository", p->repository ? p->repository : repository);
	put_if(obj, "check", p->check);
	put_if(obj, "object", p->object);
	json_put_str(obj, "message", p->message);
	put_if(obj, "detail", p->detail);
	put_if(obj, "hint", p->hint);
	output_json("problem", obj);
}

void
output_progress_line(const char *text)
{
	if (!out.terminal || out.json)
		return;
	pthread_mutex_lock(&out.lock);
	hide_line();
	if (text[0] != '\0')
	{
		fputs(text, stderr);
		fflush(stderr);
		out.line_shown = true;
	}
	pthread_mutex_unlock(&out.lock);
}

bool
output_finish(void)
{
	bool good;

	pthread_mutex_lock(&out.lock);
	hide_line();
	good = fflush(stdout) == 0 && !ferror(stdout) && !out.failed;
	pthread_mutex_unlock(&out.lock);
	return good;
}
