/*-------------------------------------------------------------------------
 *
 * s3_fault_test.c
 *	  The s3 driver when something goes wrong: each fault at each operation
 *	  ends in success, or in an error that names cause and remedy; never in a
 *	  success that is none, never in an absence that nobody stated.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/clock.h"
#include "base/file.h"
#include "fault_proxy.h"
#include "loopback.h"
#include "rgw.h"
#include "tap.h"

#define MB ((size_t) 1024 * 1024)
#define SMALL ((size_t) 300000)
#define LARGE (12 * MB)

static Rgw rgw;
static FaultProxy *proxy;
static char *data; /* what all objects hold */

static void
set_times(RgwOptions *o)
{
	rgw_set(o, "stall-timeout", "600ms");
	rgw_set(o, "total-timeout", "20s");
	rgw_set(o, "retries", "10");
}

static Storage *
open_store(const RgwOptions *o)
{
	Error err = ERROR_INIT;
	Storage *st = NULL;

	if (!storage_open(&o->options, &st, &err))
	{
		printf("Bail out! %s\n", err.message);
		exit(1);
	}
	return st;
}

/*
 * Operations.  Each works on the object "op/NAME", which prepare() made
 * through another connection, and says whether its outcome is right.
 */

typedef struct Operation
{
	const char *name;
	size_t object;       /* bytes of the object before; 0: there is none */
	size_t object_after; /* likewise */
	bool (*run)(Storage *st, const char *name, Error *err);
} Operation;

static bool
put(Storage *st, const char *name, size_t len, Error *err)
{
	StorageWriter *w;

	if (!storage_write_open(st, name, 100, &w, err))
		return false;
	if (!storage_write(w, data + 100, len - 100, err))
	{
		storage_abort(w);
		return false;
	}
	return storage_commit(w, data, err);
}

static bool
put_small(Storage *st, const char *name, Error *err)
{
	return put(st, name, SMALL, err);
}

static bool
put_large(Storage *st, const char *name, Error *err)
{
	return put(st, name, LARGE, err);
}

static bool
read_range(Storage *st, const char *name, uint64_t offset, uint64_t length,
		   Error *err)
{
	char *buf = mem_alloc(100000);
	StorageReader *r = NULL;
	uint64_t count = 0;
	size_t got = 0;
	bool done = storage_read_open(st, name, offset, length, &r, err);

	while (done && (done = storage_read(r, buf, 100000, &got, err)) && got > 0)
	{
		if (memcmp(buf, data + offset + count, got) != 0)
			done = error_set(err, ERR_DAMAGED, "wrong bytes");
		count += got;
	}
	storage_read_close(r);
	free(buf);
	if (done && count != length)
		done = error_set(err, ERR_DAMAGED, "%d bytes are missing",
						 (int) (length - count));
	return done;
}

static bool
get_whole(Storage *st, const char *name, Error *err)
{
	return read_range(st, name, 0, LARGE, err);
}

static bool
get_range(Storage *st, const char *name, Error *err)
{
	return read_range(st, name, 3 * MB, 5 * MB, err);
}

static bool
look(Storage *st, const char *name, Error *err)
{
	uint64_t size = 0;

	return storage_stat(st, name, &size, NULL, err) &&
		   (size == SMALL || error_set(err, ERR_DAMAGED, "wrong size"));
}

static bool
miss(Storage *st, const char *name, Error *err)
{
	bool exists = true;

	return storage_exists(st, name, &exists, err) &&
		   (!exists || error_set(err, ERR_DAMAGED, "there is none"));
}

static bool
count_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	++*(int *) arg;
	return true;
}

static bool
list(Storage *st, const char *name, Error *err)
{
	int n = 0;

	(void) name;
	return storage_list(st, "op", true, count_entry, &n, err) &&
		   (n == 1 || error_set(err, ERR_DAMAGED, "%d objects", n));
}

static bool
sweep(Storage *st, const char *name, Error *err)
{
	uint64_t removed;

	(void) name;
	return storage_sweep(st, 0, &removed, err);
}

static const Operation operations[] = {
	{"put", 0, SMALL, put_small},
	{"put in parts", 0, LARGE, put_large},
	{"get", LARGE, LARGE, get_whole},
	{"get of a range", LARGE, LARGE, get_range},
	{"look", SMALL, SMALL, look},
	{"look for none", 0, 0, miss},
	{"list", SMALL, SMALL, list},
	{"remove", SMALL, 0, storage_remove},
	{"sweep", SMALL, SMALL, sweep},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* The state after: asked of the server itself, without faults. */
static bool
state_is(Storage *direct, const char *name, size_t len)
{
	Error err = ERROR_INIT;
	uint64_t size = 0;
	bool right;

	if (len == 0)
	{
		right = !storage_stat(direct, name, &size, NULL, &err) &&
				err.code == ERR_NOT_FOUND;
		error_clear(&err);
		return right;
	}
	right = storage_stat(direct, name, &size, NULL, &err) && size == len &&
			read_range(direct, name, 0, len, &err);
	if (!right)
		printf("# %s: %s\n", name, err.message ? err.message : "wrong size");
	error_clear(&err);
	return right;
}

static void
prepare(Storage *direct, const Operation *op, const char *name)
{
	Error err = ERROR_INIT;

	if (op->object > 0 && !put(direct, name, op->object, &err))
		printf("# could not prepare: %s\n", err.message);
	error_clear(&err);
}

static void
clean_up(Storage *direct, const char *name)
{
	Error err = ERROR_INIT;

	storage_remove(direct, name, &err);
	error_clear(&err);
}

/*
 * Faults that pass
 */

typedef struct Case
{
	const char *name;
	Faults faults;
} Case;

static const Case passing[] = {
	{"the answer is lost", {.cut_down = 1, .times = 1}},
	{"the second answer is lost", {.cut_down = 1, .times = 1, .skip = 1}},
	{"the answer is lost twice", {.cut_down = 1, .times = 2}},
	{"the answer is cut in its head", {.cut_down = 50, .times = 1}},
	{"the answer is cut", {.cut_down = 500, .times = 2}},
	{"a long answer is cut", {.cut_down = 2000000, .times = 2}},
	{"the answer is reset", {.cut_down = 300, .reset = true, .times = 1}},
	{"the request is cut", {.cut_up = 100, .times = 1}},
	{"a long request is reset", {.cut_up = 200000, .reset = true, .times = 1}},
	{"the request stalls", {.stall_up = 100, .times = 1}},
	{"the answer stalls", {.stall_down = 100, .times = 1}},
	{"connections are refused", {.refuse = true, .times = 3}},
	{"a third is answered with 503", {.busy_percent = 33}},
	{"a bit of the request changes", {.flip_up = 250000, .times = 1}},
};

static void
test_passing(Storage *direct, const Case *c)
{
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		const Operation *op = &operations[i];
		char *name = mem_printf("op/%zu", i);
		Error err = ERROR_INIT;
		RgwOptions o;
		Storage *st;
		bool done;

		rgw_options(&rgw, "faults", fault_proxy_port(proxy), &o);
		set_times(&o);
		st = open_store(&o);
		prepare(direct, op, name);
		fault_proxy_set(proxy, &c->faults);
		done = op->run(st, name, &err);
		ok(done && state_is(direct, name, op->object_after),
		   "%s: %s: done (%d faults)", c->name, op->name,
		   fault_proxy_count(proxy));
		if (error_is_set(&err))
			printf("# %s: %s\n# %s\n", error_code_name(err.code), err.message,
				   err.detail ? err.detail : "");
		fault_proxy_set(proxy, &(Faults){0});
		storage_close(st);
		clean_up(direct, name);
		error_clear(&err);
		rgw_options_free(&o);
		free(name);
	}
}

/* Each of the answers that a large object takes, one after the other. */
static void
test_each_answer(Storage *direct)
{
	Error err = ERROR_INIT;
	uint64_t removed = 0;
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "faults", fault_proxy_port(proxy), &o);
	set_times(&o);
	st = open_store(&o);
	/* other tests could not always clean up */
	ok(storage_sweep(direct, 0, &removed, &err), "a sweep (%d)", (int) removed);
	for (int i = 0; i < 9; i++)
	{
		char *name = mem_printf("op/each/%d", i);

		fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1, .skip = i});
		ok(put(st, name, LARGE, &err) && state_is(direct, name, LARGE),
		   "answer %d of a put in parts is lost (%d)", i + 1,
		   fault_proxy_count(proxy));
		if (error_is_set(&err))
			printf("# %s\n", err.message);
		error_clear(&err);
		clean_up(direct, name);
		free(name);
	}
	fault_proxy_set(proxy, &(Faults){0});
	ok(storage_sweep(direct, 0, &removed, &err), "another sweep");
	ok(removed >= 1 && removed <= 2,
	   "of uploads whose begin was answered to nobody (%d)", (int) removed);
	storage_close(st);
	error_clear(&err);
	rgw_options_free(&o);
}

/*
 * Faults that stay
 */

typedef struct Permanent
{
	const char *name;
	Faults faults;
	ErrCode code;
	const char *words;
} Permanent;

static const Permanent staying[] = {
	{"connections are closed", {.refuse = true}, ERR_IO, "lost the connection"},
	{"no answer comes", {.stall_down = 1}, ERR_TIMEOUT, "did not answer"},
	{"each answer is lost", {.cut_down = 1}, ERR_IO, "lost the connection"},
	{"all is answered with 503", {.busy_percent = 100}, ERR_IO, "SlowDown"},
};

/* It fails as it should, quickly, and says so. */
static void
check_failure(bool done, const Error *err, const Permanent *p,
			  const Operation *op)
{
	bool good = !done && err->code == p->code && err->transient &&
				strstr(err->message, p->words) != NULL;

	ok(good, "%s: %s: %s", p->name, op->name, error_code_name(p->code));
	if (!good)
		printf("# done: %d, got: %s (%s): %s\n", done,
			   error_code_name(err->code),
			   err->transient ? "transient" : "for good",
			   err->message ? err->message : "");
}

static void
test_staying(Storage *direct, const Permanent *p)
{
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		const Operation *op = &operations[i];
		char *name = mem_printf("op/%zu", i);
		Error err = ERROR_INIT;
		RgwOptions o;
		Storage *st;

		rgw_options(&rgw, "faults", fault_proxy_port(proxy), &o);
		set_times(&o);
		rgw_set(&o, "stall-timeout", "300ms");
		rgw_set(&o, "retries", "1");
		st = open_store(&o);
		prepare(direct, op, name);
		fault_proxy_set(proxy, &p->faults);
		check_failure(op->run(st, name, &err), &err, p, op);
		fault_proxy_set(proxy, &(Faults){0});
		storage_close(st);
		clean_up(direct, name);
		error_clear(&err);
		rgw_options_free(&o);
		free(name);
	}
}

/*
 * TLS and names
 */

/* The five things that a program asks of a store. */
static void
all_fail(const RgwOptions *o, ErrCode code, const char *words, const char *hint,
		 const char *label)
{
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		Error err = ERROR_INIT;
		Storage *st = open_store(o);
		bool done = operations[i].run(st, "op/tls", &err);
		bool good = !done && err.code == code &&
					strstr(err.message, words) != NULL && err.hint != NULL &&
					strstr(err.hint, hint) != NULL;

		ok(good, "%s: %s: %s", label, operations[i].name,
		   error_code_name(code));
		if (!good)
			printf("# done: %d, got: %s: %s\n# %s\n", done,
				   error_code_name(err.code), err.message ? err.message : "",
				   err.hint ? err.hint : "");
		error_clear(&err);
		storage_close(st);
	}
}

static void
test_tls_case(const char *host, int port, const char *ca_name,
			  const char *words, const char *hint, const char *label)
{
	char *url = mem_printf("https://%s:%d", host, port);
	char *ca = file_join(rgw.ca, ca_name);
	RgwOptions o;

	rgw_options(&rgw, "faults", 0, &o);
	rgw_set(&o, "endpoint", url);
	rgw_set(&o, "ca-file", ca);
	all_fail(&o, ERR_IO, words, hint, label);
	rgw_options_free(&o);
	free(url);
	free(ca);
}

/* A server whose certificate is of the year 2020. */
static pid_t
start_expired(int *port)
{
	char *certificate = file_join(rgw.ca, "expired.crt");
	char *key = file_join(rgw.ca, "expired.key");
	int fd = loopback_listen(port);
	char *accept;
	pid_t pid;

	close(fd);
	accept = mem_printf("127.0.0.1:%d", *port);
	pid = fork();
	if (pid == 0)
	{
		execlp("openssl", "openssl", "s_server", "-quiet", "-www", "-accept",
			   accept, "-cert", certificate, "-key", key, (char *) NULL);
		_exit(127);
	}
	free(certificate);
	free(key);
	free(accept);
	for (int i = 0; i < 100 && (fd = loopback_connect(*port)) < 0; i++)
		clock_sleep(USECS_PER_SEC / 20);
	close(fd);
	return pid;
}

static void
test_tls(void)
{
	char *url = mem_printf("https://localhost:%d", rgw.tls_port);
	int port;
	pid_t pid = start_expired(&port);
	RgwOptions o;

	test_tls_case("localhost", rgw.tls_port, "other-ca.crt",
				  "could not trust the certificate", "ca-file", "unknown CA");
	test_tls_case("localhost", port, "ca.crt", "expired", "renewed",
				  "expired certificate");
	test_tls_case("127.0.0.1", rgw.tls_port, "ca.crt",
				  "could not trust the certificate", "another host",
				  "wrong host");
	test_tls_case("localhost", rgw.port, "ca.crt", "could not start TLS",
				  "does not speak TLS", "no TLS there");
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);

	rgw_options(&rgw, "faults", 0, &o);
	rgw_set(&o, "ca-file", "/no/such/file");
	rgw_set(&o, "endpoint", url);
	all_fail(&o, ERR_CONFIG, "ca-file", "PEM", "no CA file");
	rgw_set(&o, "retries", "0");
	rgw_set(&o, "endpoint", "http://no-such-host.invalid");
	all_fail(&o, ERR_IO, "could not find the address", "name servers",
			 "unknown name");
	rgw_set(&o, "endpoint", "http://127.0.0.1:1");
	all_fail(&o, ERR_IO, "Connection refused", "firewall", "nobody listens");
	rgw_options_free(&o);
	free(url);
}

/* What changes under way is found by TLS, and fetched again. */
static void
test_flip(Storage *direct)
{
	FaultProxy *tls = fault_proxy_start(rgw.tls_port);
	char *url = mem_printf("https://localhost:%d", fault_proxy_port(tls));
	char *ca = file_join(rgw.ca, "ca.crt");
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "faults", 0, &o);
	set_times(&o);
	rgw_set(&o, "endpoint", url);
	rgw_set(&o, "ca-file", ca);
	st = open_store(&o);
	put(direct, "op/flip", LARGE, &err);
	fault_proxy_set(tls, &(Faults){.flip_down = 3000000, .times = 2});
	ok(get_whole(st, "op/flip", &err), "a bit changes under TLS");
	is_int(fault_proxy_count(tls), 2, "twice");
	fault_proxy_set(tls, &(Faults){.flip_up = 3000000, .times = 1});
	ok(put(st, "op/flip2", LARGE, &err) && state_is(direct, "op/flip2", LARGE),
	   "and of what is sent");
	is_int(fault_proxy_count(tls), 1, "once");
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	clean_up(direct, "op/flip");
	clean_up(direct, "op/flip2");
	storage_close(st);
	fault_proxy_stop(tls);
	rgw_options_free(&o);
	free(url);
	free(ca);
}

/* The store hangs behind a gateway that accepts. */
static void
test_hung(Storage *direct)
{
	int osd = rgw_pid(&rgw, "osd");
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "faults", 0, &o);
	set_times(&o);
	rgw_set(&o, "retries", "1");
	st = open_store(&o);
	kill(osd, SIGSTOP);
	ok(!put(st, "op/hung", SMALL, &err) && err.code == ERR_TIMEOUT,
	   "the store hangs: a put: %s", error_code_name(err.code));
	error_clear(&err);
	ok(!storage_stat(st, "op/hung", NULL, NULL, &err) &&
		   err.code == ERR_TIMEOUT,
	   "the store hangs: a look: %s", error_code_name(err.code));
	error_clear(&err);
	kill(osd, SIGCONT);
	rgw_set(&o, "stall-timeout", "20s");
	storage_close(st);
	st = open_store(&o);
	/* what was asked for while it hung may have been done since */
	put(st, "op/hung", SMALL, &err);
	ok(!error_is_set(&err) || err.code == ERR_EXISTS, "it goes on: %s",
	   error_code_name(err.code));
	ok(state_is(direct, "op/hung", SMALL), "and the object is whole");
	error_clear(&err);
	clean_up(direct, "op/hung");
	storage_close(st);
	rgw_options_free(&o);
}

/* The server has gone: last, because it does not come back. */
static void
test_killed(void)
{
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;
	bool exists;

	rgw_options(&rgw, "faults", 0, &o);
	rgw_set(&o, "retries", "1");
	st = open_store(&o);
	ok(storage_exists(st, "op/none", &exists, &err), "a connection");
	kill(rgw_pid(&rgw, "rgw"), SIGKILL);
	clock_sleep(USECS_PER_SEC / 5);
	ok(!storage_exists(st, "op/none", &exists, &err) && err.code == ERR_IO &&
		   err.transient,
	   "the server is killed: a look: %s", error_code_name(err.code));
	error_clear(&err);
	ok(!put(st, "op/none", LARGE, &err) && err.code == ERR_IO,
	   "the server is killed: a put: %s", error_code_name(err.code));
	error_clear(&err);
	storage_close(st);
	rgw_options_free(&o);
}

int
main(void)
{
	Storage *direct;
	RgwOptions o;

	signal(SIGPIPE, SIG_IGN);
	data = mem_alloc(LARGE);
	fill_random(data, LARGE, 1);
	rgw_start(&rgw);
	proxy = fault_proxy_start(rgw.port);
	ok(rgw_put_bucket(&rgw, "faults", NULL, NULL), "a bucket");
	rgw_options(&rgw, "faults", 0, &o);
	direct = open_store(&o);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		test_passing(direct, &passing[i]);
	for (size_t i = 0; i < sizeof(staying) / sizeof(staying[0]); i++)
		test_staying(direct, &staying[i]);
	test_each_answer(direct);
	test_tls();
	test_flip(direct);
	test_hung(direct);
	test_killed();
	storage_close(direct);
	fault_proxy_stop(proxy);
	rgw_stop(&rgw);
	scratch_remove();
	rgw_options_free(&o);
	free(data);
	return done_testing();
}
