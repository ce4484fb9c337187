/*-------------------------------------------------------------------------
 *
 * s3_write.c
 *	  Writing an object: in one request if it fits into a part, else as a
 *	  multipart upload.
 *
 * The head of an object is known last, and S3 takes no bytes out of order, so
 * the first part is kept until the commit.  A writer holds two parts at most.
 *
 * An answer may get lost after the server has done what was asked.  The try
 * that follows then meets our own object, so each writer marks its object with
 * a random id and looks whose it is.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3_write.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define BUFFER_FIRST ((size_t) 256 * 1024)

/* ---- buffers ---- */

static void
buffer_free(S3Buffer *b)
{
	free(b->data);
	*b = (S3Buffer){0};
}

/* Takes what fits; grows by doubling up to the size of a part. */
static size_t
buffer_add(S3Buffer *b, size_t max, const void *data, size_t len)
{
	if (len > max - b->len)
		len = max - b->len;
	if (b->len + len > b->cap)
	{
		size_t cap = b->cap > 0 ? b->cap : BUFFER_FIRST;

		while (cap < b->len + len)
			cap *= 2;
		b->cap = cap < max ? cap : max;
		b->data = mem_realloc(b->data, b->cap);
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return len;
}

/* ---- whose object is it? ---- */

/*
 * Keys that may not read objects can still list them: the same bytes (by the
 * ETag, which is made of their MD5 unless the server encrypts them with a key
 * of KMS) are as good as ours.
 */
static bool
is_listed_alike(S3Writer *w)
{
	char expected[S3_ETAG_MAX];
	uint8_t md5[MD5_LEN];
	Error why = ERROR_INIT;
	S3Object object;
	bool alike;

	if (w->upload_id != NULL)
		alike = s3_upload_etag(w, expected);
	else
	{
		alike = md5_once(w->first.data, w->first.len, md5);
		hex_encode(md5, sizeof(md5), expected);
	}
	alike = alike && s3_list_one(w->s3, w->name, &object, &why) &&
			object.size == w->first.len + w->uploaded &&
			strcmp(object.etag, expected) == 0;
	error_clear(&why);
	return alike;
}

bool
s3_is_ours(S3Writer *w)
{
	S3Request r = {.s3 = w->s3, .method = "HEAD", .name = w->name};
	char *id_header = mem_printf("%smeta-pgdr-id", w->s3->scheme->header);
	Error why = ERROR_INIT;
	HttpResponse answer;
	bool ours = false;

	if (s3_send(&r, &answer, &why))
	{
		char *id = http_header(&answer, id_header);

		ours = id != NULL && strcmp(id, w->id) == 0;
		free(id);
	}
	else if (why.code == ERR_DENIED)
		ours = is_listed_alike(w);
	error_clear(&why);
	http_response_free(&answer);
	free(id_header);
	return ours;
}

/* ERR_EXISTS if there is an object of that name. */
bool
s3_must_be_free(S3Writer *w, Error *err)
{
	Error why = ERROR_INIT;
	S3Object object;

	if (s3_look_up(w->s3, w->name, &object, &why))
		return error_set(err, ERR_EXISTS, "object already exists");
	if (why.code == ERR_NOT_FOUND)
	{
		error_clear(&why);
		return true;
	}
	error_move(err, &why);
	return false;
}

/* ---- headers ---- */

/* The server compares what has arrived. */
void
s3_set_body(S3Request *r, const S3Buffer *body, uint8_t hash[SHA256_LEN],
			StrBuf *lines)
{
	uint8_t md5[MD5_LEN];
	char *text = NULL;

	r->body = body->data;
	r->body_len = body->len;
	r->body_hash = hash;
	sha256_once(body->data, body->len, hash);
	if (r->s3->checksum == S3_SHA256)
	{
		text = base64_encode(hash, SHA256_LEN);
		strbuf_printf(lines, "x-amz-checksum-sha256: %s\n", text);
	}
	else if (r->s3->checksum == S3_MD5 && md5_once(body->data, body->len, md5))
	{
		text = base64_encode(md5, MD5_LEN);
		strbuf_printf(lines, "Content-MD5: %s\n", text);
	}
	free(text);
}

void
s3_add_condition(StrBuf *lines, const S3Storage *s3)
{
	if (s3->conditional == S3_IF_NONE_MATCH)
		strbuf_puts(lines, "If-None-Match: *\n");
	else if (s3->conditional == S3_GENERATION)
		strbuf_puts(lines, "x-goog-if-generation-match: 0\n");
}

void
s3_add_object_lines(StrBuf *lines, const S3Writer *w)
{
	strbuf_printf(lines, "%s%smeta-pgdr-id: %s\n", w->s3->object_lines,
				  w->s3->scheme->header, w->id);
	s3_add_lock(lines, w->s3);
}

/* ---- one request ---- */

/*
 * A proxy or a portal that answers 200 to anything has no ETag: it must not
 * pass for a store that has taken what it was sent.
 */
static bool
check_confirmed(const HttpResponse *answer, Error *err)
{
	char *etag = http_header(answer, "ETag");
	bool confirmed = etag != NULL;

	free(etag);
	if (confirmed)
		return true;
	error_set(err, ERR_IO, "server did not confirm the object");
	err->transient = true;
	error_detail(err, "Its answer has status %d, but no ETag.", answer->status);
	return error_hint(err, "Check the endpoint (and proxy) in the "
						   "configuration.");
}

/* A server that computes a checksum must have got ours. */
static bool
check_stored(void *request, const HttpResponse *answer, Error *err)
{
	const S3Request *r = request;
	char *stored = http_header(answer, "x-amz-checksum-sha256");
	char *sent = NULL;
	uint8_t hash[SHA256_LEN];
	bool good = true;

	if (stored != NULL && hex_decode(r->payload, hash, SHA256_LEN))
	{
		sent = base64_encode(hash, SHA256_LEN);
		good = strcmp(stored, sent) == 0;
	}
	free(stored);
	free(sent);
	if (!good)
		return error_set(err, ERR_IO,
						 "server stored other bytes than were sent");
	return check_confirmed(answer, err);
}

/*
 * Without a condition of the server's only a look afterwards tells who came
 * last.
 */
static bool
check_after(S3Writer *w, Error *err)
{
	if (w->s3->conditional != S3_HEAD || w->base.replaces || s3_is_ours(w))
		return true;
	return error_set(err, ERR_EXISTS, "object already exists");
}

static bool
put_object(S3Writer *w, Error *err)
{
	StrBuf lines = STRBUF_INIT;
	S3Request r = {
		.s3 = w->s3, .method = "PUT", .name = w->name, .check = check_stored};
	uint8_t hash[SHA256_LEN];
	HttpResponse answer;
	bool done;

	if (w->s3->conditional == S3_HEAD && !w->base.replaces &&
		!s3_must_be_free(w, err))
		return false;
	s3_add_object_lines(&lines, w);
	if (!w->base.replaces)
		s3_add_condition(&lines, w->s3);
	s3_set_body(&r, &w->first, hash, &lines);
	r.lines = lines.data;
	done = s3_send(&r, &answer, err);
	if (!done && err->code == ERR_EXISTS && s3_is_ours(w))
	{
		error_clear(err);
		done = true;
	}
	http_response_free(&answer);
	strbuf_free(&lines);
	return done && check_after(w, err);
}

/* ---- does the server keep conditions? ---- */

/* No name of ours begins like this: it is in nobody's listing. */
#define PROBE_NAME ".pgdr-probe"

/*
 * A server that does not know the condition ignores it, and one day replaces
 * a segment.  It may be there from an earlier time: then it is refused at once.
 */
bool
s3_check_condition(S3Storage *s3, Error *err)
{
	StrBuf lines = STRBUF_INIT;
	Error why = ERROR_INIT;
	bool kept;

	if (s3->conditional == S3_HEAD)
		return true;
	s3_add_condition(&lines, s3);
	for (int i = 0; i < 2 && !error_is_set(&why); i++)
	{
		S3Request r = {
			.s3 = s3, .method = "PUT", .name = PROBE_NAME, .lines = lines.data};
		HttpResponse answer;

		s3_send(&r, &answer, &why);
		http_response_free(&answer);
	}
	strbuf_free(&lines);
	kept = why.code == ERR_EXISTS;
	if (kept || error_is_set(&why))
	{
		if (kept)
			error_clear(&why);
		error_move(err, &why);
		return kept;
	}
	error_set(err, ERR_UNSUPPORTED,
			  "server replaces objects though it is asked not to");
	error_detail(err, "It ignores the condition of the request (key "
					  "conditional).");
	return error_hint(err, "Use a server that knows conditional writes; with "
						   "conditional = head only one host may write at a "
						   "time.");
}

/* ---- the driver's functions ---- */

static void
dispose(S3Writer *w)
{
	buffer_free(&w->first);
	buffer_free(&w->current);
	s3_parts_free(w);
	free(w->upload_id);
	free(w->name);
	free(w);
}

static bool
make_id(char out[S3_ID_LEN + 1], Error *err)
{
	uint8_t random[S3_ID_LEN / 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(err, ERR_INTERNAL, "could not get random bytes");
	hex_encode(random, sizeof(random), out);
	return true;
}

bool
s3_write_open(Storage *st, const char *name, size_t head_len,
			  StorageWriter **out, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	S3Writer *w;
	char *head;

	if (head_len > s3->part_size)
		return error_set(err, ERR_UNSUPPORTED,
						 "head of %zu bytes is larger than a part", head_len);
	w = mem_zalloc(sizeof(*w));
	w->base.driver = &storage_s3;
	w->s3 = s3;
	w->name = mem_strdup(name);
	w->head_len = head_len;
	head = mem_zalloc(head_len + 1);
	buffer_add(&w->first, s3->part_size, head, head_len);
	free(head);
	if (!make_id(w->id, err))
	{
		dispose(w);
		return false;
	}
	*out = &w->base;
	return true;
}

/* The first part stays, those after it go as soon as they are full. */
bool
s3_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	S3Writer *w = (S3Writer *) sw;
	size_t max = w->s3->part_size;
	const char *p = data;

	while (len > 0)
	{
		S3Buffer *b = w->first.len < max ? &w->first : &w->current;
		size_t n;

		if (b->len == max)
		{
			if (!s3_upload_part(w, w->parts + 2, b, err))
				return false;
			b->len = 0;
		}
		n = buffer_add(b, max, p, len);
		p += n;
		len -= n;
	}
	return true;
}

bool
s3_commit(StorageWriter *sw, const void *head, Error *err)
{
	S3Writer *w = (S3Writer *) sw;
	bool done;

	if (w->head_len > 0)
		memcpy(w->first.data, head, w->head_len);
	if (w->current.len == 0)
		done = put_object(w, err);
	else
	{
		done = s3_complete(w, err);
		if (!done)
			s3_abort_upload(w);
	}
	dispose(w);
	return done;
}

void
s3_abort(StorageWriter *sw)
{
	S3Writer *w = (S3Writer *) sw;

	if (w == NULL)
		return;
	s3_abort_upload(w);
	dispose(w);
}
