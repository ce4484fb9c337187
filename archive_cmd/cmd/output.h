/*-------------------------------------------------------------------------
 *
 * output.h
 *	  Where all that a command says leaves the process: text on standard
 *	  output and standard error, or JSON lines on standard output.
 *
 * Safe from any thread.  A write that fails is remembered and never ends the
 * process: what the command does matters more than who listens.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_OUTPUT_H
#define PGDR_OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "job/verify.h"

/* Once, before threads start; also becomes the sink of log messages. */
extern void output_init(bool json, LogLevel level);
extern bool output_is_json(void);

extern void output_text(const char *fmt, va_list ap)
	__attribute__((format(printf, 1, 0)));
/* One line {"type":type, members of obj}; takes obj over. */
extern void output_json(const char *type, Json *obj);
extern void output_error(const Error *err, int exit_status);
/* repository: that is being worked on, or NULL */
extern void output_problem(const Problem *problem, const char *repository);

/*
 * A line on the terminal that the next one replaces; "" removes it.  Nothing
 * when standard error is no terminal.
 */
extern void output_progress_line(const char *text);

/* Flushes; false when something could not be written to standard output. */
extern bool output_finish(void);

#endif
