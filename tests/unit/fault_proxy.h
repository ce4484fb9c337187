/*-------------------------------------------------------------------------
 *
 * fault_proxy.h
 *	  A TCP proxy on a loopback port that cuts, stalls, resets, flips bits, or
 *	  answers HTTP requests with 503 in the server's place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_FAULT_PROXY_H
#define PGDR_FAULT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct FaultProxy FaultProxy;

/*
 * What goes wrong, counted per connection in bytes from the call of
 * fault_proxy_set() on; a place is one more than the bytes that pass before it,
 * 0 is never.
 */
typedef struct Faults
{
	int64_t cut_up;     /* end the connection there */
	int64_t cut_down;   /* 1: the answer is lost */
	int64_t stall_up;   /* nothing passes any more */
	int64_t stall_down; /* likewise */
	int64_t flip_down;  /* change a bit of this byte */
	bool reset;         /* cut by RST */
	bool refuse;        /* close each new connection at once */
	int busy_percent;   /* answer so many HTTP requests with 503 SlowDown */
	bool count;         /* HTTP requests, for fault_proxy_requests() */
	int skip;           /* let so many go well first */
	int times;          /* so many faults, then none; 0: without end */
} Faults;

extern FaultProxy *fault_proxy_start(int target_port);
extern int fault_proxy_port(const FaultProxy *proxy);
extern void fault_proxy_set(FaultProxy *proxy, const Faults *faults);
/* How many faults have happened since fault_proxy_set(). */
extern int fault_proxy_count(FaultProxy *proxy);
/* How many HTTP requests have passed since then, if they are counted. */
extern int fault_proxy_requests(FaultProxy *proxy);
extern void fault_proxy_stop(FaultProxy *proxy);

#endif
