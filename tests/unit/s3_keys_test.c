/*-------------------------------------------------------------------------
 *
 * s3_keys_test.c
 *	  Where the s3 driver gets its keys from and when it renews them; what it
 *	  makes of its configuration, and of answers that no server at hand gives.
 *	  The servers are of our own: of S3, of an instance's metadata, of STS.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "age_tools.h"
#include "base/clock.h"
#include "base/file.h"
#include "http_server.h"
#include "storage/s3.h"
#include "tap.h"

static void
fails_with(bool done, Error *err, ErrCode code, const char *word,
		   const char *name)
{
	bool found = (err->message && strstr(err->message, word)) ||
				 (err->detail && strstr(err->detail, word)) ||
				 (err->hint && strstr(err->hint, word));

	ok(!done && err->code == code && found, "%s: %s, \"%s\"", name,
	   error_code_name(code), word);
	if (done || err->code != code || !found)
		printf("# done: %d, got: %s: %s\n# %s\n# %s\n", done,
			   error_code_name(err->code), err->message ? err->message : "",
			   err->detail ? err->detail : "", err->hint ? err->hint : "");
	error_clear(err);
}

static char *
write_file(const char *name, const char *text, mode_t mode)
{
	char *path = mem_strdup(scratch(name));

	put_file(path, text, strlen(text));
	chmod(path, mode);
	return path;
}

/* ---- a server of S3 that answers what it is told ---- */

typedef struct Fake
{
	HttpServer *server;
	char *url;
	int status;
	const char *headers;
	const char *body;
	const char *refused_key; /* answered with ExpiredToken */

	/* of the last request */
	char authorization[300];
	char token[100];
	char target[1000];
	char lines[4000];
} Fake;

static void
copy_header(const ServedRequest *r, const char *name, char *out, size_t size)
{
	char *value = served_header(r, name);

	snprintf(out, size, "%s", value ? value : "");
	free(value);
}

static void
serve_s3(void *arg, const ServedRequest *r, ServedReply *reply)
{
	Fake *f = arg;

	copy_header(r, "Authorization", f->authorization, sizeof(f->authorization));
	copy_header(r, "x-amz-security-token", f->token, sizeof(f->token));
	snprintf(f->target, sizeof(f->target), "%s", r->target);
	snprintf(f->lines, sizeof(f->lines), "%s", r->lines);
	if (f->refused_key != NULL &&
		strstr(f->authorization, f->refused_key) != NULL)
	{
		reply->status = 400;
		strbuf_puts(&reply->body, "<Error><Code>ExpiredToken</Code></Error>");
		return;
	}
	reply->status = f->status;
	strbuf_puts(&reply->headers, f->headers ? f->headers : "");
	strbuf_puts(&reply->body, f->body ? f->body : "");
}

static void
fake_start(Fake *f)
{
	*f = (Fake){.status = 206,
				.headers = "Content-Range: bytes 0-0/5\r\n",
				.body = "x"};
	f->server = http_server_start(serve_s3, f);
	f->url = mem_printf("http://127.0.0.1:%d", http_server_port(f->server));
}

static void
fake_stop(Fake *f)
{
	http_server_stop(f->server);
	free(f->url);
}

/* ---- configurations ---- */

typedef struct Settings
{
	StorageParam param[20];
	StorageOptions options;
} Settings;

static void
set(Settings *s, const char *key, const char *value)
{
	s->param[s->options.param_count++] = (StorageParam){key, value};
	s->options.params = s->param;
}

static void
set_up(Settings *s, const Fake *f)
{
	*s = (Settings){.options = {.repo = "r", .type = "s3", .path = ""}};
	set(s, "bucket", "b");
	set(s, "endpoint", f->url);
	set(s, "total-timeout", "5s");
	set(s, "retries", "3");
}

static bool
open_it(const Settings *s, Storage **out, Error *err)
{
	*out = NULL;
	return storage_open(&s->options, out, err);
}

/* Opens and asks for one object. */
static bool
ask(const Settings *s, Error *err)
{
	Storage *st;
	uint64_t size;
	bool done = open_it(s, &st, err) &&
				storage_stat(st, "a/o", &size, NULL, err);

	storage_close(st);
	return done;
}

static void
works_as(const Fake *f, bool done, Error *err, const char *key,
		 const char *name)
{
	char *expected = mem_printf("Credential=%s/", key);

	ok(done && strstr(f->authorization, expected) != NULL, "%s", name);
	if (!done)
		printf("# %s: %s\n", error_code_name(err->code), err->message);
	error_clear(err);
	free(expected);
}

/*
 * Files
 */

static void
test_files(Fake *f)
{
	char *access = write_file("access", " FILEKEY\n", 0600);
	char *secret = write_file("secret", "filesecret\n\n", 0600);
	char *two = write_file("two", "one two\n", 0600);
	char *open_to_all = write_file("open", "filesecret\n", 0644);
	Error err = ERROR_INIT;
	Settings s;

	set_up(&s, f);
	set(&s, "access-key-file", access);
	set(&s, "secret-key-file", secret);
	works_as(f, ask(&s, &err), &err, "FILEKEY", "keys from files");
	is_str(f->token, "", "without a token");
	set(&s, "session-token-file", access);
	works_as(f, ask(&s, &err), &err, "FILEKEY", "with the token of a session");
	is_str(f->token, "FILEKEY", "which is sent");
	set(&s, "secret-key-file", open_to_all);
	fails_with(ask(&s, &err), &err, ERR_KEY, "open",
			   "a secret that all may read");
	set(&s, "secret-key-file", two);
	fails_with(ask(&s, &err), &err, ERR_KEY, "does not hold one key",
			   "a file with two words");
	set(&s, "secret-key-file", "/no/such/file");
	fails_with(ask(&s, &err), &err, ERR_KEY, "/no/such/file",
			   "a file that is not there");
	set_up(&s, f);
	set(&s, "access-key-file", access);
	fails_with(ask(&s, &err), &err, ERR_CONFIG, "together", "half a pair");
	free(access);
	free(secret);
	free(two);
	free(open_to_all);
}

static void
test_profiles(Fake *f)
{
	char *file = write_file("credentials",
							"# comment\n[default]\n"
							"aws_access_key_id = DEFAULTKEY\n"
							"aws_secret_access_key=defaultsecret\n"
							"\n[ other ]\r\n"
							"aws_access_key_id=OTHERKEY\r\n"
							"aws_secret_access_key = a=b/c\r\n"
							"aws_session_token = othertoken\r\n"
							"; aws_access_key_id = NOT\n"
							"[empty]\naws_access_key_id = X\n",
							0600);
	Error err = ERROR_INIT;
	Settings s;

	set_up(&s, f);
	set(&s, "credentials-file", file);
	works_as(f, ask(&s, &err), &err, "DEFAULTKEY", "the default profile");
	is_str(f->token, "", "has no token");
	set(&s, "profile", "other");
	works_as(f, ask(&s, &err), &err, "OTHERKEY", "another one");
	is_str(f->token, "othertoken", "has one");
	set(&s, "profile", "empty");
	fails_with(ask(&s, &err), &err, ERR_KEY, "[empty]", "one without secret");
	set(&s, "profile", "none");
	fails_with(ask(&s, &err), &err, ERR_KEY, "[none]", "one that is not there");
	free(file);
}

static void
test_environment(Fake *f)
{
	Error err = ERROR_INIT;
	Settings s;

	set_up(&s, f);
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "envsecret", 1);
	works_as(f, ask(&s, &err), &err, "ENVKEY", "keys of the environment");
	setenv("AWS_SESSION_TOKEN", "envtoken", 1);
	works_as(f, ask(&s, &err), &err, "ENVKEY", "with a token");
	is_str(f->token, "envtoken", "which is sent");
	f->refused_key = "ENVKEY";
	fails_with(ask(&s, &err), &err, ERR_DENIED, "Renew",
			   "they have expired, and nobody renews them");
	f->refused_key = NULL;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	fails_with(ask(&s, &err), &err, ERR_KEY, "access-key-file",
			   "no keys at all");
	unsetenv("AWS_EC2_METADATA_DISABLED");
}

/* Keys in files that others renew are read again. */
static void
test_renewed_files(Fake *f)
{
	char *file = write_file("renewed",
							"[default]\naws_access_key_id = OLDKEY\n"
							"aws_secret_access_key = s\n",
							0600);
	Error err = ERROR_INIT;
	Storage *st;
	Settings s;

	set_up(&s, f);
	set(&s, "credentials-file", file);
	ok(open_it(&s, &st, &err), "a store with keys in a file");
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "OLDKEY",
			 "uses them");
	f->refused_key = "OLDKEY";
	fails_with(storage_stat(st, "a", NULL, NULL, &err), &err, ERR_DENIED,
			   "ExpiredToken", "they expire, and the file has no others");
	free(write_file("renewed",
					"[default]\naws_access_key_id = NEWKEY\n"
					"aws_secret_access_key = s\n",
					0600));
	storage_close(st);
	ok(open_it(&s, &st, &err), "the file has others");
	f->refused_key = NULL;
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "NEWKEY",
			 "which are used");
	f->refused_key = "NEWKEY";
	free(write_file("renewed",
					"[default]\naws_access_key_id = NEWESTKEY\n"
					"aws_secret_access_key = s\n",
					0600));
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "NEWESTKEY",
			 "and so are the next ones, without opening it again");
	f->refused_key = NULL;
	storage_close(st);
	free(file);
}

/*
 * The instance
 */

typedef struct Metadata
{
	int tokens;
	int keys;
	int64_t lifetime; /* seconds of each set of keys */
	bool down;
} Metadata;

static void
serve_metadata(void *arg, const ServedRequest *r, ServedReply *reply)
{
	Metadata *m = arg;
	char text[CLOCK_TEXT_LEN];
	char *token = served_header(r, "X-aws-ec2-metadata-token");
	bool good = token != NULL && strcmp(token, "sessiontoken") == 0;

	if (m->down)
		reply->status = 500;
	else if (strcmp(r->method, "PUT") == 0 &&
			 strcmp(r->target, "/latest/api/token") == 0)
	{
		m->tokens++;
		strbuf_puts(&reply->body, "sessiontoken");
	}
	else if (!good)
		reply->status = 401;
	else if (strcmp(r->target, "/latest/meta-data/iam/security-credentials/") ==
			 0)
		strbuf_puts(&reply->body, "the-role");
	else
	{
		m->keys++;
		clock_format(clock_now() + m->lifetime * USECS_PER_SEC, text);
		strbuf_printf(&reply->body,
					  "{\"Code\":\"Success\",\"AccessKeyId\":\"INSTANCE%d\","
					  "\"SecretAccessKey\":\"s\",\"Token\":\"t%d\","
					  "\"Expiration\":\"%s\"}",
					  m->keys, m->keys, text);
	}
	free(token);
}

static void
test_instance(Fake *f)
{
	Metadata m = {.lifetime = 3600};
	HttpServer *server = http_server_start(serve_metadata, &m);
	char *url = mem_printf("http://127.0.0.1:%d", http_server_port(server));
	Error err = ERROR_INIT;
	Storage *st;
	Settings s;

	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
	set_up(&s, f);
	ok(open_it(&s, &st, &err), "a store without keys of its own");
	is_int(m.keys, 0, "does not ask before it needs them");
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE1",
			 "gets those of the instance");
	is_str(f->token, "t1", "with their token");
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE1",
			 "keeps them");
	f->refused_key = "INSTANCE1";
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE2",
			 "renews them when the server says that they have expired");
	f->refused_key = NULL;
	storage_close(st);

	m.lifetime = 200;
	ok(open_it(&s, &st, &err), "keys that expire in less than five minutes");
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE3",
			 "are used");
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE4",
			 "and renewed in time");
	m.down = true;
	works_as(f, storage_stat(st, "a", NULL, NULL, &err), &err, "INSTANCE4",
			 "if that fails they are good until they expire");
	storage_close(st);
	fails_with(ask(&s, &err), &err, ERR_KEY, "access-key-file",
			   "no instance answers, and the hint names the other ways");
	http_server_stop(server);
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	free(url);
}

/*
 * Web identity
 */

typedef struct Sts
{
	char form[2000];
	bool deny;
} Sts;

static void
serve_sts(void *arg, const ServedRequest *r, ServedReply *reply)
{
	Sts *sts = arg;
	char text[CLOCK_TEXT_LEN];

	snprintf(sts->form, sizeof(sts->form), "%s", r->body);
	if (sts->deny)
	{
		reply->status = 403;
		strbuf_puts(&reply->body,
					"<ErrorResponse><Error><Code>AccessDenied</Code><Message>"
					"Not authorized</Message></Error></ErrorResponse>");
		return;
	}
	clock_format(clock_now() + 3600 * USECS_PER_SEC, text);
	strbuf_printf(&reply->body,
				  "<AssumeRoleWithWebIdentityResponse xmlns=\"x\">"
				  "<AssumeRoleWithWebIdentityResult><Credentials>"
				  "<AccessKeyId>WEBKEY</AccessKeyId>"
				  "<SecretAccessKey>websecret</SecretAccessKey>"
				  "<SessionToken>webtoken</SessionToken>"
				  "<Expiration>%s</Expiration></Credentials>"
				  "</AssumeRoleWithWebIdentityResult>"
				  "</AssumeRoleWithWebIdentityResponse>",
				  text);
}

static void
test_web_identity(Fake *f)
{
	Sts sts = {.deny = false};
	HttpServer *server = http_server_start(serve_sts, &sts);
	char *url = mem_printf("http://127.0.0.1:%d", http_server_port(server));
	char *token = write_file("token", "a.b+c/d==\n", 0644);
	Error err = ERROR_INIT;
	Settings s;

	setenv("AWS_ENDPOINT_URL_STS", url, 1);
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token, 1);
	set_up(&s, f);
	works_as(f, ask(&s, &err), &err, "WEBKEY", "keys for a web identity");
	is_str(f->token, "webtoken", "with their token");
	is_str(sts.form,
		   "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
		   "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=pgdr"
		   "&WebIdentityToken=a.b%2Bc%2Fd%3D%3D",
		   "the form that STS gets");
	sts.deny = true;
	fails_with(ask(&s, &err), &err, ERR_DENIED, "Not authorized", "STS denies");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token", 1);
	fails_with(ask(&s, &err), &err, ERR_KEY, "/no/such/token",
			   "the token is missing");
	unsetenv("AWS_ENDPOINT_URL_STS");
	unsetenv("AWS_ROLE_ARN");
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	http_server_stop(server);
	free(url);
	free(token);
}

/*
 * Configuration
 */

static void
is_root(const char *const settings[], const char *expected, const char *name)
{
	Settings s = {.options = {.repo = "r", .type = "s3", .path = "/p/"}};
	Error err = ERROR_INIT;
	Storage *st;

	for (size_t i = 0; settings[i] != NULL; i += 2)
		set(&s, settings[i], settings[i + 1]);
	if (ok(open_it(&s, &st, &err), "%s opens", name))
	{
		is_str(((S3Storage *) st)->root, expected, name);
		is_str(((S3Storage *) st)->prefix, "p/", "behind it the prefix");
	}
	else
		printf("# %s\n", err.message);
	error_clear(&err);
	storage_close(st);
}

static void
is_refused(const char *const settings[], const char *word, const char *name)
{
	Settings s = {.options = {.repo = "r", .type = "s3", .path = ""}};
	Error err = ERROR_INIT;
	Storage *st;

	for (size_t i = 0; settings[i] != NULL; i += 2)
		set(&s, settings[i], settings[i + 1]);
	fails_with(open_it(&s, &st, &err), &err, ERR_CONFIG, word, name);
}

#define KEYS(...)         \
	(const char *const[]) \
	{                     \
		__VA_ARGS__, NULL \
	}

static void
test_configuration(void)
{
	is_root(KEYS("bucket", "b"), "https://b.s3.us-east-1.amazonaws.com",
			"Amazon");
	is_root(KEYS("bucket", "b", "region", "eu-west-1"),
			"https://b.s3.eu-west-1.amazonaws.com", "another region");
	is_root(KEYS("bucket", "b.c"), "https://s3.us-east-1.amazonaws.com/b.c",
			"a bucket with a period");
	is_root(KEYS("bucket", "b", "addressing", "path"),
			"https://s3.us-east-1.amazonaws.com/b", "by path");
	is_root(KEYS("bucket", "b", "endpoint", "http://H:9000/"),
			"http://h:9000/b", "an endpoint");
	is_root(
		KEYS("bucket", "b", "endpoint", "http://h:9000", "addressing", "host"),
		"http://b.h:9000", "an endpoint by host");
	is_root(KEYS("bucket", "b", "conditional", "gcs"),
			"https://b.storage.googleapis.com", "Google");
	is_refused(KEYS("region", "r"), "bucket", "no bucket");
	is_refused(KEYS("bucket", "b/c"), "path", "a path for a bucket");
	is_refused(KEYS("bucket", "b", "endpoint", "s3.example.com"), "https://",
			   "an endpoint without scheme");
	is_refused(KEYS("bucket", "b", "endpoint", "https://u:p@h"), "https://",
			   "an endpoint with a user");
	is_refused(KEYS("bucket", "b", "part-size", "4MB"), "5MB", "small parts");
}

static void
test_headers(Fake *f)
{
	Error err = ERROR_INIT;
	Storage *st;
	Settings s;

	setenv("AWS_ACCESS_KEY_ID", "K", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	set_up(&s, f);
	set(&s, "storage-class", "STANDARD_IA");
	set(&s, "server-side-encryption", "aws:kms");
	set(&s, "kms-key-id", "key-1");
	f->status = 200;
	f->headers = "ETag: \"e\"\r\n";
	ok(open_it(&s, &st, &err) && storage_put(st, "a/o", "x", 1, &err),
	   "an object with class and encryption");
	is_str(f->target, "/b/a/o", "its name");
	ok(strstr(f->lines, "x-amz-storage-class: STANDARD_IA\r\n") &&
		   strstr(f->lines, "x-amz-server-side-encryption: aws:kms\r\n") &&
		   strstr(f->lines, "x-amz-server-side-encryption-aws-kms-key-id: "
							"key-1\r\n") &&
		   strstr(f->lines, "If-None-Match: *\r\n") &&
		   strstr(f->lines, "x-amz-checksum-sha256: "
							"LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=\r\n"),
	   "its headers");
	ok(strstr(f->authorization,
			  "if-none-match;x-amz-checksum-sha256;x-amz-content-sha256;"
			  "x-amz-date;x-amz-meta-pgdr-id;x-amz-server-side-encryption;"
			  "x-amz-server-side-encryption-aws-kms-key-id;"
			  "x-amz-storage-class") != NULL,
	   "are signed");
	f->headers = "x-amz-checksum-sha256: AAAA\r\n";
	fails_with(storage_put(st, "a/o", "x", 1, &err), &err, ERR_IO,
			   "other bytes", "a server that stored something else");
	f->headers = NULL;
	f->body = "<html>Log in</html>";
	fails_with(storage_put(st, "a/o", "x", 1, &err), &err, ERR_IO,
			   "did not confirm", "a portal that says 200 to anything");
	storage_close(st);

	s.options.create = true;
	fails_with(open_it(&s, &st, &err), &err, ERR_UNSUPPORTED,
			   "conditional = head", "a server that replaces objects");
	f->status = 412;
	f->body = "<Error><Code>PreconditionFailed</Code></Error>";
	ok(open_it(&s, &st, &err), "one that does not");
	storage_close(st);
}

/*
 * Answers
 */

typedef struct Answer
{
	int status;
	const char *headers;
	const char *body;
	ErrCode code;
	const char *word;
} Answer;

static const Answer answers[] = {
	{404, NULL, "<Error><Code>NoSuchKey</Code></Error>", ERR_NOT_FOUND,
	 "does not exist"},
	{404, NULL, "<html>not found</html>", ERR_IO, "status 404"},
	{404, NULL, "", ERR_IO, "status 404"},
	{404, NULL, "<Error><Code>NoSuchBucket</Code></Error>", ERR_CONFIG,
	 "Create the bucket"},
	{404, NULL, "<Error><Code>SomethingElse</Code></Error>", ERR_IO,
	 "SomethingElse"},
	{400, NULL,
	 "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1"
	 "</Region></Error>",
	 ERR_CONFIG, "Set region = eu-west-1"},
	{301, "x-amz-bucket-region: eu-south-2\r\n",
	 "<Error><Code>PermanentRedirect</Code></Error>", ERR_CONFIG,
	 "Set region = eu-south-2"},
	{301, NULL,
	 "<Error><Code>PermanentRedirect</Code><Endpoint>h</Endpoint></Error>",
	 ERR_CONFIG, "Its endpoint is \"h\""},
	{403, NULL,
	 "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message>"
	 "<ServerTime>2026-01-01T00:00:00Z</ServerTime></Error>",
	 ERR_DENIED, "2026-01-01T00:00:00Z"},
	{403, NULL,
	 "<Error><Code>AccessDenied</Code><RequestId>42</RequestId>"
	 "</Error>",
	 ERR_DENIED, "The request was 42"},
	{403, NULL, "", ERR_DENIED, "403"},
	{403, NULL, "<Error><Code>InvalidObjectState</Code></Error>", ERR_IO,
	 "archive"},
	{501, NULL, "<Error><Code>NotImplemented</Code></Error>", ERR_UNSUPPORTED,
	 "conditional"},
	{200, NULL, "x", ERR_NONE, ""},
};

static void
test_answers(Fake *f)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
	{
		const Answer *a = &answers[i];
		Error err = ERROR_INIT;
		Settings s;
		bool done;

		set_up(&s, f);
		f->status = a->status;
		f->headers = a->headers;
		f->body = a->body;
		done = ask(&s, &err);
		if (a->code == ERR_NONE)
			ok(done, "an answer without range is taken");
		else
			fails_with(done, &err, a->code, a->word, a->body);
		error_clear(&err);
	}
}

static void
test_listings(Fake *f)
{
	static const char repeated[] =
		"<ListBucketResult><IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
	static const char *const bad[] = {
		"<html>hello</html>",
		"",
		"<ListBucketResult><Contents><Key>a%zz</Key>",
		"<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		repeated};
	Error err = ERROR_INIT;
	Storage *st;
	Settings s;

	set_up(&s, f);
	set(&s, "retries", "0");
	ok(open_it(&s, &st, &err), "a store");
	f->status = 200;
	f->headers = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		f->body = bad[i];
		ok(!storage_list(st, "", true, NULL, NULL, &err) && err.code == ERR_IO,
		   "a listing that is none: %.40s", bad[i]);
		error_clear(&err);
	}
	storage_close(st);
}

int
main(void)
{
	Fake f;

	signal(SIGPIPE, SIG_IGN);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_ROLE_ARN");
	fake_start(&f);
	test_files(&f);
	test_profiles(&f);
	test_environment(&f);
	test_renewed_files(&f);
	test_instance(&f);
	test_web_identity(&f);
	test_configuration();
	test_headers(&f);
	test_answers(&f);
	test_listings(&f);
	fake_stop(&f);
	scratch_remove();
	return done_testing();
}
