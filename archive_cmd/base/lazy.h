/*-------------------------------------------------------------------------
 *
 * lazy.h
 *	  Shared libraries that are loaded when they are first needed.
 *
 * Most runs of pgdr are short, and there is one for each WAL segment.  With
 * all that they depend on, libcurl, libpq and OpenSSL take longer to load than
 * such a run takes otherwise, so the program is not linked with them.
 *
 * For a library there is a struct of pointers to its functions, made from a
 * list:
 *		#define FOO_FUNCTIONS(X) X(foo_open) X(foo_close)
 *		typedef struct FooLib { FOO_FUNCTIONS(LAZY_MEMBER) } FooLib;
 *		extern FooLib foo_lib;
 * and behind that, for what calls them:
 *		#define foo_open foo_lib.foo_open_
 * The pointers are good once lazy_load() has succeeded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_LAZY_H
#define PGDR_LAZY_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

#define LAZY_MEMBER(function) __typeof__(function) *function##_;

typedef struct LazyFunction
{
	const char *name; /* NULL ends a table */
	void *where;      /* the pointer to it */
} LazyFunction;

typedef struct LazyLibrary
{
	/* fixed */
	const char *file; /* by its soname, "libfoo.so.1" */
	const LazyFunction *functions;

	/* mutable, under the lock */
	pthread_mutex_t lock;
	bool loaded;
} LazyLibrary;

/*
 * Loads the library unless it is; it stays until the process ends.
 * ERR_UNSUPPORTED if that cannot be done, or one of the functions is missing.
 */
extern bool lazy_load(LazyLibrary *library, Error *err);

#endif
