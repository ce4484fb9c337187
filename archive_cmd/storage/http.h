/*-------------------------------------------------------------------------
 *
 * http.h
 *	  HTTP requests with retry, time-outs, limits and TLS (libcurl is included
 *	  by http.c only).  S3 and Azure are built on it.
 *
 * libcurl is loaded and initialised at the first http_open(): a command that
 * only uses a directory must not pay for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HTTP_H
#define PGDR_HTTP_H

#include "base/mem.h"
#include "storage/limit.h"
#include "storage/retry.h"
#include "storage/storage.h"

/* Keys of every driver over HTTP. */
#define HTTP_KEYS                                                         \
	{"ca-file", STORAGE_KEY_PATH, false, NULL,                            \
	 "certificates of the authorities to trust instead of the system's"}, \
	{                                                                     \
		"proxy", STORAGE_KEY_TEXT, false, NULL, "URL of an HTTP proxy"    \
	}

typedef struct Http Http; /* one connection, kept open; one thread */

extern bool http_open(const StorageOptions *options, Http **out, Error *err);
extern void http_close(Http *http); /* NULL is fine */

typedef struct HttpRequest
{
	const char *method; /* "PUT" */
	const char *url;    /* complete, escaped */
	const void *body;   /* NULL: none */
	size_t body_len;

	/*
	 * Called before each try to make the headers ("name: value" lines, one
	 * each), because a signature holds the time.
	 */
	bool (*headers)(void *arg, const struct HttpRequest *request, StrBuf *lines,
					Error *err);
	void *arg;

	/*
	 * What statuses mean beside 2xx: returns true when the answer is to be
	 * handed to the caller as it is (404 where absence is an answer).
	 */
	bool (*accept)(int status);

	/*
	 * Makes an Error of any other answer: code, transient, message from the
	 * server's words.  5xx, 429 and 408 are transient without it.
	 */
	void (*explain)(void *arg, int status, const char *body, size_t len,
					Error *err);
	size_t max_response; /* bytes of body kept in memory; more is ERR_IO */
} HttpRequest;

typedef struct HttpResponse
{
	int status;
	StrBuf body;
	StrBuf headers; /* lines as received */
} HttpResponse;

extern bool http_send(Http *http, const HttpRequest *request, HttpResponse *out,
					  Error *err);
extern void http_response_free(HttpResponse *response);
/* Value of a header of the answer (any case), caller frees; or NULL. */
extern char *http_header(const HttpResponse *response, const char *name);

/*
 * A GET whose body is pulled.  When the connection breaks in the middle, the
 * rest is asked for with a Range of its own, if the object is still the same
 * (If-Match with its ETag), without the caller noticing.  offset and length
 * as in storage.h; request->headers must add no Range.
 */
typedef struct HttpStream HttpStream;
extern bool http_stream_open(Http *http, const HttpRequest *request,
							 uint64_t offset, uint64_t length, HttpStream **out,
							 Error *err);
/* Status of the first answer, if accept() took one that is not 2xx. */
extern int http_stream_status(const HttpStream *s);
extern bool http_stream_read(HttpStream *s, void *buf, size_t cap, size_t *got,
							 Error *err);
extern void http_stream_close(HttpStream *s); /* NULL is fine */

/* RFC 3986 escaping of everything but unreserved; slashes too unless kept. */
extern char *http_escape(const char *text, bool keep_slash);

#endif
