/*-------------------------------------------------------------------------
 *
 * s3.c
 *	  A store in a bucket of S3 or of what speaks its protocol: opening it,
 *	  reading and removing objects.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB ((uint64_t) 1024 * 1024)

/* S3 takes no smaller parts but the last one, and none above 5 GB. */
#define PART_MIN (5 * MB)
#define PART_MAX (5 * 1024 * MB)

/* More than a WAL segment of the usual size, so that one is one request. */
#define PART_DEFAULT (20 * MB)

static const StorageKey s3_keys[] = {
	{"bucket", STORAGE_KEY_TEXT, true, NULL, "name of the bucket"},
	{"endpoint", STORAGE_KEY_TEXT, false, NULL,
	 "URL of the server (https://s3.REGION.amazonaws.com)"},
	{"region", STORAGE_KEY_TEXT, false, NULL, "its region (us-east-1)"},
	{"addressing", STORAGE_KEY_CHOICE, false, "path|host",
	 "is the bucket in the path of URLs, or in the host name?"},
	S3_CREDENTIAL_KEYS,
	{"conditional", STORAGE_KEY_CHOICE, false, "if-none-match|gcs|head",
	 "how the server creates an object only if there is none"},
	{"checksum", STORAGE_KEY_CHOICE, false, "sha256|md5|none",
	 "what the server checks the bytes of an object with"},
	{"part-size", STORAGE_KEY_SIZE, false, NULL,
	 "larger objects are sent in parts of this size (20MB)"},
	{"storage-class", STORAGE_KEY_TEXT, false, NULL,
	 "class of new objects, such as STANDARD_IA"},
	{"server-side-encryption", STORAGE_KEY_CHOICE, false, "AES256|aws:kms",
	 "how the server encrypts new objects"},
	{"kms-key-id", STORAGE_KEY_TEXT, false, NULL,
	 "with which key, for aws:kms"},
	{"object-lock", STORAGE_KEY_CHOICE, false, "governance|compliance",
	 "new objects are locked in this mode"},
	{"lock-days", STORAGE_KEY_INT, false, NULL, "for so many days"},
	RETRY_KEYS,
	LIMIT_KEYS,
	HTTP_KEYS,
	{.key = NULL}};

/* ---- opening ---- */

static const char *
param(const StorageOptions *options, const char *key, const char *otherwise)
{
	const char *value = storage_param(options, key);

	return value != NULL && value[0] != '\0' ? value : otherwise;
}

static S3Conditional
choose_conditional(const StorageOptions *options)
{
	const char *text = param(options, "conditional", "if-none-match");

	if (strcmp(text, "gcs") == 0)
		return S3_GENERATION;
	return strcmp(text, "head") == 0 ? S3_HEAD : S3_IF_NONE_MATCH;
}

static S3Checksum
choose_checksum(const S3Storage *s3, const StorageOptions *options)
{
	const char *text = param(options, "checksum",
							 s3->conditional == S3_GENERATION ? "md5"
															  : "sha256");

	if (strcmp(text, "md5") == 0)
		return S3_MD5;
	return strcmp(text, "none") == 0 ? S3_NO_CHECKSUM : S3_SHA256;
}

static bool
check_bucket(const char *bucket, Error *err)
{
	size_t len = bucket ? strlen(bucket) : 0;

	if (len > 0 && len <= 255 &&
		strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789"
					   "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-") == len)
		return true;
	error_set(err, ERR_CONFIG, "invalid name \"%s\" of a bucket",
			  bucket ? bucket : "");
	return error_hint(err, "Set bucket to the name of the bucket alone; what "
						   "stands before objects in it is path.");
}

/*
 * In the host name the bucket comes first.  A certificate for "*.host" does
 * not cover a bucket with a period in its name.
 */
static char *
make_root(const char *endpoint, const char *bucket, bool in_host)
{
	size_t scheme_len;

	if (!in_host)
		return mem_printf("%s/%s", endpoint, bucket);
	scheme_len = (size_t) (strstr(endpoint, "://") + 3 - endpoint);
	return mem_printf("%.*s%s.%s", (int) scheme_len, endpoint, bucket,
					  endpoint + scheme_len);
}

static bool
set_root(S3Storage *s3, const StorageOptions *options, Error *err)
{
	const char *given = param(options, "endpoint", NULL);
	const char *addressing = param(
		options, "addressing",
		given == NULL && strchr(s3->bucket, '.') == NULL ? "host" : "path");
	char *usual = s3->conditional == S3_GENERATION
					  ? mem_strdup("https://storage.googleapis.com")
					  : mem_printf("https://s3.%s.amazonaws.com", s3->region);
	char *endpoint = NULL;
	bool good = http_parse_endpoint(given ? given : usual, &endpoint);

	if (good)
		s3->root = make_root(endpoint, s3->bucket,
							 strcmp(addressing, "host") == 0);
	else
	{
		error_set(err, ERR_CONFIG, "invalid endpoint \"%s\"",
				  given ? given : usual);
		error_hint(err, "It must be a URL such as \"https://s3.example.com\".");
	}
	free(endpoint);
	free(usual);
	return good;
}

/* "/a/b/" is "a/b/"; nothing stays nothing. */
static char *
make_prefix(const char *path)
{
	size_t len;

	path += strspn(path, "/");
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	return mem_printf("%.*s%s", (int) len, path, len > 0 ? "/" : "");
}

static char *
make_object_lines(const S3Storage *s3, const StorageOptions *options)
{
	const char *class = param(options, "storage-class", NULL);
	const char *encryption = param(options, "server-side-encryption", NULL);
	const char *key = param(options, "kms-key-id", NULL);
	const char *start = s3->scheme->header;
	StrBuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "Content-Type: application/octet-stream\n");
	if (class != NULL)
		strbuf_printf(&sb, "%sstorage-class: %s\n", start, class);
	if (encryption != NULL)
		strbuf_printf(&sb, "%sserver-side-encryption: %s\n", start, encryption);
	if (key != NULL)
		strbuf_printf(&sb, "%sserver-side-encryption-aws-kms-key-id: %s\n",
					  start, key);
	return strbuf_steal(&sb);
}

static void
s3_close(Storage *st)
{
	S3Storage *s3 = (S3Storage *) st;

	http_close(s3->http);
	s3_credentials_free(s3->credentials);
	free(s3->root);
	free(s3->bucket);
	free(s3->prefix);
	free(s3->region);
	free(s3->object_lines);
	free(s3->base.where);
	free(s3);
}

static bool
set_part_size(S3Storage *s3, const StorageOptions *options, Error *err)
{
	uint64_t size = storage_param_size(options, "part-size", PART_DEFAULT);

	s3->part_size = (size_t) size;
	if (size >= PART_MIN && size <= PART_MAX)
		return true;
	return error_set(err, ERR_CONFIG, "part-size must be 5MB to 5GB");
}

static bool
configure(S3Storage *s3, const StorageOptions *options, Error *err)
{
	const char *bucket = storage_param(options, "bucket");

	if (!check_bucket(bucket, err))
		return false;
	s3->bucket = mem_strdup(bucket);
	s3->conditional = choose_conditional(options);
	s3->checksum = choose_checksum(s3, options);
	s3->scheme = s3->conditional == S3_GENERATION ? &sigv4_google : &sigv4_aws;
	s3->region = mem_strdup(
		param(options, "region",
			  s3->conditional == S3_GENERATION ? "auto" : "us-east-1"));
	s3->prefix = make_prefix(options->path ? options->path : "");
	s3->object_lines = make_object_lines(s3, options);
	s3->base.where = mem_printf("s3://%s/%s", s3->bucket, s3->prefix);
	return s3_lock_configure(s3, options, err) && set_root(s3, options, err) &&
		   set_part_size(s3, options, err) &&
		   s3_credentials_open(options, s3->region, &s3->credentials, err) &&
		   http_open(options, &s3->http, err);
}

/*
 * A bucket is never made: who may write backups need not have that right.  No
 * request is made for one that is in use, either; a new one is put to the test.
 */
static bool
s3_open(const StorageOptions *options, Storage **out, Error *err)
{
	S3Storage *s3 = mem_zalloc(sizeof(*s3));

	s3->base.driver = &storage_s3;
	if (!configure(s3, options, err) ||
		(options->create && !s3_check_condition(s3, err)))
	{
		s3_close(&s3->base);
		return false;
	}
	*out = &s3->base;
	return true;
}

/* ---- looking up ---- */

static bool
accept_empty_range(int status)
{
	return status == 416;
}

/* From the headers of an answer to GET or HEAD; size 0 if they do not say. */
static void
take_object(const S3Storage *s3, const HttpResponse *answer, S3Object *out)
{
	char *id_header = mem_printf("%smeta-pgdr-id", s3->scheme->header);
	char *range = http_header(answer, "Content-Range");
	char *length = http_header(answer, "Content-Length");
	char *modified = http_header(answer, "Last-Modified");
	char *id = http_header(answer, id_header);
	char *etag = http_header(answer, "ETag");

	*out = (S3Object){0};
	if (range != NULL && strchr(range, '/') != NULL)
		out->size = strtoull(strchr(range, '/') + 1, NULL, 10);
	else if (length != NULL)
		out->size = strtoull(length, NULL, 10);
	s3_take_lock(answer, out);
	if (modified != NULL)
		out->mtime = http_parse_date(modified);
	if (id != NULL && strlen(id) == S3_ID_LEN)
		memcpy(out->id, id, S3_ID_LEN);
	if (etag != NULL)
		snprintf(out->etag, sizeof(out->etag), "%.*s",
				 (int) strcspn(etag + (etag[0] == '"'), "\""),
				 etag + (etag[0] == '"'));
	free(id_header);
	free(range);
	free(length);
	free(modified);
	free(id);
	free(etag);
}

/*
 * The first byte is asked for instead of HEAD, whose answer has no document:
 * a 404 without one could be of an absent bucket, or of a proxy.  Of an empty
 * object there is no first byte; that it exists is certain then.
 */
static bool
look_at_object(S3Storage *s3, const char *name, S3Object *out, Error *err)
{
	S3Request r = {.s3 = s3,
				   .method = "GET",
				   .name = name,
				   .lines = "Range: bytes=0-0\n",
				   .accept = accept_empty_range};
	HttpResponse answer;
	bool done = s3_send(&r, &answer, err);

	if (done && answer.status == 416)
	{
		http_response_free(&answer);
		r = (S3Request){.s3 = s3, .method = "HEAD", .name = name};
		done = s3_send(&r, &answer, err);
	}
	if (done)
		take_object(s3, &answer, out);
	http_response_free(&answer);
	return done;
}

bool
s3_look_up(S3Storage *s3, const char *name, S3Object *out, Error *err)
{
	Error why = ERROR_INIT;
	Error denied = ERROR_INIT;

	if (look_at_object(s3, name, out, &why))
		return true;
	if (why.code != ERR_DENIED)
	{
		error_move(err, &why);
		return false;
	}
	/* keys that may only write and list */
	if (s3_list_one(s3, name, out, &denied))
	{
		error_clear(&why);
		return true;
	}
	error_move(err, denied.code == ERR_DENIED ? &why : &denied);
	error_clear(&why);
	error_clear(&denied);
	return false;
}

static bool
s3_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
		Error *err)
{
	S3Object object;

	if (!s3_look_up((S3Storage *) st, name, &object, err))
		return false;
	*size = object.size;
	*mtime = object.mtime;
	return true;
}

/* ---- reading ---- */

typedef struct S3Reader
{
	StorageReader base;
	S3Request request;
	char *name;
	HttpStream *stream; /* NULL: there is nothing to read */
} S3Reader;

static void
s3_read_close(StorageReader *sr)
{
	S3Reader *r = (S3Reader *) sr;

	if (r == NULL)
		return;
	http_stream_close(r->stream);
	s3_request_free(&r->request);
	free(r->name);
	free(r);
}

static bool
s3_read_open(Storage *st, const char *name, uint64_t offset, uint64_t length,
			 StorageReader **out, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	S3Reader *r = mem_zalloc(sizeof(*r));
	S3Object object;
	bool done;

	r->base.driver = &storage_s3;
	r->name = mem_strdup(name);
	r->request = (S3Request){.s3 = s3, .method = "GET", .name = r->name};
	s3_request_prepare(&r->request);
	/* no range can ask for no bytes, nor for what no object has */
	if (length == 0 || offset > INT64_MAX)
		done = s3_look_up(s3, name, &object, err);
	else
		done = http_stream_open(s3->http, &r->request.http, offset, length,
								&r->stream, err);
	if (!done)
	{
		s3_read_close(&r->base);
		return false;
	}
	*out = &r->base;
	return true;
}

static bool
s3_read(StorageReader *sr, void *buf, size_t cap, size_t *got, Error *err)
{
	S3Reader *r = (S3Reader *) sr;

	*got = 0;
	return r->stream == NULL || http_stream_read(r->stream, buf, cap, got, err);
}

/* ---- removing ---- */

/* version "": the object, by a marker if the bucket keeps versions. */
static bool
send_removal(S3Storage *s3, const char *name, const char *version, Error *err)
{
	S3Request r = {.s3 = s3, .method = "DELETE", .name = name};
	StrBuf query = STRBUF_INIT;
	HttpResponse answer;
	bool done;

	if (version[0] != '\0')
	{
		s3_add_query(&query, "versionId", version);
		r.query = query.data;
	}
	done = s3_send(&r, &answer, err);
	strbuf_free(&query);
	if (!done && err->code == ERR_NOT_FOUND && answer.tries > 1)
	{
		/* the answer to an earlier try was lost */
		error_clear(err);
		done = true;
	}
	http_response_free(&answer);
	return done;
}

/*
 * Where objects are locked, by versions: behind the newest an older one may
 * come up that was replaced, and may still be locked.
 */
static bool
remove_versions(S3Storage *s3, const char *name, S3Object *object, Error *err)
{
	Error why = ERROR_INIT;

	do
	{
		if (!s3_check_unlocked(object, err) ||
			!send_removal(s3, name, object->version, err))
			return false;
	} while (object->version[0] != '\0' && s3_look_up(s3, name, object, &why));
	if (!error_is_set(&why) || why.code == ERR_NOT_FOUND)
	{
		error_clear(&why);
		return true;
	}
	error_move(err, &why);
	return false;
}

/* S3 removes what does not exist with the same words. */
static bool
s3_remove(Storage *st, const char *name, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	S3Object object;

	if (!s3_look_up(s3, name, &object, err))
		return false;
	if (s3->lock_mode != NULL)
		return remove_versions(s3, name, &object, err);
	return send_removal(s3, name, "", err);
}

const StorageDriver storage_s3 = {
	.type = "s3",
	.keys = s3_keys,
	.open = s3_open,
	.close = s3_close,
	.list = s3_list,
	.stat = s3_stat,
	.read_open = s3_read_open,
	.read = s3_read,
	.read_close = s3_read_close,
	.write_open = s3_write_open,
	.write = s3_write,
	.commit = s3_commit,
	.abort = s3_abort,
	.remove = s3_remove,
	.sweep = s3_sweep,
	.lock = s3_lock,
	.hold = s3_hold,
};
