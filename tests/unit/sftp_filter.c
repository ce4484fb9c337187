/*-------------------------------------------------------------------------
 *
 * sftp_filter.c
 *	  Stands between an SSH server and its SFTP program.
 *
 *-------------------------------------------------------------------------
 */
#include "sftp_filter.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

#define REQUEST_EXTENDED 200
#define ANSWER_STATUS 101

static const struct
{
	const char *name;
	int type;
} requests[] = {{"init", 1},     {"open", 3},    {"close", 4},  {"read", 5},
				{"write", 6},    {"lstat", 7},   {"fstat", 8},  {"opendir", 11},
				{"readdir", 12}, {"remove", 13}, {"mkdir", 14}, {"rmdir", 15},
				{"stat", 17},    {"rename", 18}, {"fsync", 200}};

/* One packet; data has no length in front. */
typedef struct Packet
{
	uint32_t len;
	unsigned char *data;
} Packet;

#define ORDERS_MAX 4

typedef struct Order
{
	char action[16];
	char request[16];
	int number;
	int status;
	int seen; /* requests of that kind */
} Order;

typedef struct Filter
{
	const char *file;
	Order orders[ORDERS_MAX];
	int count;
	bool ending; /* after the answer to ending_id */
	uint32_t ending_id;
	pid_t server;
	int to_server;
	int from_server;
} Filter;

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 |
		   (uint32_t) p[2] << 8 | p[3];
}

static void
put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char) (v >> 24);
	p[1] = (unsigned char) (v >> 16);
	p[2] = (unsigned char) (v >> 8);
	p[3] = (unsigned char) v;
}

/* The sessions's end, whatever the reason. */
static void
end_session(const Filter *f)
{
	close(0);
	close(1);
	close(f->to_server);
	waitpid(f->server, NULL, 0);
	_exit(0);
}

static void
move(const Filter *f, int fd, void *data, size_t len, bool out)
{
	char *p = data;

	while (len > 0)
	{
		ssize_t n = out ? write(fd, p, len) : read(fd, p, len);

		if (n <= 0)
			end_session(f);
		p += n;
		len -= (size_t) n;
	}
}

static Packet
receive(const Filter *f, int fd)
{
	unsigned char len[4];
	Packet p;

	move(f, fd, len, 4, false);
	p.len = get32(len);
	p.data = mem_alloc(p.len + 1);
	move(f, fd, p.data, p.len, false);
	return p;
}

static void
forward(const Filter *f, int fd, const Packet *p)
{
	unsigned char len[4];

	put32(len, p->len);
	move(f, fd, len, 4, true);
	move(f, fd, p->data, p->len, true);
}

static void
answer_status(const Filter *f, const Packet *request, int status)
{
	unsigned char data[17] = {ANSWER_STATUS};
	Packet p = {.len = sizeof(data), .data = data};

	memcpy(data + 1, request->data + 1, 4);
	put32(data + 5, (uint32_t) status);
	forward(f, 1, &p);
}

static bool
is_extension(const Packet *p, const char *name)
{
	size_t len = strlen(name);

	return p->len > 9 + len && get32(p->data + 5) == len &&
		   memcmp(p->data + 9, name, len) == 0;
}

static bool
matches(const Order *o, const Packet *p)
{
	if (p->data[0] == REQUEST_EXTENDED)
		return strcmp(o->request, "fsync") == 0 &&
			   is_extension(p, "fsync@openssh.com");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
	{
		if (requests[i].type == p->data[0] &&
			strcmp(requests[i].name, o->request) == 0)
			return true;
	}
	return false;
}

/* A rename as an extension with the same two strings. */
static void
forward_as(const Filter *f, const Packet *rename, const char *extension)
{
	uint32_t name_len = (uint32_t) strlen(extension);
	Packet p = {.len = rename->len + 4 + name_len};

	p.data = mem_alloc(p.len);
	p.data[0] = REQUEST_EXTENDED;
	memcpy(p.data + 1, rename->data + 1, 4);
	put32(p.data + 5, name_len);
	memcpy(p.data + 9, extension, name_len);
	memcpy(p.data + 9 + name_len, rename->data + 5, rename->len - 5);
	forward(f, f->to_server, &p);
	free(p.data);
}

static char *
string_at(const Packet *p, uint32_t offset)
{
	return mem_strndup((const char *) p->data + offset + 4,
					   get32(p->data + offset));
}

/*
 * What OpenSSH does after link(), a second late: the old name goes; if it is
 * gone already, the new one.
 */
static void
unlink_late(const Filter *f, const Packet *rename)
{
	char *from = string_at(rename, 5);
	char *to = string_at(rename, 9 + get32(rename->data + 5));

	if (fork() == 0)
	{
		close(0);
		close(1);
		close(2);
		setsid();
		close(f->to_server);
		close(f->from_server);
		sleep(1);
		if (unlink(from) != 0)
			unlink(to);
		_exit(0);
	}
	free(from);
	free(to);
}

static void
end_after(Filter *f, const Packet *p)
{
	f->ending = true;
	f->ending_id = get32(p->data + 1);
}

static bool
is_to(const Order *o, const char *action)
{
	return strcmp(o->action, action) == 0;
}

static bool
is_lasting(const Order *o)
{
	return is_to(o, "refuse") || is_to(o, "replace");
}

/* Of the rename, only link() is done now. */
static void
link_only(Filter *f, const Order *o, const Packet *p)
{
	if (is_to(o, "late"))
		unlink_late(f, p);
	forward_as(f, p, "hardlink@openssh.com");
}

/* True if the request is dealt with. */
static bool
interfere(Filter *f, const Order *o, Packet *p)
{
	bool dealt_with = true;

	if (is_to(o, "refuse"))
		answer_status(f, p, o->status);
	else if (is_to(o, "replace"))
		forward_as(f, p, "posix-rename@openssh.com");
	else
		dealt_with = false;
	if (is_to(o, "spoil"))
		p->data[p->len - 1] ^= 1;
	if (dealt_with || is_to(o, "spoil"))
		return dealt_with;
	unlink(f->file);
	if (is_to(o, "cut"))
		end_session(f);
	if (is_to(o, "slow"))
		sleep((unsigned) o->status);
	else
		end_after(f, p);
	if (is_to(o, "half") || is_to(o, "late"))
	{
		link_only(f, o, p);
		return true;
	}
	return false;
}

static void
from_client(Filter *f)
{
	Packet p = receive(f, 0);
	bool dealt_with = false;

	for (int i = 0; i < f->count; i++)
	{
		Order *o = &f->orders[i];

		if (!matches(o, &p))
			continue;
		o->seen++;
		if (o->seen == o->number || (is_lasting(o) && o->seen > o->number))
			dealt_with = interfere(f, o, &p) || dealt_with;
	}
	if (!dealt_with)
		forward(f, f->to_server, &p);
	free(p.data);
}

static void
from_server(Filter *f)
{
	Packet p = receive(f, f->from_server);

	if (f->ending && get32(p.data + 1) == f->ending_id)
		end_session(f);
	forward(f, 1, &p);
	free(p.data);
}

static void
read_orders(Filter *f)
{
	FILE *file = fopen(f->file, "r");
	char line[200];

	if (file == NULL)
		return;
	while (f->count < ORDERS_MAX && fgets(line, sizeof(line), file) != NULL)
	{
		Order *o = &f->orders[f->count];

		if (sscanf(line, "%15s %15s %d %d", o->action, o->request, &o->number,
				   &o->status) >= 3)
			f->count++;
	}
	fclose(file);
}

static void
start_server(Filter *f)
{
	int to[2];
	int from[2];

	if (pipe(to) != 0 || pipe(from) != 0 || (f->server = fork()) < 0)
		_exit(1);
	if (f->server == 0)
	{
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		execl(SFTP_SERVER, SFTP_SERVER, (char *) NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	f->to_server = to[1];
	f->from_server = from[0];
}

void
sftp_filter_main(int argc, char **argv)
{
	Filter f = {0};

	if (argc != 3 || strcmp(argv[1], "--filter") != 0)
		return;
	f.file = argv[2];
	read_orders(&f);
	start_server(&f);
	for (;;)
	{
		struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
							   {.fd = f.from_server, .events = POLLIN}};

		if (poll(fds, 2, -1) < 0)
			_exit(1);
		if (fds[1].revents != 0)
			from_server(&f);
		else if (fds[0].revents != 0)
			from_client(&f);
	}
}
