/*-------------------------------------------------------------------------
 *
 * azure_fault_test.c
 *	  The azure driver when something goes wrong: each fault at each operation
 *	  ends in success, or in an error that says so; never in a success that is
 *	  none, never in an absence that nobody stated.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "azurite.h"
#include "base/clock.h"
#include "base/file.h"
#include "fault_proxy.h"
#include "loopback.h"
#include "store_tap.h"

#define SMALL ((size_t) 300000)
#define LARGE (3 * MB)

static Azurite azurite;
static FaultProxy *proxy;
static char *data; /* what all objects hold */

/*
 * Operations.  Each works on an object that prepare() made through another
 * connection, and says whether its outcome is right.
 */

typedef struct Operation
{
	const char *name;
	size_t object;       /* bytes of the object before; 0: there is none */
	size_t object_after; /* likewise */
	bool (*run)(Storage *st, const char *name, Error *err);
} Operation;

static bool
put_small(Storage *st, const char *name, Error *err)
{
	return put_with_head(st, name, data, SMALL, err);
}

static bool
put_large(Storage *st, const char *name, Error *err)
{
	return put_with_head(st, name, data, LARGE, err);
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
	return read_range(st, name, MB, 2 * MB - 7, err);
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
list(Storage *st, const char *name, Error *err)
{
	int n = 0;

	return storage_list(st, name, true, count_entry, &n, err) &&
		   (n == 0 || error_set(err, ERR_DAMAGED, "%d objects below", n)) &&
		   storage_list(st, "op", true, count_entry, &n, err) &&
		   (n == 1 || error_set(err, ERR_DAMAGED, "%d objects", n));
}

static const Operation operations[] = {
	{"put", 0, SMALL, put_small},
	{"put in blocks", 0, LARGE, put_large},
	{"get", LARGE, LARGE, get_whole},
	{"get of a range", LARGE, LARGE, get_range},
	{"look", SMALL, SMALL, look},
	{"look for none", 0, 0, miss},
	{"list", SMALL, SMALL, list},
	{"remove", SMALL, 0, storage_remove},
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
clean_up(Storage *direct, const char *name)
{
	Error err = ERROR_INIT;

	storage_remove(direct, name, &err);
	error_clear(&err);
}

/* A connection by way of the proxy, with little patience. */
static void
by_proxy(AzuriteOptions *o, const char *stall, const char *retries)
{
	azurite_options(&azurite, "faults", fault_proxy_port(proxy), o);
	azurite_set(o, "stall-timeout", stall);
	azurite_set(o, "total-timeout", "20s");
	azurite_set(o, "retries", retries);
}

/* Runs one operation with faults; *err is what it says. */
static bool
run_with(Storage *direct, const Operation *op, const char *name,
		 const AzuriteOptions *o, const Faults *faults, Error *err)
{
	Storage *st = open_store(&o->options);
	bool done;

	if (op->object > 0 && !put_with_head(direct, name, data, op->object, err))
		printf("# could not prepare: %s\n", err->message);
	fault_proxy_set(proxy, faults);
	done = op->run(st, name, err);
	storage_close(st);
	return done;
}

/*
 * Faults that pass
 */

typedef struct Passing
{
	const char *name;
	Faults faults;
} Passing;

static const Passing passing[] = {
	{"the answer is lost", {.cut_down = 1, .times = 1}},
	{"the second answer is lost", {.cut_down = 1, .times = 1, .skip = 1}},
	{"the answer is lost twice", {.cut_down = 1, .times = 2}},
	{"the answer is cut in its head", {.cut_down = 50, .times = 1}},
	{"the answer is cut", {.cut_down = 500, .times = 2}},
	{"a long answer is cut", {.cut_down = 1000000, .times = 2}},
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
test_passing(Storage *direct, const Passing *p)
{
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		const Operation *op = &operations[i];
		char *name = mem_printf("op/%zu", i);
		Error err = ERROR_INIT;
		AzuriteOptions o;
		bool done;

		by_proxy(&o, "800ms", "10");
		done = run_with(direct, op, name, &o, &p->faults, &err);
		ok(done && state_is(direct, name, op->object_after),
		   "%s: %s: done (%d faults)", p->name, op->name,
		   fault_proxy_count(proxy));
		if (error_is_set(&err))
			printf("# %s: %s\n# %s\n", error_code_name(err.code), err.message,
				   err.detail ? err.detail : "");
		fault_proxy_set(proxy, &(Faults){0});
		clean_up(direct, name);
		error_clear(&err);
		azurite_options_free(&o);
		free(name);
	}
}

/* Each of the answers that a large object takes, one after the other. */
static void
test_each_answer(Storage *direct)
{
	AzuriteOptions o;
	Storage *st;

	by_proxy(&o, "800ms", "10");
	st = open_store(&o.options);
	for (int i = 0; i < 6; i++)
	{
		char *name = mem_printf("op/each/%d", i);
		Error err = ERROR_INIT;

		fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1, .skip = i});
		ok(put_large(st, name, &err) && state_is(direct, name, LARGE) &&
			   fault_proxy_count(proxy) == 1,
		   "answer %d of a put in blocks is lost", i + 1);
		if (error_is_set(&err))
			printf("# %s\n", err.message);
		error_clear(&err);
		clean_up(direct, name);
		free(name);
	}
	fault_proxy_set(proxy, &(Faults){0});
	storage_close(st);
	azurite_options_free(&o);
}

/*
 * Faults that stay
 */

typedef struct Staying
{
	const char *name;
	Faults faults;
	ErrCode code;
	const char *words;
} Staying;

static const Staying staying[] = {
	{"connections are closed", {.refuse = true}, ERR_IO, "lost the connection"},
	{"no answer comes", {.stall_down = 1}, ERR_TIMEOUT, "did not answer"},
	{"each answer is lost", {.cut_down = 1}, ERR_IO, "lost the connection"},
	{"all is answered with 503", {.busy_percent = 100}, ERR_IO, "503"},
};

/* It fails as it should and says so. */
static void
test_staying(Storage *direct, const Staying *p)
{
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		const Operation *op = &operations[i];
		char *name = mem_printf("op/%zu", i);
		Error err = ERROR_INIT;
		AzuriteOptions o;
		bool done;
		bool good;

		by_proxy(&o, "300ms", "1");
		done = run_with(direct, op, name, &o, &p->faults, &err);
		good = !done && err.code == p->code && err.transient &&
			   says(&err, p->words);
		ok(good, "%s: %s: %s", p->name, op->name, error_code_name(p->code));
		if (!good)
			printf("# done: %d, got: %s: %s\n", done, error_code_name(err.code),
				   err.message ? err.message : "");
		fault_proxy_set(proxy, &(Faults){0});
		clean_up(direct, name);
		error_clear(&err);
		azurite_options_free(&o);
		free(name);
	}
}

/*
 * The server itself
 */

static void
test_hung(Storage *direct)
{
	int pid = azurite_pid(&azurite);
	Error err = ERROR_INIT;
	AzuriteOptions o;
	Storage *st;

	by_proxy(&o, "500ms", "1");
	st = open_store(&o.options);
	fine(put_small(st, "op/before", &err), &err, "a connection");
	kill(pid, SIGSTOP);
	for (size_t i = 0; i < OPERATIONS; i++)
	{
		ok(!operations[i].run(st, "op/hung", &err) && err.code == ERR_TIMEOUT &&
			   err.transient,
		   "the server hangs: %s: %s", operations[i].name,
		   error_code_name(err.code));
		error_clear(&err);
	}
	kill(pid, SIGCONT);
	clean_up(direct, "op/before");
	clean_up(direct, "op/hung");
	fine(put_small(st, "op/after", &err), &err, "it goes on");
	ok(state_is(direct, "op/after", SMALL), "and takes objects again");
	clean_up(direct, "op/after");
	storage_close(st);
	azurite_options_free(&o);
}

/* It ends in the middle of an object, and comes back. */
static void
test_restarted(Storage *direct)
{
	Error err = ERROR_INIT;
	StorageWriter *w;
	AzuriteOptions o;
	Storage *st;
	bool exists;

	azurite_options(&azurite, "faults", 0, &o);
	azurite_set(&o, "retries", "1");
	st = open_store(&o.options);
	fine(put_small(st, "op/kept", &err), &err, "an object");
	fine(storage_write_open(st, "op/half", HEAD_LEN, &w, &err) &&
			 storage_write(w, data + HEAD_LEN, LARGE - HEAD_LEN, &err),
		 &err, "another one under way");
	azurite_down(&azurite);
	fails_with(storage_commit(w, data, &err), &err, ERR_IO, "",
			   "the server is gone: the commit");
	fails_with(storage_exists(st, "op/kept", &exists, &err), &err, ERR_IO,
			   "could not connect", "a look is no absence");
	azurite_up(&azurite);
	ok(state_is(direct, "op/kept", SMALL), "the server is back, with what it "
										   "had taken");
	ok(state_is(direct, "op/half", 0), "and nothing else");
	fine(put_large(st, "op/half", &err), &err, "the object once more");
	ok(state_is(direct, "op/half", LARGE), "is whole");
	clean_up(direct, "op/kept");
	clean_up(direct, "op/half");
	storage_close(st);
	azurite_options_free(&o);
}

/*
 * Names and certificates
 */

static void
all_fail(const AzuriteOptions *o, ErrCode code, const char *word,
		 const char *label)
{
	Storage *st = open_store(&o->options);

	for (size_t i = 0; i < OPERATIONS; i++)
	{
		Error err = ERROR_INIT;
		char *name = mem_printf("%s: %s", label, operations[i].name);

		fails_with(operations[i].run(st, "op/x", &err), &err, code, word, name);
		free(name);
	}
	storage_close(st);
}

static void
test_addresses(void)
{
	AzuriteOptions o;

	azurite_options(&azurite, "faults", 0, &o);
	azurite_set(&o, "retries", "0");
	azurite_set(&o, "endpoint", "http://no-such-host.invalid/acc");
	all_fail(&o, ERR_IO, "name servers", "unknown name");
	azurite_set(&o, "endpoint", "http://127.0.0.1:1/acc");
	all_fail(&o, ERR_IO, "firewall", "nobody listens");
	azurite_options_free(&o);
}

/* A server whose certificate is of the year 2020. */
static void
test_expired(void)
{
	char *ca = file_join(scratch("ca"), "ca.crt");
	char *certificate = file_join(scratch("ca"), "expired.crt");
	char *key = file_join(scratch("ca"), "expired.key");
	int port;
	int fd = loopback_listen(&port);
	char *address = mem_printf("127.0.0.1:%d", port);
	char *endpoint = mem_printf("https://localhost:%d/acc", port);
	AzuriteOptions o;
	pid_t pid;

	close(fd);
	pid = fork();
	if (pid == 0)
	{
		execlp("openssl", "openssl", "s_server", "-quiet", "-www", "-accept",
			   address, "-cert", certificate, "-key", key, (char *) NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && (fd = loopback_connect(port)) < 0; i++)
		clock_sleep(USECS_PER_SEC / 20);
	close(fd);
	azurite_options(&azurite, "faults", 0, &o);
	azurite_set(&o, "endpoint", endpoint);
	azurite_set(&o, "ca-file", ca);
	all_fail(&o, ERR_IO, "renewed", "expired certificate");
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	azurite_options_free(&o);
	free(address);
	free(endpoint);
	free(ca);
	free(certificate);
	free(key);
}

/* What changes under way is found by TLS, and asked for again. */
static void
test_tls(void)
{
	Error err = ERROR_INIT;
	FaultProxy *tls;
	char *endpoint;
	AzuriteOptions o;
	Storage *direct;
	Storage *st;

	azurite_start(&azurite, "azurite-tls", true);
	azurite_container(&azurite, "faults");
	tls = fault_proxy_start(azurite.port);
	endpoint = mem_printf("https://localhost:%d/%s", fault_proxy_port(tls),
						  azurite.account);
	azurite_options(&azurite, "faults", 0, &o);
	direct = open_store(&o.options);
	azurite_set(&o, "endpoint", endpoint);
	st = open_store(&o.options);
	fine(put_large(direct, "op/flip", &err), &err, "an object");
	fault_proxy_set(tls, &(Faults){.flip_down = 1500000, .times = 2});
	fine(get_whole(st, "op/flip", &err), &err, "a bit changes under TLS");
	is_int(fault_proxy_count(tls), 2, "twice");
	fault_proxy_set(tls, &(Faults){.flip_up = 1500000, .times = 1});
	fine(put_large(st, "op/flip2", &err), &err, "and of what is sent");
	ok(state_is(direct, "op/flip2", LARGE), "which arrives whole");
	is_int(fault_proxy_count(tls), 1, "once");
	storage_close(st);
	storage_close(direct);
	fault_proxy_stop(tls);
	azurite_set(&o, "endpoint", azurite.endpoint);
	azurite_set(&o, "ca-file", "/no/such/file");
	all_fail(&o, ERR_CONFIG, "PEM", "no CA file");
	test_expired();
	azurite_stop(&azurite);
	azurite_options_free(&o);
	free(endpoint);
}

int
main(void)
{
	Storage *direct;
	AzuriteOptions o;

	signal(SIGPIPE, SIG_IGN);
	data = pattern(LARGE);
	azurite_start(&azurite, "azurite", false);
	azurite_container(&azurite, "faults");
	proxy = fault_proxy_start(azurite.port);
	azurite_options(&azurite, "faults", 0, &o);
	direct = open_store(&o.options);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		test_passing(direct, &passing[i]);
	for (size_t i = 0; i < sizeof(staying) / sizeof(staying[0]); i++)
		test_staying(direct, &staying[i]);
	test_each_answer(direct);
	test_hung(direct);
	test_addresses();
	test_restarted(direct);
	storage_close(direct);
	fault_proxy_stop(proxy);
	azurite_options_free(&o);
	azurite_stop(&azurite);
	test_tls();
	free(data);
	scratch_remove();
	return done_testing();
}
