/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The background worker that samples how far the WAL has come.
 *
 * It is connected to no database, only to what they share, so that it shows in
 * pg_stat_activity; it neither holds a snapshot nor writes WAL.  Every dr.sample_interval it takes a sample, and every ten
 * seconds it notes the RPO for the history.
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "access/xlog.h"
#include "archived.h"
#include "compat.h"
#include "dr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "rpo_history.h"
#include "samples.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define NOTE_EVERY (10 * USECS_PER_SEC)
#define SAVE_EVERY (5 * USECS_PER_MINUTE)

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request_memory(void)
{
	if (previous_request != NULL)
		previous_request();
	RequestAddinShmemSpace(
		add_size(MAXALIGN(dr_samples_size()), MAXALIGN(dr_history_size())));
	RequestNamedLWLockTranche("dr", 1);
}

static void
set_up_memory(void)
{
	bool found;
	void *memory;

	if (previous_startup != NULL)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("dr samples", dr_samples_size(), &found);
	dr_samples_init(memory, found);
	memory = ShmemInitStruct("dr history", dr_history_size(), &found);
	dr_history_init(memory, found);
	LWLockRelease(AddinShmemInitLock);
}

void
dr_worker_register(void)
{
	BackgroundWorker worker = {
		.bgw_name = "dr sampler",
		.bgw_type = "dr sampler",
		.bgw_flags = BGWORKER_SHMEM_ACCESS |
					 BGWORKER_BACKEND_DATABASE_CONNECTION,
		/* on a standby too, to be there when it is promoted */
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = 10,
		.bgw_library_name = "dr",
		.bgw_function_name = "dr_worker_main",
	};

	previous_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = set_up_memory;
	RegisterBackgroundWorker(&worker);
}

/* For the history: what the archiver has not archived yet is at risk. */
static void
note_rpo(TimestampTz now)
{
	XLogRecPtr current;
	XLogRecPtr safe;
	TimestampTz since = 0;
	TimestampTz as_of;

	if (!XLogArchivingActive())
	{
		dr_history_add(now, true, 0, 0);
		return;
	}
	safe = dr_archived_lsn(&current);
	switch (dr_samples_judge(safe, &since, &as_of))
	{
		case DR_RISK_UNKNOWN:
			dr_history_add(now, true, 0, 0);
			break;
		case DR_RISK_NONE:
			dr_history_add(now, false, 0, 0);
			break;
		case DR_RISK_SINCE:
			dr_history_add(now, false, Max(now - since, 0), current - safe);
			break;
	}
}

static void
do_rounds(void)
{
	TimestampTz noted = 0;
	TimestampTz saved = GetCurrentTimestamp();

	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!RecoveryInProgress())
		{
			dr_samples_take();
			/* a clock that was set back is no reason to stop */
			if (now - noted >= NOTE_EVERY || now < noted)
			{
				note_rpo(now);
				noted = now;
			}
			if (now - saved >= SAVE_EVERY || now < saved)
			{
				dr_history_save();
				saved = now;
			}
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 dr_sample_interval, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
dr_worker_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	dr_history_load();
	do_rounds();
	dr_history_save();
	proc_exit(0);
}
