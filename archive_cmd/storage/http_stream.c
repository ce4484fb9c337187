/*-------------------------------------------------------------------------
 *
 * http_stream.c
 *	  A GET whose body is pulled, and which outlives its connection.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

struct HttpStream
{
	/* fixed */
	HttpRequest request;
	char *url;
	char *etag; /* of the first answer, or NULL */

	/* the connection of now */
	HttpTransfer transfer;
	HttpResponse answer;
	Retry retry;     /* since bytes came last */
	bool open;       /* transfer is under way or complete */
	uint64_t asked;  /* offset that it was asked for */
	uint64_t offset; /* of the next byte to come in */
	uint64_t left;   /* bytes to come in at most */

	/* where bytes go: first into the caller's buffer, then into ours */
	char *buf;
	size_t cap;
	size_t got;
	StrBuf surplus;
	size_t surplus_at;
};

/*
 * libcurl gives at most CURL_MAX_WRITE_SIZE bytes at a time, so that is what
 * lies in surplus at most.
 */
static bool
take_bytes(void *arg, const void *data, size_t len)
{
	HttpStream *s = arg;
	size_t direct = s->cap - s->got;

	if (s->surplus.len > 0 || (s->buf != NULL && direct == 0))
		return false;
	if (len > s->left)
		len = (size_t) s->left; /* more than asked for is not ours */
	if (direct > len)
		direct = len;
	if (direct > 0)
		memcpy(s->buf + s->got, data, direct);
	s->got += direct;
	if (len > direct)
		strbuf_add(&s->surplus, (const char *) data + direct, len - direct);
	s->offset += len;
	if (s->left != STORAGE_TO_END)
		s->left -= len;
	return true;
}

static bool
head_is_here(void *arg)
{
	const HttpStream *s = arg;
	int status = s->answer.status;

	return s->transfer.head_done && status >= 200 && status < 300;
}

static bool
bytes_are_here(void *arg)
{
	const HttpStream *s = arg;

	return s->got > 0 || s->surplus.len > 0;
}

/* Range and If-Match as header lines; caller frees. */
static char *
own_lines(const HttpStream *s)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_reserve(&sb, 0);
	if (s->left != STORAGE_TO_END)
		strbuf_printf(&sb, "Range: bytes=%" PRIu64 "-%" PRIu64 "\n", s->offset,
					  s->offset + s->left - 1);
	else if (s->offset > 0)
		strbuf_printf(&sb, "Range: bytes=%" PRIu64 "-\n", s->offset);
	if (s->etag != NULL)
		strbuf_printf(&sb, "If-Match: %s\n", s->etag);
	return strbuf_steal(&sb);
}

/* Is what comes what was asked for? */
static bool
check_range(const HttpStream *s, Error *err)
{
	char *range = http_header(&s->answer, "Content-Range");
	uint64_t start = 0;
	bool good;

	if (s->answer.status == 206)
		good = range != NULL &&
			   sscanf(range, "bytes %" SCNu64 "-", &start) == 1 &&
			   start == s->asked;
	else
		good = s->asked == 0;
	free(range);
	return good ||
		   error_set(err, ERR_IO,
					 "server did not send the part of the object that was "
					 "asked for");
}

/* The same object as before?  It is written once, but may have been removed. */
static bool
check_same(HttpStream *s, Error *err)
{
	char *etag = http_header(&s->answer, "ETag");
	bool same;

	if (s->etag == NULL)
	{
		s->etag = etag;
		return true;
	}
	same = etag == NULL || strcmp(etag, s->etag) == 0;
	free(etag);
	return same ||
		   error_set(err, ERR_IO, "object was replaced while it was read");
}

/*
 * Bytes may have come in together with the head: what belongs to them is
 * looked at even if the connection is already lost again.
 */
static bool
judge_head(HttpStream *s, Error *err)
{
	int status = s->answer.status;

	if (status == 412 && s->etag != NULL)
		return error_set(err, ERR_IO, "object was replaced while it was read");
	if (status == 416 && s->transfer.done)
	{
		s->left = 0;
		return true;
	}
	if (status >= 200 && status < 300 &&
		(!check_range(s, err) || !check_same(s, err)))
		return false;
	return !s->transfer.done || http_judge(&s->transfer, err);
}

static bool
connect_once(HttpStream *s, Error *err)
{
	char *lines;
	bool done;

	if (!thread_check_stop(err))
		return false;
	s->asked = s->offset;
	lines = own_lines(s);
	done = http_begin(&s->transfer, lines, err);
	free(lines);
	if (!done)
		return false;
	s->open = true;
	return http_pump(&s->transfer, head_is_here, s, err) && judge_head(s, err);
}

static void
disconnect(HttpStream *s)
{
	http_end(&s->transfer);
	s->open = false;
}

/* Decides whether *err, which a try ended with, is the end of the stream. */
static bool
may_retry(HttpStream *s, Error *err)
{
	bool stale = err->transient && http_connection_was_stale(&s->transfer);

	disconnect(s);
	s->transfer.fresh = stale;
	if (stale)
	{
		error_clear(err);
		return true;
	}
	return retry_again(&s->retry, http_retry_after(&s->answer), err);
}

static bool
connect_stream(HttpStream *s, Error *err)
{
	while (!connect_once(s, err))
	{
		if (!may_retry(s, err))
			return false;
	}
	return true;
}

bool
http_stream_open(Http *http, const HttpRequest *request, uint64_t offset,
				 uint64_t length, HttpStream **out, Error *err)
{
	HttpStream *s = mem_zalloc(sizeof(*s));
	Error cause = ERROR_INIT;

	s->url = mem_strdup(request->url);
	s->request = *request;
	s->request.url = s->url;
	s->request.method = "GET";
	s->request.body = NULL;
	s->request.body_len = 0;
	s->request.accept = NULL;
	s->request.check = NULL;
	s->transfer = (HttpTransfer){.http = http,
								 .request = &s->request,
								 .retry = &s->retry,
								 .answer = &s->answer,
								 .sink = take_bytes,
								 .sink_arg = s};
	s->offset = offset;
	s->left = length;
	retry_begin(&s->retry, &http->policy);
	if (!connect_stream(s, &cause))
	{
		error_move(err, &cause);
		http_stream_close(s);
		return false;
	}
	*out = s;
	return true;
}

static void
take_surplus(HttpStream *s)
{
	size_t n = s->surplus.len - s->surplus_at;

	if (n > s->cap - s->got)
		n = s->cap - s->got;
	if (n == 0)
		return;
	memcpy(s->buf + s->got, s->surplus.data + s->surplus_at, n);
	s->got += n;
	s->surplus_at += n;
	if (s->surplus_at == s->surplus.len)
	{
		strbuf_reset(&s->surplus);
		s->surplus_at = 0;
	}
}

/* Bytes, or the end.  False with *err if this connection gives no more. */
static bool
receive_once(HttpStream *s, bool *at_end, Error *err)
{
	*at_end = s->left == 0;
	if (*at_end)
		return true;
	if (!s->open && !connect_once(s, err))
		return false;
	take_surplus(s);
	if (s->got > 0 || s->left == 0)
		return true;
	http_resume(&s->transfer);
	if (!http_pump(&s->transfer, bytes_are_here, s, err))
		return false;
	take_surplus(s);
	if (s->got > 0)
		return true;
	*at_end = true;
	return http_judge(&s->transfer, err);
}

static bool
receive(HttpStream *s, Error *err)
{
	bool at_end = false;

	take_surplus(s);
	if (s->got > 0)
		return true;
	retry_begin(&s->retry, s->retry.policy);
	while (!receive_once(s, &at_end, err))
	{
		if (!may_retry(s, err))
			return false;
	}
	if (at_end)
		disconnect(s);
	return true;
}

bool
http_stream_read(HttpStream *s, void *buf, size_t cap, size_t *got, Error *err)
{
	Error cause = ERROR_INIT;
	bool done;

	s->buf = buf;
	s->cap = cap;
	s->got = 0;
	done = receive(s, &cause);
	*got = done ? s->got : 0;
	s->buf = NULL;
	s->cap = s->got = 0;
	error_move(err, &cause);
	return done;
}

void
http_stream_close(HttpStream *s)
{
	if (s == NULL)
		return;
	disconnect(s);
	http_response_free(&s->answer);
	strbuf_free(&s->surplus);
	free(s->etag);
	free(s->url);
	free(s);
}
