/*-------------------------------------------------------------------------
 *
 * azure_answer_test.c
 *	  What the azure driver makes of answers that a test server does not give
 *	  by itself: errors, proxies, wrong clocks, odd listings.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>

#include "base/clock.h"
#include "http_server.h"
#include "service.h"
#include "storage/azure.h"
#include "store_tap.h"

#define KEY "bm90IGEga2V5IG9mIGFueWJvZHk="

typedef struct Answer
{
	int status;
	const char *code; /* x-ms-error-code, or NULL */
	const char *more; /* headers */
	const char *body;
} Answer;

/* Gives its answers in turn; the last one stays. */
typedef struct Script
{
	const Answer *answers;
	int count;
	int at;
	char targets[8][512];
	int requests;
} Script;

static void
serve(void *arg, const ServedRequest *request, ServedReply *reply)
{
	Script *s = arg;
	const Answer *a = &s->answers[s->at];

	if (s->at < s->count - 1)
		s->at++;
	if (s->requests < 8)
		snprintf(s->targets[s->requests], sizeof(s->targets[0]), "%s",
				 request->target);
	s->requests++;
	reply->status = a->status;
	if (a->code != NULL)
		strbuf_printf(&reply->headers,
					  "x-ms-error-code: %s\r\nx-ms-request-id: r-1\r\n",
					  a->code);
	strbuf_puts(&reply->headers, a->more ? a->more : "");
	strbuf_puts(&reply->body, a->body ? a->body : "");
}

typedef struct Fixture
{
	Script script;
	HttpServer *server;
	char *endpoint;
	char *credential;
	Storage *st;
} Fixture;

static void
set_up(Fixture *f, const char *sas, const Answer *answers, int count)
{
	StorageParam params[] = {{"account", "acc"},    {"container", "con"},
							 {"block-size", "1MB"}, {"retries", "2"},
							 {"endpoint", NULL},    {"account-key-file", NULL}};
	StorageOptions options = {
		.repo = "az", .type = "azure", .path = "p", .params = params};

	*f = (Fixture){.script = {.answers = answers, .count = count}};
	f->server = http_server_start(serve, &f->script);
	f->endpoint = mem_printf("http://127.0.0.1:%d",
							 http_server_port(f->server));
	f->credential = service_secret("credential", sas ? sas : KEY);
	params[4].value = f->endpoint;
	params[5].value = f->credential;
	if (sas != NULL)
		params[5].key = "sas-token-file";
	options.param_count = 6;
	f->st = open_store(&options);
}

#define SET_UP(f, sas, answers) \
	set_up(f, sas, answers, sizeof(answers) / sizeof((answers)[0]))

static void
tear_down(Fixture *f)
{
	storage_close(f->st);
	http_server_stop(f->server);
	free(f->endpoint);
	free(f->credential);
}

/* What a write is told when the server answers that. */
static void
told(const Answer *answer, const char *sas, ErrCode code, const char *word)
{
	Error err = ERROR_INIT;
	Fixture f;
	char *name = mem_printf("%d %s", answer->status,
							answer->code ? answer->code : "without a code");

	set_up(&f, sas, answer, 1);
	fails_with(storage_put(f.st, "a", "b", 1, &err), &err, code, word, name);
	tear_down(&f);
	free(name);
}

static void
test_errors(void)
{
	static const struct
	{
		Answer answer;
		ErrCode code;
		const char *word;
	} cases[] = {
		{{404, "ContainerNotFound", NULL, NULL},
		 ERR_CONFIG,
		 "az storage container create"},
		{{404, NULL, NULL, "not found"}, ERR_IO, "Check the endpoint"},
		{{404, "ResourceNotFound", NULL, NULL}, ERR_IO, "ResourceNotFound"},
		{{200, NULL, NULL, "<html>Log in</html>"}, ERR_IO, "endpoint"},
		{{202, NULL, NULL, NULL}, ERR_IO, "not as Azure does"},
		{{302, NULL, "Location: /login\r\n", NULL}, ERR_IO, "302"},
		{{403, "KeyBasedAuthenticationNotPermitted", NULL, NULL},
		 ERR_DENIED,
		 "user delegation SAS"},
		{{403, "AccountIsDisabled", NULL, NULL}, ERR_DENIED, "disabled"},
		{{403, "AuthorizationFailure", NULL, NULL}, ERR_DENIED, "firewall"},
		{{403, "AuthenticationFailed", NULL, NULL},
		 ERR_DENIED,
		 "current one of account \"acc\""},
		{{403, "SomethingNew", NULL, NULL}, ERR_DENIED, "request r-1"},
		{{401, "NoAuthenticationInformation", NULL, NULL},
		 ERR_DENIED,
		 "account key"},
		{{400, "InvalidResourceName", NULL, NULL}, ERR_CONFIG, "name"},
		{{400, NULL, NULL, "<Error><Code>InvalidHeaderValue</Code></Error>"},
		 ERR_IO,
		 "InvalidHeaderValue"},
		{{409, "ContainerBeingDeleted", NULL, NULL}, ERR_IO, "being deleted"},
		{{409, "BlobImmutableDueToPolicy", NULL, NULL},
		 ERR_DENIED,
		 "immutability"},
		{{412, "LeaseIdMissing", NULL, NULL}, ERR_BUSY, "lease"},
		{{413, "RequestBodyTooLarge", NULL, NULL}, ERR_CONFIG, "block-size"},
		{{400, "Md5Mismatch", NULL, NULL}, ERR_IO, "tried 3 times"},
		{{503, "ServerBusy", NULL, NULL}, ERR_IO, "tried 3 times"},
		{{500, "OperationTimedOut", NULL, NULL}, ERR_IO, "OperationTimedOut"},
		{{500, "InternalError", NULL, NULL}, ERR_IO, "tried 3 times"},
		{{429, NULL, NULL, NULL}, ERR_IO, "tried 3 times"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		told(&cases[i].answer, NULL, cases[i].code, cases[i].word);
}

/* Now, so many minutes later, as "Date" has it. */
static char *
date_line(int minutes)
{
	char text[AZURE_DATE_LEN];

	azure_format_date(clock_now() + minutes * 60 * USECS_PER_SEC, text);
	return mem_printf("Date: %s\r\n", text);
}

static void
test_clocks(void)
{
	static const char refused[] = "AuthenticationFailed";
	char *early = date_line(60);
	char *late = date_line(-60);
	char *right = date_line(2);

	told(&(Answer){403, refused, early, NULL}, NULL, ERR_DENIED,
		 "minutes behind the server's");
	told(&(Answer){403, refused, late, NULL}, NULL, ERR_DENIED,
		 "minutes ahead of the server's");
	told(&(Answer){403, refused, right, NULL}, NULL, ERR_DENIED,
		 "current one of account");
	told(&(Answer){403, refused, right, NULL},
		 "se=2021-01-01T00%3A00%3A00Z&sig=a", ERR_DENIED,
		 "expired at 2021-01-01");
	told(&(Answer){403, refused, right, NULL},
		 "st=2051-01-01T00%3A00%3A00Z&sig=a", ERR_DENIED,
		 "valid from 2051-01-01");
	told(&(Answer){403, refused, right, NULL}, "sig=a", ERR_DENIED, "is whole");
	told(&(Answer){403, "AuthorizationProtocolMismatch", NULL, NULL}, "sig=a",
		 ERR_DENIED, "https");
	told(&(Answer){403, "AuthorizationSourceIPMismatch", NULL, NULL}, "sig=a",
		 ERR_DENIED, "address");
	told(&(Answer){403, "AuthorizationPermissionMismatch", NULL, NULL}, "sig=a",
		 ERR_DENIED, "create (c)");
	free(early);
	free(late);
	free(right);
}

/* The name is taken: whose object is it? */
static void
test_taken(void)
{
	static const Answer others[] = {
		{409, "BlobAlreadyExists", NULL, NULL},
		{200, NULL, "x-ms-meta-pgdrid: 0123456789abcdef0123456789abcdef\r\n",
		 "12345"}};
	static const Answer overwrite[] = {
		{403, "UnauthorizedBlobOverwrite", NULL, NULL},
		{403, "AuthorizationPermissionMismatch", NULL, NULL},
		{403, "AuthorizationPermissionMismatch", NULL, NULL}};
	static const Answer lost[] = {
		{503, "ServerBusy", NULL, NULL},
		{409, "BlobAlreadyExists", NULL, NULL},
		{403, "AuthorizationPermissionMismatch", NULL, NULL}};
	static const Answer gone[] = {{409, "BlobAlreadyExists", NULL, NULL},
								  {404, "BlobNotFound", NULL, NULL},
								  {201, NULL, NULL, NULL},
								  {409, "BlobAlreadyExists", NULL, NULL},
								  {404, "BlobNotFound", NULL, NULL}};
	Error err = ERROR_INIT;
	Fixture f;

	SET_UP(&f, NULL, others);
	fails_with(storage_put(f.st, "a", "b", 1, &err), &err, ERR_EXISTS,
			   "already exists", "an object of another writer");
	tear_down(&f);
	SET_UP(&f, "sig=a", overwrite);
	fails_with(storage_put(f.st, "a", "b", 1, &err), &err, ERR_EXISTS,
			   "already exists",
			   "who may only create is told so, and nobody can be asked");
	tear_down(&f);
	SET_UP(&f, "sig=a", lost);
	fails_with(storage_put(f.st, "a", "b", 1, &err), &err, ERR_DENIED,
			   "could not find out who wrote",
			   "after a second try nobody can tell");
	tear_down(&f);
	SET_UP(&f, NULL, gone);
	ok(!storage_put(f.st, "a", "b", 1, &err) && err.transient,
	   "an object that comes and goes may be tried again");
	fails_with(false, &err, ERR_IO, "removed while it was written", "later");
	tear_down(&f);
}

/* After Put Block List the object is looked at. */
static void
test_confirm(void)
{
	static const Answer short_object[] = {{201, NULL, NULL, NULL},
										  {201, NULL, NULL, NULL},
										  {201, NULL, NULL, NULL},
										  {200, NULL, NULL, "not 2 MB"}};
	static const Answer vanished[] = {{201, NULL, NULL, NULL},
									  {201, NULL, NULL, NULL},
									  {201, NULL, NULL, NULL},
									  {404, "BlobNotFound", NULL, NULL}};
	static const Answer blind[] = {
		{201, NULL, NULL, NULL},
		{201, NULL, NULL, NULL},
		{201, NULL, NULL, NULL},
		{403, "AuthorizationPermissionMismatch", NULL, NULL}};
	static const Answer refused[] = {
		{403, "AuthorizationPermissionMismatch", NULL, NULL}};
	char *data = pattern(2 * MB);
	Error err = ERROR_INIT;
	Fixture f;

	SET_UP(&f, NULL, short_object);
	fails_with(storage_put(f.st, "a", data, 2 * MB, &err), &err, ERR_IO,
			   "8 bytes instead of 2097152", "a length that is wrong");
	tear_down(&f);
	SET_UP(&f, NULL, vanished);
	fails_with(storage_put(f.st, "a", data, 2 * MB, &err), &err, ERR_IO,
			   "gone after its commit", "an object that is not there");
	tear_down(&f);
	SET_UP(&f, "sig=a", blind);
	fine(storage_put(f.st, "a", data, 2 * MB, &err), &err,
		 "who may not look relies on the server's word");
	is_int(f.script.requests, 5, "having tried both ways");
	tear_down(&f);
	SET_UP(&f, "sig=a", refused);
	fails_with(storage_put(f.st, "a", data, 2 * MB, &err), &err, ERR_DENIED,
			   "Only objects larger than block-size",
			   "blocks without the right to write");
	tear_down(&f);
	free(data);
}

/*
 * Listings
 */

#define PAGE(inner)                                                  \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults " \
	"ServiceEndpoint=\"http://x/\"><Prefix>p/</Prefix><Blobs>" inner
#define PAGE_END "</Blobs><NextMarker /></EnumerationResults>"
#define BLOB(name, size, more)                                           \
	"<Blob><Name>" name "</Name><Properties><Last-Modified>Fri, 26 Jun " \
	"2015 23:39:12 GMT</Last-Modified><Content-Length>" size             \
	"</Content-Length>" more "</Properties></Blob>"

static bool
add_name(void *arg, const StorageEntry *entry, Error *err)
{
	StrBuf *sb = arg;

	(void) err;
	strbuf_printf(sb, "%s%s:%d@%lld ", entry->name, entry->is_dir ? "/" : "",
				  (int) entry->size,
				  (long long) (entry->mtime / USECS_PER_SEC));
	return true;
}

static void
test_pages(void)
{
	static const Answer answers[] = {
		{200, NULL, NULL,
		 PAGE("") "</Blobs><NextMarker>a+/=&amp;b</NextMarker>"
				  "</EnumerationResults>"},
		{200, NULL, NULL, PAGE(BLOB("p/cut", "1", "")) "<Blob><Na"},
		{200, NULL, NULL,
		 PAGE(BLOB("p/one", "1", "") BLOB("p/d", "0",
										  "<ResourceType>directory"
										  "</ResourceType>")
				  BLOB("p/d/two", "22", "") BLOB("p/un named", "1", "")
					  BLOB("p/.hidden", "1",
						   "") "<BlobPrefix><Name>p/dir/</Name></BlobPrefix>")
			 PAGE_END}};
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	Fixture f;

	SET_UP(&f, NULL, answers);
	fine(storage_list(f.st, "", false, add_name, &sb, &err), &err,
		 "an empty page, a broken one, a whole one");
	is_str(sb.data, "one:1@1435361952 d/two:22@1435361952 dir/:0@0 ",
		   "what is ours is shown, once");
	is_str(f.script.targets[0],
		   "/con?restype=container&comp=list&prefix=p%2F&delimiter=%2F",
		   "the first request");
	is_str(f.script.targets[1],
		   "/con?restype=container&comp=list&prefix=p%2F&delimiter=%2F&"
		   "marker=a%2B%2F%3D%26b",
		   "the second goes on from the marker");
	is_str(f.script.targets[2], f.script.targets[1],
		   "the third asks again for what was broken");
	is_int(f.script.requests, 3, "that is all");
	tear_down(&f);
	strbuf_free(&sb);
}

static void
refuses_list(const char *body, const char *word, const char *name)
{
	Answer answer = {200, NULL, NULL, body};
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	Fixture f;

	set_up(&f, NULL, &answer, 1);
	fails_with(storage_list(f.st, "", true, add_name, &sb, &err), &err, ERR_IO,
			   word, name);
	ok(sb.len == 0, "nothing of it was shown");
	tear_down(&f);
	strbuf_free(&sb);
}

/* And none of them may go on for ever. */
static void
test_repeated_page(void)
{
	static const Answer answers[] = {
		{200, NULL, NULL,
		 PAGE("") "</Blobs><NextMarker>m</NextMarker></EnumerationResults>"}};
	StrBuf sb = STRBUF_INIT;
	Error err = ERROR_INIT;
	Fixture f;

	SET_UP(&f, NULL, answers);
	fails_with(storage_list(f.st, "", true, add_name, &sb, &err), &err, ERR_IO,
			   "repeats", "the same page again and again");
	strbuf_free(&sb);
	tear_down(&f);
}

/* None of these may look like an empty store. */
static void
test_no_listings(void)
{
	refuses_list("<html>Log in</html>", "no listing", "a page of a portal");
	refuses_list("", "XML", "nothing");
	refuses_list(PAGE("") "</Blobs>", "XML", "a part");
	refuses_list(PAGE("<Blob></Blob>") PAGE_END, "without a name", "no name");
	refuses_list(PAGE(BLOB("p/a", "-1", "")) PAGE_END, "without a length",
				 "no length");
	refuses_list(PAGE(BLOB("q/a", "1", "")) PAGE_END, "not asked for",
				 "another prefix");
}

/* Looking up by a listing, with a SAS that may not read. */
static void
test_look_up(void)
{
	static const Answer answers[] = {
		{403, "AuthorizationPermissionMismatch", NULL, NULL},
		{200, NULL, NULL,
		 PAGE("") "</Blobs><NextMarker>m</NextMarker></EnumerationResults>"},
		{200, NULL, NULL, PAGE(BLOB("p/a", "7", "")) PAGE_END},
		{200, NULL, NULL, PAGE(BLOB("p/a", "7", "")) PAGE_END},
		{200, NULL, NULL, PAGE(BLOB("p/ab", "7", "")) PAGE_END}};
	static const Answer listed[] = {
		{200, NULL, NULL, PAGE(BLOB("p/a", "7", "")) PAGE_END}};
	Error err = ERROR_INIT;
	uint64_t size = 0;
	Fixture f;

	SET_UP(&f, "sig=a%2F", answers);
	fine(storage_stat(f.st, "a", &size, NULL, &err), &err,
		 "found on the second page");
	is_int((int64_t) size, 7, "with its size");
	is_str(f.script.targets[0], "/con/p/a?sig=a%2F", "HEAD comes first");
	is_str(f.script.targets[1],
		   "/con?restype=container&comp=list&prefix=p%2Fa&maxresults=1&"
		   "include=metadata&sig=a%2F",
		   "then a listing of just that");
	fine(storage_stat(f.st, "a", &size, NULL, &err), &err, "found again");
	is_int(f.script.requests, 4, "without HEAD this time");
	fails_with(storage_stat(f.st, "a", &size, NULL, &err), &err, ERR_NOT_FOUND,
			   "does not exist", "only the start of another name");
	tear_down(&f);
	SET_UP(&f, "sp=cl&sig=a", listed);
	fine(storage_stat(f.st, "a", &size, NULL, &err), &err, "found at once");
	is_int(f.script.requests, 1, "without HEAD, which the SAS says it forbids");
	tear_down(&f);
}

static void
test_directory(void)
{
	static const Answer answers[] = {
		{200, NULL, "x-ms-resource-type: directory\r\n", ""}};
	Error err = ERROR_INIT;
	Fixture f;

	SET_UP(&f, NULL, answers);
	fails_with(storage_stat(f.st, "a", NULL, NULL, &err), &err, ERR_NOT_FOUND,
			   "does not exist",
			   "a directory of a hierarchical namespace is no object");
	tear_down(&f);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_errors();
	test_clocks();
	test_taken();
	test_confirm();
	test_pages();
	test_no_listings();
	test_repeated_page();
	test_look_up();
	test_directory();
	scratch_remove();
	return done_testing();
}
