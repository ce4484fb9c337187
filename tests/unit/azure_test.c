/*-------------------------------------------------------------------------
 *
 * azure_test.c
 *	  The azure driver against a real server (Azurite): the suite that all
 *	  drivers must pass, over HTTP and over TLS, what an operation costs, how
 *	  much memory it takes, what others see.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <unistd.h>

#include "azurite.h"
#include "conformance.h"
#include "fault_proxy.h"
#include "store_tap.h"

static Azurite azurite;

/*
 * The suite
 */

/* With more objects than fit into a page of a listing, or few. */
static void
run_suite(const char *label, AzuriteOptions *o, size_t many)
{
	AzuriteOptions missing;
	ConformanceTarget target = {
		.label = label, .options = o->options, .many_objects = many, .ok = ok};

	azurite_options(&azurite, "no-such-container", 0, &missing);
	target.missing = missing.options;
	conformance_run(&target);
	azurite_options_free(&missing);
}

static void
test_suites(void)
{
	char *sas;
	AzuriteOptions o;

	azurite_container(&azurite, "suite");
	azurite_options(&azurite, "suite", 0, &o);
	run_suite("http", &o, 5100);

	o.options.path = "/some/prefix/";
	sas = azurite_sas(&azurite, "suite", "rcwdl", 3600);
	azurite_set(&o, "account-key-file", NULL);
	azurite_set(&o, "sas-token-file", sas);
	run_suite("sas", &o, 20);
	azurite_options_free(&o);
	free(sas);
}

static void
test_tls_suite(void)
{
	AzuriteOptions o;

	azurite_start(&azurite, "azurite-tls", true);
	azurite_container(&azurite, "suite");
	azurite_options(&azurite, "suite", 0, &o);
	o.options.path = "prefix";
	run_suite("https", &o, 20);
	azurite_options_free(&o);
	azurite_stop(&azurite);
}

/*
 * Requests
 */

static FaultProxy *counter;

static void
costs(int requests, const char *name)
{
	is_int(fault_proxy_requests(counter), requests, name);
	fault_proxy_set(counter, &(Faults){.count = true});
}

static void
test_costs(void)
{
	char *data = pattern(4 * MB);
	Error err = ERROR_INIT;
	uint64_t removed;
	bool exists;
	AzuriteOptions o;
	Storage *st;
	int n = 0;

	azurite_container(&azurite, "costs");
	counter = fault_proxy_start(azurite.port);
	azurite_options(&azurite, "costs", fault_proxy_port(counter), &o);
	st = open_store(&o.options);
	fault_proxy_set(counter, &(Faults){.count = true});
	fine(put_with_head(st, "wal/segment", data, MB + HEAD_LEN, &err), &err,
		 "an object that just fits into a block");
	costs(1, "is one request");
	ok(holds(st, "wal/segment", data, MB + HEAD_LEN), "reading it");
	costs(1, "is one request");
	fine(storage_exists(st, "wal/segment", &exists, &err), &err, "looking");
	costs(1, "is one request");
	fine(storage_exists(st, "wal/other", &exists, &err), &err,
		 "looking for what is not there");
	costs(1, "is one request");
	fine(storage_list(st, "", true, count_entry, &n, &err), &err, "a listing");
	costs(1, "is one request");
	fails_with(put_with_head(st, "wal/segment", data, MB, &err), &err,
			   ERR_EXISTS, "exists", "a second writer");
	costs(2, "looks whose object it met");
	fine(put_with_head(st, "pack", data, 2 * MB + HEAD_LEN + 1, &err), &err,
		 "an object of three blocks and a head");
	costs(6, "is a request per block, one for the list, one to confirm");
	ok(holds(st, "pack", data, 2 * MB + HEAD_LEN + 1), "reading it");
	costs(1, "is one request");
	fine(storage_remove(st, "pack", &err), &err, "removing it");
	costs(1, "is one request");
	fine(storage_sweep(st, 0, &removed, &err) &&
			 storage_settle(st, "wal/segment", &err),
		 &err, "a sweep and a settling");
	costs(0, "are none");
	storage_close(st);
	fault_proxy_stop(counter);
	azurite_options_free(&o);
	free(data);
}

/* Many blocks. */
static void
test_many_blocks(void)
{
	char *data = pattern(3 * MB);
	Error err = ERROR_INIT;
	StorageWriter *w;
	AzuriteOptions o;
	Storage *st;
	uint64_t size = 0;

	azurite_options(&azurite, "costs", 0, &o);
	st = open_store(&o.options);
	fine(storage_write_open(st, "large", 10, &w, &err), &err, "a writer");
	for (int i = 0; i < 20 && !error_is_set(&err); i++)
		storage_write(w, data, 3 * MB, &err);
	fine(storage_commit(w, data, &err), &err, "of 60 MB in blocks of 1 MB");
	fine(storage_stat(st, "large", &size, NULL, &err), &err, "is found");
	is_int((int64_t) size, (int64_t) (60 * MB + 10), "with its size");
	fine(storage_remove(st, "large", &err), &err, "and can go");
	storage_close(st);
	azurite_options_free(&o);
	free(data);
}

/*
 * Several writers of one name share their uncommitted blocks.
 */
static void
test_block_race(void)
{
	char *data = pattern(3 * MB);
	char *other = pattern(3 * MB + 1);
	Error err = ERROR_INIT;
	StorageWriter *first;
	StorageWriter *second;
	AzuriteOptions o;
	Storage *st;
	Storage *st2;

	azurite_options(&azurite, "costs", 0, &o);
	st = open_store(&o.options);
	st2 = open_store(&o.options);
	fine(storage_write_open(st, "race", HEAD_LEN, &first, &err) &&
			 storage_write_open(st2, "race", HEAD_LEN, &second, &err),
		 &err, "two writers of one name");
	for (int i = 0; i < 3; i++)
		fine(storage_write(first, data + HEAD_LEN + i * (MB - 50), MB - 50,
						   &err) &&
				 storage_write(second, other + i * MB, MB, &err),
			 &err, "send blocks by turns");
	fine(storage_commit(first, data, &err), &err, "one commits");
	fails_with(storage_commit(second, other, &err), &err, ERR_EXISTS, "exists",
			   "the other meets it");
	ok(holds(st, "race", data, 3 * (MB - 50) + HEAD_LEN),
	   "it holds what the first one wrote");
	fine(storage_remove(st, "race", &err), &err, "it can go");

	/* the name is taken and free again before the second commit */
	fine(storage_write_open(st, "race", 0, &first, &err) &&
			 storage_write(first, data, 3 * MB, &err),
		 &err, "a writer of blocks");
	fine(storage_put(st2, "race", "x", 1, &err) &&
			 storage_remove(st2, "race", &err),
		 &err, "another writes, and removes it");
	if (storage_commit(first, NULL, &err))
		ok(holds(st, "race", data, 3 * MB),
		   "the first one's object is whole, if the server kept its blocks");
	else
		fails_with(false, &err, ERR_IO, "removed while it was written",
				   "the first one's blocks are gone");
	storage_close(st);
	storage_close(st2);
	azurite_options_free(&o);
	free(data);
	free(other);
}

/*
 * Other tools
 */
static void
test_tools(void)
{
	char *data = pattern(3 * MB);
	char *copy = mem_strdup(scratch("copy"));
	char *sas_file = azurite_sas(&azurite, "costs", "r", 600);
	StrBuf sas = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Error err = ERROR_INIT;
	AzuriteOptions o;
	Storage *st;
	char *url;

	azurite_options(&azurite, "costs", 0, &o);
	azurite_set(&o, "access-tier", "Cool");
	o.options.path = "a/path";
	st = open_store(&o.options);
	fine(put_with_head(st, "t/small", data, MB / 2, &err) &&
			 put_with_head(st, "t/large", data, 3 * MB, &err),
		 &err, "two objects");
	get_file(sas_file, &sas);
	for (int i = 0; i < 2; i++)
	{
		const char *curl[] = {"curl", "-sf", "-o", copy, NULL, NULL};
		const char *look[] = {"curl", "-sfI", "-o", copy, NULL, NULL};
		url = mem_printf("%s/costs/a/path/t/%s?%s", azurite.endpoint,
						 i ? "large" : "small", sas.data);
		curl[4] = look[4] = url;
		is_int(run_tool(curl, NULL, NULL), 0, "curl gets it");
		ok(get_file(copy, &got) && same_bytes(&got, data, i ? 3 * MB : MB / 2),
		   "as it is");
		is_int(run_tool(look, NULL, NULL), 0, "curl looks at it");
		ok(get_file(copy, &got) &&
			   strcasestr(got.data, "application/octet-stream") &&
			   strcasestr(got.data, "x-ms-access-tier: Cool"),
		   "with its type and tier");
		free(url);
	}
	storage_close(st);
	azurite_options_free(&o);
	strbuf_free(&got);
	strbuf_free(&sas);
	free(data);
	free(copy);
	free(sas_file);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	azurite_start(&azurite, "azurite", false);
	test_costs();
	test_many_blocks();
	test_block_race();
	test_tools();
	test_suites();
	azurite_stop(&azurite);
	test_tls_suite();
	scratch_remove();
	return done_testing();
}
