/*-------------------------------------------------------------------------
 *
 * sftp_fault_test.c
 *	  The sftp driver when sessions end at exactly the wrong request, when the
 *	  server refuses, and when it lies.  In no case is an object acknowledged
 *	  that is not there whole, or taken for absent while it is there.
 *
 *-------------------------------------------------------------------------
 */
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "sftp_filter.h"
#include "sftp_server.h"
#include "tap.h"
#include "tmpdir.h"

#define HEAD_LEN 700
#define SMALL ((size_t) 300000)
#define BIG ((size_t) 20 * 1000 * 1000) /* more than two blocks */
#define PIECE ((size_t) 300001)
#define NAME "wal/dir/object"

static char *scratch;
static char *orders; /* the filter's file */
static SftpServer server;
static int case_number;
static int temps_found;

/*
 * Objects
 */

static unsigned char *
content(size_t len, unsigned seed)
{
	unsigned char *data = mem_alloc(len + 1);

	for (size_t i = 0; i < len; i++)
	{
		uint64_t x = (i + seed) * UINT64_C(0x9E3779B97F4A7C15);

		data[i] = (unsigned char) ((x ^ (x >> 29)) >> 24);
	}
	return data;
}

/* Written with a head, in pieces, as the repository does it. */
static bool
put(Storage *st, size_t len, unsigned seed, Error *err)
{
	unsigned char *data = content(len, seed);
	StorageWriter *w;
	bool done = storage_write_open(st, NAME, HEAD_LEN, &w, err);

	if (!done)
	{
		free(data);
		return false;
	}
	for (size_t i = HEAD_LEN; done && i < len; i += PIECE)
		done = storage_write(w, data + i, len - i < PIECE ? len - i : PIECE,
							 err);
	if (done)
		done = storage_commit(w, data, err);
	else
		storage_abort(w);
	free(data);
	return done;
}

static bool
holds(Storage *st, size_t len, unsigned seed, Error *err)
{
	unsigned char *expected = content(len, seed);
	char *data = NULL;
	size_t got = 0;
	bool same = storage_get(st, NAME, BIG + 1, &data, &got, err) &&
				got == len && memcmp(data, expected, len) == 0;

	free(data);
	free(expected);
	return same;
}

static int
count_temp(const char *path, const struct stat *sb, int kind, struct FTW *ftw)
{
	(void) sb;
	(void) kind;
	temps_found += path[ftw->base] == '.' && strstr(path, ".tmp") != NULL;
	return 0;
}

static int
count_temps(const char *path)
{
	temps_found = 0;
	nftw(path, count_temp, 16, FTW_PHYS);
	return temps_found;
}

/*
 * The cases
 */

typedef enum Operation
{
	PUT_SMALL,
	PUT_BIG,
	PUT_TAKEN, /* another object of that name and size is there */
	GET,       /* of a big object */
	STAT,
	REMOVE,
	LIST,
	SETTLE,
	CREATE /* of a repository */
} Operation;

typedef struct Fault
{
	Operation operation;
	const char *orders;
	ErrCode code; /* ERR_NONE: succeeds */
	const char *word;
	bool transient;
	int temps; /* that are left */
	const char *key;
	const char *value;
} Fault;

static const Fault faults[] = {
	/* an object that fits into memory is written anew */
	{.operation = PUT_SMALL, .orders = "cut init 1"},
	{.operation = PUT_SMALL, .orders = "cut open 1"},
	{.operation = PUT_SMALL, .orders = "lose open 2"},
	{.operation = PUT_SMALL, .orders = "cut mkdir 1"},
	{.operation = PUT_SMALL, .orders = "lose mkdir 2"},
	{.operation = PUT_SMALL, .orders = "cut write 1"},
	{.operation = PUT_SMALL, .orders = "lose write 3"},
	{.operation = PUT_SMALL, .orders = "cut fsync 1"},
	{.operation = PUT_SMALL, .orders = "lose fsync 1"},
	{.operation = PUT_SMALL, .orders = "cut lstat 1"},
	{.operation = PUT_SMALL, .orders = "cut fsync 2"},
	{.operation = PUT_SMALL, .orders = "lose fsync 2"},
	{.operation = PUT_SMALL, .orders = "cut close 1"},

	/* a larger one is gone on with, unless that would be a guess */
	{.operation = PUT_BIG, .orders = "cut write 1"},
	{.operation = PUT_BIG, .orders = "lose write 2"},
	{.operation = PUT_BIG, .orders = "cut write 400"},
	{.operation = PUT_BIG, .orders = "lose write 660"},
	{.operation = PUT_BIG, .orders = "lose lstat 1"},
	{.operation = PUT_BIG,
	 .orders = "lose fsync 1",
	 .code = ERR_IO,
	 .word = "not known",
	 .transient = true,
	 .temps = 0},
	{.operation = PUT_BIG,
	 .orders = "cut fsync 1",
	 .code = ERR_IO,
	 .word = "not known",
	 .transient = true,
	 .temps = 0},
	{.operation = PUT_BIG, .orders = "lose fsync 2"},
	{.operation = PUT_BIG,
	 .orders = "spoil write 5\ncut write 400",
	 .code = ERR_IO,
	 .word = "read back",
	 .transient = true,
	 .temps = 0},
	{.operation = PUT_BIG,
	 .orders = "cut write 400",
	 .code = ERR_IO,
	 .word = "write-once",
	 .transient = true,
	 .temps = 0,
	 .key = "write-once",
	 .value = "yes"},

	/* the rename whose answer is lost */
	{.operation = PUT_SMALL, .orders = "cut rename 1"},
	{.operation = PUT_SMALL, .orders = "lose rename 1"},
	{.operation = PUT_SMALL, .orders = "half rename 1", .temps = 1},
	{.operation = PUT_SMALL, .orders = "late rename 1"},
	{.operation = PUT_BIG, .orders = "cut rename 1"},
	{.operation = PUT_BIG, .orders = "lose rename 1"},
	{.operation = PUT_BIG, .orders = "half rename 1", .temps = 1},
	{.operation = PUT_SMALL, .orders = "refuse read 1 3\nlose rename 1"},
	{.operation = PUT_TAKEN,
	 .orders = "",
	 .code = ERR_EXISTS,
	 .word = "already exists"},
	{.operation = PUT_TAKEN,
	 .orders = "cut rename 1",
	 .code = ERR_EXISTS,
	 .word = "already exists",
	 .temps = 1},
	{.operation = PUT_TAKEN,
	 .orders = "lose rename 1",
	 .code = ERR_EXISTS,
	 .word = "already exists",
	 .temps = 1},

	/* what the server says */
	{.operation = PUT_SMALL,
	 .orders = "refuse open 2 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = PUT_SMALL,
	 .orders = "refuse mkdir 1 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = PUT_SMALL,
	 .orders = "refuse mkdir 1 4",
	 .code = ERR_IO,
	 .word = "quota"},
	{.operation = PUT_SMALL,
	 .orders = "refuse write 2 14",
	 .code = ERR_FULL,
	 .word = "no space left",
	 .temps = 1},
	{.operation = PUT_SMALL,
	 .orders = "refuse write 2 15",
	 .code = ERR_FULL,
	 .word = "quota exceeded",
	 .temps = 1},
	{.operation = PUT_SMALL,
	 .orders = "refuse write 2 4",
	 .code = ERR_IO,
	 .word = "quota",
	 .temps = 0},
	{.operation = PUT_SMALL,
	 .orders = "refuse fsync 1 4",
	 .code = ERR_IO,
	 .word = "quota"},
	{.operation = PUT_SMALL,
	 .orders = "refuse fsync 1 8",
	 .code = ERR_UNSUPPORTED,
	 .word = "fsync = no"},
	{.operation = PUT_SMALL,
	 .orders = "refuse fsync 1 8",
	 .key = "fsync",
	 .value = "no"},
	{.operation = PUT_SMALL,
	 .orders = "refuse fsync 2 4",
	 .code = ERR_IO,
	 .word = "may be visible"},
	{.operation = PUT_SMALL,
	 .orders = "refuse rename 1 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = PUT_SMALL,
	 .orders = "refuse rename 1 4",
	 .code = ERR_IO,
	 .word = "quota"},
	{.operation = PUT_SMALL,
	 .orders = "refuse rename 1 2",
	 .code = ERR_IO,
	 .word = "no such file"},
	{.operation = CREATE,
	 .orders = "replace rename 1",
	 .code = ERR_UNSUPPORTED,
	 .word = "replaces existing files"},
	{.operation = CREATE,
	 .orders = "refuse fsync 1 8",
	 .code = ERR_UNSUPPORTED,
	 .word = "fsync = no"},
	{.operation = CREATE, .orders = "lose rename 1", .temps = 2},

	/* slow, not broken; and broken, not slow */
	{.operation = PUT_BIG,
	 .orders = "slow fsync 1 8",
	 .key = "stall-timeout",
	 .value = "1s"},
	{.operation = PUT_SMALL,
	 .orders = "slow write 2 3",
	 .key = "stall-timeout",
	 .value = "1s"},
	{.operation = PUT_SMALL,
	 .orders = "slow fsync 1 5",
	 .key = "total-timeout",
	 .value = "2s",
	 .code = ERR_TIMEOUT,
	 .word = "within the time limit",
	 .transient = true,
	 .temps = 1},
	{.operation = PUT_SMALL,
	 .orders = "cut open 1",
	 .key = "retries",
	 .value = "0",
	 .code = ERR_IO,
	 .word = "ended the session",
	 .transient = true},

	{.operation = GET, .orders = "cut open 1"},
	{.operation = GET, .orders = "lose fstat 1"},
	{.operation = GET, .orders = "cut read 1"},
	{.operation = GET, .orders = "cut read 100"},
	{.operation = GET, .orders = "lose read 300"},
	{.operation = GET, .orders = "tear read 1"},
	{.operation = GET, .orders = "tear read 200"},
	{.operation = STAT, .orders = "tear lstat 1"},
	{.operation = PUT_SMALL, .orders = "tear fsync 1"},
	{.operation = LIST, .orders = "tear readdir 1"},
	{.operation = GET, .orders = "cut close 1"},
	{.operation = GET,
	 .orders = "slow read 50 3",
	 .key = "stall-timeout",
	 .value = "1s"},
	{.operation = GET,
	 .orders = "refuse read 10 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = GET,
	 .orders = "refuse read 10 4",
	 .code = ERR_IO,
	 .word = "failure"},
	{.operation = GET,
	 .orders = "refuse read 1 2",
	 .code = ERR_IO,
	 .word = "no such file"},
	{.operation = GET,
	 .orders = "refuse read 10 1",
	 .code = ERR_IO,
	 .word = "ends before its size"},
	{.operation = GET,
	 .orders = "refuse open 1 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = GET,
	 .orders = "refuse open 1 2\nrefuse stat 1 2",
	 .code = ERR_IO,
	 .word = "mounted"},
	{.operation = STAT, .orders = "cut lstat 1"},
	{.operation = STAT, .orders = "lose lstat 1"},
	{.operation = STAT,
	 .orders = "refuse lstat 1 4",
	 .code = ERR_IO,
	 .word = "failure"},
	{.operation = STAT,
	 .orders = "refuse lstat 1 2\nrefuse stat 1 3",
	 .code = ERR_DENIED,
	 .word = "denied"},
	{.operation = REMOVE, .orders = "cut remove 1"},
	{.operation = REMOVE, .orders = "lose remove 1"},
	{.operation = REMOVE, .orders = "lose rmdir 1"},
	{.operation = REMOVE,
	 .orders = "refuse remove 1 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = LIST, .orders = "cut opendir 2"},
	{.operation = LIST, .orders = "lose readdir 2"},
	{.operation = LIST,
	 .orders = "refuse opendir 2 3",
	 .code = ERR_DENIED,
	 .word = "permission denied"},
	{.operation = LIST,
	 .orders = "refuse readdir 2 4",
	 .code = ERR_IO,
	 .word = "failure"},
	{.operation = LIST, .orders = "lose stat 1"},
	{.operation = SETTLE, .orders = "lose fsync 1"},
	{.operation = SETTLE,
	 .orders = "refuse fsync 1 8",
	 .code = ERR_UNSUPPORTED,
	 .word = "fsync = no"},
	{.operation = SETTLE,
	 .orders = "refuse fsync 1 4",
	 .code = ERR_IO,
	 .word = "failure"},
};

static bool
count_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	++*(int *) arg;
	return true;
}

static bool
operate(Storage *st, Operation operation, Error *err)
{
	int count = 0;

	switch (operation)
	{
		case PUT_SMALL:
		case PUT_TAKEN:
			return put(st, SMALL, 1, err);
		case PUT_BIG:
			return put(st, BIG, 1, err);
		case GET:
			return holds(st, BIG, 1, err);
		case STAT:
			return storage_stat(st, NAME, NULL, NULL, err);
		case REMOVE:
			return storage_remove(st, NAME, err);
		case LIST:
			return storage_list(st, "", true, count_entry, &count, err) &&
				   count == 1;
		case SETTLE:
			return storage_settle(st, NAME, err);
		case CREATE:
			return true;
	}
	return false;
}

static bool
is_put(Operation operation)
{
	return operation == PUT_SMALL || operation == PUT_BIG;
}

/* Before the fault: the repository, and the object where there must be one. */
static void
prepare(SftpTarget *t, Operation operation)
{
	Error err = ERROR_INIT;
	Storage *st;

	if (operation == CREATE)
		return;
	if (!storage_open(&t->options, &st, &err) ||
		(operation == PUT_TAKEN && !put(st, SMALL, 2, &err)) ||
		(operation != PUT_TAKEN && !is_put(operation) &&
		 !put(st, BIG, 1, &err)))
		printf("# could not prepare: %s\n", err.message);
	else
		storage_close(st);
	error_clear(&err);
	t->options.create = false;
}

/* After it, seen over a connection of its own. */
static void
look_after(SftpTarget *t, const Fault *fault, bool done, const char *label)
{
	Error err = ERROR_INIT;
	bool exists = false;
	Storage *st;

	sftp_target_set(t, "stall-timeout", "5s");
	sftp_target_set(t, "total-timeout", "60s");
	if (fault->operation == CREATE || !storage_open(&t->options, &st, &err))
		return;
	if (is_put(fault->operation) && done)
		ok(holds(st, fault->operation == PUT_BIG ? BIG : SMALL, 1, &err),
		   "%s: the object is whole", label);
	else if (is_put(fault->operation) &&
			 (fault->word == NULL ||
			  strcmp(fault->word, "may be visible") != 0))
		ok(storage_exists(st, NAME, &exists, &err) && !exists,
		   "%s: there is no object", label);
	else if (fault->operation == PUT_TAKEN)
		ok(holds(st, SMALL, 2, &err), "%s: the other object is untouched",
		   label);
	else if (fault->operation == REMOVE && done)
		ok(storage_exists(st, NAME, &exists, &err) && !exists &&
			   count_temps(t->path) == 0,
		   "%s: the object is gone", label);
	if (error_is_set(&err))
		printf("# %s\n", err.message);
	error_clear(&err);
	storage_close(st);
}

static void
judge(const Fault *fault, bool done, Error *err, const char *label)
{
	bool said = fault->word == NULL ||
				(err->message && strstr(err->message, fault->word)) ||
				(err->detail && strstr(err->detail, fault->word)) ||
				(err->hint && strstr(err->hint, fault->word));
	bool right = fault->code == ERR_NONE
					 ? done && !error_is_set(err)
					 : !done && err->code == fault->code && said &&
						   err->transient == fault->transient;

	ok(right, "%s: %s%s%s", label,
	   fault->code == ERR_NONE ? "works" : error_code_name(fault->code),
	   fault->word ? ", " : "", fault->word ? fault->word : "");
	if (!right)
		printf("# done: %d, got: %s: %s%s\n# %s\n# %s\n", done,
			   error_code_name(err->code), err->message ? err->message : "",
			   err->transient ? " (transient)" : "",
			   err->detail ? err->detail : "", err->hint ? err->hint : "");
	error_clear(err);
}

static void
give_orders(const char *text)
{
	Error err = ERROR_INIT;

	if (!file_write_durable(orders, text, strlen(text), 0644, true, &err))
		printf("# %s\n", err.message);
	error_clear(&err);
}

static void
run_fault(const Fault *fault)
{
	static const char *const names[] = {"put",  "put of much", "put of a taken",
										"get",  "stat",        "remove",
										"list", "settle",      "create"};
	char *label = mem_printf("%s, %s", names[fault->operation], fault->orders);
	char *name = mem_printf("case%d", ++case_number);
	Error err = ERROR_INIT;
	Storage *st = NULL;
	SftpTarget t;
	bool done;

	for (char *p = label; *p != '\0'; p++)
		*p = *p == '\n' ? ';' : *p;
	sftp_target_init(&t, &server, name);
	prepare(&t, fault->operation);
	if (fault->key != NULL)
		sftp_target_set(&t, fault->key, fault->value);
	give_orders(fault->orders);
	done = storage_open(&t.options, &st, &err) &&
		   operate(st, fault->operation, &err);
	if (st != NULL)
		storage_close(st);
	judge(fault, done, &err, label);
	give_orders("");
	look_after(&t, fault, done, label);
	if (strncmp(fault->orders, "late", 4) == 0)
	{
		sleep(2);
		look_after(&t, fault, done, "and later");
	}
	is_int(count_temps(t.path), fault->temps, "temporary files that are left");
	sftp_target_free(&t);
	free(name);
	free(label);
}

/*
 * What an object costs: each of these is one round trip, but for the reads and
 * writes of a row.
 */
static void
test_cost(void)
{
	char *log = mem_printf("%s.log", orders);
	StrBuf seen = STRBUF_INIT;
	Error err = ERROR_INIT;
	SftpTarget t;
	Storage *st;

	sftp_target_init(&t, &server, "cost");
	prepare(&t, PUT_SMALL);
	ok(storage_open(&t.options, &st, &err) && put(st, 1500, 1, &err) &&
		   storage_remove(st, NAME, &err),
	   "a store with its directories");
	storage_close(st);
	if (!file_write_durable(log, "", 0, 0644, true, &err) ||
		!storage_open(&t.options, &st, &err) || !put(st, 1500, 1, &err) ||
		!file_slurp(log, 10000, &seen, &err))
		printf("# %s\n", err.message);
	is_str(seen.data,
		   "init open mkdir mkdir mkdir open write fsync lstat rename fsync "
		   "close ",
		   "requests of the first object of a directory");
	storage_remove(st, NAME, &err);
	storage_put(st, "wal/dir/other", "x", 1, &err);
	file_write_durable(log, "", 0, 0644, true, &err);
	put(st, 1500, 1, &err);
	file_slurp(log, 10000, &seen, &err);
	is_str(seen.data, "open write fsync lstat rename fsync close ",
		   "of a further one");
	file_write_durable(log, "", 0, 0644, true, &err);
	holds(st, 1500, 1, &err);
	file_slurp(log, 10000, &seen, &err);
	is_str(seen.data, "open fstat read close ", "of reading one");
	file_write_durable(log, "", 0, 0644, true, &err);
	storage_stat(st, "wal/dir/none", NULL, NULL, &err);
	file_slurp(log, 10000, &seen, &err);
	/* the name, what a rewrap that was killed has left of it, and once more */
	is_str(seen.data, "lstat stat lstat stat lstat stat ",
		   "of the answer that there is none");
	error_clear(&err);
	storage_close(st);
	unlink(log);
	strbuf_free(&seen);
	sftp_target_free(&t);
	free(log);
}

int
main(int argc, char **argv)
{
	char self[4096];
	ssize_t n;
	char *command;

	sftp_filter_main(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	scratch = tmpdir_make("pgdr-sftp-fault");
	orders = file_join(scratch, "orders");
	command = mem_printf("%s --filter %s", self, orders);
	sftp_server_init(&server, scratch);
	server.sftp = command;
	if (!ok(sftp_server_start(&server), "an SSH server starts"))
	{
		printf("Bail out! no SSH server\n");
		return 1;
	}
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		/* An argument picks cases. */
		if (argc < 2 || strstr(faults[i].orders, argv[1]) != NULL)
			run_fault(&faults[i]);
	}
	test_cost();
	sftp_server_free(&server);
	tmpdir_remove(scratch);
	free(command);
	free(orders);
	free(scratch);
	return done_testing();
}
