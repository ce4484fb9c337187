/*-------------------------------------------------------------------------
 *
 * http_curl.c
 *	  libcurl, loaded when the first store is opened that speaks HTTP.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_curl.h"

CurlLib curl_lib;

#define ENTRY(function) {#function, &curl_lib.function##_},

static const LazyFunction functions[] = {CURL_FUNCTIONS(ENTRY){0}};

bool
http_load_curl(Error *err)
{
	static LazyLibrary library = {.file = "libcurl.so.4",
								  .functions = functions,
								  .lock = PTHREAD_MUTEX_INITIALIZER};

	return lazy_load(&library, err);
}
