/*-------------------------------------------------------------------------
 *
 * s3_test.c
 *	  The s3 driver against a real server (Ceph RGW): the suite that all
 *	  drivers must pass, over HTTP, over TLS, and with Google's headers; what
 *	  an operation costs; who may do what; what other tools see.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/clock.h"
#include "base/file.h"
#include "conformance.h"
#include "fault_proxy.h"
#include "http_server.h"
#include "rgw.h"
#include "storage/s3_write.h"
#include "tap.h"

#define MB ((size_t) 1024 * 1024)

static Rgw rgw;

static bool
fine(bool done, Error *err, const char *name)
{
	ok(done && !error_is_set(err), "%s", name);
	if (error_is_set(err))
		printf("# %s: %s\n# %s\n", error_code_name(err->code), err->message,
			   err->detail ? err->detail : "");
	error_clear(err);
	return done;
}

/* A word of message, detail or hint has to be there. */
static void
fails_with(bool done, Error *err, ErrCode code, const char *word,
		   const char *name)
{
	bool found = (err->message && strstr(err->message, word)) ||
				 (err->detail && strstr(err->detail, word)) ||
				 (err->hint && strstr(err->hint, word));

	ok(!done && err->code == code && found, "%s: %s, \"%s\"", name,
	   error_code_name(code), word);
	if (done || err->code != code || !found)
		printf("# done: %d, got: %s: %s\n# %s\n# %s\n", done,
			   error_code_name(err->code), err->message ? err->message : "",
			   err->detail ? err->detail : "", err->hint ? err->hint : "");
	error_clear(err);
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

static char *
pattern(size_t len)
{
	char *data = mem_alloc(len + 1);

	fill_random(data, len, len);
	return data;
}

/* Does the object hold those bytes? */
static bool
holds(Storage *st, const char *name, const char *data, size_t len)
{
	Error err = ERROR_INIT;
	char *got = NULL;
	size_t got_len = 0;
	bool same = storage_get(st, name, 100 * MB, &got, &got_len, &err) &&
				got_len == len && memcmp(got, data, len) == 0;

	if (error_is_set(&err))
		printf("# %s: %s\n", error_code_name(err.code), err.message);
	error_clear(&err);
	free(got);
	return same;
}

static bool
put_with_head(Storage *st, const char *name, const char *data, size_t len,
			  Error *err)
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

/*
 * The suite
 */

/* A process that ends in the middle of a multipart upload. */
static void
leave_upload(void *arg, const char *name)
{
	const RgwOptions *o = arg;
	pid_t pid = fork();
	int status;

	if (pid == 0)
	{
		Storage *st = open_store(o);
		char *data = pattern(11 * MB);
		Error err = ERROR_INIT;
		StorageWriter *w;

		_exit(storage_write_open(st, name, 10, &w, &err) &&
					  storage_write(w, data, 11 * MB, &err)
				  ? 0
				  : 1);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	   "a writer ends in the middle of \"%s\"", name);
}

static void
run_suite(const char *label, RgwOptions *o, size_t many)
{
	RgwOptions missing;
	ConformanceTarget target = {.label = label,
								.options = o->options,
								.leave_leftover = leave_upload,
								.arg = o,
								.many_objects = many,
								.ok = ok};

	rgw_options(&rgw, "no-such-bucket", 0, &missing);
	target.missing = missing.options;
	conformance_run(&target);
	rgw_options_free(&missing);
}

static void
test_suites(void)
{
	char *url = mem_printf("https://localhost:%d", rgw.tls_port);
	char *ca = file_join(rgw.ca, "ca.crt");
	RgwOptions o;

	ok(rgw_put_bucket(&rgw, "suite", NULL, NULL), "a bucket");
	rgw_options(&rgw, "suite", 0, &o);
	run_suite("http", &o, 1200);
	o.options.path = "/deep/in the+bucket/";
	rgw_set(&o, "endpoint", url);
	rgw_set(&o, "ca-file", ca);
	rgw_set(&o, "addressing", "host");
	rgw_set(&o, "checksum", "md5");
	run_suite("https", &o, 20);
	rgw_options_free(&o);
	free(url);
	free(ca);
}

/*
 * Google: the same with other names.  A server in between checks that nothing
 * of Amazon's is sent, and translates for the gateway.
 */

typedef struct Translator
{
	Storage *st; /* for its connection, its keys */
	pthread_mutex_t lock;
	int wrong; /* requests with headers of Amazon's */
	int unsigned_requests;
} Translator;

typedef struct Translated
{
	const Translator *t;
	const ServedRequest *from;
	char payload[SHA256_HEX_LEN + 1];
} Translated;

static void
pass_header(const ServedRequest *from, const char *name, const char *as,
			StrBuf *lines)
{
	char *value = served_header(from, name);

	if (value != NULL)
		strbuf_printf(lines, "%s: %s\n", as, value);
	free(value);
}

static bool
translate_headers(void *arg, const HttpRequest *http, StrBuf *lines, Error *err)
{
	const Translated *x = arg;
	SigV4Key key = {
		.scheme = &sigv4_aws, .region = "us-east-1", .service = "s3"};
	SigV4Request request = {.method = http->method,
							.url = http->url,
							.payload = x->payload,
							.now = clock_now()};
	S3Storage *s3 = (S3Storage *) x->t->st;
	char *condition = served_header(x->from, "x-goog-if-generation-match");

	if (condition != NULL && strcmp(condition, "0") == 0)
		strbuf_puts(lines, "If-None-Match: *\n");
	free(condition);
	pass_header(x->from, "Range", "Range", lines);
	pass_header(x->from, "If-Match", "If-Match", lines);
	pass_header(x->from, "Content-MD5", "Content-MD5", lines);
	pass_header(x->from, "x-goog-meta-pgdr-id", "x-amz-meta-pgdr-id", lines);
	if (!s3_credentials_get(s3->credentials, &key, err))
		return false;
	sigv4_sign(&key, &request, lines);
	return true;
}

static bool
accept_all(int status)
{
	(void) status;
	return true;
}

/* "x-amz-..." of the gateway as "x-goog-..."; what the server adds, it adds. */
static void
translate_answer(const HttpResponse *answer, ServedReply *reply)
{
	static const char *const names[] = {"ETag", "Last-Modified",
										"Content-Range", "x-amz-meta-pgdr-id"};

	reply->status = answer->status;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		char *value = http_header(answer, names[i]);

		if (value != NULL)
			strbuf_printf(&reply->headers, "%s: %s\r\n",
						  i == 3 ? "x-goog-meta-pgdr-id" : names[i], value);
		free(value);
	}
	if (answer->body.len > 0)
		strbuf_add(&reply->body, answer->body.data, answer->body.len);
}

static void
check_google(Translator *t, const ServedRequest *from, const char *payload)
{
	char *sent = served_header(from, "x-goog-content-sha256");
	char *auth = served_header(from, "Authorization");

	t->wrong += strcasestr(from->lines, "x-amz-") != NULL ||
				strcasestr(from->lines, "If-None-Match") != NULL;
	t->unsigned_requests += sent == NULL || strcmp(sent, payload) != 0 ||
							auth == NULL ||
							strncmp(auth, "GOOG4-HMAC-SHA256 ", 18) != 0;
	free(sent);
	free(auth);
}

static void
serve_google(void *arg, const ServedRequest *from, ServedReply *reply)
{
	Translator *t = arg;
	Translated x = {.t = t, .from = from};
	char *url = mem_printf("http://127.0.0.1:%d%s", rgw.port, from->target);
	HttpRequest request = {.method = from->method,
						   .url = url,
						   .body = from->body,
						   .body_len = from->body_len,
						   .headers = translate_headers,
						   .arg = &x,
						   .accept = accept_all,
						   .max_response = 100 * MB};
	Error err = ERROR_INIT;
	HttpResponse answer;
	uint8_t hash[SHA256_LEN];

	sha256_once(from->body, from->body_len, hash);
	hex_encode(hash, sizeof(hash), x.payload);
	pthread_mutex_lock(&t->lock);
	check_google(t, from, x.payload);
	if (http_send(((S3Storage *) t->st)->http, &request, &answer, &err))
		translate_answer(&answer, reply);
	else
	{
		printf("# %s\n", err.message);
		reply->status = 0;
	}
	pthread_mutex_unlock(&t->lock);
	/* HEAD: the length is that of the object */
	if (strcmp(from->method, "HEAD") == 0)
	{
		char *length = http_header(&answer, "Content-Length");
		size_t len = length ? (size_t) strtoull(length, NULL, 10) : 0;

		strbuf_reserve(&reply->body, len);
		memset(reply->body.data, 0, len);
		reply->body.len = len;
		free(length);
	}
	error_clear(&err);
	http_response_free(&answer);
	free(url);
}

static void
test_google(void)
{
	Translator t = {.lock = PTHREAD_MUTEX_INITIALIZER};
	HttpServer *server;
	RgwOptions o;
	char *url;

	ok(rgw_put_bucket(&rgw, "google", NULL, NULL), "a bucket");
	rgw_options(&rgw, "google", 0, &o);
	t.st = open_store(&o);
	server = http_server_start(serve_google, &t);
	url = mem_printf("http://127.0.0.1:%d", http_server_port(server));
	rgw_set(&o, "endpoint", url);
	rgw_set(&o, "conditional", "gcs");
	run_suite("gcs", &o, 20);
	is_int(t.wrong, 0, "gcs: no header of Amazon's was sent");
	is_int(t.unsigned_requests, 0, "gcs: all was signed in Google's way");
	http_server_stop(server);
	storage_close(t.st);
	rgw_options_free(&o);
	free(url);
}

/*
 * Requests
 */

static FaultProxy *counter;

static void
count_from_here(void)
{
	fault_proxy_set(counter, &(Faults){.count = true});
}

static void
costs(int requests, const char *name)
{
	is_int(fault_proxy_requests(counter), requests, name);
	count_from_here();
}

static bool
no_entry(void *arg, const StorageEntry *entry, Error *err)
{
	(void) entry;
	(void) err;
	++*(int *) arg;
	return true;
}

static void
test_costs(void)
{
	char *data = pattern(12 * MB);
	Error err = ERROR_INIT;
	uint64_t removed;
	bool exists;
	RgwOptions o;
	Storage *st;
	int n = 0;

	ok(rgw_put_bucket(&rgw, "costs", NULL, NULL), "a bucket");
	counter = fault_proxy_start(rgw.port);
	rgw_options(&rgw, "costs", fault_proxy_port(counter), &o);
	st = open_store(&o);
	count_from_here();
	fine(put_with_head(st, "wal/segment", data, 4 * MB, &err), &err,
		 "an object that fits into a part");
	costs(1, "is one request");
	ok(holds(st, "wal/segment", data, 4 * MB), "reading it");
	costs(1, "is one request");
	fine(storage_exists(st, "wal/segment", &exists, &err), &err, "looking");
	costs(1, "is one request");
	fine(storage_exists(st, "wal/other", &exists, &err), &err,
		 "looking for what is not there");
	costs(1, "is one request");
	fine(storage_list(st, "", true, no_entry, &n, &err), &err, "a listing");
	costs(1, "is one request");
	fails_with(put_with_head(st, "wal/segment", data, 4 * MB, &err), &err,
			   ERR_EXISTS, "exists", "a second writer");
	costs(2, "looks whose object it met");
	fine(put_with_head(st, "pack", data, 12 * MB, &err), &err,
		 "an object of three parts");
	costs(7, "is seven requests: begin, three parts, look, complete, confirm");
	fine(storage_remove(st, "pack", &err), &err, "removing it");
	costs(2, "looks before");
	fine(storage_sweep(st, 0, &removed, &err), &err, "a sweep");
	costs(1, "is one request when there is nothing");
	storage_close(st);
	fault_proxy_stop(counter);
	rgw_options_free(&o);
	free(data);
}

static void
test_memory(void)
{
	char *data = pattern(3 * MB);
	Error err = ERROR_INIT;
	StorageWriter *w;
	RgwOptions o;
	Storage *st;
	S3Writer *s3w;
	size_t most = 0;

	rgw_options(&rgw, "costs", 0, &o);
	st = open_store(&o);
	fine(storage_write_open(st, "large", 10, &w, &err), &err, "a writer");
	s3w = (S3Writer *) w;
	fine(storage_write(w, data, 1000, &err), &err, "of some bytes");
	ok(s3w->first.cap + s3w->current.cap <= MB, "takes little memory");
	for (int i = 0; i < 20 && !error_is_set(&err); i++)
	{
		storage_write(w, data, 3 * MB, &err);
		if (s3w->first.cap + s3w->current.cap > most)
			most = s3w->first.cap + s3w->current.cap;
	}
	fine(storage_commit(w, data, &err), &err, "an object of 60 MB");
	ok(most <= 10 * MB, "takes two parts of 5 MB (%zu)", most);
	fine(storage_remove(st, "large", &err), &err, "it can go");
	storage_close(st);
	rgw_options_free(&o);
	free(data);
}

/*
 * Without conditional requests
 */

static void
test_head_mode(void)
{
	char *data = pattern(6 * MB);
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "costs", 0, &o);
	rgw_set(&o, "conditional", "head");
	rgw_set(&o, "checksum", "none");
	st = open_store(&o);
	for (int i = 0; i < 2; i++)
	{
		size_t len = i == 0 ? 1000 : 6 * MB;

		fine(put_with_head(st, "h/o", data, len, &err), &err,
			 "conditional = head: an object");
		fails_with(put_with_head(st, "h/o", data, len, &err), &err, ERR_EXISTS,
				   "exists", "conditional = head: another one");
		ok(holds(st, "h/o", data, len), "conditional = head: it is whole");
		fine(storage_remove(st, "h/o", &err), &err,
			 "conditional = head: it can go");
	}
	storage_close(st);
	rgw_options_free(&o);
	free(data);
}

/*
 * Rights
 */

static void
refused(const char *access_key, const char *secret_key, const char *word)
{
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;
	bool exists;

	rgw_options(&rgw, "costs", 0, &o);
	rgw_set_user(&rgw, &o, access_key, secret_key);
	st = open_store(&o);
	fails_with(storage_put(st, "a", "b", 1, &err), &err, ERR_DENIED, word,
			   "a write is refused");
	fails_with(storage_exists(st, "a", &exists, &err), &err, ERR_DENIED, word,
			   "a look is refused");
	storage_close(st);
	rgw_options_free(&o);
}

/*
 * A policy that allows a user some actions on a bucket.  The others must be
 * denied: an object belongs to its writer, who may read it otherwise.
 */
static void
allow(const char *bucket, const char *user, const char *actions)
{
	char *document = mem_printf(
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
		"\"Principal\":{\"AWS\":[\"arn:aws:iam:::user/%s\"]},"
		"\"Action\":[%s],\"Resource\":[\"arn:aws:s3:::%s\","
		"\"arn:aws:s3:::%s/*\"]},{\"Effect\":\"Deny\","
		"\"Principal\":{\"AWS\":[\"arn:aws:iam:::user/%s\"]},"
		"\"Action\":[\"s3:GetObject\",\"s3:DeleteObject\"],"
		"\"Resource\":[\"arn:aws:s3:::%s/*\"]}]}",
		user, actions, bucket, bucket, user, bucket);

	ok(rgw_put_bucket(&rgw, bucket, "policy", document), "user \"%s\" may %s",
	   user, actions);
	free(document);
}

static void
make_user(const char *name, const char *access_key, const char *secret_key)
{
	char *uid = mem_printf("--uid=%s", name);
	char *display = mem_printf("--display-name=%s", name);
	char *access = mem_printf("--access-key=%s", access_key);
	char *secret = mem_printf("--secret-key=%s", secret_key);

	rgw_admin(&rgw, (const char *[]){"user", "create", uid, display, access,
									 secret, NULL});
	free(uid);
	free(display);
	free(access);
	free(secret);
}

/* What the host of a primary needs, and not more. */
static void
test_write_only(void)
{
	char *data = pattern(12 * MB);
	FaultProxy *proxy = fault_proxy_start(rgw.port);
	Error err = ERROR_INIT;
	uint64_t size = 0;
	bool exists = true;
	RgwOptions o;
	Storage *st;
	char *got;
	size_t len;
	int n = 0;

	ok(rgw_put_bucket(&rgw, "writeonly", NULL, NULL), "a bucket");
	make_user("writer", "writerkey", "writersecret0123456789");
	allow("writeonly", "writer", "\"s3:PutObject\",\"s3:ListBucket\"");
	rgw_options(&rgw, "writeonly", fault_proxy_port(proxy), &o);
	rgw_set_user(&rgw, &o, "writerkey", "writersecret0123456789");
	st = open_store(&o);
	fine(put_with_head(st, "w/one", data, MB, &err), &err, "a small object");
	fine(put_with_head(st, "w/large", data, 12 * MB, &err), &err,
		 "a large object");
	fine(storage_list(st, "w", false, no_entry, &n, &err), &err, "a listing");
	is_int(n, 2, "shows both");
	fine(storage_stat(st, "w/one", &size, NULL, &err), &err, "a look");
	is_int((int64_t) size, (int64_t) MB, "tells the size");
	fine(storage_exists(st, "w/on", &exists, &err), &err, "another look");
	ok(!exists, "does not take the start of a name for it");
	fails_with(storage_get(st, "w/one", 10, &got, &len, &err), &err, ERR_DENIED,
			   "AccessDenied", "reading");
	fails_with(storage_get(st, "w/none", 10, &got, &len, &err), &err,
			   ERR_NOT_FOUND, "does not exist",
			   "what may be listed may be found absent");
	fails_with(storage_remove(st, "w/one", &err), &err, ERR_DENIED,
			   "AccessDenied", "removing");
	fails_with(put_with_head(st, "w/one", data + 1, MB, &err), &err, ERR_EXISTS,
			   "exists", "another object of that name");
	for (int i = 0; i < 7; i++)
	{
		char *name = mem_printf("w/lost/%d", i);

		fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1, .skip = i});
		fine(put_with_head(st, name, data, 12 * MB, &err), &err,
			 "a large object with a lost answer");
		free(name);
	}
	fault_proxy_set(proxy, &(Faults){.cut_down = 1, .times = 1});
	fine(put_with_head(st, "w/lost/small", data, MB, &err), &err,
		 "a small object with a lost answer");
	is_int(fault_proxy_count(proxy), 1, "it was lost");
	storage_close(st);
	fault_proxy_stop(proxy);
	rgw_options_free(&o);
	free(data);
}

static void
test_rights(void)
{
	char *data = pattern(5 * MB);
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;

	refused("testaccess1", "wrongsecretkey", "SignatureDoesNotMatch");
	refused("nobodyskey", "wrongsecretkey", "InvalidAccessKeyId");
	make_user("reader", "readerkey", "readersecret0123456789");
	refused("readerkey", "readersecret0123456789", "AccessDenied");

	make_user("poor", "poorkey", "poorsecret0123456789");
	rgw_admin(&rgw, (const char *[]){"quota", "set", "--quota-scope=user",
									 "--uid=poor", "--max-size=2M", NULL});
	rgw_admin(&rgw, (const char *[]){"quota", "enable", "--quota-scope=user",
									 "--uid=poor", NULL});
	rgw_options(&rgw, "poor", 0, &o);
	rgw_set_user(&rgw, &o, "poorkey", "poorsecret0123456789");
	st = open_store(&o);
	{
		S3Request r = {.s3 = (S3Storage *) st, .method = "PUT"};
		HttpResponse answer;

		fine(s3_send(&r, &answer, &err), &err, "a bucket with a quota");
		http_response_free(&answer);
	}
	fails_with(storage_put(st, "a", data, 5 * MB, &err), &err, ERR_FULL,
			   "QuotaExceeded", "more than the quota");
	storage_close(st);
	rgw_options_free(&o);
	free(data);
}

/* A request that is signed with another time than that of now. */
static bool
sign_yesterday(void *arg, const HttpRequest *http, StrBuf *lines, Error *err)
{
	S3Request *r = arg;
	SigV4Key key = {
		.scheme = &sigv4_aws, .region = "us-east-1", .service = "s3"};
	SigV4Request request = {.method = http->method,
							.url = http->url,
							.payload = r->payload,
							.now = clock_now() - 86400 * USECS_PER_SEC};

	if (!s3_credentials_get(r->s3->credentials, &key, err))
		return false;
	sigv4_sign(&key, &request, lines);
	return true;
}

static void
test_clock(void)
{
	Error err = ERROR_INIT;
	HttpResponse answer;
	S3Request r = {.method = "GET", .name = "a"};
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "costs", 0, &o);
	st = open_store(&o);
	r.s3 = (S3Storage *) st;
	s3_request_prepare(&r);
	r.http.headers = sign_yesterday;
	fails_with(http_send(r.s3->http, &r.http, &answer, &err), &err, ERR_DENIED,
			   "clock", "a clock that is a day late");
	s3_request_free(&r);
	http_response_free(&answer);
	storage_close(st);
	rgw_options_free(&o);
}

/*
 * Other tools
 */

static void
test_tools(void)
{
	static const char config[] = "[default]\n"
								 "access_key = testaccess1\n"
								 "secret_key = testsecretkey0123456789"
								 "abcdefghijklmnopq\n"
								 "use_https = False\n"
								 "host_bucket = 127.0.0.1:%d\n"
								 "host_base = 127.0.0.1:%d\n";
	char *data = pattern(12 * MB);
	char *text = mem_printf(config, rgw.port, rgw.port);
	char *file = mem_strdup(scratch("s3cfg"));
	char *copy = mem_strdup(scratch("copy"));
	char *url = mem_printf("http://127.0.0.1:%d/costs/t/o", rgw.port);
	const char *s3cmd[] = {"s3cmd",          "-c", file, "get", "--force",
						   "s3://costs/t/o", copy, NULL};
	const char *curl[] = {
		"curl",        "-sf",
		"--user",      "testaccess1:testsecretkey0123456789abcdefghijklmnopq",
		"--aws-sigv4", "aws:amz:us-east-1:s3",
		"-H",          "x-amz-content-sha256: UNSIGNED-PAYLOAD",
		"-o",          copy,
		url,           NULL};
	StrBuf got = STRBUF_INIT;
	Error err = ERROR_INIT;
	RgwOptions o;
	Storage *st;

	rgw_options(&rgw, "costs", 0, &o);
	st = open_store(&o);
	fine(put_with_head(st, "t/o", data, 12 * MB, &err), &err, "an object");
	put_file(file, text, strlen(text));
	is_int(run_tool(s3cmd, NULL, NULL), 0, "s3cmd gets it");
	ok(get_file(copy, &got) && same_bytes(&got, data, 12 * MB), "as it is");
	unlink(copy);
	is_int(run_tool(curl, NULL, NULL), 0, "curl gets it");
	ok(get_file(copy, &got) && same_bytes(&got, data, 12 * MB), "as it is");
	storage_close(st);
	rgw_options_free(&o);
	strbuf_free(&got);
	free(data);
	free(text);
	free(file);
	free(copy);
	free(url);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	rgw_start(&rgw);
	test_costs();
	test_memory();
	test_head_mode();
	test_rights();
	test_write_only();
	test_clock();
	test_tools();
	test_google();
	test_suites();
	rgw_stop(&rgw);
	scratch_remove();
	return done_testing();
}
