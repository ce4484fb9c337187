/*-------------------------------------------------------------------------
 *
 * xml_expat.c
 *	  expat, loaded when the first document is read.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/xml_expat.h"

ExpatLib expat_lib;

#define ENTRY(function) {#function, &expat_lib.function##_},

static const LazyFunction functions[] = {EXPAT_FUNCTIONS(ENTRY){0}};

bool
xml_load_expat(Error *err)
{
	static LazyLibrary library = {.file = "libexpat.so.1",
								  .functions = functions,
								  .lock = PTHREAD_MUTEX_INITIALIZER};

	return lazy_load(&library, err);
}
