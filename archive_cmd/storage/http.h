/*-------------------------------------------------------------------------
 *
 * http.h
 *	  HTTP requests with retry, time-outs, limits and TLS (libcurl is included
 *	  by http_*.c only).  S3 and Azure are built on it.
 *
 * libcurl is initialised at the first http_open(): a command that only uses a
 * directory must not pay for it.  The process has to ignore SIGPIPE.
 *
 * Time-outs: connect-timeout covers name, connection and TLS; stall-timeout
 * the time without a byte in either direction; total-timeout all tries of one
 * http_send(), or of a stream the time until the next bytes arrive.  What a
 * rate limit makes wait does not count.
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

/*
 * A client with its connections, kept open; one thread at a time.  Without the
 * key proxy the usual variables of the environment name one (https_proxy,
 * no_proxy); an empty value means none.
 */
typedef struct Http Http;

extern bool http_open(const StorageOptions *options, Http **out, Error *err);
extern void http_close(Http *http); /* NULL is fine */

typedef struct HttpResponse
{
	int status; /* of the last try; 0: there was no answer */
	StrBuf body;
	StrBuf headers; /* lines as received, the status line first */
	int tries;      /* how often it was sent */
} HttpResponse;

typedef struct HttpRequest HttpRequest;
struct HttpRequest
{
	const char *method; /* "PUT" */
	const char *url;    /* complete, escaped */
	const void *body;   /* of PUT and POST */
	size_t body_len;

	/*
	 * Called before each try to make the headers ("name: value" lines, one
	 * each), because a signature holds the time.  lines has those that are
	 * ours (Range and If-Match of a stream), so that they can be signed.
	 */
	bool (*headers)(void *arg, const HttpRequest *request, StrBuf *lines,
					Error *err);
	void *arg;

	/*
	 * What statuses mean beside 2xx: returns true when the answer is to be
	 * handed to the caller as it is.  NULL: never.  Not for streams.
	 */
	bool (*accept)(int status);

	/*
	 * Looks at an answer that would be handed to the caller; false with *err
	 * set if it is none (an error inside a 200), tried again if transient.
	 */
	bool (*check)(void *arg, const HttpResponse *answer, Error *err);

	/*
	 * Makes an Error of any other answer: code, transient, message from the
	 * server's words.  If it sets none, one is made of the status: 5xx, 429
	 * and 408 are transient, 404 is ERR_IO (who says it may not be the store).
	 */
	void (*explain)(void *arg, const HttpResponse *answer, Error *err);

	size_t max_response; /* bytes of body kept in memory; more is ERR_IO */

	/* For cleaning up: one short try, also when asked to stop. */
	bool last_words;
};

/* *out is to be freed in either case. */
extern bool http_send(Http *http, const HttpRequest *request, HttpResponse *out,
					  Error *err);
extern void http_response_free(HttpResponse *response);
/* Value of a header of the answer (any case), caller frees; or NULL. */
extern char *http_header(const HttpResponse *response, const char *name);

/* "Wed, 12 Oct 2009 17:50:00 GMT" in microseconds since 1970, or 0. */
extern int64_t http_parse_date(const char *text);

/*
 * A GET whose body is pulled.  When the connection breaks in the middle, the
 * rest is asked for with a Range of its own, if the object is still the same
 * (If-Match with its ETag), without the caller noticing.  offset and length
 * as in storage.h, but length is not 0; request->headers must add no Range.
 * 416 is an empty body.  request->arg must outlive the stream, the rest of the
 * request is copied.  Several streams may be open, and requests be sent
 * meanwhile.
 */
typedef struct HttpStream HttpStream;
extern bool http_stream_open(Http *http, const HttpRequest *request,
							 uint64_t offset, uint64_t length, HttpStream **out,
							 Error *err);
extern bool http_stream_read(HttpStream *s, void *buf, size_t cap, size_t *got,
							 Error *err);
extern void http_stream_close(HttpStream *s); /* NULL is fine */

/* RFC 3986 escaping of everything but unreserved; slashes too unless kept. */
extern char *http_escape(const char *text, bool keep_slash);
/* The other way; false if it is not well-formed or has a NUL in it. */
extern bool http_unescape(const char *text, char **out);

/*
 * Is it "http://host[:port][/path]", or with https, without user, query and
 * fragment?  *out, which the caller frees, has the host in lower case and no
 * slash at its end.
 */
extern bool http_parse_endpoint(const char *url, char **out);

/* What the Host header of a request to that URL says; caller frees. */
extern char *http_host(const char *url);

#endif
