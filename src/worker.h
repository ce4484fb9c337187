/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The background worker that samples how far the WAL has come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_WORKER_H
#define DR_WORKER_H

#include "postgres.h"

/*
 * Asks for shared memory and the worker.  To be called by _PG_init() while
 * shared_preload_libraries are loaded.
 */
extern void dr_worker_register(void);

extern PGDLLEXPORT void dr_worker_main(Datum arg);

#endif
