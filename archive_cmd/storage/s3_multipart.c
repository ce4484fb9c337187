/*-------------------------------------------------------------------------
 *
 * s3_multipart.c
 *	  Multipart uploads.
 *
 * Not every server keeps the condition when an upload is completed (Ceph
 * before release 20 ignores it, Google supports none), so the name is looked
 * up before and the object after.  Two writers that complete at the same
 * moment can still replace each other there; objects in parts have names that
 * only one backup uses, or part-size is above the size of a WAL segment.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/xml.h"

#define PARTS_MAX 10000

/* ---- beginning ---- */

static bool
create_upload(S3Writer *w, Error *err)
{
	StrBuf lines = STRBUF_INIT;
	S3Request r = {
		.s3 = w->s3, .method = "POST", .name = w->name, .query = "uploads"};
	HttpResponse answer;
	bool done;

	s3_add_object_lines(&lines, w);
	if (w->s3->checksum == S3_SHA256)
		strbuf_puts(&lines, "x-amz-checksum-algorithm: SHA256\n");
	r.lines = lines.data;
	done = s3_send(&r, &answer, err);
	if (done)
	{
		w->upload_id = xml_find(answer.body.data, answer.body.len,
								"InitiateMultipartUploadResult/UploadId");
		if (w->upload_id == NULL || w->upload_id[0] == '\0')
			done = error_set(err, ERR_IO,
							 "server gave no id for a multipart upload");
	}
	http_response_free(&answer);
	strbuf_free(&lines);
	return done;
}

/* ---- parts ---- */

static char *
part_query(const S3Writer *w, int number)
{
	StrBuf q = STRBUF_INIT;

	if (number > 0)
		strbuf_printf(&q, "partNumber=%d", number);
	s3_add_query(&q, "uploadId", w->upload_id);
	return strbuf_steal(&q);
}

static S3Part *
part_slot(S3Writer *w, int number)
{
	size_t count = (size_t) number;

	if (count > w->part_cap)
	{
		size_t cap = count + count / 2 + 8;

		w->part = mem_realloc(w->part, cap * sizeof(S3Part));
		memset(w->part + w->part_cap, 0, (cap - w->part_cap) * sizeof(S3Part));
		w->part_cap = cap;
	}
	return &w->part[number - 1];
}

void
s3_parts_free(S3Writer *w)
{
	for (size_t i = 0; i < w->part_cap; i++)
	{
		free(w->part[i].etag);
		free(w->part[i].checksum);
	}
	free(w->part);
	w->part = NULL;
	w->part_cap = 0;
}

static bool
send_part(S3Writer *w, int number, const S3Buffer *body, Error *err)
{
	S3Part *part = part_slot(w, number);
	StrBuf lines = STRBUF_INIT;
	char *query = part_query(w, number);
	S3Request r = {
		.s3 = w->s3, .method = "PUT", .name = w->name, .query = query};
	uint8_t hash[SHA256_LEN];
	HttpResponse answer;
	bool done;

	strbuf_reserve(&lines, 0);
	s3_set_body(&r, body, hash, &lines);
	r.lines = lines.data;
	done = s3_send(&r, &answer, err);
	if (done)
	{
		part->etag = http_header(&answer, "ETag");
		if (w->s3->checksum == S3_SHA256)
			part->checksum = http_header(&answer, "x-amz-checksum-sha256");
		if (part->etag == NULL)
			done = error_set(err, ERR_IO, "server gave no ETag for a part");
	}
	http_response_free(&answer);
	strbuf_free(&lines);
	free(query);
	return done;
}

bool
s3_upload_part(S3Writer *w, int number, const S3Buffer *body, Error *err)
{
	if (number > PARTS_MAX)
	{
		error_set(err, ERR_UNSUPPORTED, "object has more than %d parts",
				  PARTS_MAX);
		return error_hint(err, "Raise part-size in the configuration.");
	}
	if (w->upload_id == NULL && !create_upload(w, err))
		return false;
	if (!send_part(w, number, body, err))
		return false;
	if (number > 1)
	{
		w->parts++;
		w->uploaded += body->len;
	}
	return true;
}

/* ---- the end ---- */

/*
 * Checksums are named only if the server computed them: one that does not know
 * them might not like to see them.
 */
static char *
completion_document(const S3Writer *w)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "<CompleteMultipartUpload xmlns="
					 "\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (int i = 0; i <= w->parts; i++)
	{
		char *etag = xml_escape(w->part[i].etag);

		strbuf_printf(&sb, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>",
					  i + 1, etag);
		if (w->part[i].checksum != NULL)
			strbuf_printf(&sb, "<ChecksumSHA256>%s</ChecksumSHA256>",
						  w->part[i].checksum);
		strbuf_puts(&sb, "</Part>");
		free(etag);
	}
	strbuf_puts(&sb, "</CompleteMultipartUpload>");
	return strbuf_steal(&sb);
}

/* The server may find out that it failed after it said 200. */
static bool
check_completed(void *request, const HttpResponse *answer, Error *err)
{
	const char *text = answer->body.data ? answer->body.data : "";

	s3_explain(request, answer, err);
	if (error_is_set(err))
	{
		err->transient = err->transient || err->code == ERR_IO;
		return false;
	}
	if (strstr(text, "<CompleteMultipartUploadResult") != NULL)
		return true;
	error_set(err, ERR_IO, "server did not confirm the upload");
	err->transient = true;
	return false;
}

/*
 * An upload that is not there any more, or a name that is taken, may be the
 * work of an earlier try whose answer was lost.
 */
static bool
send_completion(S3Writer *w, Error *err)
{
	char *document = completion_document(w);
	char *query = part_query(w, 0);
	StrBuf lines = STRBUF_INIT;
	S3Request r = {.s3 = w->s3,
				   .method = "POST",
				   .name = w->name,
				   .query = query,
				   .body = document,
				   .body_len = strlen(document),
				   .check = check_completed};
	HttpResponse answer;
	bool done;

	strbuf_puts(&lines, "Content-Type: application/xml\n");
	/* Google supports no condition here */
	if (w->s3->conditional == S3_IF_NONE_MATCH && !w->base.replaces)
		s3_add_condition(&lines, w->s3);
	r.lines = lines.data;
	done = s3_send(&r, &answer, err);
	if (!done && (err->code == ERR_INCOMPLETE || err->code == ERR_EXISTS) &&
		s3_is_ours(w))
	{
		error_clear(err);
		done = true;
	}
	http_response_free(&answer);
	strbuf_free(&lines);
	free(document);
	free(query);
	return done;
}

/* The MD5 of the MD5s of the parts, and their number. */
bool
s3_upload_etag(const S3Writer *w, char out[S3_ETAG_MAX])
{
	size_t count = (size_t) w->parts + 1;
	uint8_t *hashes = mem_alloc(count * MD5_LEN);
	uint8_t md5[MD5_LEN];
	bool good = true;

	for (size_t i = 0; good && i < count; i++)
	{
		char text[S3_ETAG_MAX];
		const char *etag = w->part[i].etag ? w->part[i].etag : "";

		etag += etag[0] == '"';
		snprintf(text, sizeof(text), "%.*s", (int) strcspn(etag, "\""), etag);
		good = hex_decode(text, hashes + i * MD5_LEN, MD5_LEN);
	}
	good = good && md5_once(hashes, count * MD5_LEN, md5);
	if (good)
	{
		hex_encode(md5, sizeof(md5), out);
		snprintf(out + 2 * MD5_LEN, S3_ETAG_MAX - 2 * MD5_LEN, "-%zu", count);
	}
	free(hashes);
	return good;
}

/* Is what lies there all that was sent, and sent by us? */
static bool
check_object(S3Writer *w, Error *err)
{
	uint64_t size = w->first.len + w->uploaded;
	Error why = ERROR_INIT;
	S3Object object;

	if (!s3_look_up(w->s3, w->name, &object, &why))
	{
		if (why.code == ERR_NOT_FOUND)
			why.code = ERR_IO;
		error_prefix(&why, "could not confirm the object");
		error_move(err, &why);
		return false;
	}
	if (object.id[0] != '\0' && strcmp(object.id, w->id) != 0)
		return error_set(err, ERR_EXISTS, "object already exists");
	if (object.size == size)
		return true;
	error_set(err, ERR_IO, "server has stored %" PRIu64 " bytes of %" PRIu64,
			  object.size, size);
	err->transient = true;
	return false;
}

bool
s3_complete(S3Writer *w, Error *err)
{
	if (w->current.len > 0 &&
		!s3_upload_part(w, w->parts + 2, &w->current, err))
		return false;
	if (!s3_upload_part(w, 1, &w->first, err) ||
		(!w->base.replaces && !s3_must_be_free(w, err)) ||
		!send_completion(w, err))
		return false;
	free(w->upload_id);
	w->upload_id = NULL;
	return check_object(w, err);
}

void
s3_abort_upload(S3Writer *w)
{
	Error why = ERROR_INIT;
	HttpResponse answer;
	char *query;
	S3Request r;

	if (w->upload_id == NULL)
		return;
	query = part_query(w, 0);
	r = (S3Request){.s3 = w->s3,
					.method = "DELETE",
					.name = w->name,
					.query = query,
					.last_words = true};
	s3_send(&r, &answer, &why);
	http_response_free(&answer);
	error_clear(&why);
	free(query);
}
