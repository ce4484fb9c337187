/*-------------------------------------------------------------------------
 *
 * digest_openssl.c
 *	  OpenSSL's libcrypto, loaded when the first digest is computed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/digest_openssl.h"

OpensslLib openssl_lib;

#define ENTRY(function) {#function, &openssl_lib.function##_},

static const LazyFunction functions[] = {OPENSSL_FUNCTIONS(ENTRY){0}};

bool
digest_load_openssl(Error *err)
{
	static LazyLibrary library = {.file = "libcrypto.so.3",
								  .functions = functions,
								  .lock = PTHREAD_MUTEX_INITIALIZER};

	return lazy_load(&library, err);
}
