/*-------------------------------------------------------------------------
 *
 * http.c
 *	  The HTTP client: opening it, requests with all their tries.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"

/* Idle connections that are kept: a stream and requests beside it. */
#define CONNECTIONS_KEPT 4L

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static CURLcode init_result;

/* What it allocates stays until the process ends. */
static void
init_library(void)
{
	init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool
http_open(const StorageOptions *options, Http **out, Error *err)
{
	const char *ca_file = storage_param(options, "ca-file");
	const char *proxy = storage_param(options, "proxy");
	Http *http;

	if (!http_load_curl(err))
		return false;
	pthread_once(&init_once, init_library);
	if (init_result != CURLE_OK)
		return error_set(err, ERR_INTERNAL, "could not initialize libcurl: %s",
						 curl_easy_strerror(init_result));
	http = mem_zalloc(sizeof(*http));
	http->policy = retry_policy(options);
	http->limit = limit_of(options);
	http->ca_file = ca_file ? mem_strdup(ca_file) : NULL;
	if (proxy != NULL)
		http->proxy = mem_strdup(strcmp(proxy, "none") != 0 ? proxy : "");
	http->multi = curl_multi_init();
	if (http->multi == NULL)
		mem_out_of_memory();
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	*out = http;
	return true;
}

void
http_close(Http *http)
{
	if (http == NULL)
		return;
	if (http->spare != NULL)
		curl_easy_cleanup(http->spare);
	curl_multi_cleanup(http->multi);
	free(http->ca_file);
	free(http->proxy);
	free(http);
}

static bool
send_once(HttpTransfer *t, Error *err)
{
	bool done;

	if (!t->request->last_words && !thread_check_stop(err))
		return false;
	if (!http_begin(t, "", err))
		return false;
	t->answer->tries++;
	done = http_pump(t, NULL, NULL, err);
	http_end(t);
	return done && http_judge(t, err);
}

bool
http_send(Http *http, const HttpRequest *request, HttpResponse *out, Error *err)
{
	Error cause = ERROR_INIT;
	Retry retry;
	HttpTransfer t = {
		.http = http, .request = request, .retry = &retry, .answer = out};

	*out = (HttpResponse){0};
	retry_begin(&retry, &http->policy);
	while (!send_once(&t, &cause))
	{
		if (cause.transient && http_connection_was_stale(&t))
		{
			error_clear(&cause);
			t.fresh = true;
			continue;
		}
		if (request->last_words ||
			!retry_again(&retry, http_retry_after(out), &cause))
		{
			error_move(err, &cause);
			return false;
		}
	}
	return true;
}

void
http_response_free(HttpResponse *response)
{
	strbuf_free(&response->body);
	strbuf_free(&response->headers);
	*response = (HttpResponse){0};
}
