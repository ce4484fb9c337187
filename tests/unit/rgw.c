/*-------------------------------------------------------------------------
 *
 * rgw.c
 *	  A Ceph S3 gateway for unit tests.
 *
 *-------------------------------------------------------------------------
 */
#include "rgw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/file.h"
#include "storage/s3.h"

static void __attribute__((noreturn)) bail_out(const char *why)
{
	StrBuf log = STRBUF_INIT;

	if (get_file(scratch("services.log"), &log) && log.len > 0)
		fprintf(stderr, "%s", log.data);
	printf("Bail out! %s\n", why);
	exit(1);
}

/* tests/services, which lies beside the directory of this program. */
static char *
service(const char *name)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n < 0)
		bail_out("could not find out where this program lies");
	path[n] = '\0';
	for (int i = 0; i < 2; i++)
	{
		slash = strrchr(path, '/');
		*slash = '\0';
	}
	return mem_printf("%s/services/%s", path, name);
}

/* Runs a script of tests/services with up to five arguments. */
static bool
run_service(const char *name, const char *const arguments[5])
{
	char *path = service(name);
	const char *argv[8] = {"bash", path};
	int rc;

	for (int i = 0; i < 5; i++)
		argv[i + 2] = arguments[i];
	rc = run_tool_messages(argv, NULL, NULL, scratch("services.log"));
	free(path);
	return rc == 0;
}

static char *
value_of(const StrBuf *env, const char *name)
{
	const char *found = strstr(env->data, name);

	if (found == NULL)
		bail_out("the gateway does not say how to reach it");
	found += strlen(name) + 1;
	return mem_strndup(found, strcspn(found, "\n"));
}

static int
number_of(const StrBuf *env, const char *name)
{
	char *text = value_of(env, name);
	int n = (int) strtol(text, NULL, 10);

	free(text);
	return n;
}

/* A file with a secret; caller frees its name. */
static char *
key_file(const char *name, const char *text)
{
	char *path = mem_strdup(scratch(name));
	Error err = ERROR_INIT;

	if (!file_write_durable(path, text, strlen(text), 0600, true, &err))
		bail_out(err.message);
	return path;
}

void
rgw_start(Rgw *rgw)
{
	StrBuf env = STRBUF_INIT;
	char *certificate;
	char *key;
	char *text;

	rgw->dir = mem_strdup(scratch("rgw"));
	rgw->ca = mem_strdup(scratch("ca"));
	certificate = file_join(rgw->ca, "server.crt");
	key = file_join(rgw->ca, "server.key");
	if (!run_service("certificates.sh", (const char *[5]){rgw->ca}))
		bail_out("could not make certificates");
	if (!run_service("rgw.sh",
					 (const char *[5]){"start", rgw->dir, certificate, key}))
		bail_out("could not start the Ceph gateway (run tests/setup.sh as "
				 "root if it is not installed)");
	text = file_join(rgw->dir, "env");
	if (!get_file(text, &env))
		bail_out("could not read what the gateway says");
	free(text);
	rgw->port = number_of(&env, "S3_PORT");
	rgw->tls_port = number_of(&env, "S3_TLS_PORT");
	text = value_of(&env, "S3_ACCESS_KEY");
	rgw->access_key_file = key_file("access.key", text);
	free(text);
	text = value_of(&env, "S3_SECRET_KEY");
	rgw->secret_key_file = key_file("secret.key", text);
	free(text);
	strbuf_free(&env);
	free(certificate);
	free(key);
}

void
rgw_stop(Rgw *rgw)
{
	run_service("rgw.sh", (const char *[5]){"stop", rgw->dir});
	free(rgw->dir);
	free(rgw->ca);
	free(rgw->access_key_file);
	free(rgw->secret_key_file);
}

void
rgw_set(RgwOptions *o, const char *key, const char *value)
{
	o->param = mem_grow(o->param, o->options.param_count, &o->cap,
						sizeof(StorageParam));
	o->param[o->options.param_count++] = (StorageParam){mem_strdup(key),
														mem_strdup(value)};
	o->options.params = o->param;
}

void
rgw_options(const Rgw *rgw, const char *bucket, int port, RgwOptions *out)
{
	char *endpoint = mem_printf("http://127.0.0.1:%d",
								port != 0 ? port : rgw->port);

	*out = (RgwOptions){.options = {.repo = "s3", .type = "s3", .path = ""}};
	rgw_set(out, "bucket", bucket);
	rgw_set(out, "endpoint", endpoint);
	rgw_set(out, "access-key-file", rgw->access_key_file);
	rgw_set(out, "secret-key-file", rgw->secret_key_file);
	rgw_set(out, "part-size", "5MB");
	rgw_set(out, "connect-timeout", "5s");
	rgw_set(out, "stall-timeout", "10s");
	rgw_set(out, "total-timeout", "60s");
	free(endpoint);
}

void
rgw_options_free(RgwOptions *o)
{
	for (size_t i = 0; i < o->options.param_count; i++)
	{
		free((char *) (uintptr_t) o->param[i].key);
		free((char *) (uintptr_t) o->param[i].value);
	}
	free(o->param);
	*o = (RgwOptions){0};
}

void
rgw_set_user(const Rgw *rgw, RgwOptions *o, const char *access_key,
			 const char *secret_key)
{
	char *name = mem_printf("%s.access", access_key);
	char *path = key_file(name, access_key);

	(void) rgw;
	rgw_set(o, "access-key-file", path);
	free(name);
	free(path);
	name = mem_printf("%s.secret", access_key);
	path = key_file(name, secret_key);
	rgw_set(o, "secret-key-file", path);
	free(name);
	free(path);
}

bool
rgw_put_bucket(const Rgw *rgw, const char *bucket, const char *setting,
			   const char *document)
{
	RgwOptions o;
	Error err = ERROR_INIT;
	Storage *st = NULL;
	HttpResponse answer = {0};
	S3Request r = {.method = "PUT",
				   .query = setting,
				   .body = document,
				   .body_len = document ? strlen(document) : 0};
	bool done;

	rgw_options(rgw, bucket, 0, &o);
	done = storage_open(&o.options, &st, &err);
	if (done)
	{
		r.s3 = (S3Storage *) st;
		done = s3_send(&r, &answer, &err);
	}
	if (!done)
		printf("# %s\n", err.message);
	http_response_free(&answer);
	storage_close(st);
	error_clear(&err);
	rgw_options_free(&o);
	return done;
}

bool
rgw_admin(const Rgw *rgw, const char *const arguments[])
{
	char *path = file_join(rgw->dir, "admin");
	const char *argv[16] = {path};

	for (int i = 0; i < 14 && arguments[i] != NULL; i++)
		argv[i + 1] = arguments[i];
	if (run_tool_messages(argv, NULL, NULL, scratch("services.log")) == 0)
	{
		free(path);
		return true;
	}
	bail_out("radosgw-admin failed");
}

int
rgw_pid(const Rgw *rgw, const char *daemon)
{
	char *name = mem_printf("%s/%s.pid", rgw->dir, daemon);
	StrBuf text = STRBUF_INIT;
	int pid;

	if (!get_file(name, &text))
		bail_out("a daemon of the gateway is missing");
	pid = (int) strtol(text.data, NULL, 10);
	strbuf_free(&text);
	free(name);
	return pid;
}
