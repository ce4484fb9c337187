/*-------------------------------------------------------------------------
 *
 * http_error.c
 *	  What went wrong in an exchange, in words that name cause and remedy.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"

/* libcurl's own words, without the period some of them end with. */
static const char *
reason_of(const HttpTransfer *t, char *buf, size_t size)
{
	const char *text = t->reason[0] != '\0' ? t->reason
											: curl_easy_strerror(t->result);
	size_t len = strnlen(text, size - 1);

	while (len > 0 && strchr(".\r\n ", text[len - 1]) != NULL)
		len--;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return buf;
}

/* What libcurl says of a certificate, and what that means. */
static const struct
{
	const char *words;
	const char *hint;
} certificate_faults[] = {
	{"certificate has expired",
	 "Have the server's certificate renewed; if it is valid, this host's "
	 "clock is wrong."},
	{"not yet valid", "This host's clock may be wrong."},
	{"revoked", "Have the server's certificate replaced."},
	{"target host name",
	 "The certificate belongs to another host: check the endpoint in the "
	 "configuration."},
	{"issuer", "Set ca-file to the certificate of the authority that signed "
			   "the server's."},
	{"self-signed", "Set ca-file to the certificate of the authority that "
					"signed the server's."},
	{"self signed", "Set ca-file to the certificate of the authority that "
					"signed the server's."},
	{"unable to verify",
	 "Set ca-file to the certificate of the authority that signed the "
	 "server's."},
};

static bool
certificate_refused(const HttpTransfer *t, const char *host, Error *err)
{
	char reason[CURL_ERROR_SIZE];

	error_set(err, ERR_IO, "could not trust the certificate of \"%s\": %s",
			  host, reason_of(t, reason, sizeof(reason)));
	for (size_t i = 0;
		 i < sizeof(certificate_faults) / sizeof(certificate_faults[0]); i++)
	{
		if (strstr(reason, certificate_faults[i].words) != NULL)
			return error_hint(err, "%s", certificate_faults[i].hint);
	}
	return false;
}

/* libcurl keeps to itself what the socket call said. */
static bool
not_connected(const HttpTransfer *t, const char *host, Error *err)
{
	char reason[CURL_ERROR_SIZE];

	error_set(err, ERR_IO, "could not connect to \"%s\": %s", host,
			  t->os_errno > 0
				  ? strerror_r((int) t->os_errno, reason, sizeof(reason))
				  : reason_of(t, reason, sizeof(reason)));
	err->transient = true;
	return error_hint(err, "Check whether the server runs, whether endpoint "
						   "(and proxy) are right, and whether a firewall is "
						   "in the way.");
}

static bool
not_resolved(const HttpTransfer *t, const char *host, Error *err)
{
	bool proxy = t->result == CURLE_COULDNT_RESOLVE_PROXY;

	error_set(err, ERR_IO, "could not find the address of %s \"%s\"",
			  proxy ? "the proxy for" : "host", host);
	err->transient = true;
	return error_hint(err, "Check the name in the configuration, and this "
						   "host's name servers.");
}

static bool
tls_failed(const HttpTransfer *t, const char *host, Error *err)
{
	char reason[CURL_ERROR_SIZE];

	error_set(err, ERR_IO, "could not start TLS with \"%s\": %s", host,
			  reason_of(t, reason, sizeof(reason)));
	err->transient = true;
	if (strstr(reason, "wrong version number") != NULL)
	{
		err->transient = false;
		error_hint(err, "The server does not speak TLS at that port: check "
						"the endpoint in the configuration.");
	}
	return false;
}

static bool
broken_off(const HttpTransfer *t, const char *host, Error *err)
{
	char reason[CURL_ERROR_SIZE];

	error_set(err, ERR_IO, "lost the connection to \"%s\": %s", host,
			  reason_of(t, reason, sizeof(reason)));
	err->transient = true;
	return false;
}

static bool
failed_for_good(const HttpTransfer *t, const char *host, Error *err)
{
	char reason[CURL_ERROR_SIZE];

	reason_of(t, reason, sizeof(reason));
	switch (t->result)
	{
		case CURLE_SSL_CACERT_BADFILE:
			error_set(err, ERR_CONFIG, "could not use ca-file \"%s\": %s",
					  t->http->ca_file ? t->http->ca_file : "", reason);
			return error_hint(err, "The file must exist, be readable for this "
								   "user, and hold certificates in PEM form.");
		case CURLE_URL_MALFORMAT:
		case CURLE_UNSUPPORTED_PROTOCOL:
			return error_set(err, ERR_CONFIG,
							 "could not use the URL of "
							 "\"%s\": %s",
							 host, reason);
		case CURLE_WRITE_ERROR:
			if (t->too_big)
				return error_set(err, ERR_IO,
								 "answer of \"%s\" is larger than %zu bytes",
								 host, t->request->max_response);
			break;
		default:
			break;
	}
	return error_set(err, ERR_IO, "could not talk to \"%s\": %s", host, reason);
}

bool
http_timed_out(const HttpTransfer *t, int64_t usecs, Error *err)
{
	char *host = http_host(t->request->url);

	error_set(err, ERR_TIMEOUT, "\"%s\" did not %s within %.1f seconds", host,
			  t->connected ? "answer" : "accept a connection",
			  (double) usecs / USECS_PER_SEC);
	err->transient = true;
	free(host);
	return false;
}

static bool
explain_result(const HttpTransfer *t, const char *host, Error *err)
{
	/* what came does not begin as an answer of HTTP 1 does */
	if (t->result == CURLE_UNSUPPORTED_PROTOCOL && t->connected)
		return broken_off(t, host, err);
	switch (t->result)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return not_resolved(t, host, err);
		case CURLE_COULDNT_CONNECT:
			return not_connected(t, host, err);
		case CURLE_OPERATION_TIMEDOUT:
			return http_timed_out(t, t->http->policy.connect_timeout, err);
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_ISSUER_ERROR:
			return certificate_refused(t, host, err);
		case CURLE_SSL_CONNECT_ERROR:
			return tls_failed(t, host, err);
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_PARTIAL_FILE:
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_HTTP2:
		case CURLE_PROXY:
			return broken_off(t, host, err);
		default:
			return failed_for_good(t, host, err);
	}
}

bool
http_transfer_failed(const HttpTransfer *t, Error *err)
{
	char *host;

	if (t->result == CURLE_ABORTED_BY_CALLBACK && !thread_check_stop(err))
		return false;
	host = http_host(t->request->url);
	explain_result(t, host, err);
	free(host);
	return false;
}

/*
 * A server may close a connection at the moment when we send on it.  libcurl
 * finds that out only sometimes, and never repeats a request of which it sent
 * a part.
 */
bool
http_connection_was_stale(const HttpTransfer *t)
{
	return t->reused && !t->fresh && t->done && t->answer->status == 0 &&
		   (t->result == CURLE_GOT_NOTHING || t->result == CURLE_SEND_ERROR ||
			t->result == CURLE_RECV_ERROR);
}

static bool
status_is_transient(int status)
{
	return status >= 500 ? status != 501 && status != 505
						 : status == 429 || status == 408;
}

/* What can be said of any server's answer. */
static void
explain_status(const HttpTransfer *t, Error *err)
{
	int status = t->answer->status;
	char *host = http_host(t->request->url);
	ErrCode code = ERR_IO;

	if (status == 401 || status == 403)
		code = ERR_DENIED;
	else if (status == 507)
		code = ERR_FULL;
	error_set(err, code, "\"%s\" answered with status %d", host, status);
	err->transient = status_is_transient(status) && status != 507;
	if (status >= 300 && status < 400)
		error_hint(err, "Redirections are not followed: check the endpoint in "
						"the configuration.");
	free(host);
}

bool
http_judge(HttpTransfer *t, Error *err)
{
	const HttpRequest *request = t->request;
	int status = t->answer->status;

	if (t->result != CURLE_OK)
		return http_transfer_failed(t, err);
	if ((status >= 200 && status < 300) ||
		(request->accept != NULL && request->accept(status)))
		return request->check == NULL ||
			   request->check(request->arg, t->answer, err);
	if (request->explain != NULL)
		request->explain(request->arg, t->answer, err);
	if (!error_is_set(err))
		explain_status(t, err);
	return false;
}
