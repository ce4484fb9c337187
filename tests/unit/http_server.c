/*-------------------------------------------------------------------------
 *
 * http_server.c
 *	  An HTTP server on a loopback port that answers what a test wants.
 *
 *-------------------------------------------------------------------------
 */
#include "http_server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loopback.h"

#define CONNECTIONS_MAX 1000

typedef struct Connection
{
	HttpServer *server;
	int number;
	int fd;
	pthread_t thread;
	StrBuf in; /* received, not used yet */
} Connection;

struct HttpServer
{
	ServeFn serve;
	void *arg;
	int fd;
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	Connection connection[CONNECTIONS_MAX];
	int connections;
	int requests;
};

/* One more piece of what the client sends; false at its end. */
static bool
receive(Connection *c)
{
	char buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n <= 0)
		return false;
	strbuf_add(&c->in, buf, (size_t) n);
	return true;
}

static char *
find_header(const char *lines, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(lines, "\r\n"); line != NULL;
		 line = strstr(line, "\r\n"))
	{
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
		{
			line += len + 1;
			line += strspn(line, " ");
			return mem_strndup(line, strcspn(line, "\r"));
		}
	}
	return NULL;
}

char *
served_header(const ServedRequest *request, const char *name)
{
	return find_header(request->lines, name);
}

/* A whole request from what comes in; false at the end of the connection. */
static bool
read_request(Connection *c, ServedRequest *r)
{
	char *end;
	char *length;
	size_t head;

	strbuf_reserve(&c->in, 0);
	while ((end = strstr(c->in.data, "\r\n\r\n")) == NULL)
	{
		if (!receive(c))
			return false;
	}
	head = (size_t) (end - c->in.data) + 4;
	r->lines = mem_strndup(c->in.data, head);
	length = find_header(r->lines, "Content-Length");
	r->body_len = length ? (size_t) strtoull(length, NULL, 10) : 0;
	free(length);
	while (c->in.len < head + r->body_len)
	{
		if (!receive(c))
		{
			free(r->lines);
			return false;
		}
	}
	r->body = mem_zalloc(r->body_len + 1);
	memcpy(r->body, c->in.data + head, r->body_len);
	c->in.len -= head + r->body_len;
	memmove(c->in.data, c->in.data + head + r->body_len, c->in.len);
	c->in.data[c->in.len] = '\0';
	r->method = mem_strndup(r->lines, strcspn(r->lines, " "));
	end = r->lines + strlen(r->method) + 1;
	r->target = mem_strndup(end, strcspn(end, " "));
	return true;
}

static bool
send_all(int fd, const char *data, size_t len)
{
	while (len > 0)
	{
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t) n;
	}
	return true;
}

/* False if the connection is to be closed. */
static bool
send_reply(Connection *c, const ServedReply *reply)
{
	size_t len = reply->body.len;
	char *head;
	bool done;

	if (reply->wait > 0)
		clock_sleep(reply->wait);
	if (reply->status == 0)
		return false;
	head = mem_printf("HTTP/1.1 %d Some Reason\r\nContent-Length: %zu\r\n"
					  "%s\r\n",
					  reply->status, len,
					  reply->headers.data ? reply->headers.data : "");
	done = send_all(c->fd, head, strlen(head));
	free(head);
	if (reply->cut && reply->cut_at < len)
		len = reply->cut_at;
	if (!reply->no_body)
		done = done && send_all(c->fd, reply->body.data, len);
	return done && !reply->close && !reply->cut;
}

static bool
serve_one(Connection *c)
{
	HttpServer *s = c->server;
	ServedRequest request = {.connection = c->number};
	ServedReply reply = {.status = 200};
	bool more;

	if (!read_request(c, &request))
		return false;
	pthread_mutex_lock(&s->lock);
	request.number = ++s->requests;
	pthread_mutex_unlock(&s->lock);
	reply.no_body = strcmp(request.method, "HEAD") == 0;
	s->serve(s->arg, &request, &reply);
	more = send_reply(c, &reply);
	strbuf_free(&reply.headers);
	strbuf_free(&reply.body);
	free(request.method);
	free(request.target);
	free(request.lines);
	free(request.body);
	return more;
}

static void *
serve_connection(void *arg)
{
	Connection *c = arg;

	while (serve_one(c))
		continue;
	shutdown(c->fd, SHUT_RDWR);
	strbuf_free(&c->in);
	return NULL;
}

static void *
accept_connections(void *arg)
{
	HttpServer *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0)
	{
		Connection *c;

		pthread_mutex_lock(&s->lock);
		if (s->connections == CONNECTIONS_MAX)
			abort();
		c = &s->connection[s->connections++];
		c->server = s;
		c->fd = fd;
		c->number = s->connections;
		if (pthread_create(&c->thread, NULL, serve_connection, c) != 0)
			abort();
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

HttpServer *
http_server_start(ServeFn serve, void *arg)
{
	HttpServer *s = mem_zalloc(sizeof(*s));

	s->serve = serve;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	s->fd = loopback_listen(&s->port);
	if (pthread_create(&s->thread, NULL, accept_connections, s) != 0)
		abort();
	return s;
}

int
http_server_port(const HttpServer *server)
{
	return server->port;
}

int
http_server_requests(HttpServer *server)
{
	int n;

	pthread_mutex_lock(&server->lock);
	n = server->requests;
	pthread_mutex_unlock(&server->lock);
	return n;
}

int
http_server_connections(HttpServer *server)
{
	int n;

	pthread_mutex_lock(&server->lock);
	n = server->connections;
	pthread_mutex_unlock(&server->lock);
	return n;
}

void
http_server_stop(HttpServer *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (int i = 0; i < s->connections; i++)
	{
		shutdown(s->connection[i].fd, SHUT_RDWR);
		pthread_join(s->connection[i].thread, NULL);
		close(s->connection[i].fd);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}
