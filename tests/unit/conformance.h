/*-------------------------------------------------------------------------
 *
 * conformance.h
 *	  What every storage driver must do, as one suite of tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CONFORMANCE_H
#define PGDR_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/storage.h"

typedef struct ConformanceTarget
{
	const char *label;      /* in front of each test's name */
	StorageOptions options; /* of an empty store; it is empty afterwards */
	StorageOptions missing; /* of a store that does not exist */

	/*
	 * Are there real directories, so that an object and a directory cannot
	 * have the same name?
	 */
	bool directories;

	/*
	 * Leaves behind what a killed writer of that object would; NULL if
	 * nothing can be left.
	 */
	void (*leave_leftover)(void *arg, const char *name);
	void *arg;

	size_t big_object;   /* bytes; 0 for 20 MB */
	size_t many_objects; /* 0 for 3000 */

	/* ok() of tap.h, which counts per file. */
	bool (*ok)(bool condition, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));
} ConformanceTarget;

extern void conformance_run(const ConformanceTarget *target);

#endif
