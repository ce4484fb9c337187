/*-------------------------------------------------------------------------
 *
 * azure_sign_test.c
 *	  Signatures of the azure driver against Microsoft's published examples;
 *	  its keys in the configuration, and credentials.
 *
 *-------------------------------------------------------------------------
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "service.h"
#include "storage/azure.h"
#include "store_tap.h"

/*
 * Signatures
 */

static void
signs(const char *method, const char *url, const char *headers,
	  const char *expected, const char *name)
{
	HttpRequest request = {.method = method, .url = url};
	StrBuf lines = STRBUF_INIT;
	char *got;

	strbuf_puts(&lines, headers);
	if (strstr(headers, "#11") != NULL)
		request.body_len = 11;
	got = azure_string_to_sign("myaccount", &request, &lines);
	is_str(got, expected, name);
	free(got);
	strbuf_free(&lines);
}

#define HOST "http://myaccount.blob.core.windows.net"
#define DATE "x-ms-date: Fri, 26 Jun 2015 23:39:12 GMT\n"
#define VERSION "x-ms-version: 2015-02-21\n"
#define SIGNED_DATE "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
#define SIGNED_VERSION "x-ms-version:2015-02-21\n"
#define NO_HEADERS "\n\n\n\n\n\n\n\n\n\n\n\n"

/* The examples of "Authorize with Shared Key". */
static void
test_published(void)
{
	signs("GET", HOST "/mycontainer?comp=metadata&restype=container&timeout=20",
		  DATE VERSION,
		  "GET" NO_HEADERS SIGNED_DATE SIGNED_VERSION
		  "/myaccount/mycontainer\ncomp:metadata\nrestype:container\n"
		  "timeout:20",
		  "published: metadata of a container");
	signs("PUT", HOST "/mycontainer?restype=container&timeout=30", VERSION DATE,
		  "PUT" NO_HEADERS SIGNED_DATE SIGNED_VERSION
		  "/myaccount/mycontainer\nrestype:container\ntimeout:30",
		  "published: a length of zero is an empty line");
	signs("GET",
		  HOST "/mycontainer?restype=container&comp=list&include=snapshots&"
			   "include=metadata&include=uncommittedblobs",
		  "",
		  "GET" NO_HEADERS "/myaccount/mycontainer\ncomp:list\n"
		  "include:metadata,snapshots,uncommittedblobs\nrestype:container",
		  "published: a parameter with several values");
	signs("GET",
		  "https://myaccount-secondary.blob.core.windows.net/"
		  "mycontainer/myblob",
		  "", "GET" NO_HEADERS "/myaccount/mycontainer/myblob",
		  "published: a blob at the secondary location");
}

static void
test_signing(void)
{
	signs("PUT", HOST "/c/a%20b?comp=block&blockid=YQ%3D%3D",
		  "Content-MD5: abc==\nContent-Type: text/plain\nRange: bytes=1-2\n"
		  "If-Match: \"e\"\nIf-None-Match: *\nX-MS-Meta-B:   two  \n"
		  "x-ms-meta: one\nx-ms-meta-a: #11\n",
		  "PUT\n\n\n11\nabc==\ntext/plain\n\n\n\"e\"\n*\n\nbytes=1-2\n"
		  "x-ms-meta:one\nx-ms-meta-a:#11\nx-ms-meta-b:two  \n"
		  "/myaccount/c/a%20b\nblockid:YQ==\ncomp:block",
		  "all standard headers, own ones in the order of their names, the "
		  "path escaped, the query not");
	signs("GET", "http://127.0.0.1:10000/myaccount/c?comp=list&prefix=a%2Fb",
		  "", "GET" NO_HEADERS "/myaccount/myaccount/c\ncomp:list\nprefix:a/b",
		  "an emulator has the account in the path as well");
	signs("GET", "http://127.0.0.1:10000?x", "",
		  "GET" NO_HEADERS "/myaccount/\nx:", "no path, no value");
}

static void
test_dates(void)
{
	char text[AZURE_DATE_LEN];
	int64_t t = INT64_C(1435361952) * USECS_PER_SEC;

	azure_format_date(t + 999999, text);
	is_str(text, "Fri, 26 Jun 2015 23:39:12 GMT", "a date");
	is_int(http_parse_date(text), t, "can be read again");
}

/* The whole header, with a key, against a value computed with openssl. */
static void
test_authorization(void)
{
	uint8_t key[] = "not a key of anybody";
	AzureAuth auth = {.account = (char *) (uintptr_t) "myaccount",
					  .key = key,
					  .key_len = sizeof(key) - 1};
	HttpRequest request = {.method = "GET", .url = HOST "/c/b"};
	StrBuf lines = STRBUF_INIT;

	azure_authorize(&auth, &request, INT64_C(1435361952) * USECS_PER_SEC,
					&lines);
	is_str(lines.data,
		   DATE "x-ms-version: 2021-12-02\n"
				"Authorization: SharedKey myaccount:"
				"NwdGk9UXOTQaV3t13avowoWiL4ULZ/GdbUg3ovRPI6o=\n",
		   "all headers of a request");
	strbuf_reset(&lines);
	auth.key = NULL;
	auth.sas = (char *) (uintptr_t) "sig=x";
	azure_authorize(&auth, &request, 0, &lines);
	ok(strstr(lines.data, "Authorization") == NULL,
	   "with a SAS nothing is signed");
	strbuf_free(&lines);
}

/*
 * Configuration
 */

#define KEY "bm90IGEga2V5IG9mIGFueWJvZHk="

typedef struct Case
{
	const char *name;
	StorageParam params[5];
	const char *path;
	ErrCode code; /* ERR_NONE: it opens */
	const char *word;
} Case;

static void
opens(const Case *c)
{
	StorageOptions options = {
		.repo = "az", .type = "azure", .path = c->path, .params = c->params};
	Error err = ERROR_INIT;
	Storage *st = NULL;
	bool done;

	while (options.param_count < 5 && c->params[options.param_count].key)
		options.param_count++;
	done = storage_open(&options, &st, &err);
	if (c->code != ERR_NONE)
		fails_with(done, &err, c->code, c->word, c->name);
	else if (fine(done, &err, c->name))
		is_str(st->where, c->word, "and says where");
	storage_close(st);
}

/* Files with what their names say. */
static char *key;
static char *sas;
static char *bad_key;
static char *two_keys;

#define ACCOUNT          \
	{                    \
		"account", "acc" \
	}
#define CONTAINER                 \
	{                             \
		"container", "con-tainer" \
	}
#define KEY_FILE                \
	{                           \
		"account-key-file", key \
	}
#define SAS_FILE              \
	{                         \
		"sas-token-file", sas \
	}
#define WHERE "azure://acc/con-tainer/"

#define OPEN_ALL(cases)                                                 \
	do                                                                  \
	{                                                                   \
		for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++) \
			opens(&(cases)[i]);                                         \
	} while (0)

static void
test_credentials(void)
{
	const Case cases[] = {
		{"an account key", {ACCOUNT, CONTAINER, KEY_FILE}, "", ERR_NONE, WHERE},
		{"a SAS", {ACCOUNT, CONTAINER, SAS_FILE}, "", ERR_NONE, WHERE},
		{"both",
		 {ACCOUNT, CONTAINER, KEY_FILE, SAS_FILE},
		 "",
		 ERR_CONFIG,
		 "two credentials"},
		{"none", {ACCOUNT, CONTAINER}, "", ERR_CONFIG, "AZURE_STORAGE_KEY"},
		{"a connection string for a key",
		 {ACCOUNT, CONTAINER, {"account-key-file", bad_key}},
		 "",
		 ERR_KEY,
		 "connection string"},
		{"a key for a SAS",
		 {ACCOUNT, CONTAINER, {"sas-token-file", key}},
		 "",
		 ERR_KEY,
		 "question mark"},
		{"two keys in a file",
		 {ACCOUNT, CONTAINER, {"account-key-file", two_keys}},
		 "",
		 ERR_KEY,
		 "one word"},
		{"no such file",
		 {ACCOUNT, CONTAINER, {"account-key-file", "/no/such/file"}},
		 "",
		 ERR_KEY,
		 "/no/such/file"}};

	OPEN_ALL(cases);
	chmod(key, 0640);
	opens(&(Case){"a key that others may read",
				  {ACCOUNT, CONTAINER, KEY_FILE},
				  "",
				  ERR_KEY,
				  "good.key"});
	chmod(key, 0600);
}

static void
test_environment(void)
{
	const Case from_there = {"a secret in the environment",
							 {ACCOUNT, CONTAINER},
							 "",
							 ERR_NONE,
							 WHERE};

	setenv("AZURE_STORAGE_KEY", KEY, 1);
	opens(&from_there);
	opens(&(Case){"a file counts before it",
				  {ACCOUNT, CONTAINER, SAS_FILE},
				  "",
				  ERR_NONE,
				  WHERE});
	setenv("AZURE_STORAGE_SAS_TOKEN", "sig=a", 1);
	opens(&(Case){"two of them",
				  {ACCOUNT, CONTAINER},
				  "",
				  ERR_CONFIG,
				  "two credentials"});
	unsetenv("AZURE_STORAGE_KEY");
	opens(&from_there);
	unsetenv("AZURE_STORAGE_SAS_TOKEN");
}

static void
test_names(void)
{
	const Case cases[] = {
		{"a path",
		 {ACCOUNT, CONTAINER, KEY_FILE},
		 "/x/y/",
		 ERR_NONE,
		 WHERE "x/y/"},
		{"no path", {ACCOUNT, CONTAINER, KEY_FILE}, NULL, ERR_NONE, WHERE},
		{"a path that is none",
		 {ACCOUNT, CONTAINER, KEY_FILE},
		 "a//b",
		 ERR_CONFIG,
		 "a//b"},
		{"no account", {CONTAINER, KEY_FILE}, "", ERR_CONFIG, "account"},
		{"an account's host",
		 {{"account", "acc.blob.core.windows.net"}, CONTAINER, KEY_FILE},
		 "",
		 ERR_CONFIG,
		 "name alone"},
		{"a container with a path",
		 {ACCOUNT, {"container", "con/tainer"}, KEY_FILE},
		 "",
		 ERR_CONFIG,
		 "what stands before objects in it is path"},
		{"two hyphens",
		 {ACCOUNT, {"container", "a--b"}, KEY_FILE},
		 "",
		 ERR_CONFIG,
		 "a--b"},
		{"blocks too small",
		 {ACCOUNT, CONTAINER, KEY_FILE, {"block-size", "1000kB"}},
		 "",
		 ERR_CONFIG,
		 "1MB to 4000MB"},
		{"blocks too large",
		 {ACCOUNT, CONTAINER, KEY_FILE, {"block-size", "4001MB"}},
		 "",
		 ERR_CONFIG,
		 "1MB to 4000MB"}};

	OPEN_ALL(cases);
}

static void
test_endpoints(void)
{
	const Case cases[] = {
		{"an endpoint that is none",
		 {ACCOUNT, CONTAINER, KEY_FILE, {"endpoint", "acc.example.com"}},
		 "",
		 ERR_CONFIG,
		 "https://acc.blob.core.windows.net"},
		{"a key without TLS",
		 {ACCOUNT, CONTAINER, KEY_FILE, {"endpoint", "http://10.1.2.3/acc"}},
		 "",
		 ERR_NONE,
		 WHERE},
		{"a SAS without TLS",
		 {ACCOUNT, CONTAINER, SAS_FILE, {"endpoint", "http://10.1.2.3/acc"}},
		 "",
		 ERR_CONFIG,
		 "without TLS"},
		{"a SAS without TLS on this host",
		 {ACCOUNT, CONTAINER, SAS_FILE, {"endpoint", "http://127.0.0.1:9/a"}},
		 "",
		 ERR_NONE,
		 WHERE},
		{"a SAS without TLS on this host, with IPv6",
		 {ACCOUNT, CONTAINER, SAS_FILE, {"endpoint", "http://[::1]:9/a"}},
		 "",
		 ERR_NONE,
		 WHERE},
		{"a name that only begins like this host's",
		 {ACCOUNT,
		  CONTAINER,
		  SAS_FILE,
		  {"endpoint", "http://localhost.example.com/acc"}},
		 "",
		 ERR_CONFIG,
		 "without TLS"}};

	OPEN_ALL(cases);
}

int
main(void)
{
	unsetenv("AZURE_STORAGE_KEY");
	unsetenv("AZURE_STORAGE_SAS_TOKEN");
	test_published();
	test_signing();
	test_dates();
	test_authorization();
	key = service_secret("good.key", KEY "\n");
	sas = service_secret("good.sas", "?sv=1&sig=abc%3D\n");
	bad_key = service_secret("bad.key", "AccountKey=" KEY ";");
	two_keys = service_secret("two.keys", KEY "\n" KEY "\n");
	test_credentials();
	test_environment();
	test_names();
	test_endpoints();
	free(key);
	free(sas);
	free(bad_key);
	free(two_keys);
	scratch_remove();
	return done_testing();
}
