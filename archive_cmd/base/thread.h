/*-------------------------------------------------------------------------
 *
 * thread.h
 *	  Workers that pull jobs until there are none, and a stop flag.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_THREAD_H
#define PGDR_THREAD_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Runs fn in `workers` threads (worker_no 0..workers-1) and waits for all of
 * them.  When one fails the stop flag of the group is raised, and the first
 * real error is returned (never another worker's ERR_CANCELED).  A single
 * worker runs in the calling thread.  Groups may be nested: a worker also stops
 * when the group that its own group was started from does.
 * fn takes its work from arg under a lock of its own, and returns when there
 * is none or thread_should_stop() says so.
 */
typedef bool (*WorkerFn)(void *arg, int worker_no, Error *err);
extern bool thread_run(int workers, WorkerFn fn, void *arg, Error *err);

/* Did a signal, or a failing fellow worker, ask to stop? */
extern bool thread_should_stop(void);

/* ERR_CANCELED and false when asked to stop, else true. */
extern bool thread_check_stop(Error *err);

/*
 * For a thread that works on behalf of others without being a worker: it stops
 * when the group does of which the caller of thread_scope() is a worker.  That
 * one must wait for what it asked for, or its group may be gone.
 */
typedef struct ThreadScope ThreadScope;
extern const ThreadScope *thread_scope(void);
extern void thread_enter_scope(const ThreadScope *scope);

/* Async-signal-safe; from the handlers of SIGTERM and SIGINT. */
extern void thread_request_stop(void);

#endif
