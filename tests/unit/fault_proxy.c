/*-------------------------------------------------------------------------
 *
 * fault_proxy.c
 *	  A TCP proxy on a loopback port that spoils what passes.
 *
 *-------------------------------------------------------------------------
 */
#include "fault_proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loopback.h"

#define CONNECTIONS_MAX 4000

typedef struct Link
{
	FaultProxy *proxy;
	pthread_t thread;
	int client;
	int server;

	/* counted since the faults were set */
	int generation;
	int64_t up;
	int64_t down;
	bool stalled;

	/* the request on its way, when requests are told apart */
	StrBuf head;
	size_t body_left;
	bool swallow; /* body_left is not for the server */
} Link;

struct FaultProxy
{
	int fd;
	int port;
	int target_port;
	pthread_t thread;
	pthread_mutex_t lock;
	Faults faults; /* under lock, like all below */
	int generation;
	int happened;
	int skipped;
	int requests;
	unsigned dice;
	bool stopping;
	Link *link[CONNECTIONS_MAX];
	int links;
};

/* The faults of now; a link starts counting anew when they were changed. */
static Faults
current_faults(Link *l)
{
	FaultProxy *p = l->proxy;
	Faults f;

	pthread_mutex_lock(&p->lock);
	f = p->faults;
	if (l->generation != p->generation)
	{
		l->generation = p->generation;
		l->up = l->down = 0;
		l->stalled = false;
	}
	pthread_mutex_unlock(&p->lock);
	return f;
}

/* One fault more; false if there were enough. */
static bool
happens(Link *l)
{
	FaultProxy *p = l->proxy;
	bool yes;

	pthread_mutex_lock(&p->lock);
	yes = p->faults.times == 0 || p->happened < p->faults.times;
	if (yes && p->skipped < p->faults.skip)
	{
		p->skipped++;
		yes = false;
	}
	if (yes)
		p->happened++;
	pthread_mutex_unlock(&p->lock);
	return yes;
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

static void
cut(Link *l, bool reset)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (reset)
	{
		setsockopt(l->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		setsockopt(l->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
}

/* ---- HTTP: 503 in the server's place ---- */

static bool
is_busy(Link *l, const Faults *f)
{
	FaultProxy *p = l->proxy;
	bool busy;

	pthread_mutex_lock(&p->lock);
	p->requests++;
	p->dice = p->dice * 1103515245U + 12345U;
	busy = (int) (p->dice >> 16) % 100 < f->busy_percent;
	pthread_mutex_unlock(&p->lock);
	return busy && happens(l);
}

static bool
say_busy(const Link *l)
{
	static const char body[] =
		"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code>"
		"<Message>Please reduce your request rate.</Message></Error>";
	char *answer = mem_printf("HTTP/1.1 503 Slow Down\r\n"
							  "Content-Type: application/xml\r\n"
							  "Content-Length: %zu\r\n\r\n%s",
							  sizeof(body) - 1, body);
	bool done = send_all(l->client, answer, strlen(answer));

	free(answer);
	return done;
}

/* The head of a request is complete: pass it on, or answer it. */
static bool
pass_head(Link *l, const Faults *f)
{
	const char *length = strcasestr(l->head.data, "\r\nContent-Length:");
	bool done;

	l->body_left = length ? (size_t) strtoull(length + 17, NULL, 10) : 0;
	l->swallow = is_busy(l, f);
	done = l->swallow ? (l->body_left > 0 || say_busy(l))
					  : send_all(l->server, l->head.data, l->head.len);
	strbuf_reset(&l->head);
	return done;
}

static bool
pass_requests(Link *l, const Faults *f, const char *data, size_t len)
{
	while (len > 0)
	{
		size_t n = len < l->body_left ? len : l->body_left;

		if (n == 0)
		{
			strbuf_add(&l->head, data++, 1);
			len--;
			if (l->head.len >= 4 &&
				strcmp(l->head.data + l->head.len - 4, "\r\n\r\n") == 0 &&
				!pass_head(l, f))
				return false;
			continue;
		}
		if (!l->swallow && !send_all(l->server, data, n))
			return false;
		data += n;
		len -= n;
		l->body_left -= n;
		if (l->swallow && l->body_left == 0 && !say_busy(l))
			return false;
	}
	return true;
}

/* ---- bytes ---- */

/*
 * Moves what has arrived at one side to the other.  place_cut and place_stall
 * are those of this direction; *count are the bytes that passed.
 */
static bool
pass(Link *l, bool upward)
{
	Faults f = current_faults(l);
	int64_t place_cut = upward ? f.cut_up : f.cut_down;
	int64_t place_stall = upward ? f.stall_up : f.stall_down;
	int64_t *count = upward ? &l->up : &l->down;
	char buf[16384];
	ssize_t n = recv(upward ? l->client : l->server, buf, sizeof(buf), 0);

	if (n <= 0)
		return false;
	if (place_cut > 0 && *count + n >= place_cut && happens(l))
	{
		if (place_cut - 1 > *count)
			send_all(upward ? l->server : l->client, buf,
					 (size_t) (place_cut - 1 - *count));
		cut(l, f.reset);
		return false;
	}
	if (place_stall > 0 && *count + n >= place_stall && happens(l))
	{
		l->stalled = true;
		return true;
	}
	if (!upward && f.flip_down > *count && f.flip_down <= *count + n &&
		happens(l))
		buf[f.flip_down - 1 - *count] ^= 1;
	*count += n;
	if (upward && (f.busy_percent > 0 || f.count))
		return pass_requests(l, &f, buf, (size_t) n);
	return send_all(upward ? l->server : l->client, buf, (size_t) n);
}

static void *
run_link(void *arg)
{
	Link *l = arg;
	bool more = l->server >= 0;

	while (more)
	{
		struct pollfd fds[2] = {{.fd = l->client, .events = POLLIN},
								{.fd = l->server, .events = POLLIN}};

		if (l->stalled)
		{
			current_faults(l);
			poll(fds, 0, 20);
			more = recv(l->client, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
			continue;
		}
		if (poll(fds, 2, 1000) < 0)
			break;
		if (fds[0].revents != 0)
			more = pass(l, true);
		if (more && fds[1].revents != 0 && !l->stalled)
			more = pass(l, false);
	}
	close(l->server);
	pthread_mutex_lock(&l->proxy->lock);
	close(l->client);
	l->client = -1;
	pthread_mutex_unlock(&l->proxy->lock);
	strbuf_free(&l->head);
	return NULL;
}

static void
add_link(FaultProxy *p, int client)
{
	Link *l = mem_zalloc(sizeof(*l));

	l->proxy = p;
	l->client = client;
	pthread_mutex_lock(&p->lock);
	l->generation = p->generation;
	if (p->links == CONNECTIONS_MAX)
		abort();
	p->link[p->links++] = l;
	l->server = p->faults.refuse && (p->faults.times == 0 ||
									 p->happened++ < p->faults.times)
					? -1
					: loopback_connect(p->target_port);
	if (pthread_create(&l->thread, NULL, run_link, l) != 0)
		abort();
	pthread_mutex_unlock(&p->lock);
}

static void *
accept_links(void *arg)
{
	FaultProxy *p = arg;
	int fd;

	while ((fd = accept(p->fd, NULL, NULL)) >= 0)
		add_link(p, fd);
	return NULL;
}

FaultProxy *
fault_proxy_start(int target_port)
{
	FaultProxy *p = mem_zalloc(sizeof(*p));

	p->target_port = target_port;
	p->dice = 1;
	pthread_mutex_init(&p->lock, NULL);
	p->fd = loopback_listen(&p->port);
	if (pthread_create(&p->thread, NULL, accept_links, p) != 0)
		abort();
	return p;
}

int
fault_proxy_port(const FaultProxy *proxy)
{
	return proxy->port;
}

void
fault_proxy_set(FaultProxy *proxy, const Faults *faults)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->faults = *faults;
	proxy->generation++;
	proxy->happened = proxy->skipped = proxy->requests = 0;
	pthread_mutex_unlock(&proxy->lock);
}

int
fault_proxy_count(FaultProxy *proxy)
{
	int n;

	pthread_mutex_lock(&proxy->lock);
	n = proxy->happened;
	pthread_mutex_unlock(&proxy->lock);
	return n;
}

int
fault_proxy_requests(FaultProxy *proxy)
{
	int n;

	pthread_mutex_lock(&proxy->lock);
	n = proxy->requests;
	pthread_mutex_unlock(&proxy->lock);
	return n;
}

void
fault_proxy_stop(FaultProxy *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	for (int i = 0; i < p->links; i++)
	{
		pthread_mutex_lock(&p->lock);
		if (p->link[i]->client >= 0)
			shutdown(p->link[i]->client, SHUT_RDWR);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->link[i]->thread, NULL);
		free(p->link[i]);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}
