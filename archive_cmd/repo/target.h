/*-------------------------------------------------------------------------
 *
 * target.h
 *	  What a backup is of: the cluster, or something beside it.
 *
 * Backups of different targets lie in one repository and in one catalog, but
 * have nothing to do with each other: rules of retention count within a
 * target, and WAL belongs to those of the cluster alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TARGET_H
#define PGDR_TARGET_H

#include "repo/manifest.h"

#define TARGET_CLUSTER "cluster"
#define TARGET_CONFIG "config"           /* server configuration, roles */
#define TARGET_FULL_SYSTEM "full_system" /* a group of backups */
#define TARGET_FILES "files:"            /* and a name of the configuration */
#define TARGET_LOGICAL "logical:"        /* likewise: a dump of a database */

/* Is this a target that is known here? */
extern bool target_ok(const char *target);

/* The name behind such a prefix; NULL if the target is none of its kind. */
extern const char *target_name(const char *target, const char *prefix);

/*
 * Is it a backup of the cluster itself?  Others have no sysid, major, timeline
 * and positions (all 0): they can neither be recovered with WAL nor need any.
 */
extern bool backup_is_cluster(const BackupInfo *info);

/* Of the same target of the same cluster: one can take the other's place. */
extern bool backup_same_series(const BackupInfo *a, const BackupInfo *b);

/* Is that label one of the group's members? */
extern bool backup_has_member(const BackupInfo *group, const char *label);

#endif
