/*-------------------------------------------------------------------------
 *
 * loopback.h
 *	  Sockets on 127.0.0.1 for servers of tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_LOOPBACK_H
#define PGDR_LOOPBACK_H

/* A listening socket at a free port, or the end of the process. */
extern int loopback_listen(int *port);
/* A connection to that port, or -1. */
extern int loopback_connect(int port);

#endif
