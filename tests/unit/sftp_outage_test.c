/*-------------------------------------------------------------------------
 *
 * sftp_outage_test.c
 *	  The sftp driver when the server is killed, hangs, is full or read-only,
 *	  turns connections away, and when the network between them is bad.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "fault_proxy.h"
#include "sftp_server.h"
#include "tap.h"
#include "tmpdir.h"

#define HEAD_LEN 700
#define BIG ((size_t) 24 * 1000 * 1000)
#define PIECE ((size_t) 1000 * 1000)
#define WRITERS 16

static char *scratch;
static SftpServer server;

/*
 * Objects
 */

static unsigned char *
content(size_t len)
{
	unsigned char *data = mem_alloc(len + 1);

	for (size_t i = 0; i < len; i++)
	{
		uint64_t x = (i + 77) * UINT64_C(0x9E3779B97F4A7C15);

		data[i] = (unsigned char) ((x ^ (x >> 29)) >> 24);
	}
	return data;
}

/* Calls trouble before the piece that begins at or after half of it. */
static bool
put(Storage *st, const char *name, size_t len, void (*trouble)(void),
	Error *err)
{
	unsigned char *data = content(len);
	StorageWriter *w;
	bool done = storage_write_open(st, name, HEAD_LEN, &w, err);
	size_t n;

	for (size_t i = HEAD_LEN; done && i < len; i += n)
	{
		n = len - i < PIECE ? len - i : PIECE;
		if (trouble != NULL && i >= len / 2)
		{
			trouble();
			trouble = NULL;
		}
		done = storage_write(w, data + i, n, err);
		if (!done)
			storage_abort(w);
	}
	done = done && storage_commit(w, data, err);
	free(data);
	return done;
}

static bool
get(Storage *st, const char *name, size_t len, void (*trouble)(void),
	Error *err)
{
	unsigned char *expected = content(len);
	char *buf = mem_alloc(PIECE);
	StorageReader *r = NULL;
	size_t at = 0;
	size_t got = 1;
	bool same = storage_read_open(st, name, 0, STORAGE_TO_END, &r, err);

	while (same && got > 0)
	{
		if (trouble != NULL && at >= len / 2)
		{
			trouble();
			trouble = NULL;
		}
		same = storage_read(r, buf, PIECE, &got, err) && at + got <= len &&
			   memcmp(buf, expected + at, got) == 0;
		at += got;
	}
	storage_read_close(r);
	free(buf);
	free(expected);
	return same && at == len;
}

static void
show(Error *err)
{
	if (error_is_set(err))
		printf("# %s: %s%s\n# %s\n# %s\n", error_code_name(err->code),
			   err->message, err->transient ? " (transient)" : "",
			   err->detail ? err->detail : "", err->hint ? err->hint : "");
	error_clear(err);
}

static void
fine(bool done, Error *err, const char *name)
{
	ok(done && !error_is_set(err), "%s", name);
	show(err);
}

static void
fails(bool done, Error *err, ErrCode code, bool transient, const char *name)
{
	bool right = !done && err->code == code && err->transient == transient;

	ok(right, "%s: %s%s", name, error_code_name(code),
	   transient ? ", transient" : "");
	if (!right)
		show(err);
	error_clear(err);
}

static Storage *
open_store(SftpTarget *t)
{
	Storage *st = NULL;
	Error err = ERROR_INIT;

	fine(storage_open(&t->options, &st, &err), &err, "a store opens");
	if (st == NULL)
		exit(1);
	return st;
}

/*
 * Killed and started again
 */

static void
kill_server(void)
{
	sftp_server_stop(&server);
}

static void *
start_soon(void *arg)
{
	(void) arg;
	usleep(700000);
	if (!sftp_server_start(&server))
		printf("# the server did not start again\n");
	return NULL;
}

static pthread_t helper;

static void
restart_server(void)
{
	kill_server();
	if (pthread_create(&helper, NULL, start_soon, NULL) != 0)
		abort();
}

static void
test_killed(void)
{
	SftpTarget t;
	Storage *st;
	Error err = ERROR_INIT;

	sftp_target_init(&t, &server, "killed");
	st = open_store(&t);
	fine(put(st, "big", BIG, restart_server, &err), &err,
		 "the server is killed in the middle of a write");
	pthread_join(helper, NULL);
	fine(get(st, "big", BIG, restart_server, &err), &err,
		 "and in the middle of a read, and no byte is wrong");
	pthread_join(helper, NULL);

	sftp_target_set(&t, "retries", "2");
	storage_close(st);
	st = open_store(&t);
	fails(get(st, "big", BIG, kill_server, &err), &err, ERR_IO, true,
		  "it is killed and stays dead while we read");
	fails(storage_stat(st, "big", NULL, NULL, &err), &err, ERR_IO, true,
		  "a dead server says nothing about an object");
	fails(storage_stat(st, "none", NULL, NULL, &err), &err, ERR_IO, true,
		  "nor that one does not exist");
	ok(sftp_server_start(&server), "it is started again");
	fine(get(st, "big", BIG, NULL, &err), &err,
		 "and the same Storage is of use again");
	fails(put(st, "big2", BIG, kill_server, &err), &err, ERR_IO, true,
		  "it is killed and stays dead while we write");
	ok(sftp_server_start(&server), "it is started again");
	fails(storage_stat(st, "big2", NULL, NULL, &err), &err, ERR_NOT_FOUND,
		  false, "nothing of the object is seen");
	storage_close(st);
	sftp_target_free(&t);
}

/*
 * Hanging
 */

static void
stop_server(void)
{
	sftp_server_signal(&server, SIGSTOP);
}

static void *
continue_soon(void *arg)
{
	(void) arg;
	usleep(2500000);
	sftp_server_signal(&server, SIGCONT);
	return NULL;
}

static void
pause_server(void)
{
	stop_server();
	if (pthread_create(&helper, NULL, continue_soon, NULL) != 0)
		abort();
}

static void
test_hanging(void)
{
	SftpTarget t;
	Storage *st;
	Error err = ERROR_INIT;
	int64_t start;

	sftp_target_init(&t, &server, "hanging");
	sftp_target_set(&t, "stall-timeout", "1s");
	sftp_target_set(&t, "connect-timeout", "1s");
	sftp_target_set(&t, "total-timeout", "20s");
	st = open_store(&t);
	fine(put(st, "big", BIG, pause_server, &err), &err,
		 "the server hangs for a while during a write");
	pthread_join(helper, NULL);
	fine(get(st, "big", BIG, pause_server, &err), &err, "and during a read");
	pthread_join(helper, NULL);
	storage_close(st);

	sftp_target_set(&t, "total-timeout", "4s");
	st = open_store(&t);
	start = clock_monotonic();
	fails(get(st, "big", BIG, stop_server, &err), &err, ERR_TIMEOUT, true,
		  "it hangs for good during a read");
	ok(clock_monotonic() - start < 8 * USECS_PER_SEC,
	   "which is noticed in time (%.1f s)",
	   (double) (clock_monotonic() - start) / USECS_PER_SEC);
	start = clock_monotonic();
	fails(put(st, "big2", BIG, NULL, &err), &err, ERR_TIMEOUT, true,
		  "a write to a server that hangs");
	ok(clock_monotonic() - start < 8 * USECS_PER_SEC, "ends in time (%.1f s)",
	   (double) (clock_monotonic() - start) / USECS_PER_SEC);
	sftp_server_signal(&server, SIGCONT);
	storage_close(st);
	sftp_target_free(&t);
}

static void
on_term(int signo)
{
	(void) signo;
	thread_request_stop();
}

/* In a process of its own, because a request to stop cannot be taken back. */
static void
test_canceled(void)
{
	int status = -1;
	int64_t start;
	SftpTarget t;
	pid_t pid;

	sftp_target_init(&t, &server, "hanging");
	sftp_target_set(&t, "stall-timeout", "60s");
	pid = fork();
	if (pid == 0)
	{
		Error err = ERROR_INIT;
		Storage *st = NULL;

		signal(SIGTERM, on_term);
		if (storage_open(&t.options, &st, &err))
			get(st, "big", BIG, stop_server, &err);
		storage_close(st);
		_exit(err.code == ERR_CANCELED && !err.transient ? 0 : 1);
	}
	usleep(1500000);
	start = clock_monotonic();
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	ok(status == 0 && clock_monotonic() - start < USECS_PER_SEC,
	   "a request to stop ends a read from a server that hangs (%.2f s)",
	   (double) (clock_monotonic() - start) / USECS_PER_SEC);
	sftp_server_signal(&server, SIGCONT);
	sftp_target_free(&t);
}

/*
 * Turned away
 */

typedef struct Racer
{
	SftpTarget *t;
	int number;
	bool done;
} Racer;

static void *
put_one(void *arg)
{
	Racer *racer = arg;
	char *name = mem_printf("racer/%d", racer->number);
	Error err = ERROR_INIT;
	Storage *st = NULL;

	racer->done = storage_open(&racer->t->options, &st, &err) &&
				  storage_put(st, name, name, strlen(name), &err);
	storage_close(st);
	show(&err);
	free(name);
	return NULL;
}

/* A server that drops most connections while some are not logged in. */
static void
test_turned_away(void)
{
	char *dir = file_join(scratch, "busy");
	pthread_t thread[WRITERS];
	Racer racer[WRITERS];
	SftpServer busy;
	SftpTarget t;
	int done = 0;

	sftp_server_init(&busy, dir);
	busy.options = "MaxStartups 2:70:6";
	ok(sftp_server_start(&busy), "a server that turns connections away");
	sftp_target_init(&t, &busy, "busy");
	sftp_target_set(&t, "retries", "20");
	storage_close(open_store(&t));
	for (int i = 0; i < WRITERS; i++)
	{
		racer[i] = (Racer){.t = &t, .number = i};
		if (pthread_create(&thread[i], NULL, put_one, &racer[i]) != 0)
			abort();
	}
	for (int i = 0; i < WRITERS; i++)
	{
		pthread_join(thread[i], NULL);
		done += racer[i].done;
	}
	is_int(done, WRITERS, "takes all objects in the end");
	sftp_target_free(&t);
	sftp_server_free(&busy);
	free(dir);
}

/*
 * Full and read-only
 */

static bool
start_small(SftpServer *small, const char *dir, const char *mount_option)
{
	sftp_server_init(small, dir);
	small->small_disk = "12m";
	small->mount_option = mount_option;
	return sftp_server_start(small);
}

static void
test_full(void)
{
	char *dir = file_join(scratch, "small");
	SftpServer small;
	SftpTarget t;
	Storage *st;
	Error err = ERROR_INIT;

	if (!start_small(&small, dir, NULL))
	{
		ok(true, "skipped: no mounts of one's own here # SKIP");
		free(dir);
		return;
	}
	sftp_target_init(&t, &small, "full");
	st = open_store(&t);
	fails(put(st, "big", BIG, NULL, &err), &err, ERR_FULL, false,
		  "a disk that is too small");
	fails(storage_stat(st, "big", NULL, NULL, &err), &err, ERR_NOT_FOUND, false,
		  "has no part of the object");
	fine(put(st, "small", 10 * PIECE, NULL, &err), &err,
		 "room is there again at once");
	fails(put(st, "other", 5 * PIECE, NULL, &err), &err, ERR_FULL, false,
		  "until it is full");
	fine(get(st, "small", 10 * PIECE, NULL, &err), &err,
		 "what is there is whole");
	fine(storage_remove(st, "small", &err), &err, "and can go");
	storage_close(st);
	sftp_target_free(&t);
	sftp_server_free(&small);
	free(dir);
}

static void
test_read_only(void)
{
	char *dir = file_join(scratch, "fixed");
	SftpServer fixed;
	SftpTarget t;
	Storage *st;
	Error err = ERROR_INIT;

	if (!start_small(&fixed, dir, "ro"))
	{
		ok(true, "skipped: no mounts of one's own here # SKIP");
		free(dir);
		return;
	}
	sftp_target_init(&t, &fixed, "");
	t.options.create = false;
	st = open_store(&t);
	fails(put(st, "object", 1000, NULL, &err), &err, ERR_DENIED, false,
		  "a file system that is read-only");
	fails(put(st, "dir/object", 1000, NULL, &err), &err, ERR_DENIED, false,
		  "takes no directory either");
	storage_close(st);
	sftp_target_free(&t);
	sftp_server_free(&fixed);
	free(dir);
}

/*
 * A bad network
 */

typedef struct NetworkCase
{
	const char *name;
	Faults faults;
	bool only_get;
} NetworkCase;

static const NetworkCase network[] = {
	{.name = "nothing wrong"},
	{.name = "refused twice", .faults = {.refuse = true, .times = 2}},
	{.name = "cut during the handshake", .faults = {.cut_up = 500, .times = 1}},
	{.name = "cut during the login", .faults = {.cut_down = 2500, .times = 1}},
	{.name = "cut in the middle", .faults = {.cut_up = 5000000, .times = 1}},
	{.name = "reset in the middle",
	 .faults = {.cut_up = 12000000, .reset = true, .times = 1}},
	{.name = "no byte passes any more",
	 .faults = {.stall_up = 5000000, .times = 1}},
	{.name = "no answer comes any more",
	 .faults = {.stall_down = 8000, .times = 1}},
	{.name = "answers are cut",
	 .faults = {.cut_down = 9000000, .times = 1},
	 .only_get = true},
	{.name = "answers stall",
	 .faults = {.stall_down = 9000000, .times = 1},
	 .only_get = true},
	{.name = "a bit is flipped",
	 .faults = {.flip_down = 7000000, .times = 1},
	 .only_get = true},
	{.name = "a bit of the handshake is flipped",
	 .faults = {.flip_down = 1500, .times = 1}},
};

static void
test_network_case(FaultProxy *proxy, SftpTarget *t, const NetworkCase *c,
				  int number)
{
	char *name = mem_printf("object%d", number);
	char *label = mem_printf("%s, write", c->name);
	Storage *st;
	Error err = ERROR_INIT;

	st = open_store(t);
	fault_proxy_set(proxy, c->only_get ? &(Faults){0} : &c->faults);
	fine(put(st, name, BIG, NULL, &err), &err, label);
	storage_close(st);
	free(label);
	st = open_store(t);
	fault_proxy_set(proxy, &c->faults);
	label = mem_printf("%s, read", c->name);
	fine(get(st, name, BIG, NULL, &err), &err, label);
	fault_proxy_set(proxy, &(Faults){0});
	storage_close(st);
	free(label);
	free(name);
}

static void
test_network(void)
{
	FaultProxy *proxy = fault_proxy_start(server.port);
	char *port = mem_printf("%d", fault_proxy_port(proxy));
	SftpTarget t;

	sftp_target_init(&t, &server, "network");
	sftp_target_set(&t, "port", port);
	sftp_target_set(&t, "stall-timeout", "1s");
	sftp_target_set(&t, "connect-timeout", "2s");
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		test_network_case(proxy, &t, &network[i], (int) i);
	sftp_target_free(&t);
	fault_proxy_stop(proxy);
	free(port);
}

/* The network is cut in every part of a small write. */
static void
test_cut_anywhere(void)
{
	FaultProxy *proxy = fault_proxy_start(server.port);
	char *port = mem_printf("%d", fault_proxy_port(proxy));
	Error err = ERROR_INIT;
	SftpTarget t;
	Storage *st;
	int good = 0;
	int tries = 0;

	sftp_target_init(&t, &server, "anywhere");
	sftp_target_set(&t, "port", port);
	st = open_store(&t);
	for (int64_t at = 1; at < 4000; at += 131)
	{
		for (int down = 0; down < 2; down++)
		{
			char *name = mem_printf("dir%d/%d", (int) at, down);
			Faults faults = {.times = 1};

			*(down ? &faults.cut_down : &faults.cut_up) = at;
			fault_proxy_set(proxy, &faults);
			good += put(st, name, 1500, NULL, &err) &&
					get(st, name, 1500, NULL, &err);
			show(&err);
			tries++;
			free(name);
		}
	}
	is_int(good, tries, "a connection that is cut anywhere in a small write");
	storage_close(st);
	sftp_target_free(&t);
	fault_proxy_stop(proxy);
	free(port);
}

/*
 * A server that wants new keys again and again.  In a process of its own:
 * libssh2 1.10 forgets to free the old host key each time, which a check for
 * leaks would blame on us.
 */
static void
test_rekey(void)
{
	char *dir = file_join(scratch, "rekey");
	SftpServer rekey;
	SftpTarget t;
	int status = -1;
	pid_t pid;

	sftp_server_init(&rekey, dir);
	rekey.options = "RekeyLimit 3M";
	ok(sftp_server_start(&rekey), "a server that changes keys every 3 MB");
	sftp_target_init(&t, &rekey, "rekey");
	sftp_target_set(&t, "retries", "0");
	pid = fork();
	if (pid == 0)
	{
		Error err = ERROR_INIT;
		Storage *st = NULL;
		bool done = storage_open(&t.options, &st, &err) &&
					put(st, "big", BIG, NULL, &err) &&
					get(st, "big", BIG, NULL, &err);

		show(&err);
		_exit(done ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	is_int(status, 0, "can be written to and read from");
	sftp_target_free(&t);
	sftp_server_free(&rekey);
	free(dir);
}

static void
test_rate(void)
{
	SftpTarget t;
	Storage *st;
	Error err = ERROR_INIT;
	int64_t start;

	sftp_target_init(&t, &server, "rate");
	sftp_target_set(&t, "upload-rate", "4MB");
	sftp_target_set(&t, "download-rate", "4MB");
	sftp_target_set(&t, "total-timeout", "1s");
	st = open_store(&t);
	start = clock_monotonic();
	fine(put(st, "object", 12 * PIECE, NULL, &err), &err,
		 "a write that is slow on purpose");
	ok(clock_monotonic() - start > 2 * USECS_PER_SEC, "takes its time");
	start = clock_monotonic();
	fine(get(st, "object", 12 * PIECE, NULL, &err), &err, "as does a read");
	ok(clock_monotonic() - start > 2 * USECS_PER_SEC, "of the same object");
	storage_close(st);
	sftp_target_set(&t, "upload-rate", NULL);
	sftp_target_set(&t, "download-rate", NULL);
	storage_close(open_store(&t));
	sftp_target_free(&t);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	scratch = tmpdir_make("pgdr-sftp-outage");
	sftp_server_init(&server, scratch);
	if (!ok(sftp_server_start(&server), "an SSH server starts"))
	{
		printf("Bail out! no SSH server\n");
		return 1;
	}
	test_killed();
	test_hanging();
	test_canceled();
	test_turned_away();
	test_full();
	test_read_only();
	test_network();
	test_cut_anywhere();
	test_rekey();
	test_rate();
	sftp_server_free(&server);
	tmpdir_remove(scratch);
	free(scratch);
	return done_testing();
}
