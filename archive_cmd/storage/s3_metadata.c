/*-------------------------------------------------------------------------
 *
 * s3_metadata.c
 *	  Temporary keys for S3 that are asked for over HTTP: from the metadata
 *	  service of an EC2 instance (version 2, with a session token), and from
 *	  STS for the token of a web identity, as Kubernetes gives one.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3_credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "storage/xml.h"

#define ANSWER_MAX 65536
#define TOKEN_FILE_MAX 65536

#define INSTANCE_ENDPOINT "http://169.254.169.254"
#define INSTANCE_TOKEN_LINES "X-aws-ec2-metadata-token-ttl-seconds: 21600\n"
#define INSTANCE_ROLES "/latest/meta-data/iam/security-credentials/"

/* The value of a variable of the environment, or what holds without it. */
static const char *
variable(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* "2026-11-21T00:18:29Z"; keys without an end are not believed. */
static bool
take_expiration(const char *text, S3Keys *out, Error *err)
{
	Error why = ERROR_INIT;

	if (clock_parse(text, &out->expires_at, &why))
		return true;
	error_set(err, ERR_IO, "keys expire at \"%.40s\", which is no time", text);
	error_clear(&why);
	return false;
}

/* ---- the instance ---- */

typedef struct Instance
{
	Http *http;
	const char *endpoint;
	StrBuf lines; /* of the requests: the session token */
} Instance;

static bool
add_lines(void *arg, const HttpRequest *request, StrBuf *lines, Error *err)
{
	const Instance *in = arg;

	(void) request;
	(void) err;
	strbuf_puts(lines, in->lines.data);
	return true;
}

/* One document of the service; caller frees *out. */
static bool
ask(Instance *in, const char *method, const char *path, char **out, Error *err)
{
	char *url = mem_printf("%s%s", in->endpoint, path);
	HttpRequest request = {.method = method,
						   .url = url,
						   .headers = add_lines,
						   .arg = in,
						   .max_response = ANSWER_MAX};
	HttpResponse answer;
	bool done = http_send(in->http, &request, &answer, err);

	if (done)
		*out = mem_strdup(answer.body.data ? answer.body.data : "");
	if (answer.body.data != NULL)
		explicit_bzero(answer.body.data, answer.body.len);
	http_response_free(&answer);
	free(url);
	return done;
}

static bool
parse_keys(const char *text, S3Keys *out, Error *err)
{
	Json *json = json_parse(text, strlen(text), err);
	const char *access_key;
	const char *secret_key;
	const char *token;
	const char *expiration;
	bool done = json != NULL &&
				json_require_str(json, "AccessKeyId", &access_key, err) &&
				json_require_str(json, "SecretAccessKey", &secret_key, err) &&
				json_require_str(json, "Token", &token, err) &&
				json_require_str(json, "Expiration", &expiration, err) &&
				take_expiration(expiration, out, err);

	if (done)
	{
		out->access_key = mem_strdup(access_key);
		out->secret_key = mem_strdup(secret_key);
		out->token = mem_strdup(token);
	}
	json_free(json);
	return done;
}

static void
wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static bool
ask_instance(Instance *in, S3Keys *out, Error *err)
{
	char *token = NULL;
	char *role = NULL;
	char *path = NULL;
	char *text = NULL;
	bool done;

	strbuf_puts(&in->lines, INSTANCE_TOKEN_LINES);
	done = ask(in, "PUT", "/latest/api/token", &token, err);
	if (done)
	{
		strbuf_reset(&in->lines);
		strbuf_printf(&in->lines, "X-aws-ec2-metadata-token: %s\n", token);
		done = ask(in, "GET", INSTANCE_ROLES, &role, err);
	}
	if (done)
	{
		role[strcspn(role, "\r\n")] = '\0';
		path = mem_printf(INSTANCE_ROLES "%s", role);
		done = ask(in, "GET", path, &text, err) && parse_keys(text, out, err);
	}
	wipe(token);
	wipe(text);
	free(role);
	free(path);
	return done;
}

/* The service is near or not there at all: no long waits, and no proxy. */
bool
s3_keys_of_instance(const StorageOptions *options, S3Keys *out, Error *err)
{
	static const StorageParam params[] = {{"proxy", ""},
										  {"connect-timeout", "1s"},
										  {"stall-timeout", "3s"},
										  {"total-timeout", "10s"},
										  {"retries", "2"}};
	StorageOptions own = {.repo = "instance metadata",
						  .params = params,
						  .param_count = sizeof(params) / sizeof(params[0])};
	Instance in = {.endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT",
										INSTANCE_ENDPOINT)};
	bool done;

	(void) options;
	if (strcmp(variable("AWS_EC2_METADATA_DISABLED", ""), "true") == 0)
		return error_set(err, ERR_KEY, "there are no keys for S3");
	done = http_open(&own, &in.http, err) && ask_instance(&in, out, err);
	http_close(in.http);
	if (in.lines.data != NULL)
		explicit_bzero(in.lines.data, in.lines.cap);
	strbuf_free(&in.lines);
	if (!done)
	{
		err->code = err->code == ERR_CANCELED ? ERR_CANCELED : ERR_KEY;
		error_prefix(err, "could not get keys from the instance");
	}
	return done;
}

/* ---- web identity ---- */

#define STS_RESULT                       \
	"AssumeRoleWithWebIdentityResponse/" \
	"AssumeRoleWithWebIdentityResult/Credentials/"

static bool
take_element(void *arg, const char *path, const char *text, Error *err)
{
	S3Keys *out = arg;

	if (strcmp(path, STS_RESULT "AccessKeyId") == 0)
		out->access_key = mem_strdup(text);
	else if (strcmp(path, STS_RESULT "SecretAccessKey") == 0)
		out->secret_key = mem_strdup(text);
	else if (strcmp(path, STS_RESULT "SessionToken") == 0)
		out->token = mem_strdup(text);
	else if (strcmp(path, STS_RESULT "Expiration") == 0)
		return take_expiration(text, out, err);
	return true;
}

static void
explain(void *arg, const HttpResponse *answer, Error *err)
{
	char *code = xml_find(answer->body.data, answer->body.len,
						  "ErrorResponse/Error/Code");
	char *message = xml_find(answer->body.data, answer->body.len,
							 "ErrorResponse/Error/Message");

	(void) arg;
	if (code != NULL && answer->status < 500)
	{
		error_set(err, ERR_DENIED, "STS answered %d %s: %s", answer->status,
				  code, message ? message : "");
		err->transient = strcmp(code, "Throttling") == 0 ||
						 strcmp(code, "IDPCommunicationError") == 0;
	}
	free(code);
	free(message);
}

static bool
add_form_type(void *arg, const HttpRequest *request, StrBuf *lines, Error *err)
{
	(void) arg;
	(void) request;
	(void) err;
	strbuf_puts(lines, "Content-Type: application/x-www-form-urlencoded\n");
	return true;
}

/* The form to send; caller frees.  The token's file is renewed by others. */
static bool
make_form(char **out, Error *err)
{
	const char *path = variable("AWS_WEB_IDENTITY_TOKEN_FILE", "");
	StrBuf token = STRBUF_INIT;
	char *role = http_escape(variable("AWS_ROLE_ARN", ""), false);
	char *session = http_escape(variable("AWS_ROLE_SESSION_NAME", "pgdr"),
								false);
	bool done = file_slurp(path, TOKEN_FILE_MAX, &token, err);

	if (done)
	{
		char *text;

		if (token.data != NULL)
			token.data[strcspn(token.data, " \t\r\n")] = '\0';
		text = http_escape(token.data ? token.data : "", false);
		*out = mem_printf("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
						  "&RoleArn=%s&RoleSessionName=%s&WebIdentityToken=%s",
						  role, session, text);
		wipe(text);
		explicit_bzero(token.data, token.len);
	}
	else if (err->code == ERR_NOT_FOUND)
		err->code = ERR_KEY;
	strbuf_free(&token);
	free(role);
	free(session);
	return done;
}

static bool
ask_sts(Http *http, const char *url, S3Keys *out, Error *err)
{
	char *form = NULL;
	HttpRequest request = {.method = "POST",
						   .url = url,
						   .headers = add_form_type,
						   .explain = explain,
						   .max_response = ANSWER_MAX};
	HttpResponse answer = {0};
	bool done = make_form(&form, err);

	if (done)
	{
		request.body = form;
		request.body_len = strlen(form);
		done = http_send(http, &request, &answer, err) &&
			   xml_parse(answer.body.data, answer.body.len, take_element, out,
						 err);
	}
	if (done && (out->access_key == NULL || out->secret_key == NULL ||
				 out->token == NULL || out->expires_at == 0))
		done = error_set(err, ERR_IO, "the answer holds no keys");
	if (answer.body.data != NULL)
		explicit_bzero(answer.body.data, answer.body.len);
	http_response_free(&answer);
	wipe(form);
	return done;
}

bool
s3_keys_of_web_identity(const StorageOptions *options, const char *region,
						S3Keys *out, Error *err)
{
	const char *endpoint = variable("AWS_ENDPOINT_URL_STS", NULL);
	char *url = endpoint ? mem_printf("%s/", endpoint)
						 : mem_printf("https://sts.%s.amazonaws.com/", region);
	Http *http = NULL;
	bool done = http_open(options, &http, err) && ask_sts(http, url, out, err);

	http_close(http);
	free(url);
	if (!done)
		error_prefix(err, "could not get keys for role \"%s\" from STS",
					 variable("AWS_ROLE_ARN", ""));
	return done;
}
