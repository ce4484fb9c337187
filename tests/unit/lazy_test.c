/*-------------------------------------------------------------------------
 *
 * lazy_test.c
 *	  Loading libraries when they are needed.
 *
 * This program is linked with the libraries as the headers' packages name
 * them: what is loaded by its soname must be the same.
 *
 *-------------------------------------------------------------------------
 */
#include <dlfcn.h>

#include "base/digest_openssl.h"
#include "base/lazy.h"
#include "pg/server_libpq.h"
#include "storage/http_curl.h"
#include "storage/ssh_lib.h"
#include "storage/xml_expat.h"
#include "tap.h"

static void
is_the_one(bool (*load)(Error *err), const char *function, const void *where)
{
	Error err = ERROR_INIT;
	void *linked = dlsym(RTLD_DEFAULT, function);
	void *loaded = NULL;

	if (!ok(load(&err), "%s: its library is loaded", function))
		printf("# %s: %s\n", err.message, err.detail);
	memcpy(&loaded, where, sizeof(loaded));
	ok(loaded != NULL && loaded == linked,
	   "%s: it is the library that is linked with", function);
	ok(load(&err), "%s: loading it again is no error", function);
	error_clear(&err);
}

static void
test_the_right_ones(void)
{
	is_the_one(digest_load_openssl, "EVP_Digest", &openssl_lib.EVP_Digest_);
	is_the_one(http_load_curl, "curl_easy_init", &curl_lib.curl_easy_init_);
	is_the_one(ssh_load, "libssh2_version", &ssh_lib.libssh2_version_);
	is_the_one(xml_load_expat, "XML_Parse", &expat_lib.XML_Parse_);
	is_the_one(server_load_libpq, "PQfinish", &libpq_lib.PQfinish_);
}

static void
fails(LazyLibrary *library, const char *missing, const char *name)
{
	Error err = ERROR_INIT;

	ok(!lazy_load(library, &err), "%s", name);
	is_int(err.code, ERR_UNSUPPORTED, "... with the code");
	ok(err.message != NULL && strstr(err.message, library->file) != NULL,
	   "... names the library");
	ok(err.detail != NULL && strstr(err.detail, missing) != NULL,
	   "... says what is missing");
	error_clear(&err);
}

static void
test_missing(void)
{
	void *where = NULL;
	const LazyFunction functions[] = {{"pgdr_no_such_function", &where},
									  {.name = NULL}};
	LazyLibrary none = {.file = "libpgdr-no-such.so.9",
						.functions = functions,
						.lock = PTHREAD_MUTEX_INITIALIZER};
	LazyLibrary old = {.file = "libc.so.6",
					   .functions = functions,
					   .lock = PTHREAD_MUTEX_INITIALIZER};

	fails(&none, none.file, "a library that is not there");
	fails(&none, none.file, "... nor the second time");
	fails(&old, functions[0].name, "a library without the function");
}

int
main(void)
{
	test_the_right_ones();
	test_missing();
	return done_testing();
}
