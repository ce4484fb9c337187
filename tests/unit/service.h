/*-------------------------------------------------------------------------
 *
 * service.h
 *	  The scripts of tests/services, which start real servers, for unit tests.
 *
 * All of it ends the process with a reason when it fails.  Files are below the
 * scratch directory of age_tools.h; what scripts say is in services.log there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SERVICE_H
#define PGDR_SERVICE_H

#include <stdbool.h>

#define SERVICE_ARGUMENTS 5

/* Runs a script with arguments, which a NULL ends if there are fewer. */
extern void service_run(const char *script,
						const char *const arguments[SERVICE_ARGUMENTS]);

/* The same, and what it prints, without the line break; caller frees. */
extern char *service_output(const char *script,
							const char *const arguments[SERVICE_ARGUMENTS]);

/* The value of NAME in the file env of dir; caller frees. */
extern char *service_value(const char *dir, const char *name);

/* A file that only its owner may read, with a text; caller frees its name. */
extern char *service_secret(const char *name, const char *text);

#endif
