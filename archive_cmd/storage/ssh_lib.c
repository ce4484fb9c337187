/*-------------------------------------------------------------------------
 *
 * ssh_lib.c
 *	  libssh2, loaded when the first store is opened that speaks SSH.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/ssh_lib.h"

SshLib ssh_lib;

#define ENTRY(function) {#function, &ssh_lib.function##_},

static const LazyFunction functions[] = {SSH_FUNCTIONS(ENTRY){0}};

bool
ssh_load(Error *err)
{
	static LazyLibrary library = {.file = "libssh2.so.1",
								  .functions = functions,
								  .lock = PTHREAD_MUTEX_INITIALIZER};

	return lazy_load(&library, err);
}
