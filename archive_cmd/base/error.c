/*-------------------------------------------------------------------------
 *
 * error.c
 *	  The error object that every function below cmd/ reports through.
 *
 *-------------------------------------------------------------------------
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Indexed by ErrCode; the names are part of the JSON output's contract. */
static const char *const code_names[] = {
	[ERR_NONE] = "none",
	[ERR_USAGE] = "usage",
	[ERR_CONFIG] = "config",
	[ERR_NOT_FOUND] = "not_found",
	[ERR_EXISTS] = "exists",
	[ERR_DAMAGED] = "damaged",
	[ERR_KEY] = "key",
	[ERR_MISMATCH] = "mismatch",
	[ERR_INCOMPLETE] = "incomplete",
	[ERR_IO] = "io",
	[ERR_FULL] = "full",
	[ERR_DENIED] = "denied",
	[ERR_TIMEOUT] = "timeout",
	[ERR_BUSY] = "busy",
	[ERR_CANCELED] = "canceled",
	[ERR_SERVER] = "server",
	[ERR_LOCKED] = "locked",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_INTERNAL] = "internal",
};

/* Trailing line breaks go, those within become spaces. */
static void
make_one_line(char *s)
{
	size_t len = strlen(s);

	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		s[--len] = '\0';
	for (; *s != '\0'; s++)
	{
		if (*s == '\n' || *s == '\r')
			*s = ' ';
	}
}

/* Takes over message.  The first error wins. */
static bool
set_message(Error *err, ErrCode code, bool transient, char *message)
{
	if (error_is_set(err))
	{
		err->shadowed = true;
		free(message);
		return false;
	}
	make_one_line(message);
	err->code = code;
	err->transient = transient;
	err->message = message;
	return false;
}

bool
error_set(Error *err, ErrCode code, const char *fmt, ...)
{
	va_list ap;
	char *message;

	va_start(ap, fmt);
	message = mem_vprintf(fmt, ap);
	va_end(ap);
	return set_message(err, code, false, message);
}

static ErrCode
code_of_errno(int errnum)
{
	switch (errnum)
	{
		case ENOENT:
			return ERR_NOT_FOUND;
		case ENOSPC:
		case EDQUOT:
			return ERR_FULL;
		case EACCES:
		case EPERM:
		case EROFS:
			return ERR_DENIED;
		case EEXIST:
			return ERR_EXISTS;
		default:
			return ERR_IO;
	}
}

static bool
errno_is_transient(int errnum)
{
	switch (errnum)
	{
		case EAGAIN:
		case EBUSY:
		case EINTR:
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ESTALE:
		case ETIMEDOUT:
		case ECONNABORTED:
		case ECONNREFUSED:
		case ECONNRESET:
		case EHOSTDOWN:
		case EHOSTUNREACH:
		case ENETDOWN:
		case ENETRESET:
		case ENETUNREACH:
		case EPIPE:
			return true;
		default:
			return false;
	}
}

bool
error_set_errno(Error *err, int errnum, const char *fmt, ...)
{
	char text[256];
	char *what;
	char *message;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	message = mem_printf("%s: %s", what,
						 strerror_r(errnum, text, sizeof(text)));
	free(what);
	return set_message(err, code_of_errno(errnum), errno_is_transient(errnum),
					   message);
}

/* Takes over text. */
static bool
add_sentence(const Error *err, char **field, char *text)
{
	if (!error_is_set(err) || err->shadowed)
	{
		free(text);
		return false;
	}
	if (*field != NULL)
	{
		char *both = mem_printf("%s %s", *field, text);

		free(*field);
		free(text);
		text = both;
	}
	*field = text;
	return false;
}

bool
error_detail(Error *err, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	return add_sentence(err, &err->detail, text);
}

bool
error_hint(Error *err, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	return add_sentence(err, &err->hint, text);
}

bool
error_prefix(Error *err, const char *fmt, ...)
{
	va_list ap;
	char *prefix;
	char *message;

	if (!error_is_set(err))
		return false;
	va_start(ap, fmt);
	prefix = mem_vprintf(fmt, ap);
	va_end(ap);
	message = mem_printf("%s: %s", prefix, err->message);
	make_one_line(message);
	free(prefix);
	free(err->message);
	err->message = message;
	return false;
}

void
error_clear(Error *err)
{
	free(err->message);
	free(err->detail);
	free(err->hint);
	*err = (Error) ERROR_INIT;
}

void
error_move(Error *dst, Error *src)
{
	if (error_is_set(dst))
	{
		if (error_is_set(src))
			dst->shadowed = true;
		error_clear(src);
		return;
	}
	*dst = *src;
	*src = (Error) ERROR_INIT;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

void
error_copy(Error *dst, const Error *src)
{
	Error copy = {.code = src->code,
				  .transient = src->transient,
				  .message = copy_text(src->message),
				  .detail = copy_text(src->detail),
				  .hint = copy_text(src->hint)};

	error_move(dst, &copy);
}

const char *
error_code_name(ErrCode code)
{
	size_t i = (size_t) code;

	if (i >= sizeof(code_names) / sizeof(code_names[0]))
		return "unknown";
	return code_names[i];
}
