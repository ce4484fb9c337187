/*-------------------------------------------------------------------------
 *
 * log.c
 *	  Log messages on their way to the sink that cmd/ has set.
 *
 *-------------------------------------------------------------------------
 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

static LogSink log_sink;
static LogLevel log_level = LOG_INFO;

void
log_set_sink(LogSink sink, LogLevel level)
{
	log_sink = sink;
	log_level = level;
}

bool
log_enabled(LogLevel level)
{
	return log_sink != NULL && level >= log_level;
}

static void __attribute__((format(printf, 2, 0)))
log_message(LogLevel level, const char *fmt, va_list ap)
{
	char *message;

	if (!log_enabled(level))
		return;
	message = mem_vprintf(fmt, ap);
	log_sink(level, message, NULL, NULL);
	free(message);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message(LOG_WARNING, fmt, ap);
	va_end(ap);
}

void
log_error_object(LogLevel level, const Error *err)
{
	if (log_enabled(level) && error_is_set(err))
		log_sink(level, err->message, err->detail, err->hint);
}
