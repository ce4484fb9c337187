/*-------------------------------------------------------------------------
 *
 * lazy.c
 *	  Shared libraries that are loaded when they are first needed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/lazy.h"

#include <dlfcn.h>
#include <string.h>

static bool
failed(const LazyLibrary *library, Error *err)
{
	const char *why = dlerror();

	error_set(err, ERR_UNSUPPORTED, "could not load library \"%s\"",
			  library->file);
	if (why != NULL)
		error_detail(err, "%s.", why);
	return error_hint(err, "Install the package that it is in.");
}

static bool
find_functions(const LazyLibrary *library, void *handle, Error *err)
{
	for (const LazyFunction *f = library->functions; f->name != NULL; f++)
	{
		void *address = dlsym(handle, f->name);

		if (address == NULL)
			return failed(library, err);
		/* the pointer there has another type */
		memcpy(f->where, &address, sizeof(address));
	}
	return true;
}

bool
lazy_load(LazyLibrary *library, Error *err)
{
	void *handle;

	pthread_mutex_lock(&library->lock);
	if (!library->loaded)
	{
		handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
		library->loaded = handle != NULL ? find_functions(library, handle, err)
										 : failed(library, err);
	}
	pthread_mutex_unlock(&library->lock);
	return library->loaded;
}
