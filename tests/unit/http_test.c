/*-------------------------------------------------------------------------
 *
 * http_test.c
 *	  The HTTP client against a server that answers well, badly, late or not
 *	  at all.  (TLS is tested with the stores.)
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "http_server.h"
#include "loopback.h"
#include "storage/http.h"
#include "tap.h"

/* What the server does with the next request; the last one stays. */
typedef struct Step
{
	int status;
	const char *headers;
	const char *body;
	int64_t wait;
	bool close;
	bool cut;
	size_t cut_at;
} Step;

typedef struct Script
{
	const Step *steps;
	int count;
	int at;
	char last_lines[4096]; /* of the last request */
	char last_body[4096];
	char last_method[16];
} Script;

static void
serve(void *arg, const ServedRequest *request, ServedReply *reply)
{
	Script *s = arg;
	const Step *step = &s->steps[s->at];

	if (s->at < s->count - 1)
		s->at++;
	snprintf(s->last_lines, sizeof(s->last_lines), "%s", request->lines);
	snprintf(s->last_body, sizeof(s->last_body), "%s", request->body);
	snprintf(s->last_method, sizeof(s->last_method), "%s", request->method);
	reply->status = step->status;
	strbuf_puts(&reply->headers, step->headers ? step->headers : "");
	strbuf_puts(&reply->body, step->body ? step->body : "");
	reply->wait = step->wait;
	reply->close = step->close;
	reply->cut = step->cut;
	reply->cut_at = step->cut_at;
}

static const StorageParam quick[] = {{"connect-timeout", "2s"},
									 {"stall-timeout", "500ms"},
									 {"total-timeout", "5s"},
									 {"retries", "4"}};

/* A server, a client, and a request that can be changed. */
typedef struct Fixture
{
	Script script;
	HttpServer *server;
	Http *http;
	char *url;
	HttpRequest request;
	HttpResponse answer;
	int headers_made;
	Error err;
} Fixture;

static bool
make_headers(void *arg, const HttpRequest *request, StrBuf *lines, Error *err)
{
	Fixture *f = arg;

	(void) err;
	strbuf_printf(lines, "X-Try: %d of %s\n", ++f->headers_made,
				  request->method);
	return true;
}

static Http *
open_client(const StorageParam *params, size_t count)
{
	StorageOptions options = {
		.repo = "test", .params = params, .param_count = count};
	Error err = ERROR_INIT;
	Http *http = NULL;

	if (!http_open(&options, &http, &err))
	{
		printf("Bail out! %s\n", err.message);
		exit(1);
	}
	return http;
}

static void
set_up(Fixture *f, const Step *steps, int count)
{
	*f = (Fixture){.script = {.steps = steps, .count = count}};
	f->server = http_server_start(serve, &f->script);
	f->http = open_client(quick, sizeof(quick) / sizeof(quick[0]));
	f->url = mem_printf("http://127.0.0.1:%d/some/object",
						http_server_port(f->server));
	f->request = (HttpRequest){.method = "GET",
							   .url = f->url,
							   .headers = make_headers,
							   .arg = f,
							   .max_response = 100000};
}

#define SET_UP(f, steps) set_up(f, steps, sizeof(steps) / sizeof((steps)[0]))

static void
tear_down(Fixture *f)
{
	http_close(f->http);
	http_server_stop(f->server);
	http_response_free(&f->answer);
	error_clear(&f->err);
	free(f->url);
}

static bool
send_it(Fixture *f)
{
	http_response_free(&f->answer);
	error_clear(&f->err);
	return http_send(f->http, &f->request, &f->answer, &f->err);
}

static void
sends(Fixture *f, const char *name)
{
	bool done = send_it(f);

	ok(done && !error_is_set(&f->err), "%s", name);
	if (error_is_set(&f->err))
		printf("# %s: %s\n", error_code_name(f->err.code), f->err.message);
}

/* It fails with that code, and the message has those words. */
static void
fails(const Error *err, bool done, ErrCode code, const char *words,
	  const char *name)
{
	bool good = !done && err->code == code && strstr(err->message, words);

	ok(good, "%s: %s", name, error_code_name(code));
	if (!good)
		printf("# done: %d, got: %s: %s\n", done, error_code_name(err->code),
			   err->message ? err->message : "");
}

static void
test_requests(void)
{
	static const Step steps[] = {
		{200, "X-Some-Header:   value with blanks \r\nETag: \"abc\"\r\n",
		 "body", .wait = 0}};
	Fixture f;
	char *value;

	SET_UP(&f, steps);
	sends(&f, "a GET");
	is_int(f.answer.status, 200, "its status");
	is_str(f.answer.body.data, "body", "its body");
	is_int(f.answer.tries, 1, "one try");
	value = http_header(&f.answer, "x-some-header");
	is_str(value, "value with blanks", "a header, by its name in any case");
	free(value);
	ok(http_header(&f.answer, "x-some") == NULL, "not by half a name");
	ok(strstr(f.script.last_lines, "X-Try: 1 of GET\r\n") != NULL,
	   "our headers were sent");
	ok(strstr(f.script.last_lines, "User-Agent: pgdr/") != NULL,
	   "with the name of the program");

	f.request.method = "PUT";
	f.request.body = "what is put";
	f.request.body_len = 11;
	sends(&f, "a PUT");
	is_str(f.script.last_method, "PUT", "its method");
	is_str(f.script.last_body, "what is put", "its body");
	ok(strstr(f.script.last_lines, "Expect:") == NULL, "without Expect");
	f.request.body_len = 0;
	sends(&f, "a PUT of nothing");
	ok(strstr(f.script.last_lines, "Content-Length: 0\r\n") != NULL,
	   "says its length");
	f.request.method = "POST";
	sends(&f, "a POST of nothing");
	is_str(f.script.last_method, "POST", "its method");
	ok(strstr(f.script.last_lines, "Content-Length: 0\r\n") != NULL,
	   "says its length");
	f.request.method = "DELETE";
	sends(&f, "a DELETE");
	is_str(f.script.last_method, "DELETE", "its method");
	f.request.method = "HEAD";
	sends(&f, "a HEAD");
	is_int((int64_t) f.answer.body.len, 0, "has no body");
	value = http_header(&f.answer, "Content-Length");
	is_str(value, "4", "but its length");
	free(value);
	is_int(http_server_connections(f.server), 1, "all on one connection");
	tear_down(&f);
}

static bool
accept_404(int status)
{
	return status == 404;
}

static bool
refuse_ill(void *arg, const HttpResponse *answer, Error *err)
{
	(void) arg;
	if (strcmp(answer->body.data, "ill") != 0)
		return true;
	error_set(err, ERR_IO, "an error inside a 200");
	err->transient = true;
	return false;
}

static void
explain_410(void *arg, const HttpResponse *answer, Error *err)
{
	(void) arg;
	if (answer->status == 410)
		error_set(err, ERR_NOT_FOUND, "gone: %s", answer->body.data);
}

static void
test_statuses(void)
{
	static const Step steps[] = {
		{404, NULL, "none", .wait = 0},
		{404, NULL, "none", .wait = 0},
		{410, NULL, "for ever", .wait = 0},
		{301, "Location: /elsewhere\r\n", "", .wait = 0},
		{403, NULL, "", .wait = 0},
		{507, NULL, "", .wait = 0},
		{200, NULL, "ill", .wait = 0},
		{200, NULL, "well", .wait = 0}};
	Fixture f;

	SET_UP(&f, steps);
	fails(&f.err, send_it(&f), ERR_IO, "answered with status 404",
		  "a 404 of whoever is no absence");
	is_int(f.answer.tries, 1, "it is not tried again");
	f.request.accept = accept_404;
	f.request.explain = explain_410;
	f.request.check = refuse_ill;
	sends(&f, "a 404 that is accepted");
	is_int(f.answer.status, 404, "comes as it is");
	fails(&f.err, send_it(&f), ERR_NOT_FOUND, "gone: for ever",
		  "the caller's own explanation");
	fails(&f.err, send_it(&f), ERR_IO, "301", "a redirection");
	ok(f.err.hint && strstr(f.err.hint, "not followed") != NULL,
	   "is not followed, as the hint says");
	fails(&f.err, send_it(&f), ERR_DENIED, "403", "a 403");
	fails(&f.err, send_it(&f), ERR_FULL, "507", "a 507");
	sends(&f, "an error inside a 200 is tried again");
	is_int(f.answer.tries, 2, "once");
	is_str(f.answer.body.data, "well", "until it is well");
	tear_down(&f);
}

static void
test_retries(void)
{
	static const Step steps[] = {{503, NULL, "", .wait = 0},
								 {500, NULL, "", .wait = 0},
								 {429, NULL, "", .wait = 0},
								 {200, NULL, "late", .wait = 0}};
	static const Step later[] = {{503, "Retry-After: 1\r\n", "", .wait = 0},
								 {200, NULL, "", .wait = 0}};
	static const Step never[] = {{503, NULL, "", .wait = 0}};
	static const Step tomorrow[] = {
		{503, "Retry-After: 86400\r\n", "", .wait = 0}};
	int64_t start;
	Fixture f;

	SET_UP(&f, steps);
	sends(&f, "503, 500, 429, then success");
	is_int(f.answer.tries, 4, "four tries");
	is_str(f.answer.body.data, "late", "the last answer counts");
	ok(strstr(f.script.last_lines, "X-Try: 4 of GET") != NULL,
	   "the headers are made for each try");
	is_int(http_server_connections(f.server), 1, "on one connection");
	tear_down(&f);

	SET_UP(&f, later);
	start = clock_monotonic();
	sends(&f, "503 with Retry-After");
	ok(clock_monotonic() - start >= USECS_PER_SEC, "is waited for");
	tear_down(&f);

	SET_UP(&f, never);
	fails(&f.err, send_it(&f), ERR_IO, "503", "503 for ever");
	is_int(f.answer.tries, 5, "four retries");
	ok(f.err.transient, "the error stays transient");
	ok(f.err.detail && strstr(f.err.detail, "tried 5 times") != NULL,
	   "and tells the number of tries");
	tear_down(&f);

	SET_UP(&f, tomorrow);
	start = clock_monotonic();
	fails(&f.err, send_it(&f), ERR_IO, "503",
		  "Retry-After beyond the deadline");
	ok(clock_monotonic() - start < USECS_PER_SEC, "is not waited for");
	tear_down(&f);
}

static void
test_broken(void)
{
	static const Step cut[] = {
		{200, NULL, "0123456789", .cut = true, .cut_at = 3},
		{0, NULL, NULL, .wait = 0},
		{200, NULL, "0123456789", .wait = 0}};
	static const Step closing[] = {{200, NULL, "", .close = true}};
	static const Step big[] = {{200, NULL, "0123456789", .wait = 0}};
	Fixture f;

	SET_UP(&f, cut);
	sends(&f, "an answer cut off, then none, then a whole one");
	is_int(f.answer.tries, 3, "three tries");
	is_str(f.answer.body.data, "0123456789",
		   "nothing of the first one is left");
	tear_down(&f);

	SET_UP(&f, closing);
	for (int i = 0; i < 5; i++)
	{
		f.request.method = i % 2 ? "PUT" : "GET";
		f.request.body = "body";
		f.request.body_len = 4;
		sends(&f, "a connection that the server closed when it was idle");
	}
	is_int(http_server_requests(f.server), 5, "no request was sent twice");
	tear_down(&f);

	SET_UP(&f, big);
	f.request.max_response = 9;
	fails(&f.err, send_it(&f), ERR_IO, "larger than 9 bytes",
		  "an answer larger than expected");
	is_int(f.answer.tries, 1, "is not tried again");
	f.request.max_response = 10;
	sends(&f, "one just as large as expected");
	tear_down(&f);
}

static void
test_timeouts(void)
{
	static const Step late[] = {{200, NULL, "", .wait = 900000},
								{200, NULL, "in time", .wait = 0}};
	static const Step never[] = {{200, NULL, "", .wait = 900000}};
	static const StorageParam hasty[] = {{"stall-timeout", "300ms"},
										 {"total-timeout", "700ms"}};
	int64_t start;
	Fixture f;

	SET_UP(&f, late);
	sends(&f, "an answer that is too late, then one in time");
	is_int(f.answer.tries, 2, "two tries");
	tear_down(&f);

	SET_UP(&f, never);
	http_close(f.http);
	f.http = open_client(hasty, 2);
	start = clock_monotonic();
	fails(&f.err, send_it(&f), ERR_TIMEOUT, "did not answer within",
		  "a server that never answers in time");
	ok(clock_monotonic() - start < 2 * USECS_PER_SEC,
	   "the total time-out ends it");
	ok(f.err.transient, "later it may");
	tear_down(&f);
}

static void
test_unreachable(void)
{
	static const StorageParam once[] = {{"retries", "0"},
										{"connect-timeout", "1s"}};
	static const Step none[] = {{200, NULL, "", .wait = 0}};
	Fixture f;
	int port;
	int fd = loopback_listen(&port);

	close(fd);
	SET_UP(&f, none);
	http_close(f.http);
	f.http = open_client(once, 2);
	free(f.url);
	f.request.url = f.url = mem_printf("http://127.0.0.1:%d/", port);
	fails(&f.err, send_it(&f), ERR_IO, "Connection refused", "nobody listens");
	ok(f.err.transient && f.err.hint != NULL, "transient, with a hint");
	f.request.url = "http://no-such-host.invalid/";
	fails(&f.err, send_it(&f), ERR_IO,
		  "could not find the address of host \"no-such-host.invalid\"",
		  "a name that does not exist");
	ok(f.err.transient && f.err.hint != NULL, "transient, with a hint");
	f.request.url = "file:///etc/passwd";
	fails(&f.err, send_it(&f), ERR_CONFIG, "", "no other protocol");
	tear_down(&f);
}

/*
 * Streams
 */

#define OBJECT_SIZE 3000000

static char
object_byte(uint64_t offset)
{
	return (char) (offset * 7 + offset / 251);
}

typedef struct Object
{
	int cut_every;    /* bytes of each answer, then the connection is cut */
	bool no_ranges;   /* answers 200 whatever is asked */
	int change_after; /* requests */
	int missing_after;
	int ranged;  /* requests with a Range */
	int guarded; /* requests with If-Match */
} Object;

/* A server of one object, with ranges. */
static void
serve_object(void *arg, const ServedRequest *request, ServedReply *reply)
{
	Object *o = arg;
	char *range = served_header(request, "Range");
	char *match = served_header(request, "If-Match");
	bool changed = o->change_after > 0 && request->number > o->change_after;
	uint64_t from = 0;
	uint64_t to = OBJECT_SIZE - 1;

	if (range != NULL && !o->no_ranges)
	{
		sscanf(range, "bytes=%" SCNu64 "-%" SCNu64, &from, &to);
		o->ranged++;
		reply->status = 206;
	}
	o->guarded += match != NULL;
	if (to >= OBJECT_SIZE)
		to = OBJECT_SIZE - 1;
	if (o->missing_after > 0 && request->number > o->missing_after)
		reply->status = 410;
	else if (changed && match != NULL)
		reply->status = 412;
	else if (from >= OBJECT_SIZE)
		reply->status = 416;
	else
	{
		strbuf_printf(&reply->headers, "ETag: \"%s\"\r\n",
					  changed ? "new" : "old");
		if (reply->status == 206)
			strbuf_printf(&reply->headers,
						  "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%d\r\n",
						  from, to, OBJECT_SIZE);
		for (uint64_t i = from; i <= to; i++)
			strbuf_putc(&reply->body, object_byte(i));
		reply->cut = o->cut_every > 0;
		reply->cut_at = (size_t) o->cut_every;
	}
	free(range);
	free(match);
}

/* Reads to the end; the number of right bytes from offset on. */
static uint64_t
read_stream(HttpStream *s, uint64_t offset, size_t piece, Error *err)
{
	char *buf = mem_alloc(piece);
	uint64_t count = 0;
	size_t got = 0;

	while (http_stream_read(s, buf, piece, &got, err) && got > 0)
	{
		for (size_t i = 0; i < got; i++)
		{
			if (buf[i] != object_byte(offset + count))
			{
				free(buf);
				return count;
			}
			count++;
		}
	}
	free(buf);
	return count;
}

static void
reads(Fixture *f, uint64_t offset, uint64_t length, uint64_t expected,
	  size_t piece)
{
	HttpStream *s = NULL;
	uint64_t got = 0;
	bool done = http_stream_open(f->http, &f->request, offset, length, &s,
								 &f->err);

	if (done)
		got = read_stream(s, offset, piece, &f->err);
	http_stream_close(s);
	ok(done && got == expected && !error_is_set(&f->err),
	   "%" PRIu64 "+%" PRIu64 " in pieces of %zu: %" PRIu64 " bytes", offset,
	   length, piece, got);
	if (error_is_set(&f->err))
		printf("# %s: %s\n", error_code_name(f->err.code), f->err.message);
	error_clear(&f->err);
}

static void
set_up_object(Fixture *f, Object *o)
{
	static const Step none[] = {{200, NULL, "", .wait = 0}};

	SET_UP(f, none);
	http_server_stop(f->server);
	free(f->url);
	f->server = http_server_start(serve_object, o);
	f->request.url = f->url = mem_printf("http://127.0.0.1:%d/o",
										 http_server_port(f->server));
}

static void
test_streams(void)
{
	Object whole = {0};
	Fixture f;

	set_up_object(&f, &whole);
	reads(&f, 0, STORAGE_TO_END, OBJECT_SIZE, 100000);
	reads(&f, 0, STORAGE_TO_END, OBJECT_SIZE, 777);
	is_int(whole.ranged, 0, "the whole is asked for without a range");
	reads(&f, 0, 1000, 1000, 100000);
	reads(&f, 1234567, 1000000, 1000000, 65536);
	reads(&f, OBJECT_SIZE - 10, 100, 10, 100);
	reads(&f, OBJECT_SIZE - 10, STORAGE_TO_END, 10, 3);
	reads(&f, OBJECT_SIZE, 10, 0, 100);
	reads(&f, UINT64_C(1) << 40, STORAGE_TO_END, 0, 100);
	is_int(whole.guarded, 0, "without a condition");
	is_int(http_server_connections(f.server), 1, "all on one connection");
	tear_down(&f);
}

static void
test_resume(void)
{
	Object cut = {.cut_every = 400000};
	Object replaced = {.cut_every = 400000, .change_after = 2};
	Object removed = {.cut_every = 400000, .missing_after = 2};
	HttpStream *s;
	Fixture f;

	set_up_object(&f, &cut);
	reads(&f, 0, STORAGE_TO_END, OBJECT_SIZE, 100000);
	is_int(http_server_requests(f.server), 8, "eight connections are cut");
	is_int(cut.guarded, 7, "what follows must be of the same object");
	reads(&f, 1000000, 1500000, 1500000, 65536);
	tear_down(&f);

	set_up_object(&f, &replaced);
	ok(http_stream_open(f.http, &f.request, 0, STORAGE_TO_END, &s, &f.err),
	   "an object is replaced while it is read");
	ok(read_stream(s, 0, 100000, &f.err) <= 800000, "its bytes are not mixed");
	fails(&f.err, false, ERR_IO, "replaced", "and that is an error");
	http_stream_close(s);
	tear_down(&f);

	set_up_object(&f, &removed);
	f.request.explain = explain_410;
	ok(http_stream_open(f.http, &f.request, 0, STORAGE_TO_END, &s, &f.err),
	   "an object is removed while it is read");
	read_stream(s, 0, 100000, &f.err);
	fails(&f.err, false, ERR_NOT_FOUND, "gone", "and that is said");
	http_stream_close(s);
	tear_down(&f);
}

static void
test_odd_streams(void)
{
	Object deaf = {.no_ranges = true};
	Object whole = {0};
	HttpStream *a = NULL;
	HttpStream *b = NULL;
	char first[100];
	size_t got = 0;
	Fixture f;

	set_up_object(&f, &deaf);
	fails(&f.err,
		  http_stream_open(f.http, &f.request, 100, STORAGE_TO_END, &a, &f.err),
		  ERR_IO, "did not send the part",
		  "a server that does not know ranges");
	error_clear(&f.err);
	reads(&f, 0, 1000, 1000, 300);
	tear_down(&f);

	set_up_object(&f, &whole);
	ok(http_stream_open(f.http, &f.request, 0, STORAGE_TO_END, &a, &f.err) &&
		   http_stream_read(a, first, sizeof(first), &got, &f.err) && got > 0,
	   "a stream is begun");
	ok(http_stream_open(f.http, &f.request, 500, 100000, &b, &f.err),
	   "and another one");
	f.request.max_response = OBJECT_SIZE;
	sends(&f, "a request meanwhile");
	is_int((int64_t) read_stream(b, 500, 999, &f.err), 100000,
		   "the second stream is whole");
	clock_sleep(700000); /* longer than the stall time-out */
	is_int((int64_t) (got + read_stream(a, got, 100000, &f.err)), OBJECT_SIZE,
		   "and so is the first one, though its reader was slow");
	ok(!error_is_set(&f.err), "without an error");
	http_stream_close(b);
	http_stream_close(a);
	ok(http_stream_open(f.http, &f.request, 0, STORAGE_TO_END, &a, &f.err),
	   "a third one");
	http_stream_close(a);
	http_stream_close(NULL);
	sends(&f, "may be left in the middle");
	tear_down(&f);
}

/*
 * Stop requests
 */

typedef struct Stopped
{
	Fixture *f;
	bool done;
	bool last_words;
	int64_t took;
	ErrCode code;
} Stopped;

static bool
stop_worker(void *arg, int worker_no, Error *err)
{
	Stopped *s = arg;
	int64_t start = clock_monotonic();

	if (worker_no == 1)
	{
		clock_sleep(200000);
		return error_set(err, ERR_IO, "a worker fails");
	}
	s->done = send_it(s->f);
	s->code = s->f->err.code;
	s->took = clock_monotonic() - start;
	s->f->request.last_words = true;
	s->last_words = send_it(s->f);
	return true;
}

static void
test_stop(void)
{
	static const Step steps[] = {{200, NULL, "", .wait = 400000},
								 {200, NULL, "", .wait = 0}};
	Error err = ERROR_INIT;
	Fixture f;
	Stopped s = {.f = &f};

	SET_UP(&f, steps);
	thread_run(2, stop_worker, &s, &err);
	ok(!s.done && s.code == ERR_CANCELED, "a stop request ends a request");
	ok(s.took < 380000, "at once");
	ok(s.last_words, "but last words can be said");
	error_clear(&err);
	tear_down(&f);
}

/*
 * Texts
 */

static void
is_endpoint(const char *url, const char *expected)
{
	char *got = NULL;
	bool done = http_parse_endpoint(url, &got);

	ok(expected ? done && strcmp(got, expected) == 0 : !done,
	   "endpoint \"%s\" is %s", url, expected ? expected : "none");
	free(got);
}

static void
is_unescaped(const char *text, const char *expected)
{
	char *got = NULL;
	bool done = http_unescape(text, &got);

	ok(expected ? done && strcmp(got, expected) == 0 : !done,
	   "unescaped \"%s\" is %s", text, expected ? expected : "none");
	free(got);
}

static void
test_texts(void)
{
	char *text = http_escape("a b/c+~_.-\xc3\xa9%", true);

	is_str(text, "a%20b/c%2B~_.-%C3%A9%25", "escaped with slashes kept");
	free(text);
	text = http_escape("a/b", false);
	is_str(text, "a%2Fb", "escaped with slashes");
	free(text);
	is_unescaped("a%2Fb%20c+d%c3%A9", "a/b c d\xc3\xa9");
	is_unescaped("a%2", NULL);
	is_unescaped("a%zz", NULL);
	is_unescaped("a%00b", NULL);
	is_endpoint("http://Host:80", "http://host:80");
	is_endpoint("https://h/", "https://h");
	is_endpoint("https://h:1/Path/to//", "https://h:1/Path/to");
	is_endpoint("https://[::1]:9000", "https://[::1]:9000");
	is_endpoint("h", NULL);
	is_endpoint("ftp://h", NULL);
	is_endpoint("http://", NULL);
	is_endpoint("http://:80", NULL);
	is_endpoint("http://user:secret@h", NULL);
	is_endpoint("http://h/?a", NULL);
	is_endpoint("http://h h", NULL);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_texts();
	test_requests();
	test_statuses();
	test_retries();
	test_broken();
	test_timeouts();
	test_unreachable();
	test_streams();
	test_resume();
	test_odd_streams();
	test_stop();
	return done_testing();
}
