/*-------------------------------------------------------------------------
 *
 * s3_request.c
 *	  One request to S3: its URL, its signature, and what an answer means that
 *	  says no.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/xml.h"

/* A page of a listing: 1000 keys, each byte of which may take three. */
#define ANSWER_MAX ((size_t) 8 * 1024 * 1024)

/* ---- errors of the server ---- */

typedef struct Meaning
{
	const char *s3_code;
	ErrCode code;
	bool transient;
	const char *hint;
} Meaning;

static const Meaning meanings[] = {
	{"NoSuchKey", ERR_NOT_FOUND, false, NULL},
	{"PreconditionFailed", ERR_EXISTS, false, NULL},
	{"NoSuchUpload", ERR_INCOMPLETE, false, NULL},
	{"NoSuchBucket", ERR_CONFIG, false,
	 "Create the bucket, or correct bucket, endpoint or region in the "
	 "configuration."},
	{"InvalidBucketName", ERR_CONFIG, false,
	 "Correct bucket in the configuration."},
	{"AccessDenied", ERR_DENIED, false,
	 "The policy of these keys does not allow this; what is needed is in the "
	 "documentation of S3 repositories."},
	{"InvalidAccessKeyId", ERR_DENIED, false,
	 "The server does not know this access key."},
	{"SignatureDoesNotMatch", ERR_DENIED, false,
	 "The secret key is wrong, or something on the way changes requests."},
	{"InvalidToken", ERR_DENIED, false,
	 "The session token does not belong to these keys."},
	{"ExpiredToken", ERR_DENIED, false, "Renew the temporary keys."},
	{"RequestTimeTooSkewed", ERR_DENIED, false,
	 "Set this host's clock right: the server refuses requests of another "
	 "time."},
	{"RequestExpired", ERR_DENIED, false,
	 "Set this host's clock right: the server refuses requests of another "
	 "time."},
	{"QuotaExceeded", ERR_FULL, false, "Raise the quota, or expire backups."},
	{"ServiceQuotaExceededException", ERR_FULL, false,
	 "Raise the quota, or expire backups."},
	{"InsufficientCapacity", ERR_FULL, false, NULL},
	{"XMinioStorageFull", ERR_FULL, false, NULL},
	{"InvalidObjectState", ERR_IO, false,
	 "The object lies in an archive class: restore it there first."},
	{"NotImplemented", ERR_UNSUPPORTED, false,
	 "The server lacks something that is asked for: see the keys conditional "
	 "and checksum."},
	{"SlowDown", ERR_IO, true, NULL},
	{"ServiceUnavailable", ERR_IO, true, NULL},
	{"InternalError", ERR_IO, true, NULL},
	{"RequestTimeout", ERR_TIMEOUT, true, NULL},
	{"Throttling", ERR_IO, true, NULL},
	{"ThrottlingException", ERR_IO, true, NULL},
	{"TooManyRequests", ERR_IO, true, NULL},
	{"OperationAborted", ERR_IO, true, NULL},
	{"ConditionalRequestConflict", ERR_IO, true, NULL},
	/* what arrived is not what was sent */
	{"BadDigest", ERR_IO, true, NULL},
	{"IncompleteBody", ERR_IO, true, NULL},
	{"XAmzContentSHA256Mismatch", ERR_IO, true, NULL},
	{"XAmzContentChecksumMismatch", ERR_IO, true, NULL},
};

/* The document of an error. */
typedef struct Fault
{
	char *code;
	char *message;
	char *request_id;
	char *region;
	char *endpoint;
	char *server_time;
} Fault;

static bool
take_fault(void *arg, const char *path, const char *text, Error *err)
{
	Fault *f = arg;
	const struct
	{
		const char *path;
		char **field;
	} wanted[] = {{"Error/Code", &f->code},
				  {"Error/Message", &f->message},
				  {"Error/RequestId", &f->request_id},
				  {"Error/Region", &f->region},
				  {"Error/Endpoint", &f->endpoint},
				  {"Error/ServerTime", &f->server_time}};

	(void) err;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
	{
		if (*wanted[i].field == NULL && strcmp(path, wanted[i].path) == 0)
			*wanted[i].field = mem_strdup(text);
	}
	return true;
}

static void
fault_free(Fault *f)
{
	free(f->code);
	free(f->message);
	free(f->request_id);
	free(f->region);
	free(f->endpoint);
	free(f->server_time);
}

static const Meaning *
find_meaning(const char *s3_code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
	{
		if (strcmp(meanings[i].s3_code, s3_code) == 0)
			return &meanings[i];
	}
	return NULL;
}

/* The bucket is elsewhere; the server says where, in one of three places. */
static bool
explain_region(const HttpResponse *answer, const Fault *f, Error *err)
{
	char *header = http_header(answer, "x-amz-bucket-region");
	const char *region = header ? header : f->region;
	bool elsewhere = strcmp(f->code, "PermanentRedirect") == 0 ||
					 strcmp(f->code, "TemporaryRedirect") == 0 ||
					 strcmp(f->code, "Redirect") == 0 ||
					 strcmp(f->code, "IllegalLocationConstraintException") == 0;

	if (elsewhere || (region != NULL &&
					  strcmp(f->code, "AuthorizationHeaderMalformed") == 0))
	{
		error_set(err, ERR_CONFIG, "the bucket is in another region (%s)",
				  f->code);
		if (region != NULL)
			error_hint(err, "Set region = %s in the configuration.", region);
		else if (f->endpoint != NULL)
			error_hint(err, "Its endpoint is \"%s\".", f->endpoint);
	}
	free(header);
	return error_is_set(err);
}

/* We hide nothing where objects are locked: it is not gone. */
static bool
explain_marker(const HttpResponse *answer, Error *err)
{
	char *marker = http_header(answer, "x-amz-delete-marker");
	bool hidden = answer->status == 404 && marker != NULL &&
				  strcmp(marker, "true") == 0;

	free(marker);
	if (!hidden)
		return false;
	error_set(err, ERR_DAMAGED, "the object is hidden by a delete marker");
	error_detail(err, "Somebody else has deleted it; the bucket keeps what "
					  "was there.");
	error_hint(err, "Find out who, and remove the marker: then the object is "
					"there again.");
	return true;
}

static void
explain_fault(S3Request *r, const HttpResponse *answer, const Fault *f,
			  Error *err)
{
	const Meaning *m = find_meaning(f->code);
	ErrCode code = ERR_IO;
	int status = answer->status;

	if (explain_region(answer, f, err))
		return;
	if (r->s3->lock_mode != NULL && explain_marker(answer, err))
		return;
	if (m != NULL)
		code = m->code;
	else if (status == 403 || status == 401)
		code = ERR_DENIED;
	error_set(err, code, "server answered %d %s%s%s", status, f->code,
			  f->message && f->message[0] ? ": " : "",
			  f->message ? f->message : "");
	err->transient = m ? m->transient : status >= 500 || status == 429;
	if (f->request_id != NULL)
		error_detail(err, "The request was %s.", f->request_id);
	if (f->server_time != NULL)
		error_detail(err, "The time of the server is %s.", f->server_time);
	if (m != NULL && m->hint != NULL)
		error_hint(err, "%s", m->hint);
	if (code == ERR_CONFIG)
		error_detail(err, "The bucket is \"%s\".", r->s3->bucket);
	if (strcmp(f->code, "ExpiredToken") == 0)
		err->transient = s3_credentials_expired(r->s3->credentials);
}

/* An answer to HEAD has no document: only its status can be told. */
static void
explain_head(int status, Error *err)
{
	if (status == 404)
		error_set(err, ERR_NOT_FOUND, "server answered 404");
	else if (status == 412)
		error_set(err, ERR_EXISTS, "server answered 412");
}

void
s3_explain(void *request, const HttpResponse *answer, Error *err)
{
	S3Request *r = request;
	Fault fault = {0};
	Error why = ERROR_INIT;

	if (strcmp(r->method, "HEAD") == 0)
	{
		explain_head(answer->status, err);
		return;
	}
	if (xml_parse(answer->body.data, answer->body.len, take_fault, &fault,
				  &why) &&
		fault.code != NULL)
		explain_fault(r, answer, &fault, err);
	error_clear(&why);
	fault_free(&fault);
}

/* ---- requests ---- */

void
s3_add_query(StrBuf *query, const char *name, const char *value)
{
	char *escaped = http_escape(value, false);

	strbuf_printf(query, "%s%s=%s", query->len > 0 ? "&" : "", name, escaped);
	free(escaped);
}

/* Called for each try: a signature is good for some minutes only. */
static bool
make_headers(void *arg, const HttpRequest *http, StrBuf *lines, Error *err)
{
	const S3Request *r = arg;
	const S3Storage *s3 = r->s3;
	SigV4Key key = {.scheme = s3->scheme,
					.region = s3->region,
					.service = s3->scheme == &sigv4_google ? "storage" : "s3"};
	SigV4Request request = {.method = http->method,
							.url = http->url,
							.payload = r->payload,
							.now = clock_now()};

	if (!s3_credentials_get(s3->credentials, &key, err))
		return false;
	if (r->lines != NULL)
		strbuf_puts(lines, r->lines);
	sigv4_sign(&key, &request, lines);
	return true;
}

static char *
make_url(const S3Request *r)
{
	const S3Storage *s3 = r->s3;
	StrBuf url = STRBUF_INIT;

	strbuf_puts(&url, s3->root);
	strbuf_putc(&url, '/');
	if (r->name != NULL)
	{
		char *prefix = http_escape(s3->prefix, true);
		char *name = http_escape(r->name, true);

		strbuf_printf(&url, "%s%s", prefix, name);
		free(prefix);
		free(name);
	}
	if (r->query != NULL)
		strbuf_printf(&url, "?%s", r->query);
	return strbuf_steal(&url);
}

void
s3_request_prepare(S3Request *r)
{
	uint8_t hash[SHA256_LEN];

	if (r->body_hash == NULL)
		sha256_once(r->body ? r->body : "", r->body_len, hash);
	hex_encode(r->body_hash ? r->body_hash : hash, sizeof(hash), r->payload);
	r->url = make_url(r);
	r->http = (HttpRequest){.method = r->method,
							.url = r->url,
							.body = r->body,
							.body_len = r->body_len,
							.headers = make_headers,
							.arg = r,
							.accept = r->accept,
							.check = r->check,
							.explain = s3_explain,
							.max_response = ANSWER_MAX,
							.last_words = r->last_words};
}

void
s3_request_free(S3Request *r)
{
	free(r->url);
	r->url = NULL;
}

bool
s3_send(S3Request *r, HttpResponse *answer, Error *err)
{
	bool done;

	s3_request_prepare(r);
	done = http_send(r->s3->http, &r->http, answer, err);
	s3_request_free(r);
	return done;
}
