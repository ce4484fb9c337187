/*-------------------------------------------------------------------------
 *
 * azurite.h
 *	  An Azurite server for unit tests (see tests/services/azurite.sh).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AZURITE_H
#define PGDR_AZURITE_H

#include <stdbool.h>

#include "storage/storage.h"

typedef struct Azurite
{
	char *dir; /* of the server */
	char *ca;  /* of the certificates, or NULL: without TLS */
	int port;
	char *endpoint;
	char *account;
	char *key_file;
} Azurite;

/* Below the scratch directory of age_tools.h; ends the process if it fails. */
extern void azurite_start(Azurite *a, const char *name, bool tls);
extern void azurite_stop(Azurite *a);
/* Ends the process; up again it has the same port and what it stored. */
extern void azurite_down(const Azurite *a);
extern void azurite_up(const Azurite *a);
extern int azurite_pid(const Azurite *a);

extern void azurite_container(const Azurite *a, const char *name);
/* A file with a SAS for a container; caller frees its name. */
extern char *azurite_sas(const Azurite *a, const char *container,
						 const char *permissions, int seconds);

/* Options of an azure repository that grow key by key; texts are copied. */
typedef struct AzuriteOptions
{
	StorageOptions options;
	StorageParam *param;
	size_t cap;
} AzuriteOptions;

/*
 * With the account's key, small blocks and short time-outs; port 0: the
 * server's own.
 */
extern void azurite_options(const Azurite *a, const char *container, int port,
							AzuriteOptions *out);
/* NULL takes the key away. */
extern void azurite_set(AzuriteOptions *o, const char *key, const char *value);
extern void azurite_options_free(AzuriteOptions *o);

#endif
