/*-------------------------------------------------------------------------
 *
 * http_server.h
 *	  An HTTP server on a loopback port that answers what a test wants, also
 *	  what no proper server would.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HTTP_SERVER_H
#define PGDR_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct HttpServer HttpServer;

typedef struct ServedRequest
{
	int number;     /* since the start of the server, from 1 */
	int connection; /* likewise */
	char *method;
	char *target; /* "/path?query" */
	char *lines;  /* of the head, with the first one */
	char *body;   /* with a NUL behind it */
	size_t body_len;
} ServedRequest;

typedef struct ServedReply
{
	int status;     /* 0: close without an answer */
	StrBuf headers; /* "Name: value\r\n" each; Content-Length is added */
	StrBuf body;
	int64_t wait; /* microseconds before the answer */
	bool close;   /* the connection after the answer */
	bool cut;     /* send only cut_at bytes of the body, then close */
	size_t cut_at;
	bool no_body; /* the answer to HEAD: Content-Length without body */
} ServedReply;

/* Called in a thread of the connection; calls may overlap. */
typedef void (*ServeFn)(void *arg, const ServedRequest *request,
						ServedReply *reply);

extern HttpServer *http_server_start(ServeFn serve, void *arg);
extern int http_server_port(const HttpServer *server);
extern int http_server_requests(HttpServer *server);
extern int http_server_connections(HttpServer *server);
extern void http_server_stop(HttpServer *server);

/* Value of a header of the request, caller frees; or NULL. */
extern char *served_header(const ServedRequest *request, const char *name);

#endif
