/*-------------------------------------------------------------------------
 *
 * ahead_ack.h
 *	  What look-ahead leaves in the spool: acknowledgements of segments that
 *	  were archived before the server asked for it, and failures.
 *
 * An acknowledgement is good for one file only: the one that was read, with
 * that name, inode, size and times of change, in this cluster, with the
 * configuration of then, and for AHEAD_ACK_VALID.  Anything else counts as no
 * acknowledgement, and the segment is archived as if there were none: an old
 * spool, a torn file, or a data directory that was restored, rewound or copied
 * costs time and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AHEAD_ACK_H
#define PGDR_AHEAD_ACK_H

#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "job/push.h"

#define AHEAD_ACK_VALID (10 * 60 * USECS_PER_SEC)

typedef struct AheadSpool
{
	char *dir;         /* <spool-path>/ahead/<sysid>-<hash of pgdata> */
	const char *print; /* stands for the configuration */
} AheadSpool;

/* Nothing is made or opened by this. */
extern AheadSpool ahead_spool(const char *spool_path, const PgControl *control,
							  const char *pgdata, const char *print);
extern void ahead_spool_free(AheadSpool *spool);

/* ERR_DENIED if the directory is not ours alone. */
extern bool ahead_spool_make(const AheadSpool *spool, Error *err);

typedef struct AheadAck
{
	PushResult result;
	Json *repositories; /* as push_outcomes_json() makes it */
} AheadAck;

extern void ahead_ack_free(AheadAck *ack);

/* Durably.  The result is that of push_file() on the segment. */
extern bool ahead_ack_write(const AheadSpool *spool, const PushResult *result,
							const Json *repositories, Error *err);

/*
 * Was a file that looked like this at that time going to show any further
 * change in its times?  Not if it had changed just before: they are those of
 * the kernel's clock ticks, or whole seconds.
 */
extern bool ahead_is_still(const struct stat *st, int64_t at);

/* Is there a good one for this file, as it is now? */
extern bool ahead_ack_read(const AheadSpool *spool, const char *file,
						   const struct stat *now, AheadAck *out);

extern void ahead_ack_remove(const AheadSpool *spool, const char *file);

/* Called for each acknowledgement, good or not. */
typedef void (*AheadAckFn)(void *arg, const char *file);
extern void ahead_ack_each(const AheadSpool *spool, AheadAckFn fn, void *arg);

/*
 * Why a segment could not be archived ahead; for its own call to say.  Reading
 * takes it away; false if there is none since that time.
 */
extern void ahead_failure_write(const AheadSpool *spool, const char *file,
								const Error *why);
extern bool ahead_failure_take(const AheadSpool *spool, const char *file,
							   int64_t since, Error *why);

#endif
