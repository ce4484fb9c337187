/*-------------------------------------------------------------------------
 *
 * azure_request.c
 *	  Requests to Azure Blob Storage, and what there is under a name.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SMALL_RESPONSE 65536

char *
azure_url(const AzureStorage *az, const char *name, const char *query)
{
	const char *sas = az->auth.sas ? az->auth.sas : "";
	StrBuf url = STRBUF_INIT;

	strbuf_puts(&url, az->url);
	if (name != NULL)
	{
		char *prefix = http_escape(az->prefix, true);
		char *escaped = http_escape(name, true);

		strbuf_printf(&url, "/%s%s", prefix, escaped);
		free(escaped);
		free(prefix);
	}
	if (query[0] != '\0' || sas[0] != '\0')
		strbuf_printf(&url, "?%s%s%s", query,
					  query[0] != '\0' && sas[0] != '\0' ? "&" : "", sas);
	return strbuf_steal(&url);
}

static bool
make_headers(void *arg, const HttpRequest *request, StrBuf *lines, Error *err)
{
	const AzureCall *call = arg;

	(void) err;
	if (call->lines != NULL)
		strbuf_puts(lines, call->lines);
	azure_authorize(&call->az->auth, request, clock_now(), lines);
	return true;
}

static void
explain(void *arg, const HttpResponse *answer, Error *err)
{
	azure_explain(arg, answer, err);
}

/*
 * A proxy or a portal that answers 200 to anything must not pass for a store
 * that has taken what it was sent.
 */
static bool
check(void *arg, const HttpResponse *answer, Error *err)
{
	AzureCall *call = arg;

	if (answer->status == call->success)
		return call->parse == NULL || call->parse(call->arg, answer, err);
	azure_explain(call, answer, err);
	return false;
}

static HttpRequest
make_request(AzureCall *call)
{
	call->code[0] = '\0';
	return (HttpRequest){.method = call->method,
						 .url = call->url,
						 .body = call->body,
						 .body_len = call->body_len,
						 .headers = make_headers,
						 .arg = call,
						 .check = check,
						 .explain = explain,
						 .max_response = call->max_response > 0
											 ? call->max_response
											 : SMALL_RESPONSE};
}

bool
azure_send(AzureCall *call, HttpResponse *out, Error *err)
{
	HttpRequest request = make_request(call);

	return http_send(call->az->http, &request, out, err);
}

bool
azure_stream(AzureCall *call, uint64_t offset, uint64_t length,
			 HttpStream **out, Error *err)
{
	HttpRequest request = make_request(call);

	return http_stream_open(call->az->http, &request, offset, length, out, err);
}

bool
azure_parse_size(const char *text, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

/* ---- what there is under a name ---- */

/* Headers of an answer to HEAD as an AzureBlob. */
static bool
parse_blob(void *arg, const HttpResponse *answer, Error *err)
{
	AzureBlob *blob = arg;
	char *size = http_header(answer, "Content-Length");
	char *mtime = http_header(answer, "Last-Modified");
	char *id = http_header(answer, "x-ms-meta-pgdrid");
	char *type = http_header(answer, "x-ms-resource-type");
	bool done = size != NULL && azure_parse_size(size, &blob->size);

	blob->mtime = mtime ? http_parse_date(mtime) : 0;
	if (id != NULL && strlen(id) == AZURE_ID_LEN)
		memcpy(blob->id, id, AZURE_ID_LEN);
	/* of a hierarchical namespace, where directories look like blobs */
	if (type != NULL && strcmp(type, "directory") == 0)
		done = error_set(err, ERR_NOT_FOUND, "object does not exist");
	else if (!done)
	{
		error_set(err, ERR_IO, "server gave no length of the object");
		err->transient = true;
	}
	free(type);
	free(id);
	free(mtime);
	free(size);
	return done;
}

static bool
find_by_head(AzureStorage *az, const char *name, AzureBlob *out, Error *err)
{
	HttpResponse answer;
	AzureCall call = {.az = az,
					  .method = "HEAD",
					  .url = azure_url(az, name, ""),
					  .needs = AZURE_READ,
					  .success = 200,
					  .parse = parse_blob,
					  .arg = out};
	bool done = azure_send(&call, &answer, err);

	az->no_read = strcmp(call.code, AZURE_NOT_PERMITTED) == 0;
	http_response_free(&answer);
	free(call.url);
	return done;
}

/*
 * Hosts that only write have a SAS to create and list; where reading is
 * refused, a listing tells the same, at a higher price.
 */
bool
azure_find(AzureStorage *az, const char *name, AzureBlob *out, Error *err)
{
	Error cause = ERROR_INIT;

	*out = (AzureBlob){0};
	if (!az->no_read)
	{
		if (find_by_head(az, name, out, &cause))
			return true;
		if (!az->no_read)
		{
			error_move(err, &cause);
			return false;
		}
		error_clear(&cause);
	}
	return azure_find_listed(az, name, out, err);
}
