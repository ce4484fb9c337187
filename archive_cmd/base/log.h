/*-------------------------------------------------------------------------
 *
 * log.h
 *	  Log messages: code below cmd/ says what happens, cmd/ decides where it
 *	  goes (text on standard error, or JSON lines).
 *
 * Messages follow PostgreSQL's style: lower case, no period.  Never a secret.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_LOG_H
#define PGDR_LOG_H

#include <stdbool.h>

#include "base/error.h"

typedef enum LogLevel
{
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR
} LogLevel;

/* Called with one finished message; detail and hint may be NULL. */
typedef void (*LogSink)(LogLevel level, const char *message, const char *detail,
						const char *hint);

/*
 * Set once, before threads start.  Messages below the level are dropped, all of
 * them while there is no sink.  The sink is called from any thread.
 */
extern void log_set_sink(LogSink sink, LogLevel level);

extern bool log_enabled(LogLevel level);

extern void log_debug(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
extern void log_info(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
extern void log_warning(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* An error that does not end the command, with its detail and hint. */
extern void log_error_object(LogLevel level, const Error *err);

#endif
