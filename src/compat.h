/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15 and the newest major; no other file
 *	  asks for PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_COMPAT_H
#define DR_COMPAT_H

#include "postgres.h"

#include "access/transam.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "PostgreSQL 15 or newer is needed"
#endif

/*
 * As in libpq/libpq.h, which includes headers of GSSAPI and OpenSSL that the
 * server's own package of headers does not bring along.
 */
extern PGDLLIMPORT bool pq_check_connection(void);

/* Freed by the caller; from 17 on it would not outlive an error either way. */
static inline WaitEventSet *
dr_create_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(CurrentResourceOwner, nevents);
#else
	return CreateWaitEventSet(CurrentMemoryContext, nevents);
#endif
}

/* What pg_stat_activity shows while we wait: a name where names can be had. */
static inline uint32
dr_wait_event(void)
{
#if PG_VERSION_NUM >= 170000
	static uint32 event = 0;

	if (event == 0)
		event = WaitEventExtensionNew("DrChild");
	return event;
#else
	return PG_WAIT_EXTENSION;
#endif
}

/*
 * Transactions with a transaction ID that have ended, one way or the other,
 * since the server started.
 */
static inline uint64
dr_completed_transactions(void)
{
	uint64 count;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
#if PG_VERSION_NUM >= 170000
	count = TransamVariables->xactCompletionCount;
#else
	count = ShmemVariableCache->xactCompletionCount;
#endif
	LWLockRelease(ProcArrayLock);
	return count;
}

#endif
