/*-------------------------------------------------------------------------
 *
 * http_internal.h
 *	  What the files of the HTTP client share: one exchange with libcurl.
 *
 * All transfers of an Http go through one multi handle, which holds the
 * connections: a request that is sent while a stream is open gets a second
 * one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HTTP_INTERNAL_H
#define PGDR_HTTP_INTERNAL_H

#include "storage/http.h"
#include "storage/http_curl.h"

typedef struct HttpTransfer HttpTransfer;

struct Http
{
	/* fixed */
	RetryPolicy policy;
	Limit *limit;
	char *ca_file; /* or NULL */
	char *proxy;   /* or NULL; "" is none */
	CURLM *multi;

	/* mutable */
	CURL *spare; /* an easy handle that is not in use, or NULL */
};

/*
 * One exchange.  The answer's head goes to *answer, and so does its body
 * unless sink is set and the status is 2xx.
 */
struct HttpTransfer
{
	/* fixed */
	Http *http;
	const HttpRequest *request;
	Retry *retry;         /* its deadline holds */
	HttpResponse *answer; /* status, headers, body */
	/* Takes body bytes, or says no and gets them again after http_resume(). */
	bool (*sink)(void *arg, const void *data, size_t len);
	void *sink_arg;
	bool fresh; /* on a new connection */

	/* mutable */
	CURL *easy; /* NULL: not begun, or ended */
	struct curl_slist *lines;
	size_t sent;
	bool connected;
	bool head_done; /* the head of the final answer is complete */
	bool done;
	CURLcode result;
	long os_errno;    /* of the connect() that failed, or 0 */
	int64_t moved_at; /* monotonic: when a byte moved */
	int unsent;       /* bytes in the kernel's queue then */
	bool reused;      /* the connection had served a request before */
	bool too_big;
	char reason[CURL_ERROR_SIZE];
};

/*
 * Starts t, whose fixed members are set; extra are header lines that are put
 * in front of those of the request ("" for none).
 */
extern bool http_begin(HttpTransfer *t, const char *extra, Error *err);

/*
 * Lets transfers move until t is done or until(arg) says so.  An Error is set
 * only for what ends the operation here (stop request, time-out); how the
 * transfer went is for http_judge() to say.
 */
extern bool http_pump(HttpTransfer *t, bool (*until)(void *arg), void *arg,
					  Error *err);
/* Asks for what sink refused. */
extern void http_resume(HttpTransfer *t);
/* Ends t in any state; result and reason stay. */
extern void http_end(HttpTransfer *t);

/*
 * After t is done: false with *err unless it went well and the status is 2xx
 * (or one that the request accepts).
 */
extern bool http_judge(HttpTransfer *t, Error *err);

/* An Error of a transfer that failed below HTTP. */
extern bool http_transfer_failed(const HttpTransfer *t, Error *err);
extern bool http_timed_out(const HttpTransfer *t, int64_t usecs, Error *err);

/* Is this failure that of an old connection, which a new one may not have? */
extern bool http_connection_was_stale(const HttpTransfer *t);

/* Microseconds to wait as the server wants it (Retry-After), or 0. */
extern int64_t http_retry_after(const HttpResponse *answer);

#endif
