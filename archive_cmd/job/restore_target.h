/*-------------------------------------------------------------------------
 *
 * restore_target.h
 *	  Where a recovery is to end: what the user asked for, checked, and the
 *	  server's settings that say the same.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_RESTORE_TARGET_H
#define PGDR_RESTORE_TARGET_H

#include "base/mem.h"
#include "job/restore.h"
#include "pg/wal_scan.h"

typedef struct RestoreTarget
{
	TargetType type;
	bool inclusive;
	int64_t time; /* of TARGET_TIME, microseconds since 1970 */
	uint64_t lsn; /* of TARGET_LSN */
	uint32_t xid; /* of TARGET_XID, without the epoch */
	char *text;   /* normalised, for people; NULL for latest and
								 * immediate; of TARGET_NAME, the name */
} RestoreTarget;

/* ERR_USAGE when type and value do not go together, or is no such value. */
extern bool restore_target_parse(const RestoreOptions *options,
								 RestoreTarget *out, Error *err);
extern void restore_target_free(RestoreTarget *target);

/* "time", "lsn" ... as on the command line; false if there is none such. */
extern const char *restore_target_type_name(TargetType type);
extern bool restore_target_type_parse(const char *text, TargetType *out);

/* Does the server stop at this record (of a target that is in a record)? */
extern bool restore_target_matches(const RestoreTarget *target,
								   const WalEvent *event);

/*
 * Adds one line "name = 'value'" to out, quoted as postgresql.conf wants it.
 */
extern void restore_setting(StrBuf *out, const char *name, const char *value);

/*
 * Adds the settings of a recovery by the plan: restore_command, the target,
 * its timeline and action.
 */
extern void restore_target_settings(StrBuf *out, const RestoreOptions *options,
									const RestoreTarget *target,
									const RestorePlan *plan);

/*
 * The setting of a target that a line of postgresql.conf has, or NULL: of these
 * the server takes one only.
 */
extern const char *restore_setting_target(const char *line, size_t len);

/*
 * Is this line of a configuration file one of those that a restore removes
 * (see restore.h)?
 */
extern bool restore_setting_is_ours(const char *line, size_t len);

#endif
