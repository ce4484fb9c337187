/*-------------------------------------------------------------------------
 *
 * azure_rights_test.c
 *	  Who may do what with the azure driver (Azurite): wrong and expired
 *	  credentials, hosts that only write, certificates.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>

#include "azurite.h"
#include "base/file.h"
#include "fault_proxy.h"
#include "service.h"
#include "store_tap.h"

static Azurite azurite;
static char *data;

/* All operations of a store that lets us do nothing. */
static void
refused(const AzuriteOptions *o, ErrCode code, const char *word,
		const char *label)
{
	Storage *st = open_store(&o->options);
	Error err = ERROR_INIT;
	bool exists;
	char *got;
	size_t len;
	int n = 0;

	printf("# %s\n", label);
	fails_with(put_with_head(st, "a", data, MB, &err), &err, code, word,
			   "a write");
	fails_with(put_with_head(st, "a", data, 3 * MB, &err), &err, code, word,
			   "a write in blocks");
	fails_with(storage_get(st, "there", MB, &got, &len, &err), &err, code, word,
			   "a read");
	fails_with(storage_exists(st, "there", &exists, &err), &err, code, word,
			   "a look");
	fails_with(storage_exists(st, "none", &exists, &err), &err, code, word,
			   "a look for what is not there");
	fails_with(storage_list(st, "", true, count_entry, &n, &err), &err, code,
			   word, "a listing");
	fails_with(storage_remove(st, "there", &err), &err, code, word,
			   "a removal");
	storage_close(st);
}

static void
use_sas(AzuriteOptions *o, const char *container, const char *permissions,
		int seconds)
{
	char *file = azurite_sas(&azurite, container, permissions, seconds);

	azurite_options(&azurite, container, 0, o);
	azurite_set(o, "account-key-file", NULL);
	azurite_set(o, "sas-token-file", file);
	free(file);
}

static void
use_secret(AzuriteOptions *o, const char *key, const char *name,
		   const char *secret)
{
	char *file = service_secret(name, secret);

	azurite_options(&azurite, "rights", 0, o);
	azurite_set(o, "account-key-file", NULL);
	azurite_set(o, key, file);
	free(file);
}

static void
test_wrong_credentials(void)
{
	char *file;
	StrBuf sas = STRBUF_INIT;
	AzuriteOptions o;

	use_secret(&o, "account-key-file", "wrong.key", "d3Jvbmcga2V5");
	refused(&o, ERR_DENIED, "account \"pgdrtest\"", "a wrong key");
	azurite_set(&o, "account", "otheraccount");
	refused(&o, ERR_DENIED, "", "an account that the server does not have");
	azurite_options_free(&o);

	use_sas(&o, "rights", "rcwdl", -60);
	refused(&o, ERR_DENIED, "The SAS expired at", "an expired SAS");
	azurite_options_free(&o);

	file = azurite_sas(&azurite, "rights", "rcwdl", 600);
	get_file(file, &sas);
	sas.data[sas.len - 6] ^= 1;
	use_secret(&o, "sas-token-file", "wrong.sas", sas.data);
	refused(&o, ERR_DENIED, "Check that the SAS is whole", "a spoilt SAS");
	azurite_options_free(&o);
	free(file);

	azurite_container(&azurite, "another");
	file = azurite_sas(&azurite, "another", "rcwdl", 600);
	azurite_options(&azurite, "rights", 0, &o);
	azurite_set(&o, "account-key-file", NULL);
	azurite_set(&o, "sas-token-file", file);
	refused(&o, ERR_DENIED, "issued for this container",
			"a SAS for another container");
	azurite_options_free(&o);
	free(file);
	strbuf_free(&sas);
}

/* Each operation says which permission it lacks. */
static void
test_missing_permissions(void)
{
	AzuriteOptions o;
	Error err = ERROR_INIT;
	Storage *st;
	bool exists;
	char *got;
	size_t len;
	int n = 0;

	use_sas(&o, "rights", "rl", 600);
	st = open_store(&o.options);
	ok(holds(st, "there", data, MB), "a SAS to read and list reads");
	fine(storage_list(st, "", true, count_entry, &n, &err), &err, "and lists");
	fails_with(put_with_head(st, "a", data, MB, &err), &err, ERR_DENIED,
			   "create (c)", "but does not write");
	fails_with(put_with_head(st, "a", data, 3 * MB, &err), &err, ERR_DENIED,
			   "write (w)", "nor in blocks");
	fails_with(storage_remove(st, "there", &err), &err, ERR_DENIED,
			   "delete (d)", "nor remove");
	storage_close(st);
	azurite_options_free(&o);

	use_sas(&o, "rights", "d", 600);
	st = open_store(&o.options);
	fails_with(storage_get(st, "there", MB, &got, &len, &err), &err, ERR_DENIED,
			   "read (r)", "a SAS to delete does not read");
	fails_with(storage_exists(st, "there", &exists, &err), &err, ERR_DENIED,
			   "list (l)", "nor look");
	fails_with(storage_list(st, "", true, count_entry, &n, &err), &err,
			   ERR_DENIED, "list (l)", "nor list");
	storage_close(st);
	azurite_options_free(&o);
}

/* What both kinds of hosts that only write can do, and what not. */
static void
writes_only(Storage *st, const char *label)
{
	Error err = ERROR_INIT;
	uint64_t size = 0;
	int64_t mtime = 0;
	bool exists = true;
	char *got;
	size_t len;
	int n = 0;

	printf("# %s\n", label);
	fine(put_with_head(st, "w/one", data, MB, &err), &err, "a small object");
	fine(storage_list(st, "w", false, count_entry, &n, &err), &err,
		 "a listing");
	is_int(n, 1, "shows it");
	fine(storage_stat(st, "w/one", &size, &mtime, &err), &err, "a look");
	is_int((int64_t) size, (int64_t) MB, "tells its size");
	ok(mtime > INT64_C(1500000000000000), "and its time");
	fine(storage_exists(st, "w/on", &exists, &err), &err, "another look");
	ok(!exists, "does not take the start of a name for it");
	fails_with(put_with_head(st, "w/one", data + 1, MB, &err), &err, ERR_EXISTS,
			   "exists", "another object of that name");
	fails_with(storage_get(st, "w/one", MB, &got, &len, &err), &err, ERR_DENIED,
			   "read (r)", "reading");
	fails_with(storage_remove(st, "w/one", &err), &err, ERR_DENIED,
			   "delete (d)", "removing");
}

/* Whose object it is after a lost answer, a listing tells. */
static void
writes_through_faults(AzuriteOptions *o, size_t len, int answers)
{
	FaultProxy *proxy = fault_proxy_start(azurite.port);
	char *endpoint = mem_printf("http://127.0.0.1:%d/%s",
								fault_proxy_port(proxy), azurite.account);
	Error err = ERROR_INIT;
	Storage *st;

	azurite_set(o, "endpoint", endpoint);
	st = open_store(&o->options);
	for (int i = 0; i < answers; i++)
	{
		char *name = mem_printf("lost/%zu/%d", len, i);

		fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1, .skip = i});
		fine(put_with_head(st, name, data, len, &err), &err, name);
		is_int(fault_proxy_count(proxy), 1, "an answer was lost");
		free(name);
	}
	storage_close(st);
	fault_proxy_stop(proxy);
	free(endpoint);
}

static void
test_create_and_list(void)
{
	AzuriteOptions o;
	Error err = ERROR_INIT;
	Storage *st;

	azurite_container(&azurite, "createlist");
	use_sas(&o, "createlist", "cl", 600);
	st = open_store(&o.options);
	writes_only(st, "a SAS to create and list");
	fails_with(put_with_head(st, "w/large", data, 3 * MB, &err), &err,
			   ERR_DENIED, "Only objects larger than block-size",
			   "an object in blocks needs more");
	storage_close(st);
	azurite_set(&o, "block-size", "4MB");
	st = open_store(&o.options);
	fine(put_with_head(st, "w/large", data, 3 * MB, &err), &err,
		 "or larger blocks");
	storage_close(st);
	writes_through_faults(&o, MB, 1);
	azurite_options_free(&o);
}

static void
test_create_write_and_list(void)
{
	AzuriteOptions o;
	Error err = ERROR_INIT;
	Storage *st;

	azurite_container(&azurite, "cwlist");
	use_sas(&o, "cwlist", "cwl", 600);
	st = open_store(&o.options);
	writes_only(st, "a SAS to create, write and list");
	fine(put_with_head(st, "w/large", data, 3 * MB, &err), &err,
		 "an object in blocks");
	storage_close(st);
	writes_through_faults(&o, MB, 1);
	/* three blocks, the head, the list, the look */
	writes_through_faults(&o, 3 * MB, 6);
	azurite_options_free(&o);
}

/* Without a right to list nobody can be asked after a lost answer. */
static void
test_create_only(void)
{
	FaultProxy *proxy = fault_proxy_start(azurite.port);
	char *endpoint = mem_printf("http://127.0.0.1:%d/%s",
								fault_proxy_port(proxy), azurite.account);
	AzuriteOptions o;
	Error err = ERROR_INIT;
	Storage *st;

	azurite_container(&azurite, "createonly");
	use_sas(&o, "createonly", "c", 600);
	azurite_set(&o, "endpoint", endpoint);
	st = open_store(&o.options);
	fine(put_with_head(st, "one", data, MB, &err), &err,
		 "a SAS to create writes");
	fails_with(put_with_head(st, "one", data, MB, &err), &err, ERR_DENIED,
			   "exists already", "but does not learn what is there");
	fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1});
	fails_with(put_with_head(st, "two", data, MB, &err), &err, ERR_DENIED,
			   "exists already", "a lost answer is no success");
	storage_close(st);
	fault_proxy_stop(proxy);
	azurite_options_free(&o);
	free(endpoint);
}

/*
 * TLS
 */

static void
test_certificates(void)
{
	char *by_address;
	char *other;
	AzuriteOptions o;

	azurite_start(&azurite, "azurite-tls", true);
	azurite_container(&azurite, "rights");
	azurite_options(&azurite, "rights", 0, &o);
	azurite_set(&o, "ca-file", NULL);
	refused(&o, ERR_IO, "Set ca-file", "an unknown authority");
	other = file_join(azurite.ca, "other-ca.crt");
	azurite_set(&o, "ca-file", other);
	refused(&o, ERR_IO, "Set ca-file", "another authority");
	azurite_options_free(&o);

	azurite_options(&azurite, "rights", 0, &o);
	by_address = mem_printf("https://127.0.0.1:%d/%s", azurite.port,
							azurite.account);
	azurite_set(&o, "endpoint", by_address);
	refused(&o, ERR_IO, "belongs to another host", "a wrong host");
	free(by_address);
	by_address = mem_printf("http://localhost:%d/%s", azurite.port,
							azurite.account);
	azurite_set(&o, "endpoint", by_address);
	azurite_set(&o, "retries", "0");
	refused(&o, ERR_IO, "lost the connection", "http to a server of TLS");
	azurite_options_free(&o);
	azurite_stop(&azurite);
	free(by_address);
	free(other);
}

int
main(void)
{
	AzuriteOptions o;
	Error err = ERROR_INIT;
	Storage *st;

	signal(SIGPIPE, SIG_IGN);
	data = pattern(4 * MB);
	azurite_start(&azurite, "azurite", false);
	azurite_container(&azurite, "rights");
	azurite_options(&azurite, "rights", 0, &o);
	st = open_store(&o.options);
	fine(put_with_head(st, "there", data, MB, &err), &err, "an object");
	test_wrong_credentials();
	test_missing_permissions();
	test_create_and_list();
	test_create_write_and_list();
	test_create_only();
	ok(holds(st, "there", data, MB), "the object is untouched");
	storage_close(st);
	azurite_options_free(&o);
	azurite_stop(&azurite);
	test_certificates();
	free(data);
	scratch_remove();
	return done_testing();
}
