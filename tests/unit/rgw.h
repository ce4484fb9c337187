/*-------------------------------------------------------------------------
 *
 * rgw.h
 *	  A Ceph S3 gateway for unit tests (see tests/services/rgw.sh).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RGW_H
#define PGDR_RGW_H

#include <stdbool.h>

#include "base/mem.h"
#include "storage/storage.h"

typedef struct Rgw
{
	char *dir; /* of the servers */
	char *ca;  /* of the certificates */
	int port;
	int tls_port;
	char *access_key_file;
	char *secret_key_file;
} Rgw;

/*
 * Starts it below the scratch directory of age_tools.h; says why and ends the
 * process if it does not start.
 */
extern void rgw_start(Rgw *rgw);
extern void rgw_stop(Rgw *rgw);

/* Options of an s3 repository that grow key by key; texts are copied. */
typedef struct RgwOptions
{
	StorageOptions options;
	StorageParam *param;
	size_t cap;
} RgwOptions;

/* With the keys of the gateway and short time-outs; port 0: its own. */
extern void rgw_options(const Rgw *rgw, const char *bucket, int port,
						RgwOptions *out);
extern void rgw_set(RgwOptions *o, const char *key, const char *value);
extern void rgw_options_free(RgwOptions *o);

/* PUT of the bucket or of one of its settings ("policy", with a document). */
extern bool rgw_put_bucket(const Rgw *rgw, const char *bucket,
						   const char *setting, const char *document);
/* radosgw-admin with those arguments, which NULL ends. */
extern bool rgw_admin(const Rgw *rgw, const char *const arguments[]);

/* Two files with keys of another user: sets both keys of o. */
extern void rgw_set_user(const Rgw *rgw, RgwOptions *o, const char *access_key,
						 const char *secret_key);

/* The process id of "mon", "osd" or "rgw". */
extern int rgw_pid(const Rgw *rgw, const char *daemon);

#endif
