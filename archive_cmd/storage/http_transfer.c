/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *	  One exchange with libcurl: how the handle is set up, how bytes move, and
 *	  when to stop waiting.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "base/clock.h"
#include "base/thread.h"

/* So late at most a stop request is seen. */
#define POLL_MS 100

#define UPLOAD_BUFFER (256L * 1024)
#define RECEIVE_BUFFER (128L * 1024)
#define HEADERS_MAX ((size_t) 64 * 1024)

#define LAST_WORDS_TIMEOUT (5 * USECS_PER_SEC)

/* ---- what libcurl calls ---- */

static void
moved(HttpTransfer *t, int64_t waited)
{
	retry_extend(t->retry, waited);
	t->moved_at = clock_monotonic();
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	HttpTransfer *t = arg;
	StrBuf *lines = &t->answer->headers;
	size_t len = size * count;
	long status = 0;

	moved(t, 0);
	if (len >= 5 && strncmp(data, "HTTP/", 5) == 0)
		strbuf_reset(lines); /* of an interim answer */
	if (lines->len + len > HEADERS_MAX)
		return 0;
	strbuf_add(lines, data, len);
	if (len > 2)
		return len;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	t->answer->status = (int) status;
	t->head_done = status >= 200;
	return len;
}

static bool
keep_body(HttpTransfer *t, const char *data, size_t len)
{
	StrBuf *body = &t->answer->body;

	if (len > t->request->max_response - body->len)
	{
		t->too_big = true;
		return false;
	}
	strbuf_add(body, data, len);
	return true;
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	HttpTransfer *t = arg;
	int status = t->answer->status;
	size_t len = size * count;

	if (t->sink != NULL && status >= 200 && status < 300)
	{
		if (!t->sink(t->sink_arg, data, len))
			return CURL_WRITEFUNC_PAUSE;
	}
	else if (!keep_body(t, data, len))
		return 0;
	moved(t, limit_download(t->http->limit, len));
	return len;
}

static size_t
on_upload(char *buf, size_t size, size_t count, void *arg)
{
	HttpTransfer *t = arg;
	size_t want = limit_upload_chunk(t->http->limit, size * count);
	size_t left = t->request->body_len - t->sent;

	if (!t->request->last_words && thread_should_stop())
		return CURL_READFUNC_ABORT;
	if (want > left)
		want = left;
	if (want == 0)
		return 0;
	memcpy(buf, (const char *) t->request->body + t->sent, want);
	t->sent += want;
	moved(t, limit_upload(t->http->limit, want));
	return want;
}

/* libcurl begins anew when an old connection turns out to be dead. */
static int
on_rewind(void *arg, curl_off_t offset, int origin)
{
	HttpTransfer *t = arg;

	if (origin != SEEK_SET || offset < 0 ||
		(uint64_t) offset > t->request->body_len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (size_t) offset;
	return CURL_SEEKFUNC_OK;
}

/* The connection is there, the request about to be sent. */
static int
on_connected(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	HttpTransfer *t = arg;
	long connects = 1;

	(void) peer;
	(void) own;
	(void) peer_port;
	(void) own_port;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	t->reused = connects == 0;
	t->connected = true;
	moved(t, 0);
	return CURL_PREREQFUNC_OK;
}

/* ---- setting up ---- */

/* An option that this libcurl does not take would weaken what we rely on. */
#define SET(easy, option, value)                                     \
	(curl_easy_setopt(easy, option, value) == CURLE_OK ||            \
	 error_set(err, ERR_UNSUPPORTED,                                 \
			   "libcurl (version %s) does not know option " #option, \
			   curl_version_info(CURLVERSION_NOW)->version))

static bool
set_connection(HttpTransfer *t, Error *err)
{
	Http *http = t->http;
	CURL *e = t->easy;

	return SET(e, CURLOPT_NOSIGNAL, 1L) &&
		   SET(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
		   SET(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) &&
		   SET(e, CURLOPT_CONNECTTIMEOUT_MS,
			   (long) (http->policy.connect_timeout / 1000)) &&
		   SET(e, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2) &&
		   SET(e, CURLOPT_SSL_VERIFYPEER, 1L) &&
		   SET(e, CURLOPT_SSL_VERIFYHOST, 2L) &&
		   SET(e, CURLOPT_FRESH_CONNECT, t->fresh ? 1L : 0L) &&
		   SET(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
		   SET(e, CURLOPT_TCP_KEEPALIVE, 1L) &&
		   SET(e, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER) &&
		   SET(e, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER) &&
		   (http->ca_file == NULL || (SET(e, CURLOPT_CAINFO, http->ca_file) &&
									  SET(e, CURLOPT_CAPATH, NULL))) &&
		   (http->proxy == NULL || SET(e, CURLOPT_PROXY, http->proxy));
}

static bool
set_callbacks(HttpTransfer *t, Error *err)
{
	CURL *e = t->easy;

	return SET(e, CURLOPT_PRIVATE, t) &&
		   SET(e, CURLOPT_ERRORBUFFER, t->reason) &&
		   SET(e, CURLOPT_HEADERFUNCTION, on_header) &&
		   SET(e, CURLOPT_HEADERDATA, t) &&
		   SET(e, CURLOPT_WRITEFUNCTION, on_body) &&
		   SET(e, CURLOPT_WRITEDATA, t) &&
		   SET(e, CURLOPT_READFUNCTION, on_upload) &&
		   SET(e, CURLOPT_READDATA, t) &&
		   SET(e, CURLOPT_SEEKFUNCTION, on_rewind) &&
		   SET(e, CURLOPT_SEEKDATA, t) &&
		   SET(e, CURLOPT_PREREQFUNCTION, on_connected) &&
		   SET(e, CURLOPT_PREREQDATA, t);
}

static bool
set_method(HttpTransfer *t, Error *err)
{
	const char *method = t->request->method;
	CURL *e = t->easy;

	if (strcmp(method, "GET") == 0)
		return SET(e, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, "HEAD") == 0)
		return SET(e, CURLOPT_NOBODY, 1L);
	if (strcmp(method, "PUT") != 0 && strcmp(method, "POST") != 0)
		return SET(e, CURLOPT_CUSTOMREQUEST, method);
	return SET(e, CURLOPT_UPLOAD, 1L) &&
		   SET(e, CURLOPT_CUSTOMREQUEST, method) &&
		   SET(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t) t->request->body_len);
}

static bool
set_lines(HttpTransfer *t, const char *extra, Error *err)
{
	StrBuf lines = STRBUF_INIT;
	char *save = NULL;
	bool done;

	strbuf_puts(&lines, extra);
	done = t->request->headers == NULL ||
		   t->request->headers(t->request->arg, t->request, &lines, err);
	/* libcurl would wait for a word from the server before a larger body */
	strbuf_puts(&lines, "Expect:\n");
	for (char *line = strtok_r(lines.data, "\n", &save); done && line != NULL;
		 line = strtok_r(NULL, "\n", &save))
	{
		struct curl_slist *more = curl_slist_append(t->lines, line);

		if (more == NULL)
			mem_out_of_memory();
		t->lines = more;
	}
	explicit_bzero(lines.data, lines.len);
	strbuf_free(&lines);
	return done && SET(t->easy, CURLOPT_HTTPHEADER, t->lines);
}

static void
take_handle(HttpTransfer *t)
{
	Http *http = t->http;

	t->easy = http->spare != NULL ? http->spare : curl_easy_init();
	http->spare = NULL;
	if (t->easy == NULL)
		mem_out_of_memory();
}

bool
http_begin(HttpTransfer *t, const char *extra, Error *err)
{
	take_handle(t);
	t->connected = t->head_done = t->done = t->reused = t->too_big = false;
	t->sent = 0;
	t->unsent = -1;
	t->result = CURLE_OK;
	t->os_errno = 0;
	t->reason[0] = '\0';
	t->answer->status = 0;
	strbuf_reset(&t->answer->headers);
	strbuf_reset(&t->answer->body);
	retry_extend(t->retry, limit_request(t->http->limit));
	if (!SET(t->easy, CURLOPT_URL, t->request->url) ||
		!SET(t->easy, CURLOPT_USERAGENT, "pgdr/" DR_VERSION) ||
		!set_connection(t, err) || !set_callbacks(t, err) ||
		!set_method(t, err) || !set_lines(t, extra, err))
	{
		http_end(t);
		return false;
	}
	t->moved_at = clock_monotonic();
	if (curl_multi_add_handle(t->http->multi, t->easy) != CURLM_OK)
		mem_out_of_memory();
	return true;
}

/*
 * The handle is kept for the next one, because it knows sessions of TLS; but
 * after a failure libcurl 7.88 takes some options no more.
 */
void
http_end(HttpTransfer *t)
{
	Http *http = t->http;

	if (t->easy == NULL)
		return;
	curl_multi_remove_handle(http->multi, t->easy);
	if (http->spare == NULL && t->done && t->result == CURLE_OK)
	{
		curl_easy_reset(t->easy);
		http->spare = t->easy;
	}
	else
		curl_easy_cleanup(t->easy);
	t->easy = NULL;
	curl_slist_free_all(t->lines);
	t->lines = NULL;
}

void
http_resume(HttpTransfer *t)
{
	if (t->easy != NULL && !t->done)
	{
		t->moved_at = clock_monotonic();
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
	}
}

/* ---- moving ---- */

static void
note_finished(Http *http)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		HttpTransfer *t = NULL;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		if (t != NULL && msg->msg == CURLMSG_DONE)
		{
			t->done = true;
			t->result = msg->data.result;
			curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &t->os_errno);
		}
	}
}

/*
 * What libcurl has handed to the kernel may be seconds under way: as long as
 * the queue of the socket gets shorter, bytes move.
 */
static void
look_at_queue(HttpTransfer *t)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	int unsent;

	if (curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
		fd == CURL_SOCKET_BAD || ioctl(fd, SIOCOUTQ, &unsent) != 0)
		return;
	if (unsent != t->unsent && t->unsent >= 0)
		moved(t, 0);
	t->unsent = unsent;
}

static bool
check_time(HttpTransfer *t, Error *err)
{
	int64_t now = clock_monotonic();
	int64_t stall = t->http->policy.stall_timeout;

	if (t->request->last_words)
		return now < t->retry->begun + LAST_WORDS_TIMEOUT ||
			   http_timed_out(t, LAST_WORDS_TIMEOUT, err);
	if (!thread_check_stop(err))
		return false;
	if (t->connected && now - t->moved_at > stall / 4)
		look_at_queue(t);
	if (t->connected && now - t->moved_at > stall)
		return http_timed_out(t, stall, err);
	if (now > t->retry->deadline)
		return http_timed_out(t, now - t->retry->begun, err);
	return true;
}

bool
http_pump(HttpTransfer *t, bool (*until)(void *arg), void *arg, Error *err)
{
	CURLM *multi = t->http->multi;
	int running;

	for (;;)
	{
		CURLMcode rc = curl_multi_perform(multi, &running);

		if (rc != CURLM_OK)
			return error_set(err, ERR_INTERNAL, "libcurl: %s",
							 curl_multi_strerror(rc));
		note_finished(t->http);
		if (t->done || (until != NULL && until(arg)))
			return true;
		if (!check_time(t, err))
			return false;
		rc = curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
		if (rc != CURLM_OK)
			return error_set(err, ERR_INTERNAL, "libcurl: %s",
							 curl_multi_strerror(rc));
	}
}
