/*-------------------------------------------------------------------------
 *
 * server_libpq.c
 *	  libpq, loaded when the first server is connected to.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/server_libpq.h"

LibpqLib libpq_lib;

#define ENTRY(function) {#function, &libpq_lib.function##_},

static const LazyFunction functions[] = {LIBPQ_FUNCTIONS(ENTRY){0}};

bool
server_load_libpq(Error *err)
{
	static LazyLibrary library = {.file = "libpq.so.5",
								  .functions = functions,
								  .lock = PTHREAD_MUTEX_INITIALIZER};

	return lazy_load(&library, err);
}
